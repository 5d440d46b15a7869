"""What a consumed record says: who and where it is, and what is in it. Pure.

Whatever bytes are in it, reading never fails: what is not UTF-8 is decoded with replacement characters.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import orjson

from kafka_bridge.documents import json_text
from kafka_bridge.errors import Malformed
from kafka_bridge.events.cloudevents import STRUCTURED, from_document
from kafka_bridge.events.record import Consumed, Headers

# Where a payload that has no fields of its own is found.
MESSAGE: Final = "message"
# All that the bridge itself knows of a record, as one value.
KAFKA: Final = "kafka"
# The id of an event that has none of its own, where its record lies elsewhere by now.
EVENT_ID: Final = "kafka-bridge-event-id"


@dataclass(frozen=True, slots=True, kw_only=True)
class Payload:
    """A record, read. Make one for each run: a flow may change what it is given.

    `document` is the parsed JSON, or the text itself where it is none; `text` is the value as it came. An unwrapped
    CloudEvent has its data in both, and its attributes among the headers, where they are in binary mode.
    """

    event_id: str
    event_type: str | None
    topic: str
    partition: int
    offset: int
    key: str | None
    headers: Mapping[str, str]
    document: object
    text: str
    tombstone: bool = False

    @property
    def facts(self) -> dict[str, object]:
        """What the bridge knows of the record, by the names of inputs."""
        facts: dict[str, object] = {
            "event_id": self.event_id,
            "event_type": self.event_type,
            "topic": self.topic,
            "partition": self.partition,
            "offset": self.offset,
            "key": self.key,
            "headers": dict(self.headers),
        }
        return {**facts, "tombstone": True} if self.tombstone else facts

    @property
    def fields(self) -> Mapping[str, object]:
        """The payload's own fields: a JSON object's, or the one that holds whatever it is."""
        return self.document if isinstance(self.document, dict) else {MESSAGE: self.document}

    def everything(self) -> dict[str, object]:
        """All names at once; the payload's field wins. `tombstone` is told in `kafka` alone."""
        facts = self.facts
        named = {name: value for name, value in facts.items() if name != "tombstone"}
        return {**named, KAFKA: facts, **self.fields}

    def header(self, name: str) -> str | None:
        """A header's text. Kafka tells names apart by their case; where none has just this one, the case is ignored."""
        if name in self.headers:
            return self.headers[name]
        wanted = name.lower()
        return next((text for other, text in self.headers.items() if other.lower() == wanted), None)

    def text_of(self, value: object) -> str:
        """A value of it as a text: one that is whole as it came, a part as JSON, nothing as an empty one."""
        if isinstance(value, str):
            return value
        if value is None:
            return ""
        # Not of an integer: any other one may be the same object.
        whole = value is self.document and isinstance(value, dict | list | float)
        return self.text if whole else (json_text(value) or "")


def read(consumed: Consumed) -> Payload:
    """What a record says. Never raises."""
    record = consumed.record
    headers = _texts(record.headers)
    value = record.value or b""
    if _media_type(headers) == STRUCTURED:
        attributes, value = _unwrapped(value)
        headers = {**headers, **attributes}
    return Payload(
        event_id=headers.get("ce_id") or headers.get(EVENT_ID) or place_id(consumed),
        event_type=headers.get("ce_type") or None,
        topic=record.topic,
        partition=consumed.partition,
        offset=consumed.offset,
        key=None if record.key is None else _text(record.key),
        headers=headers,
        document=_document(value),
        text=_text(value),
        tombstone=record.value is None,
    )


def place_id(consumed: Consumed) -> str:
    """What tells an event apart that has no id: where it lies."""
    return f"{consumed.record.topic}-{consumed.partition}-{consumed.offset}"


def _texts(headers: Headers) -> dict[str, str]:
    # Of a repeated one the last: so do Kafka's own `lastHeader` and the platform with those of a request.
    return {name: _text(value or b"") for name, value in headers}


def _text(value: bytes) -> str:
    return value.decode("utf-8", "replace")


def _document(value: bytes) -> object:
    try:
        return orjson.loads(value)
    except orjson.JSONDecodeError:
        return _text(value)


def _media_type(headers: Mapping[str, str]) -> str:
    # Whoever wrote it may have named it as HTTP does.
    content_type = next((text for name, text in headers.items() if name.lower() == "content-type"), "")
    return content_type.partition(";")[0].strip().lower()


def _unwrapped(value: bytes) -> tuple[Mapping[str, str], bytes]:
    """The attributes as headers, and the data; what says that it is a CloudEvent and is none stays as it is."""
    try:
        event = from_document(orjson.loads(value))
    except (orjson.JSONDecodeError, Malformed):
        return {}, value
    return {f"ce_{name}": text for name, text in event.attributes.items()}, event.data
