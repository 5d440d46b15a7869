"""Log lines on stderr: readable ones on a terminal, one JSON object per line elsewhere; never a secret in them.

They are written by a thread of their own: whoever logs may hold a lock, and a terminal may stand still.
"""

import logging
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from queue import Full, Queue
from typing import Final, TextIO

import orjson

from kafka_bridge.events.envelope import rfc3339

# Beyond this they are dropped: runs are worth more.
MAX_WAITING: Final = 10_000
# How long the end waits for the last ones to be written.
FLUSH_S: Final = 2.0
# They say something with every single call.
_TALKATIVE: Final = ("httpx", "httpcore", "asyncio")


class Hiding(logging.Formatter):
    """Replaces secrets, wherever they come from."""

    def __init__(self, secrets: Sequence[str]) -> None:
        super().__init__()
        # The longest first: one may be a part of another.
        self._secrets = sorted(secrets, key=len, reverse=True)

    def hidden(self, text: str) -> str:
        """The text without them."""
        for secret in self._secrets:
            text = text.replace(secret, "***")
        return text

    def message(self, record: logging.LogRecord) -> str:
        """Message and traceback."""
        trace = f"\n{self.formatException(record.exc_info)}" if record.exc_info else ""
        return self.hidden(record.getMessage() + trace)


class JsonLines(Hiding):
    """`{"time","level","logger","message"}`, and what a line says besides in `fields`."""

    def format(self, record: logging.LogRecord) -> str:
        fields = getattr(record, "fields", {})
        line = {
            "time": rfc3339(record.created),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": self.message(record),
            **fields,
        }
        return orjson.dumps(line, default=str).decode()


class TextLines(Hiding):
    """Time, level and message."""

    def format(self, record: logging.LogRecord) -> str:
        moment = time.strftime("%H:%M:%S", time.localtime(record.created))
        return f"{moment} {record.levelname:<7} {self.message(record)}"


class Logs(logging.Handler):
    """From `start` to `end`. `write` takes a line; stderr does without it."""

    def __init__(
        self, *, as_json: bool, secrets: Sequence[str] = (), write: Callable[[str], None] | None = None
    ) -> None:
        super().__init__()
        self.setFormatter(JsonLines(secrets) if as_json else TextLines(secrets))
        self._write = write or _to(sys.stderr)
        self._lines: Queue[str | None] = Queue(MAX_WAITING)
        self._thread = threading.Thread(target=self._work, daemon=True)

    def start(self) -> None:
        """Take everything that is logged in this process."""
        root = logging.getLogger()
        root.setLevel(logging.INFO)
        root.handlers[:] = [self]
        for name in _TALKATIVE:
            logging.getLogger(name).setLevel(logging.WARNING)
        self._thread.start()

    def end(self) -> None:
        """Write what is left, unless nobody takes it; what is logged later is lost."""
        logging.getLogger().removeHandler(self)
        with suppress(Full):
            self._lines.put(None, timeout=FLUSH_S)
        self._thread.join(FLUSH_S)

    def emit(self, record: logging.LogRecord) -> None:
        try:
            line = self.format(record)
        except Exception:  # noqa: BLE001 - somebody else's line: its values may not fit its text
            line = f"a line of {record.name} could not be written"
        with suppress(Full):
            self._lines.put_nowait(line)

    def _work(self) -> None:
        while (line := self._lines.get()) is not None:
            # stderr may be closed; there is nowhere to say so.
            with suppress(OSError, ValueError):
                self._write(line)


def _to(stream: TextIO) -> Callable[[str], None]:
    def write(line: str) -> None:
        stream.write(f"{line}\n")
        stream.flush()

    return write
