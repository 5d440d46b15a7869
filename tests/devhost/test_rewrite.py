"""What every request goes through, whatever is in it. Single cases are in the recordings."""

from urllib.parse import parse_qsl, unquote_to_bytes

import h11
import pytest
from hypothesis import given
from hypothesis import strategies as st

from devhost.rewrite import Received, canonical, encode_query, escape_path, rewrite, split_target

TOKEN = st.text("abcXYZ019-!#$%&'*+.^_`|~", min_size=1, max_size=12).map(str.encode)
VALUE = st.text("abc XYZ019\t,;=\"'é中", max_size=20).map(lambda text: text.strip(" \t").encode())
OWN = {b"host", b"connection", b"content-length", b"transfer-encoding", b"trailer", b"user-agent", b"expect", b"pragma"}


def received(**parts):
    return Received(**{"method": "GET", "path": b"/x", "raw_query": b"", "headers": [], "body": b""} | parts)


def parsed(raw: bytes) -> tuple[h11.Request, bytes]:
    """The request as an HTTP parser that is not ours reads it."""
    server = h11.Connection(h11.SERVER)
    server.receive_data(raw)
    request, body = server.next_event(), b""
    assert isinstance(request, h11.Request)
    while isinstance(event := server.next_event(), h11.Data):
        body += event.data
    assert isinstance(event, h11.EndOfMessage)
    return request, body


@given(
    headers=st.lists(st.tuples(TOKEN, VALUE), max_size=6).map(
        lambda all_: [p for p in all_ if p[0].lower() not in OWN]
    ),
    path=st.binary(max_size=20).map(lambda path: b"/" + path),
    body=st.binary(max_size=50),
    method=st.sampled_from(["GET", "POST", "PUT", "DELETE", "OPTIONS", "HEAD"]),
)
def test_any_request_is_still_one_request_with_the_same_body(headers, path, body, method):
    hook_url = (b"dify-hook-url", b"https://x/")
    raw = rewrite(received(method=method, path=path, headers=[*headers, (b"host", b"h"), hook_url], body=body), "hook")

    request, given_body = parsed(raw)

    assert unquote_to_bytes(request.target) == path
    assert given_body == body
    names = [name for name, _ in request.headers]
    assert not [name for name in names if name.startswith((b"x-forwarded", b"x-real-ip", b"x-original-"))]
    kept = [
        (name.lower(), value) for name, value in headers if name.lower() in names and name.lower() != b"dify-hook-id"
    ]
    assert [pair for pair in request.headers if pair in kept] == sorted(kept, key=lambda pair: canonical(pair[0]))


@given(st.binary(max_size=60))
def test_a_query_that_was_encoded_stays_as_it_is(raw):
    once = encode_query(raw)

    assert encode_query(once) == once
    assert once.isascii()
    assert not set(once) & set(b';#"<> []|')


@given(st.lists(st.tuples(st.text("ab&=;+ %é", min_size=1), st.text("ab&=;+ %é"))))
def test_a_query_keeps_its_pairs_in_the_order_of_their_names(pairs):
    def encode(text):
        return "".join(f"%{byte:02x}" for byte in text.encode())

    raw = "&".join(f"{encode(name)}={encode(value)}" for name, value in pairs)

    found = parse_qsl(encode_query(raw.encode()).decode(), keep_blank_values=True)

    assert found == sorted(pairs, key=lambda pair: pair[0].encode())


@given(st.binary())
def test_a_path_means_what_it_meant(path):
    assert unquote_to_bytes(escape_path(path)) == path
    assert escape_path(unquote_to_bytes(escape_path(path))) == escape_path(path)


@given(TOKEN)
def test_a_name_is_spelled_once_and_for_all(name):
    assert canonical(canonical(name)) == canonical(name)
    assert canonical(name).lower() == name.lower()


def test_a_name_that_is_none_is_left_alone():
    assert canonical(b"a b-c") == b"a b-c"


@pytest.mark.parametrize(
    ("version", "connection", "closes"),
    [
        ("1.0", [], True),
        ("1.0", [b"keep-alive"], False),
        ("1.1", [], False),
        ("1.1", [b"X-Hop", b"close"], True),
        ("1.1", [b"close"], False),
    ],
)
def test_a_connection_that_ends_is_named_once_where_go_writes_it(version, connection, closes):
    headers = [(b"connection", value) for value in connection]

    raw = rewrite(received(headers=headers, http_version=version), "hook")

    assert raw.split(b"\r\n")[3].startswith(b"Connection: close") == (closes or b"close" in connection[:1])
    assert raw.count(b"Connection: ") == len(connection) + closes


@pytest.mark.parametrize(
    ("target", "path", "host"),
    [
        (b"/e/h/x", b"/e/h/x", b"header"),
        (b"http://other:81/e/h/x", b"/e/h/x", b"other:81"),
        (b"http://other", b"/", b"other"),
        (b"//other/x", b"//other/x", b"header"),
    ],
)
def test_the_host_of_an_absolute_target_is_the_host(target, path, host):
    assert split_target(target, [(b"host", b"header")]) == (path, [(b"host", host)])
