"""One request's way through the daemon, as far as the plugin's answers are concerned.

The daemon puts the body's chunks into a buffer of 128 without waiting, and ignores that it is full; and when the plugin
has already ended its answer by the time the first chunk is taken, what came after the first is thrown away. A plugin
that streams must live with both, so they are here too.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from typing import Final

from devhost import gojson
from devhost.frames import Chunk, Malformed, Message, chunk, dehex

BUFFERED_CHUNKS: Final = 128
# What Go answers when nobody has said anything: an interim answer, which an empty 200 follows.
NOTHING_SAID: Final = 100
_ARGS_MAX: Final = 10


class PluginFailed(Exception):
    """The plugin answered with an error instead of a response; `str()` is the daemon's text for it."""


class Messages[Part]:
    """The messages of one session, from the plugin's stdout, until its end.

    `read` gives what a message's data means. Raises Malformed.
    """

    def __init__(self, read: Callable[[object], Part]) -> None:
        self._read = read
        self._chunks: deque[Part] = deque()
        self._arrived = asyncio.Event()
        self._ended = False
        self._error: str | None = None

    @property
    def ended(self) -> bool:
        """Whether nothing that the plugin says in this session is listened to any more."""
        return self._ended

    def put(self, message: Message) -> None:
        """Take one message from the plugin."""
        if self._ended:
            return
        match message.kind:
            case "stream":
                try:
                    self._chunks.append(self._read(message.data))
                except Malformed as error:
                    self.fail("unmarshal_error", f"unmarshal json failed: {error}")
            case "error":
                self._fail_as_told(message.data)
            case "end":
                self._ended = True
            case _:
                self.fail("unknown_stream_message_type", f"unknown stream message type: {message.kind}")
        self._arrived.set()

    def fail(self, kind: str, text: str) -> None:
        """End with an error of the daemon's own."""
        self._end_with({"error_type": kind, "message": text})

    def abandon(self) -> None:
        """Nobody waits for more: the client is gone, or has its answer."""
        self._ended = True
        self._arrived.set()

    async def next(self) -> Part | None:
        """The next part, None at the end. Raises PluginFailed."""
        while not self._chunks and not self._ended:
            self._arrived.clear()
            await self._arrived.wait()
        if self._chunks:
            return self._chunks.popleft()
        if self._error is not None:
            error, self._error = self._error, None
            raise PluginFailed(error)
        return None

    def _fail_as_told(self, data: object) -> None:
        data = {} if data is None else data
        args = data.get("args") if isinstance(data, dict) else None
        if not isinstance(data, dict) or not (args is None or (isinstance(args, dict) and len(args) <= _ARGS_MAX)):
            # Not an error in the daemon's eyes: it goes on waiting.
            return
        self._end_with({"args": args, "error_type": data.get("error_type") or "", "message": data.get("message") or ""})

    def _end_with(self, error: dict[str, object]) -> None:
        self._error = gojson.dumps(error, is_map=True).decode()
        self._ended = True
        self._arrived.set()


class Answer(Messages[Chunk]):
    """The messages that answer a request to an endpoint."""

    def __init__(self) -> None:
        super().__init__(chunk)


@dataclass(frozen=True, slots=True)
class Head:
    """Status and headers, and the first chunk of the body when there is one."""

    status: int
    headers: Mapping[str, str]
    first: bytes | None


async def read_head(answer: Answer) -> Head:
    """Status and headers, as soon as a part of the body (or the end) is there. Raises PluginFailed."""
    status, headers = NOTHING_SAID, dict[str, str]()
    while (part := await answer.next()) is not None:
        status = status if part.status is None else part.status
        # Of a header that comes twice the first value counts.
        headers = {**part.headers, **headers}
        if part.result is not None:
            try:
                return Head(status, headers, dehex(part.result))
            except Malformed as error:
                raise PluginFailed(str(error)) from error
    return Head(status, headers, None)


class Body:
    """The rest of the body, through the lossy buffer."""

    def __init__(self, answer: Answer, first: bytes | None) -> None:
        self._answer = answer
        self._chunks: deque[bytes] = deque([first] if first is not None else [])
        self._arrived = asyncio.Event()
        # Ended already: what the plugin wrote after its first chunk is never looked at again.
        self._done = answer.ended or first is None
        self._error = b""
        self.dropped = 0

    async def fill(self) -> None:
        """Move chunks from the plugin into the buffer, until the end; never waits for the reader."""
        try:
            while not self._done and (part := await self._answer.next()) is not None:
                # A part without a result makes the daemon's routine panic, which ends the body like one that is no hex.
                data = dehex(part.result) if part.result is not None else None
                if data is None:
                    break
                if len(self._chunks) < BUFFERED_CHUNKS:
                    self._chunks.append(data)
                else:
                    self.dropped += 1
                self._arrived.set()
        except Malformed:
            pass
        except PluginFailed as error:
            self._error = str(error).encode()
        self._done = True
        self._arrived.set()

    async def chunks(self) -> AsyncIterator[bytes]:
        """What is left of the body."""
        while True:
            while self._chunks:
                yield self._chunks.popleft()
            if self._done:
                break
            self._arrived.clear()
            await self._arrived.wait()
        if self._error:
            yield self._error
