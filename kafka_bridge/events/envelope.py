"""What an event is, and how it becomes a Kafka record. Pure.

`binary` follows the CloudEvents Kafka binding
(https://github.com/cloudevents/spec/blob/main/cloudevents/bindings/kafka-protocol-binding.md): the value is the bytes
that were received, the attributes are `ce_` headers, the data's content type is `content-type`. In `structured` the
value is the whole event as JSON; `raw` has the bytes and none of the attributes.
"""

import base64
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache
from types import MappingProxyType
from typing import Final, NamedTuple

import orjson

from kafka_bridge.events.cloudevents import STRUCTURED, is_json
from kafka_bridge.events.record import Headers, Record

# CloudEvents wants a type that is not empty; a sender that names none gets this one.
UNTYPED: Final = "webhook"
BINARY: Final = "binary"
STRUCTURED_FORMAT: Final = "structured"
RAW: Final = "raw"
FORMATS: Final = frozenset({BINARY, STRUCTURED_FORMAT, RAW})
_FIRST_ATTRIBUTE: Final = "ce_specversion"
_NO_ATTRIBUTES: Final[Mapping[str, str]] = MappingProxyType({})
_STRUCTURED_TYPE: Final = f"{STRUCTURED}; charset=UTF-8".encode()


class Event(NamedTuple):
    """One event. `type` is None when the sender names none; `id_signed` says whether the id is under the signature.

    `time` is when it was received, unix seconds. `attributes` are those of a CloudEvent that came as one.
    """

    id: str
    type: str | None
    source: str
    scheme: str
    time: float
    id_signed: bool
    content_type: str
    attributes: Mapping[str, str] = _NO_ATTRIBUTES


class Envelope:
    """Turns the events of one source into records."""

    def __init__(self, *, source: str, scheme: str, record_format: str = BINARY) -> None:
        self._source = f"/webhook/{source}"
        self._source_bytes = self._source.encode()
        self._tail: Headers = (("webhook-source", source.encode()), ("webhook-scheme", scheme.encode()))
        self._format = record_format

    def record(self, event: Event, *, topic: str, key: str | None, value: bytes) -> Record:
        """The event as a record; an empty key is none."""
        written = self._document(event, value) if self._format == STRUCTURED_FORMAT else value
        return Record(topic=topic, key=key.encode() if key else None, value=written, headers=self.headers(event))

    def headers(self, event: Event) -> Headers:
        """Those of the event's record."""
        if self._format == STRUCTURED_FORMAT:
            return (("content-type", _STRUCTURED_TYPE), *self._tail)
        typed: Headers = (("content-type", event.content_type.encode()),) if event.content_type else ()
        if self._format == RAW:
            return (*typed, *self._tail)
        if event.attributes:
            own: Headers = tuple((f"ce_{name}", text.encode()) for name, text in self._attributes(event).items())
        else:
            own = (
                (_FIRST_ATTRIBUTE, b"1.0"),
                ("ce_id", event.id.encode()),
                ("ce_source", self._source_bytes),
                ("ce_type", (event.type or UNTYPED).encode()),
                ("ce_time", rfc3339(event.time).encode()),
            )
        return (*own, *typed, *self._tail)

    def _attributes(self, event: Event) -> dict[str, str]:
        return {
            "specversion": "1.0",
            "id": event.id,
            "source": self._source,
            "type": event.type or UNTYPED,
            "time": rfc3339(event.time),
            **event.attributes,
        }

    def _document(self, event: Event, value: bytes) -> bytes:
        document: dict[str, object] = dict(self._attributes(event))
        if event.content_type:
            document["datacontenttype"] = event.content_type
        return orjson.dumps({**document, **_data(event.content_type, value)})


def format_of(record: Record) -> str:
    """The format that a record of an envelope has."""
    name, value = record.headers[0]
    if name == _FIRST_ATTRIBUTE:
        return BINARY
    # Raw data may be of the same type: then the headers are the same too.
    return STRUCTURED_FORMAT if value == _STRUCTURED_TYPE else RAW


def _data(content_type: str, value: bytes) -> Mapping[str, object]:
    """The data of a structured event: JSON as it came, text as a text, everything else in base64."""
    if is_json(content_type):
        try:
            orjson.loads(value)
        except orjson.JSONDecodeError:
            pass
        else:
            # The very bytes: nothing is written anew.
            return {"data": orjson.Fragment(value)}
    elif content_type.startswith("text/"):
        try:
            return {"data": value.decode()}
        except UnicodeDecodeError:
            pass
    return {"data_base64": base64.b64encode(value).decode()}


def rfc3339(unix_s: float) -> str:
    """A time as RFC 3339 in UTC, to the millisecond."""
    milliseconds = int(unix_s * 1000)
    return f"{_second(milliseconds // 1000)}.{milliseconds % 1000:03d}Z"


@lru_cache(maxsize=8)
def _second(unix_s: int) -> str:
    # Most events share their second with the one before.
    return datetime.fromtimestamp(unix_s, UTC).strftime("%Y-%m-%dT%H:%M:%S")
