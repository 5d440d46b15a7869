"""Server-sent events from the bytes of a stream, however they are cut. Pure.

The rules are the WHATWG's: https://html.spec.whatwg.org/multipage/server-sent-events.html#parsing-an-event-stream. In
one thing the browsers are followed and not the text: a connection goes on with the last event id of the one before it.

Our own, because the libraries fall short of the rules (`docs/decisions.md`).
"""

import re
from collections.abc import Iterator
from typing import Final, NamedTuple

# Of a line, and of an event's data: what a message to the platform may have is a few times that.
MAX_LINE_BYTES: Final = 1024 * 1024
MAX_DATA_BYTES: Final = 1024 * 1024
# Days. Of more digits `int` makes an error of its own.
MAX_RETRY_MS: Final = 999_999_999

_LINE_END: Final = re.compile(rb"\r\n|\r|\n")
_BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"


class Event(NamedTuple):
    """`id` is the last one that the stream has named; `own_id` says whether this very event names it."""

    type: str
    data: str
    id: str
    own_id: bool


class TooLarge(Exception):
    """A line, or the data of an event, above its limit; nothing can be read after it."""


class Parser:
    """Reads the stream of one connection, and holds no more of it than a line and the data of one event."""

    def __init__(
        self, last_event_id: str = "", *, max_line: int = MAX_LINE_BYTES, max_data: int = MAX_DATA_BYTES
    ) -> None:
        self.last_event_id = last_event_id
        self.retry_ms: int | None = None
        self._max_line = max_line
        self._max_data = max_data
        # Bytes and not text: a character may be cut in two, a line's end is never part of one.
        self._line = bytearray()
        self._after_cr = False
        self._at_start = True
        self._type = ""
        self._data = bytearray()
        self._id = last_event_id
        self._own_id = False

    def feed(self, chunk: bytes) -> Iterator[Event]:
        """The events that `chunk` completes. Raises TooLarge, after what came before."""
        # The second half of a line's end that was cut in two.
        start = 1 if self._after_cr and chunk.startswith(b"\n") else 0
        for end in _LINE_END.finditer(chunk, start):
            line = self._longer(chunk[start : end.start()])
            start = end.end()
            if self._line:
                self._line = bytearray()
            if event := self._read(bytes(line)):
                yield event
        if chunk:
            self._after_cr = chunk.endswith(b"\r")
            rest = self._longer(chunk[start:])
            self._line = rest if isinstance(rest, bytearray) else bytearray(rest)

    def _longer(self, piece: bytes) -> bytes | bytearray:
        """The line so far with `piece` at its end."""
        if len(self._line) + len(piece) > self._max_line:
            raise TooLarge
        if not self._line:
            return piece
        self._line += piece
        return self._line

    def _read(self, line: bytes) -> Event | None:
        if self._at_start:
            self._at_start = False
            line = line.removeprefix(_BYTE_ORDER_MARK)
        if not line:
            return self._dispatch()
        # A comment is a field without a name, which is nobody's.
        name, _, value = line.partition(b":")
        self._field(name, value.removeprefix(b" "))
        return None

    def _field(self, name: bytes, value: bytes) -> None:
        match name:
            case b"data":
                if len(self._data) + len(value) > self._max_data:
                    raise TooLarge
                self._data += value
                self._data += b"\n"
            case b"event":
                self._type = _text(value)
            case b"id" if b"\0" not in value:
                self._id, self._own_id = _text(value), True
            case b"retry" if value.isdigit():
                digits = value.lstrip(b"0")
                self.retry_ms = min(int(digits[:18] or b"0"), MAX_RETRY_MS)
            case _:
                pass

    def _dispatch(self) -> Event | None:
        self.last_event_id = self._id
        data, type_, own_id = self._data, self._type, self._own_id
        self._type, self._own_id = "", False
        if not data:
            return None
        self._data = bytearray()
        return Event(type_ or "message", _text(data[:-1]), self._id, own_id)


def _text(value: bytes | bytearray) -> str:
    return value.decode("utf-8", "replace")
