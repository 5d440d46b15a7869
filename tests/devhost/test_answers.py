"""What Go's HTTP server makes of a plugin's status and headers. Single cases are in the recordings."""

import json

import pytest

from devhost import answers


def sent(status=200, headers=None, *, method="GET", empty=False):
    return answers.outgoing(method, status, headers or {}, empty=empty)


@pytest.mark.parametrize("status", [101, 600, 999])
def test_a_status_that_cannot_be_sent_is_said_to_be_one(status):
    with pytest.raises(answers.Unsendable, match=str(status)):
        sent(status)


@pytest.mark.parametrize(
    ("status", "client_sees", "has_body"),
    [(0, 200, True), (100, 200, True), (103, 200, True), (1, 200, False), (99, 200, False), (1000, 200, False)],
)
def test_a_status_that_is_no_answer_becomes_a_200(status, client_sees, has_body):
    outgoing = sent(status, {"Content-Length": "8"})

    assert (outgoing.status, outgoing.has_body, outgoing.length) == (client_sees, has_body, 8)


@pytest.mark.parametrize(("status", "kept"), [(204, {b"Content-Type": b"a/b"}), (304, {})])
def test_an_answer_without_a_body_says_nothing_about_one(status, kept):
    outgoing = sent(status, {"Content-Length": "8", "Content-Type": "a/b"})

    assert (dict(outgoing.headers), outgoing.has_body, outgoing.length) == (kept, False, None)


def test_names_are_spelled_as_go_does_and_the_first_of_two_counts():
    assert sent(headers={"x-a": "1", "X-A": "2", "bad name": "x", "é": "x"}).headers == [(b"X-A", b"1")]


def test_a_value_cannot_begin_a_header_of_its_own():
    assert sent(headers={"X": " a\r\nX-B: b\0 "}).headers == [(b"X", b"a  X-B: b")]


@pytest.mark.parametrize(
    ("headers", "left"),
    [
        ({"Connection": "keep-alive"}, {}),
        ({"Connection": "close"}, {b"Connection": b"close"}),
        ({"Content-Length": "x"}, {}),
        ({"Content-Length": "-1"}, {}),
        ({"Content-Length": "5", "Transfer-Encoding": "chunked"}, {}),
        ({"Content-Length": "5", "Transfer-Encoding": "identity"}, {b"Content-Length": b"5"}),
    ],
)
def test_the_connection_and_the_framing_are_the_servers(headers, left):
    assert dict(sent(headers=headers).headers) == left


def test_an_answer_without_a_single_chunk_has_the_length_0():
    assert sent(202, empty=True).length == 0
    assert sent(202, {"Content-Length": "5"}, empty=True).length == 5
    assert sent(202, method="HEAD", empty=True).length is None


def test_only_a_short_document_has_a_length():
    assert dict(answers.document(500, b"x" * 2048).headers)[b"Content-Length"] == b"2048"
    assert b"Content-Length" not in dict(answers.document(500, b"x" * 2049).headers)


def test_an_error_is_a_document_in_a_document():
    document = json.loads(answers.internal_error('a "b"'))

    assert (document["code"], document["data"]) == (-500, None)
    assert json.loads(document["message"]) == {
        "message": 'a "b"',
        "error_type": "PluginDaemonInternalServerError",
        "args": None,
    }


def test_a_redirect_in_words_cannot_carry_markup():
    _, body = answers.redirect("GET", "/e/h/?a='\"<b>&c")

    assert body == b'<a href="/e/h/?a=&#39;&#34;&lt;b&gt;&amp;c">Moved Permanently</a>.\n\n'
