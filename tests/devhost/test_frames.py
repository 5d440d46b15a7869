"""The stdio protocol as the daemon reads and writes it."""

import json
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devhost import frames
from devhost.frames import Chunk, Lines, LineTooLong, Malformed, Message

LIMIT = 16


def read(lines: Lines, pieces: list[bytes]) -> tuple[list[bytes], bool]:
    """The lines in the pieces, and whether one was too long."""
    found: list[bytes] = []
    try:
        for piece in pieces:
            found.extend(lines.feed(piece))
    except LineTooLong:
        return found, True
    return [*found, *lines.finish()], False


def cut(data: bytes, places: list[int]) -> list[bytes]:
    bounds = [0, *sorted(place % (len(data) + 1) for place in places), len(data)]
    return [data[start:end] for start, end in pairwise(bounds)]


class TestLines:
    @given(
        texts=st.lists(st.binary(max_size=LIMIT + 3).map(lambda text: text.replace(b"\n", b"").replace(b"\r", b""))),
        places=st.lists(st.integers(0, 10_000), max_size=8),
        ended=st.booleans(),
    )
    def test_pieces_of_any_size_give_the_same_lines_up_to_the_first_that_is_too_long(self, texts, places, ended):
        data = b"\n".join(texts) + (b"\n" if ended else b"")
        fit = [len(text) < LIMIT for text in texts]
        first_bad = fit.index(False) if False in fit else len(texts)

        found, too_long = read(Lines(LIMIT), cut(data, places))

        assert too_long == (False in fit)
        assert found == [text for text in texts[:first_bad] if text]

    @pytest.mark.parametrize(("length", "passes"), [(LIMIT - 1, True), (LIMIT, False)])
    def test_the_limit_counts_the_newline(self, length, passes):
        assert read(Lines(LIMIT), [b"x" * length + b"\n"]) == ([b"x" * length] if passes else [], not passes)

    def test_a_line_without_an_end_is_too_long_before_its_end_comes(self):
        assert read(Lines(LIMIT), [b"x" * LIMIT]) == ([], True)

    def test_lines_before_the_one_that_is_too_long_count(self):
        assert read(Lines(LIMIT), [b"a\nb\n" + b"x" * LIMIT]) == ([b"a", b"b"], True)

    def test_a_carriage_return_belongs_to_the_end_of_the_line(self):
        assert read(Lines(), [b"a\r", b"\nb\r\n\r\n", b"c\r"]) == ([b"a", b"b", b"c"], False)

    def test_the_daemons_limit_is_five_mebibytes(self):
        assert read(Lines(), [b"x" * 5_242_879, b"\n"])[1] is False
        assert read(Lines(), [b"x" * 5_242_880])[1] is True


class TestMessages:
    @pytest.mark.parametrize(
        "line",
        [
            b"hello",
            b"\xff\xfe",
            b"[1,2]",
            b"5",
            b'{"a":1}',
            b'{"event":1}',
            b'debug{"event":"heartbeat"}',
            b'{"event":"session","session_id":"s"}',
            b'{"event":"session","session_id":"s","data":"text"}',
            b'{"event":"session","session_id":"s","data":{"data":{}}}',
            b'{"event":"session","session_id":"s","data":{"type":"","data":{}}}',
            b'{"event":"session","session_id":"s","data":{"type":1,"data":{}}}',
            b'{"event":"session","session_id":"s","data":{"type":"end"}}',
        ],
    )
    def test_what_is_no_message_is_nothing(self, line):
        assert frames.parse(line) is None

    def test_a_message_of_a_session_has_a_kind(self):
        line = b'{"event":"session","session_id":"s","data":{"type":"end","data":{"x":1}}}'

        assert frames.parse(line) == Message("session", "s", "end", {"x": 1})

    def test_a_message_of_the_process_has_none(self):
        assert frames.parse(b'{"event":"heartbeat","session_id":null,"data":{}}') == Message("heartbeat", data={})


