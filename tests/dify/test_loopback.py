"""The plugin's call to itself, with a server that a test writes byte by byte."""

import socket
import threading
from contextlib import contextmanager

import orjson
import pytest

from kafka_bridge.dify.loopback import MAX_ANSWER_BYTES, Loopback, Unanswered


@contextmanager
def server(*answers, closes=True):
    """Gives each connection the bytes of an answer after the first piece that it sends; what came is in the list."""
    received, pieces = [], []
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve():
            for answer in answers:
                connection, _ = listener.accept()
                pieces.append(connection)
                received.append(connection.recv(1 << 16))
                connection.sendall(answer)
                if closes:
                    connection.close()

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield Loopback(listener.getsockname()[1]), received
        thread.join(10)
        for connection in pieces:
            connection.close()


def answer(body, status="200 OK", *headers):
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def post(loopback, **fields):
    asked = {"hook": "hook", "path": "/consume", "document": {"wait": True}, "headers": {"x": "y"}, "silence_s": 5.0}
    fields = asked | fields
    return loopback.post(
        fields["hook"], fields["path"], fields["document"], fields["headers"], silence_s=fields["silence_s"]
    )


def test_head_and_body_leave_in_one_piece():
    with server(answer(b'{"consumed":1}')) as (loopback, received):
        got = post(loopback)

    head, _, body = received[0].partition(b"\r\n\r\n")
    assert (got.status, got.document) == (200, {"consumed": 1})
    assert head.split(b"\r\n")[0] == b"POST /e/hook/consume HTTP/1.1"
    assert {b"Content-Type: application/json", b"Connection: close", b"x: y"} < set(head.split(b"\r\n"))
    assert orjson.loads(body) == {"wait": True}


@pytest.mark.parametrize("hook", ["a b", "a/../b", "a\r\nX: y", "ü", "?q"])
def test_the_name_of_an_endpoint_stays_one_part_of_the_path(hook):
    with server(answer(b"{}")) as (loopback, received):
        post(loopback, hook=hook)

    method, path, version = received[0].partition(b"\r\n")[0].split(b" ")
    assert (method, version) == (b"POST", b"HTTP/1.1")
    assert path.isascii()
    assert path.count(b"/") == 3
    assert b"?" not in path


def test_proxies_of_the_environment_are_none_of_its_business(monkeypatch):
    for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")

    with server(answer(b"{}")) as (loopback, _):
        assert post(loopback).status == 200


@pytest.mark.parametrize("body", [b"", b"not json", b"[1]", b"\xff", b'{"a":'])
def test_a_body_that_is_no_document_is_none(body):
    with server(answer(body, "404 Not Found")) as (loopback, _):
        assert post(loopback) == (404, {})


def test_no_more_is_read_than_an_answer_of_ours_can_have():
    with server(answer(b" " * (MAX_ANSWER_BYTES + 5) + b"{}")) as (loopback, _):
        assert post(loopback) == (200, {})


def test_where_nobody_listens_it_says_so():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]

    with pytest.raises(Unanswered, match=f"nobody answers at 127.0.0.1:{port}") as caught:
        post(Loopback(port))
    assert not caught.value.connected


@pytest.mark.parametrize("bytes_", [b"", b"SSH-2.0-OpenSSH_9\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{}"])
def test_what_breaks_off_or_is_no_http_is_told_without_its_words(bytes_):
    with server(bytes_) as (loopback, _), pytest.raises(Unanswered, match="broke off") as caught:
        post(loopback)
    assert caught.value.connected
    assert "OpenSSH" not in str(caught.value)


def test_who_says_nothing_is_not_waited_for():
    with server(b"", closes=False) as (loopback, _), pytest.raises(Unanswered, match="TimeoutError"):
        post(loopback, silence_s=0.05)
