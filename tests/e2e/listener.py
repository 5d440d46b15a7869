"""A client of a stream, which sees every part of it as it came."""

import contextlib
import json
import socket
import threading
import time
from dataclasses import dataclass
from typing import Any, Self
from urllib.parse import urlsplit

from tests.brokers import wait_until


@dataclass(frozen=True)
class Message:
    """One server-sent event, when it came, and its place in the stream."""

    at: float
    event: str
    data: dict[str, Any]
    number: int | None


class Listener:
    """Reads a stream on a thread of its own, part by part, until `close` or its end."""

    def __init__(self, url: str, token: str, path: str = "/stream", method: str = "GET", **headers: str) -> None:
        target = urlsplit(url)
        self.parts: list[tuple[float, bytes]] = []
        self.ended = False
        self._socket = socket.create_connection((target.hostname, target.port), timeout=60)
        sent = {"Host": target.netloc, "Authorization": f"Bearer {token}", **headers}
        lines = [f"{method} {target.path}{path} HTTP/1.1", *(f"{name}: {value}" for name, value in sent.items())]
        self._socket.sendall("\r\n".join([*lines, "", ""]).encode())
        self._file = self._socket.makefile("rb")
        self.status = int(self._file.readline().split()[1])
        self.headers: dict[str, str] = {}
        while line := self._file.readline().strip():
            name, _, value = line.decode().partition(":")
            self.headers[name.lower()] = value.strip()
        self._thread = threading.Thread(target=self._read, daemon=True)
        if self.headers.get("transfer-encoding") == "chunked":
            self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def messages(self) -> list[Message]:
        """All that has come."""
        return [message for at, part in list(self.parts) for message in _messages(at, part)]

    def of(self, event: str) -> list[Message]:
        """The messages of one kind."""
        return [message for message in self.messages if message.event == event]

    def wait_for(self, event: str, count: int = 1, timeout_s: float = 15.0) -> list[Message]:
        """Wait until so many of a kind have come."""
        wait_until(lambda: len(self.of(event)) >= count, timeout_s)
        return self.of(event)

    def close(self) -> None:
        """Hang up."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        if self._thread.is_alive():
            self._thread.join(10)
        # It has a share in the socket, which would keep that open.
        self._file.close()
        self._socket.close()

    def _read(self) -> None:
        try:
            while size := int(self._file.readline() or b"0", 16):
                self.parts.append((time.monotonic(), self._file.read(size)))
                self._file.readline()
            self.ended = True
        except (OSError, ValueError):
            pass


def _messages(at: float, part: bytes) -> list[Message]:
    found = []
    for block in part.decode().split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.splitlines())
        if "event" in fields:
            number = int(fields["id"]) if "id" in fields else None
            found.append(Message(at, fields["event"], json.loads(fields["data"]), number))
    return found
