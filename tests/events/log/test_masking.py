"""What is kept of bodies and headers."""

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kafka_bridge.events.log.masking import MAX_BODY_BYTES, MAX_MASKED_BYTES, Keeping, Notes

JSON = "application/json"


def kept(body, paths="", content_type=JSON, secrets=()):
    keeping = Keeping.compiled(10, [path for path in paths.split(",") if path], {"shop": secrets})
    return keeping.body(
        body if isinstance(body, bytes) else json.dumps(body).encode(), content_type, keeping.secrets_of("shop")
    )


@pytest.mark.parametrize(
    ("paths", "body", "masked"),
    [
        ("a", {"a": "x", "b": 1}, {"a": "***", "b": 1}),
        ("a.b", {"a": {"b": {"c": 1}, "d": 2}}, {"a": {"b": "***", "d": 2}}),
        ("a.*.b", {"a": [{"b": 1}, {"b": 2, "c": 3}]}, {"a": [{"b": "***"}, {"b": "***", "c": 3}]}),
        ("a.b", {"a": [{"b": 1}, {"b": 2}]}, {"a": [{"b": "***"}, {"b": "***"}]}),
        ("a.1", {"a": [1, 2]}, {"a": [1, "***"]}),
        ("*.b", {"a": {"b": 1}, "c": {"b": 2}}, {"a": {"b": "***"}, "c": {"b": "***"}}),
        ("b", [{"b": 1}], [{"b": "***"}]),
        ("a.b", {"a.b": 1}, {"a.b": "***"}),
        ("a.b,c", {"a": {"b": None}, "c": [1]}, {"a": {"b": "***"}, "c": "***"}),
        ("email", {"specversion": "1.0", "data": {"email": "x"}}, {"specversion": "1.0", "data": {"email": "***"}}),
    ],
)
def test_what_stands_at_a_path_is_masked(paths, body, masked):
    assert json.loads(kept(body, paths).text) == masked


def test_a_body_in_which_nothing_is_masked_stays_as_it_came():
    assert kept(b'{ "a" : 1 }', "b").text == '{ "a" : 1 }'
    assert kept(b"hello", "b", "text/plain").text == "hello"


@pytest.mark.parametrize(
    ("body", "content_type"),
    [(b'{"a": "x"', JSON), (b'{"a": "x"', "text/plain"), ("{}".encode("utf-16"), JSON), (b"[" * 5000, JSON),
     (b"x" * (MAX_MASKED_BYTES + 1), JSON)],
)  # fmt: skip
def test_what_claims_to_be_json_and_cannot_be_masked_is_not_kept(body, content_type):
    found = kept(body, "a", content_type)

    assert (found.text, found.note, found.size_bytes) == ("", Notes.UNMASKABLE, len(body))


def test_the_same_is_kept_where_nothing_is_to_be_masked():
    assert kept(b'{"a": "x"').text == '{"a": "x"'


def test_fields_of_a_form_are_masked_and_json_in_them_too():
    form = "application/x-www-form-urlencoded"

    assert kept(b"token=abc&x=1", "token", form).text == "token=%2A%2A%2A&x=1"
    assert "ann" not in kept(b"payload=%7B%22email%22%3A%22ann%22%7D", "email", form).text
    assert kept(b"a=1&b=2", "c", form).text == "a=1&b=2"
    for name in ("customer.email", "customer%5Bemail%5D", "customer[email]"):
        assert "ann" not in kept(f"{name}=ann&x=1".encode(), "customer.email", form).text
        assert "ann" not in kept(f"{name}=ann&x=1".encode(), "*.email", form).text
        assert "ann" in kept(f"{name}=ann&x=1".encode(), "email", form).text
    assert kept(b"payload=%7Bbroken", "email", form).note == Notes.UNMASKABLE


@given(
    st.recursive(
        st.integers() | st.text(max_size=5),
        lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from("abc"), inner),
    )
)
def test_whatever_the_body_the_value_is_gone(value):
    body = {"a": {"b": "HIDDEN-VALUE"}, "c": value}

    assert "HIDDEN-VALUE" not in kept(body, "a.b").text


