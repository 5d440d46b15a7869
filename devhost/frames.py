"""The stdio protocol between daemon and plugin, as a codec. Pure.

Both directions are lines of JSON. A line of the plugin above the limit is the end of its process.
"""

import binascii
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

import orjson

LINE_LIMIT_BYTES: Final = 5 * 1024 * 1024


class LineTooLong(Exception):
    """The plugin wrote a line above the limit: the daemon stops reading and kills it."""


class Lines:
    """Splits a byte stream into lines."""

    def __init__(self, limit_bytes: int = LINE_LIMIT_BYTES) -> None:
        self._limit_bytes = limit_bytes
        self._pending = bytearray()

    def feed(self, data: bytes) -> Iterator[bytes]:
        """The lines that `data` completes, without the empty ones. Raises LineTooLong."""
        self._pending += data
        *complete, rest = self._pending.split(b"\n") if b"\n" in data else (self._pending,)
        for line in complete:
            if len(line) >= self._limit_bytes:
                raise LineTooLong
            if line:
                yield bytes(line)
        if len(rest) >= self._limit_bytes:
            raise LineTooLong
        self._pending = bytearray(rest) if complete else self._pending


@dataclass(frozen=True, slots=True)
class Message:
    """One line of the plugin. `event` is heartbeat, log, error or session; `kind` is the kind of a session message."""

    event: str
    session_id: str = ""
    kind: str = ""
    data: Mapping[str, object] = field(default_factory=dict)


def parse(line: bytes) -> Message | None:
    """The message in a line; None when it is not one (the configuration at start, a stray print)."""
    try:
        value = orjson.loads(line)
    except orjson.JSONDecodeError:
        return None
    if not isinstance(value, dict) or not isinstance(value.get("event"), str):
        return None
    event, data = value["event"], value.get("data")
    if not isinstance(data, dict):
        data = {}
    if event != "session":
        return Message(event, data=data)
    inner = data.get("data")
    return Message(event, str(value.get("session_id")), str(data.get("type")), inner if isinstance(inner, dict) else {})


def endpoint_request(session_id: str, endpoint_id: str, raw_request: bytes, settings: Mapping[str, object]) -> bytes:
    """The line that hands a request to the plugin."""
    return _line(
        session_id,
        endpoint_id,
        "request",
        {
            "user_id": "",
            "type": "endpoint",
            "action": "invoke_endpoint",
            "raw_http_request": binascii.hexlify(raw_request).decode(),
            "settings": settings,
        },
    )


def call_reply(session_id: str, request_id: str, event: str, *, message: str = "", data: object = None) -> bytes:
    """The line that answers a plugin's call: `event` is response, error or end."""
    return _line(
        session_id,
        None,
        "backwards_response",
        {
            "backwards_request_id": request_id,
            "event": event,
            "message": message,
            "data": data,
        },
    )


def _line(session_id: str, endpoint_id: str | None, event: str, data: Mapping[str, object]) -> bytes:
    return orjson.dumps(
        {
            "session_id": session_id,
            "conversation_id": None,
            "message_id": None,
            "app_id": None,
            "endpoint_id": endpoint_id,
            "context": {},
            "event": event,
            "data": data,
        },
        option=orjson.OPT_APPEND_NEWLINE,
    )
