"""What an event is, and how it becomes a Kafka record. Pure.

Headers follow the CloudEvents Kafka binding in binary mode
(https://github.com/cloudevents/spec/blob/main/cloudevents/bindings/kafka-protocol-binding.md): the value is the bytes
that were received, the attributes are `ce_` headers, the data's content type is `content-type`.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from kafka_bridge.events.record import Record

# CloudEvents wants a type that is not empty; a sender that names none gets this one.
UNTYPED: Final = "webhook"


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One event. `type` is None when the sender names none; `id_signed` says whether the id is under the signature.

    `time` is when it was received, unix seconds.
    """

    id: str
    type: str | None
    source: str
    scheme: str
    time: float
    id_signed: bool
    content_type: str


def to_record(event: Event, *, topic: str, key: str | None, value: bytes) -> Record:
    """The event as a record in CloudEvents binary mode."""
    headers: list[tuple[str, bytes | None]] = [
        ("ce_specversion", b"1.0"),
        ("ce_id", event.id.encode()),
        ("ce_source", f"/webhook/{event.source}".encode()),
        ("ce_type", (event.type or UNTYPED).encode()),
        ("ce_time", rfc3339(event.time).encode()),
    ]
    if event.content_type:
        headers.append(("content-type", event.content_type.encode()))
    headers += [("webhook-source", event.source.encode()), ("webhook-scheme", event.scheme.encode())]
    return Record(topic=topic, key=None if key is None else key.encode(), value=value, headers=tuple(headers))


def rfc3339(unix_s: float) -> str:
    """A time as RFC 3339 in UTC, to the millisecond."""
    return datetime.fromtimestamp(unix_s, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
