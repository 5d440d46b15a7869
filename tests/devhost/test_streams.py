"""The way of an answer through the daemon's buffers, losses included."""

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest

from devhost.frames import Message
from devhost.streams import BUFFERED_CHUNKS, Answer, Body, PluginFailed, read_head

END = Message("session", "s", "end", {})


def stream(**data: object) -> Message:
    return Message("session", "s", "stream", data)


def chunk(data: bytes) -> Message:
    return stream(result=data.hex())


def answer_of(*messages: Message) -> Answer:
    answer = Answer()
    for message in messages:
        answer.put(message)
    return answer


def run[T](coroutine: Coroutine[Any, Any, T]) -> T:
    return asyncio.run(asyncio.wait_for(coroutine, 10))


async def whole(answer: Answer) -> tuple[Any, list[bytes], int]:
    """Head, chunks, and how many were lost; nothing reads before the plugin has ended."""
    head = await read_head(answer)
    body = Body(answer, head.first)
    await body.fill()
    return head, [data async for data in body.chunks()], body.dropped


class TestHead:
    def test_a_whole_answer_is_one_message(self):
        head, chunks, _ = run(whole(answer_of(stream(status=201, headers={"A": "b"}, result="4142"), END)))

        assert (head.status, head.headers, chunks) == (201, {"A": "b"}, [b"AB"])

    def test_status_and_headers_may_come_before_the_first_chunk(self):
        early, late = {"x": "1"}, {"x": "2", "y": "3"}
        answer = answer_of(stream(status=299, headers=early), stream(status=201, headers=late, result=""), END)

        head, chunks, _ = run(whole(answer))

        assert (head.status, head.headers, chunks) == (201, {"x": "1", "y": "3"}, [b""])

    def test_an_end_without_a_word_is_what_go_says_then(self):
        head, chunks, _ = run(whole(answer_of(END)))

        assert (head.status, head.first, chunks) == (100, None, [])

    @pytest.mark.parametrize(
        ("message", "said"),
        [
            (
                Message("session", "s", "error", {"error_type": "X", "message": "<m>"}),
                '{"args":null,"error_type":"X","message":"\\u003cm\\u003e"}',
            ),
            (Message("session", "s", "error", None), '{"args":null,"error_type":"","message":""}'),
            (
                Message("session", "s", "nonsense", {}),
                '{"error_type":"unknown_stream_message_type","message":"unknown stream message type: nonsense"}',
            ),
            (stream(result="zz"), "encoding/hex: invalid byte: U+007A 'z'"),
        ],
    )
    def test_an_error_before_the_first_chunk_is_the_answer(self, message, said):
        with pytest.raises(PluginFailed) as raised:
            run(read_head(answer_of(message, chunk(b"never looked at"))))

        assert str(raised.value) == said

    @pytest.mark.parametrize("data", ["text", {"args": "x"}, {"args": dict.fromkeys("abcdefghijk", 1)}])
    def test_an_error_that_is_none_is_passed_over(self, data):
        head = run(read_head(answer_of(Message("session", "s", "error", data), chunk(b"x"))))

        assert head.first == b"x"

    def test_a_reader_waits_for_what_comes_later(self):
        async def scene() -> bytes | None:
            answer = Answer()
            reading = asyncio.create_task(read_head(answer))
            await asyncio.sleep(0)
            answer.put(stream(status=200))
            await asyncio.sleep(0)
            assert not reading.done()
            answer.put(chunk(b"x"))
            return (await reading).first

        assert run(scene()) == b"x"


class TestBody:
    def test_an_end_before_the_first_chunk_was_taken_loses_the_tail(self):
        _, chunks, _ = run(whole(answer_of(chunk(b"1"), chunk(b"2"), chunk(b"3"), END)))

        assert chunks == [b"1"]

    def test_an_end_after_it_loses_nothing(self):
        async def scene() -> list[bytes]:
            answer = answer_of(chunk(b"1"))
            head = await read_head(answer)
            body = Body(answer, head.first)
            for message in (chunk(b"2"), chunk(b"3"), END):
                answer.put(message)
            await body.fill()
            return [data async for data in body.chunks()]

        assert run(scene()) == [b"1", b"2", b"3"]

    def test_a_reader_that_does_not_keep_up_loses_what_is_beyond_the_buffer(self):
        async def scene() -> tuple[list[bytes], int]:
            answer = answer_of(chunk(b"0"))
            body = Body(answer, (await read_head(answer)).first)
            for number in range(1, 200):
                answer.put(chunk(b"%d" % number))
            answer.put(END)
            await body.fill()
            return [data async for data in body.chunks()], body.dropped

        chunks, dropped = run(scene())

        assert chunks == [b"%d" % number for number in range(BUFFERED_CHUNKS)]
        assert dropped == 200 - BUFFERED_CHUNKS == 72

    def test_a_reader_that_keeps_up_loses_nothing(self):
        async def scene() -> list[bytes]:
            answer = answer_of(chunk(b"0"))
            body = Body(answer, (await read_head(answer)).first)
            filling = asyncio.create_task(body.fill())
            found = []
            async for data in body.chunks():
                found.append(data)
                answer.put(chunk(b"%d" % len(found)) if len(found) < 1000 else END)
            await filling
            return found

        assert run(scene()) == [b"%d" % number for number in range(1000)]

    @pytest.mark.parametrize("bad", [stream(status=200), stream(result="zz")], ids=["no result", "no hex"])
    def test_a_later_part_that_is_none_ends_the_body(self, bad):
        async def scene() -> list[bytes]:
            answer = answer_of(chunk(b"1"))
            body = Body(answer, (await read_head(answer)).first)
            for message in (chunk(b"2"), bad, chunk(b"3")):
                answer.put(message)
            await body.fill()
            return [data async for data in body.chunks()]

        assert run(scene()) == [b"1", b"2"]

    def test_an_error_in_the_middle_is_appended(self):
        async def scene() -> list[bytes]:
            answer = answer_of(chunk(b"1"))
            body = Body(answer, (await read_head(answer)).first)
            answer.put(Message("session", "s", "error", {"error_type": "X", "message": "m", "args": {}}))
            await body.fill()
            return [data async for data in body.chunks()]

        assert run(scene()) == [b"1", b'{"args":{},"error_type":"X","message":"m"}']