@pytest.mark.parametrize("secret", ["s3cr3t-value", 'with "quotes"', "with/slash+plus", "ünïcode"])
@pytest.mark.parametrize("paths", ["", "a"])
def test_a_secret_of_the_source_in_a_body_is_masked_however_it_is_escaped(secret, paths):
    for body in (
        json.dumps({"token": secret}).encode(),
        json.dumps({"token": secret}, ensure_ascii=False).encode(),
        json.dumps({"token": secret}).replace("/", "\\/").encode(),
    ):
        found = kept(body, paths, secrets=[secret])
        assert json.loads(found.text) == {"token": "***"}


def test_a_secret_is_in_no_repr():
    assert "NEVERSHOWN" not in repr(Keeping.compiled(1, [], {"": ["NEVERSHOWN"]}))


@pytest.mark.parametrize("size", [MAX_BODY_BYTES, MAX_BODY_BYTES + 1])
def test_a_body_is_cut_and_says_so(size):
    found = kept(b"x" * size)

    assert len(found.text) == MAX_BODY_BYTES
    assert (found.note, found.size_bytes) == (Notes.CUT if size > MAX_BODY_BYTES else "", size)


def test_a_character_that_was_cut_in_two_is_left_out():
    found = kept("é".encode() * MAX_BODY_BYTES, content_type="text/plain")
    odd = kept(b"x" + "é".encode() * MAX_BODY_BYTES, content_type="text/plain")

    assert found.text == "é" * (MAX_BODY_BYTES // 2)
    assert odd.text == "x" + "é" * (MAX_BODY_BYTES // 2 - 1)
    assert odd.encoding == ""


def test_a_body_that_is_no_text_is_kept_in_base64():
    found = kept(b"\xff\xfe\x00", content_type="application/octet-stream")

    assert (base64.b64decode(found.text), found.encoding) == (b"\xff\xfe\x00", "base64")


def test_of_the_headers_those_on_the_list_are_kept():
    headers = {
        "authorization": "Bearer x", "cookie": "x", "x-hub-signature-256": "sha256=x", "x-gitlab-token": "x",
        "content-type": JSON, "x-github-event": "push", "user-agent": "y" * 2000,
    }  # fmt: skip

    found = dict(Keeping(1).headers(headers))

    assert found == {"content-type": JSON, "x-github-event": "push", "user-agent": "y" * 2000}


@pytest.mark.parametrize("before", [MAX_BODY_BYTES - 30, MAX_BODY_BYTES - 5, MAX_BODY_BYTES - 1, MAX_BODY_BYTES])
def test_a_secret_at_the_cut_is_masked_whole(before):
    found = kept(b"x" * before + b"s3cr3t-value" + b"y" * 100, content_type="text/plain", secrets=["s3cr3t-value"])

    assert "s3c" not in found.text
    assert len(found.text) <= MAX_BODY_BYTES


@pytest.mark.parametrize("deep", [300, 990, 1020])
@pytest.mark.parametrize("shape", [(b"[", b"]"), (b'{"b":', b"}")])
def test_of_a_body_that_is_nested_deeper_than_can_be_masked_nothing_is_kept_and_nothing_fails(deep, shape):
    opens, closes = shape
    body = kept(opens * deep + b'{"a": "x"}' + closes * deep, "a" if opens == b"[" else ".".join("b" * deep) + ".a")

    assert (body.text, body.note, body.whole) == ("", Notes.UNMASKABLE, False)


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b'{"a": "x", "b": "%s"}' % (b"y" * MAX_MASKED_BYTES), JSON),
        (b"a=x&" + b"b=y&" * 10_000, "application/x-www-form-urlencoded"),
        (b"[" * 990 + b'{"a": "x"}' + b"]" * 990, JSON),
    ],
)
def test_what_is_masked_in_a_body_that_nobody_looks_through_is_not_known(body, content_type):
    assert kept(body, "a", content_type).masked is None
    assert Keeping(10, (("a",),)).hidden(body.decode(), content_type) is None


@pytest.mark.parametrize("written", ["a%2Fb%2B%C3%A4", "a%2fb%2b%c3%a4", "a/b+ä", "a\\/b+\\u00e4"])
def test_a_secret_is_found_however_a_form_or_a_document_writes_it(written):
    assert kept(f"x={written}&y".encode(), content_type="text/plain", secrets=["a/b+ä"]).text == "x=***&y"
