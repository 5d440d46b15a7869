"""A record as a tool gives it, and how many of them fit into one answer. Pure."""

import base64
from collections.abc import Iterator, Mapping
from typing import Final

import orjson

from kafka_bridge.documents import json_text
from kafka_bridge.events.record import Consumed, Headers

# All of it, as JSON. An answer is one line of stdout, and one above 5 MiB kills the process; the platform keeps much
# less of it than this.
MAX_BYTES: Final = 1024 * 1024
# Of the parsed JSON beside a value: what is nested deeper the SDK cannot write.
MAX_DEPTH: Final = 64
TEXT: Final = "utf-8"
BINARY: Final = "base64"


class Collected:
    """Records for one answer, as many as fit into it."""

    def __init__(self) -> None:
        self.items: list[dict[str, object]] = []
        self._bytes = 0

    def add(self, consumed: Consumed) -> bool:
        """Take one more; False where it does not fit. One that alone is too large is taken without its value."""
        item = item_of(consumed)
        size = len(json_text(item) or "")
        if size > MAX_BYTES and not self.items:
            item = without_value(item, len(consumed.record.value or b""))
            size = len(json_text(item) or "")
        if self._bytes + size > MAX_BYTES and self.items:
            return False
        self.items.append(item)
        self._bytes += size
        return True


def item_of(consumed: Consumed) -> dict[str, object]:
    """A record: its place, key, headers and value. A value that is not UTF-8 is base64; JSON is there parsed, too."""
    record = consumed.record
    value, encoding = _text(record.value)
    key, key_encoding = _text(record.key)
    return {
        "topic": record.topic,
        "partition": consumed.partition,
        "offset": consumed.offset,
        "timestamp": record.timestamp_ms if record.timestamp_ms and record.timestamp_ms > 0 else None,
        "key": key,
        **({"key_encoding": key_encoding} if key_encoding == BINARY else {}),
        "headers": _headers(record.headers),
        "value": value,
        "encoding": encoding,
        "parsed": _document(record.value),
    }


def without_value(item: Mapping[str, object], size: int) -> dict[str, object]:
    """The same record where its value is too large to be given."""
    small = {name: item[name] for name in ("topic", "partition", "offset", "timestamp")}
    return {**small, "key": None, "headers": {}, "value": None, "encoding": TEXT, "parsed": None, "omitted_bytes": size}


def _text(value: bytes | None) -> tuple[str | None, str]:
    if value is None:
        return None, TEXT
    try:
        return value.decode(), TEXT
    except UnicodeDecodeError:
        return base64.b64encode(value).decode(), BINARY


def _headers(headers: Headers) -> dict[str, object]:
    """A text each; where a name repeats an array, in their order."""
    found: dict[str, list[object]] = {}
    for name, value in headers:
        text, encoding = _text(value)
        found.setdefault(name, []).append({BINARY: text} if encoding == BINARY else text)
    return {name: values[0] if len(values) == 1 else values for name, values in found.items()}


def _document(value: bytes | None) -> object:
    try:
        document = orjson.loads(value or b"")
    except orjson.JSONDecodeError:
        return None
    return document if all(depth < MAX_DEPTH for depth in _depths(document)) else None


def _depths(document: object) -> Iterator[int]:
    waiting = [(document, 1)]
    while waiting:
        value, depth = waiting.pop()
        yield depth
        if isinstance(value, dict | list) and depth < MAX_DEPTH:
            waiting += [(inner, depth + 1) for inner in (value.values() if isinstance(value, dict) else value)]
