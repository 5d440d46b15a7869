"""The stdio protocol between daemon and plugin, as a codec. Pure.

Both directions are lines of JSON. A line of the plugin above the limit is the end of its process.
"""

import binascii
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

import orjson

from devhost import gojson

LINE_LIMIT_BYTES: Final = 5 * 1024 * 1024
_STATUS_MAX: Final = 65535


class LineTooLong(Exception):
    """The plugin wrote a line above the limit: the daemon stops reading and kills it."""


class Malformed(Exception):
    """A message is not what it should be; `str()` is what Go says about it."""


class Lines:
    """Splits a byte stream into lines. The limit counts a line with its newline."""

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
            if line := line.removesuffix(b"\r"):
                yield bytes(line)
        if len(rest) >= self._limit_bytes:
            raise LineTooLong
        self._pending = bytearray(rest) if complete else self._pending

    def finish(self) -> Iterator[bytes]:
        """What came after the last newline: at the end of the stream that is a line too."""
        if line := self._pending.removesuffix(b"\r"):
            yield bytes(line)
        self._pending = bytearray()


@dataclass(frozen=True, slots=True)
class Message:
    """One line of the plugin. `event` is heartbeat, log, error or session; `kind` is the kind of a session message."""

    event: str
    session_id: str = ""
    kind: str = ""
    data: object = None


def parse(line: bytes) -> Message | None:
    """The message in a line; None when it is not one: the configuration at start, a stray print, half a message."""
    try:
        value = orjson.loads(line)
    except orjson.JSONDecodeError:
        return None
    if not isinstance(value, dict) or not isinstance(value.get("event"), str):
        return None
    event, data = value["event"], value.get("data")
    if event != "session":
        return Message(event, data=data)
    if not isinstance(data, dict) or not isinstance(data.get("type"), str) or not data["type"] or "data" not in data:
        return None
    return Message(event, str(value.get("session_id")), data["type"], data["data"])


@dataclass(frozen=True, slots=True)
class Chunk:
    """One part of an answer; the first one with a `result` completes status and headers."""

    status: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    result: str | None = None


def chunk(data: object) -> Chunk:
    """The data of a `stream` message. Raises Malformed."""
    if data is None:
        return Chunk()
    if not isinstance(data, dict):
        raise Malformed(_misfit(data, "value of type endpoint_entities.EndpointResponseChunk"))
    status, headers, result = data.get("status"), data.get("headers"), data.get("result")
    if status is not None and (type(status) is not int or not 0 <= status <= _STATUS_MAX):
        raise Malformed(_misfit(status, "struct field EndpointResponseChunk.status of type uint16"))
    if headers is not None and not isinstance(headers, dict):
        raise Malformed(_misfit(headers, "struct field EndpointResponseChunk.headers of type map[string]string"))
    for value in (headers or {}).values():
        if value is not None and not isinstance(value, str):
            raise Malformed(_misfit(value, "struct field EndpointResponseChunk.headers of type string"))
    if result is not None and not isinstance(result, str):
        raise Malformed(_misfit(result, "struct field EndpointResponseChunk.result of type string"))
    return Chunk(status, {name: value or "" for name, value in (headers or {}).items()}, result)


def dehex(text: str) -> bytes:
    """The bytes that `text` spells. Raises Malformed."""
    try:
        return binascii.unhexlify(text)
    except ValueError:
        for byte in text.encode():
            if chr(byte) not in "0123456789abcdefABCDEF":
                shown = f" '{chr(byte)}'" if chr(byte).isprintable() else ""
                raise Malformed(f"encoding/hex: invalid byte: U+{byte:04X}{shown}") from None
        raise Malformed("encoding/hex: odd length hex string") from None


def tool_message(data: object) -> Mapping[str, object]:
    """The data of a `stream` message of a tool. Raises Malformed."""
    if not isinstance(data, dict) or not isinstance(data.get("type", ""), str):
        raise Malformed(_misfit(data, "value of type tool_entities.ToolResponseChunk"))
    return data


def endpoint_request(session_id: str, endpoint_id: str, raw_request: bytes, settings: Mapping[str, object]) -> bytes:
    """The line that hands a request to the plugin."""
    return _line(
        session_id,
        endpoint_id,
        "request",
        {
            "action": "invoke_endpoint",
            "raw_http_request": binascii.hexlify(raw_request).decode(),
            "settings": settings,
            "type": "endpoint",
            "user_id": "",
        },
    )


def tool_request(
    session_id: str, provider: str, tool: str, parameters: Mapping[str, object], credentials: Mapping[str, object]
) -> bytes:
    """The line that calls a tool."""
    data = {
        "action": "invoke_tool",
        "credential_type": "api-key",
        "credentials": credentials,
        "provider": provider,
        "tool": tool,
        "tool_parameters": parameters,
        "type": "tool",
        "user_id": "",
    }
    return _line(session_id, None, "request", data)


def credentials_request(session_id: str, provider: str, credentials: Mapping[str, object]) -> bytes:
    """The line that has credentials looked at before they are saved."""
    data = {
        "action": "validate_tool_credentials",
        "credentials": credentials,
        "provider": provider,
        "type": "tool",
        "user_id": "",
    }
    return _line(session_id, None, "request", data)


def call_reply(
    session_id: str, endpoint_id: str | None, request_id: str, event: str, *, message: str = "", data: object = None
) -> bytes:
    """The line that answers a plugin's call: `event` is response, error or end."""
    return _line(
        session_id,
        endpoint_id,
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
            "context": None,
            "event": event,
            "data": data,
        },
        # Go's maps come out sorted: settings, and what an app gives.
        option=orjson.OPT_APPEND_NEWLINE | orjson.OPT_SORT_KEYS,
    )


def _misfit(value: object, target: str) -> str:
    found = gojson.kind(value)
    if found == "number" and "uint" in target:
        # A number that only does not fit is named.
        found += " " + orjson.dumps(value).decode()
    return f"json: cannot unmarshal {found} into Go {target}"
