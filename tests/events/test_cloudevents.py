import base64

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kafka_bridge.errors import Malformed
from kafka_bridge.events.cloudevents import REQUIRED, CloudEvent, from_document, from_headers, is_json

CE = {"specversion": "1.0", "id": "c-1", "source": "/shop", "type": "order.created"}
HEADERS = {f"ce-{name}": text for name, text in CE.items()}
any_json = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.text(st.characters(codec="utf-8")),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters(codec="utf-8")), inner),
    max_leaves=5,
)


def test_headers_without_a_specversion_are_no_cloudevent():
    assert from_headers({}, b"") is None
    assert from_headers({"ce-id": "x", "ce-specversion": ""}, b"") is None


def test_the_headers_of_a_cloudevent_are_its_attributes():
    event = from_headers({**HEADERS, "content-type": "text/plain", "x-other": "y"}, b"data")

    assert event == CloudEvent(CE, "text/plain", b"data")


@pytest.mark.parametrize(
    ("written", "read"),
    [("a%20b", "a b"), ("%C3%BC", "ü"), ("100%25", "100%"), ("%zz", "%zz"), ("%FF", "\ufffd"), ('"a"', "a"), ("", "")],
)
def test_a_header_is_percent_decoded(written, read):
    assert from_headers({**HEADERS, "ce-subject": written}, b"").attributes["subject"] == read


@pytest.mark.parametrize("name", REQUIRED)
def test_every_required_attribute_must_be_there(name):
    for without in ({key: value for key, value in CE.items() if key != name}, {**CE, name: ""}, {**CE, name: None}):
        with pytest.raises(Malformed):
            from_document(without)
    if name != "specversion":
        with pytest.raises(Malformed, match=f"^The CloudEvent has no {name}.$"):
            from_headers({**HEADERS, f"ce-{name}": ""}, b"")


@pytest.mark.parametrize("name", ["a_b", "a-b", "ü", "", "A", "x" * 65, "a b"])
def test_a_name_is_lower_case_letters_and_digits(name):
    with pytest.raises(Malformed, match="illegal name"):
        from_document({**CE, name: "x"})
    assert from_document({**CE, "x" * 64: "x"})


@pytest.mark.parametrize(("value", "text"), [(True, "true"), (False, "false"), (7, "7"), ("x", "x"), ("", "")])
def test_an_attribute_is_a_text_a_number_or_a_boolean(value, text):
    assert from_document({**CE, "ext": value}).attributes["ext"] == text
    for other in ([], {}, 1.5):
        with pytest.raises(Malformed):
            from_document({**CE, "ext": other})


@pytest.mark.parametrize(
    ("fields", "content_type", "data"),
    [
        ({}, "", b""),
        ({"data": None}, "", b""),
        ({"data": {"a": 1}}, "application/json", b'{"a":1}'),
        ({"data": "x"}, "application/json", b'"x"'),
        ({"data": "x", "datacontenttype": "text/plain"}, "text/plain", b"x"),
        ({"data": "x", "datacontenttype": "a/b+json; q=1"}, "a/b+json; q=1", b'"x"'),
        ({"data": [1], "datacontenttype": "text/plain"}, "text/plain", b"[1]"),
        ({"data_base64": base64.b64encode(b"\xff\x00").decode()}, "", b"\xff\x00"),
        ({"data_base64": "", "datacontenttype": "image/png"}, "image/png", b""),
    ],
)
def test_the_data_is_as_its_type_says(fields, content_type, data):
    assert from_document({**CE, **fields}) == CloudEvent(CE, content_type, data)


@pytest.mark.parametrize("text", ["?", "A", "AA=A", "é", 1, [], {}])
def test_data_that_is_no_base64_is_malformed(text):
    with pytest.raises(Malformed):
        from_document({**CE, "data_base64": text})


@pytest.mark.parametrize("document", [None, 1, "x", [], [CE], True])
def test_a_cloudevent_is_an_object(document):
    with pytest.raises(Malformed, match=r"^A CloudEvent is a JSON object.$"):
        from_document(document)


@pytest.mark.parametrize(
    ("content_type", "json"),
    [
        ("application/json", True),
        ("Application/JSON; charset=utf-8", True),
        ("text/json", True),
        ("application/cloudevents+json", True),
        ("application/jsonl", False),
        ("", False),
        ("json", False),
        ("text/plain; x=/json", False),
    ],
)
def test_what_is_json(content_type, json):
    assert is_json(content_type) is json


@given(any_json)
def test_data_is_kept(data):
    assert orjson.loads(from_document({**CE, "data": data}).data or b"null") == data


@given(any_json | st.dictionaries(st.sampled_from([*CE, "data", "data_base64", "datacontenttype", "x"]), any_json))
def test_any_document_is_a_cloudevent_or_malformed(document):
    try:
        event = from_document(document)
    except Malformed:
        return
    assert all(event.attributes[name] for name in REQUIRED)


@given(
    st.dictionaries(st.sampled_from([*HEADERS, "ce-x", "ce-", "content-type"]), st.text(st.characters(codec="latin-1")))
)
def test_any_headers_are_a_cloudevent_none_or_malformed(headers):
    try:
        event = from_headers(headers, b"")
    except Malformed:
        return
    assert event is None or all(event.attributes[name] for name in REQUIRED)


def test_the_number_of_attributes_is_bounded():
    extensions = {f"x{n}": "1" for n in range(100)}

    assert from_document({**CE, **dict(list(extensions.items())[: 100 - len(CE)])})
    with pytest.raises(Malformed, match="100 attributes"):
        from_document({**CE, **extensions})


@pytest.mark.parametrize("name", ["data", "data_base64", "datacontenttype"])
def test_in_binary_mode_data_is_never_a_header(name):
    with pytest.raises(Malformed):
        from_headers({**HEADERS, f"ce-{name}": "x"}, b"data")
