"""One request's way through the daemon, as far as the plugin's answers are concerned.

The daemon puts the body's chunks into a buffer of 128 without waiting, and ignores that it is full; and when the plugin
has already ended its answer by the time the first chunk is taken, what came after the first is thrown away. A plugin
that streams must live with both, so they are here too.
"""

import asyncio
import binascii
from collections import deque
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Final

import orjson

from devhost.frames import Message

BUFFERED_CHUNKS: Final = 128


class PluginFailed(Exception):
    """The plugin answered with an error instead of a response; `str()` is the daemon's text for it."""


class Answer:
    """The messages of one session, from the plugin's stdout, until its end."""

    def __init__(self) -> None:
        self._messages: deque[Message] = deque()
        self._arrived = asyncio.Event()
        self._ended = False
        self._error: str | None = None

    @property
    def ended(self) -> bool:
        """Whether the plugin has said that its answer is complete, or can say nothing more."""
        return self._ended

    def put(self, message: Message) -> None:
        """Take one message from the plugin."""
        if self._ended:
            return
        if message.kind == "stream":
            self._messages.append(message)
        elif message.kind == "error":
            self._error = _error_text(message.data)
            self._ended = True
        elif message.kind == "end":
            self._ended = True
        self._arrived.set()

    def abandon(self) -> None:
        """Nothing more will come: the process is gone, or the client is."""
        self._ended = True
        self._arrived.set()

    async def next(self) -> Message | None:
        """The next message, None at the end. Raises PluginFailed."""
        while not self._messages and not self._ended:
            self._arrived.clear()
            await self._arrived.wait()
        if self._messages:
            return self._messages.popleft()
        if self._error is not None:
            error, self._error = self._error, None
            raise PluginFailed(error)
        return None


@dataclass(frozen=True, slots=True)
class Head:
    """Status and headers, and the first chunk of the body when there is one."""

    status: int
    headers: Mapping[str, str]
    first: bytes | None


async def read_head(answer: Answer) -> Head:
    """Status and headers, as soon as a part of the body (or the end) is there. Raises PluginFailed."""
    status, headers = 100, dict[str, str]()
    while (message := await answer.next()) is not None:
        data = message.data
        status = int(str(data["status"])) if data.get("status") is not None else status
        found = data.get("headers")
        if isinstance(found, Mapping):
            headers |= {str(name): str(value) for name, value in found.items()}
        if data.get("result") is not None:
            return Head(status, headers, _chunk(message))
    return Head(status, headers, None)


class Body:
    """The rest of the body, through the lossy buffer."""

    def __init__(self, answer: Answer, first: bytes | None) -> None:
        self._answer = answer
        self._chunks: deque[bytes] = deque([first] if first is not None else [])
        self._arrived = asyncio.Event()
        # Ended already: what the plugin wrote after its first chunk is never looked at again.
        self._done = answer.ended
        self._error = b""
        self.dropped = 0

    async def fill(self) -> None:
        """Move chunks from the plugin into the buffer, until the end; never waits for the reader."""
        try:
            while not self._done and (message := await self._answer.next()) is not None:
                if len(self._chunks) < BUFFERED_CHUNKS:
                    self._chunks.append(_chunk(message))
                else:
                    self.dropped += 1
                self._arrived.set()
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


def _chunk(message: Message) -> bytes:
    return binascii.unhexlify(str(message.data.get("result", "")))


def _error_text(data: Mapping[str, object]) -> str:
    return orjson.dumps(
        {
            "args": data.get("args"),
            "error_type": data.get("error_type"),
            "message": data.get("message"),
        }
    ).decode()
