import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kafka_bridge.ingress.content import Content, Location
from tests.stand_ins import request


def content(value):
    return Content(request(json.dumps(value).encode()))


def at(path, value):
    return Location(f"body:{path}").find(content(value))


BODY = {
    "id": "evt_1",
    "data": {"object": {"customer": "cus_1"}, "": {"x": "y"}},
    "items": [{"id": "first"}, {"id": "second"}, 3],
    "a key": "spaced",
    "0": "zero",
    "nothing": None,
}


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("id", "evt_1"),
        ("data.object.customer", "cus_1"),
        ("items.0.id", "first"),
        ("items.1.id", "second"),
        ("items.00.id", "first"),
        ("items.2", "3"),
        ("a key", "spaced"),
        ("data..x", "y"),
        ("0", "zero"),
    ],
)
def test_a_path_leads_through_objects_and_lists(path, text):
    assert at(path, BODY) == text


@pytest.mark.parametrize(
    "path",
    [
        "x",
        "ID",
        "data.x",
        "id.x",
        "id.0",
        "nothing",
        "nothing.x",
        "items",
        "items.3",
        "items.-1",
        "items.x",
        "items.2.0",
        "items.²",
        "items.\u0661",
        "items.9" + "9" * 99,
        ".",
        ".id",
        "id.",
    ],
)
def test_a_path_that_leads_nowhere_finds_nothing(path):
    assert at(path, BODY) is None


NOT_JSON = [b"", b"x", b"{", b'{"id": 1', b"\xff", b'{"id": NaN}', b"[" * 100_000, b'"\xed\xa0\x80"', b"\xef\xbb\xbf{}"]


@pytest.mark.parametrize("body", NOT_JSON)
def test_a_body_that_is_not_json_has_no_values(body):
    assert Content(request(body)).document is None
    assert Location("body:id").find(Content(request(body))) is None


@pytest.mark.parametrize("body", [b"1", b'"id"', b"null", b"[]", b"true"])
def test_a_body_that_is_no_object_has_no_fields(body):
    assert Location("body:id").find(Content(request(body))) is None


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("x", "x"),
        ("ü", "ü"),
        (7, "7"),
        (0, "0"),
        (1.5, "1.5"),
        (True, "true"),
        (False, "false"),
        (9_007_199_254_740_993, "9007199254740993"),
        (18_446_744_073_709_551_615, "18446744073709551615"),
        ("", None),
        (None, None),
        ([], None),
        ({}, None),
        (["x"], None),
    ],
)
def test_a_plain_value_is_a_text(value, text):
    assert at("value", {"value": value}) == text


def test_numbers_beyond_64_bits_are_not_rounded_to_the_same_text():
    one, other = (at("id", {"id": 184467440737095516160 + digit}) for digit in (0, 1))

    assert one is None or one != other


def test_a_body_is_parsed_only_when_somebody_asks():
    lazy = content({"id": 1})

    assert Location("header:id").find(lazy) is None
    assert "document" not in vars(lazy)
    assert Location("body:id").find(lazy) == "1"
    assert "document" in vars(lazy)


def test_a_location_in_a_header_is_found_in_any_case():
    found = Location("header:X-GitHub-Event").find(Content(request(headers={"x-github-event": "push"})))

    assert found == "push"


@pytest.mark.parametrize("where", ["header:x-id", "header:x-other"])
def test_a_header_that_is_empty_or_absent_is_not_found(where):
    assert Location(where).find(Content(request(b'{"x-id": "body"}', {"x-id": ""}))) is None


@pytest.mark.parametrize("text", ["", "header", "header:", "body:", "query:", "form:id", "Header:x", ":x", "header x"])
def test_what_is_no_location_is_a_programming_error(text):
    with pytest.raises(ValueError, match="not a location"):
        Location(text)


@given(st.binary(), st.text(min_size=1))
def test_no_body_and_no_path_raise(body, path):
    text = Location(f"body:{path}").find(Content(request(body)))

    assert text is None or isinstance(text, str)


steps_to_a_leaf = st.lists(
    st.text(st.characters(codec="utf-8", exclude_characters="."), max_size=5) | st.integers(0, 3), max_size=5
)


@given(st.text(min_size=1), steps_to_a_leaf)
def test_a_path_finds_what_lies_at_its_end(leaf, steps):
    value = leaf
    for step in reversed(steps):
        value = [None] * step + [value] if isinstance(step, int) else {step: value, f"not {step}": None}

    assert at(".".join(["root", *map(str, steps)]), {"root": value}) == leaf