class TestChunks:
    @pytest.mark.parametrize(
        ("data", "chunk"),
        [
            (None, Chunk()),
            ({}, Chunk()),
            ({"status": 200, "headers": {"A": "b"}, "result": "41"}, Chunk(200, {"A": "b"}, "41")),
            ({"status": None, "headers": None, "result": None}, Chunk()),
            ({"status": 0, "headers": {"A": None}}, Chunk(0, {"A": ""})),
        ],
    )
    def test_what_is_missing_is_missing(self, data, chunk):
        assert frames.chunk(data) == chunk

    @pytest.mark.parametrize(
        ("data", "said"),
        [
            ("text", "string into Go value of type endpoint_entities.EndpointResponseChunk"),
            ([], "array into Go value of type endpoint_entities.EndpointResponseChunk"),
            ({"status": "200"}, "string into Go struct field EndpointResponseChunk.status of type uint16"),
            ({"status": True}, "bool into Go struct field EndpointResponseChunk.status of type uint16"),
            ({"status": 65536}, "number 65536 into Go struct field EndpointResponseChunk.status of type uint16"),
            ({"status": -1}, "number -1 into Go struct field EndpointResponseChunk.status of type uint16"),
            ({"status": 200.5}, "number 200.5 into Go struct field EndpointResponseChunk.status of type uint16"),
            ({"headers": []}, "array into Go struct field EndpointResponseChunk.headers of type map[string]string"),
            ({"headers": {"X": ["a"]}}, "array into Go struct field EndpointResponseChunk.headers of type string"),
            ({"headers": {"X": 5}}, "number into Go struct field EndpointResponseChunk.headers of type string"),
            ({"result": {}}, "object into Go struct field EndpointResponseChunk.result of type string"),
        ],
    )
    def test_what_does_not_fit_is_said_in_gos_words(self, data, said):
        with pytest.raises(Malformed) as raised:
            frames.chunk(data)

        assert str(raised.value) == f"json: cannot unmarshal {said}"

    @given(st.binary())
    def test_hex_comes_back(self, data):
        assert frames.dehex(data.hex()) == frames.dehex(data.hex().upper()) == data

    @pytest.mark.parametrize(
        ("text", "said"),
        [
            ("zz", "encoding/hex: invalid byte: U+007A 'z'"),
            ("4\n", "encoding/hex: invalid byte: U+000A"),
            ("4é", "encoding/hex: invalid byte: U+00C3 'Ã'"),
            ("414", "encoding/hex: odd length hex string"),
        ],
    )
    def test_what_is_no_hex_is_said_in_gos_words(self, text, said):
        with pytest.raises(Malformed) as raised:
            frames.dehex(text)

        assert str(raised.value) == said


class TestLinesToThePlugin:
    def test_a_request_is_one_line_with_everything_that_the_daemon_sends(self):
        line = frames.endpoint_request("s", "e", b"GET / HTTP/1.1\r\n\r\n", {"b": 1, "a": "x\ny"})

        assert (line.count(b"\n"), line[-1:]) == (1, b"\n")
        assert json.loads(line) == {
            "session_id": "s",
            "conversation_id": None,
            "message_id": None,
            "app_id": None,
            "endpoint_id": "e",
            "context": None,
            "event": "request",
            "data": {
                "action": "invoke_endpoint",
                "raw_http_request": b"GET / HTTP/1.1\r\n\r\n".hex(),
                "settings": {"a": "x\ny", "b": 1},
                "type": "endpoint",
                "user_id": "",
            },
        }
        assert list(json.loads(line)["data"]["settings"]) == ["a", "b"], "a map of Go's comes out sorted"

    def test_a_reply_names_the_call(self):
        reply = json.loads(frames.call_reply("s", "e", "r", "response", message="struct", data={"data": "ok"}))

        assert (reply["event"], reply["session_id"], reply["endpoint_id"]) == ("backwards_response", "s", "e")
        assert reply["data"] == {
            "backwards_request_id": "r",
            "event": "response",
            "message": "struct",
            "data": {"data": "ok"},
        }
