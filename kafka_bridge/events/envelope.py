"""What an event is, and how it becomes a Kafka record. Pure.

Headers follow the CloudEvents Kafka binding in binary mode
(https://github.com/cloudevents/spec/blob/main/cloudevents/bindings/kafka-protocol-binding.md): the value is the bytes
that were received, the attributes are `ce_` headers, the data's content type is `content-type`.
"""

from datetime import UTC, datetime
from functools import lru_cache
from typing import Final, NamedTuple

from kafka_bridge.events.record import Record

# CloudEvents wants a type that is not empty; a sender that names none gets this one.
UNTYPED: Final = "webhook"


class Event(NamedTuple):
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


class Envelope:
    """Turns the events of one source into records in CloudEvents binary mode."""

    def __init__(self, *, source: str, scheme: str) -> None:
        self._source = f"/webhook/{source}".encode()
        self._tail = (("webhook-source", source.encode()), ("webhook-scheme", scheme.encode()))

    def record(self, event: Event, *, topic: str, key: str | None, value: bytes) -> Record:
        """The event as a record; an empty key is none."""
        return Record(
            topic=topic,
            key=key.encode() if key else None,
            value=value,
            headers=(
                ("ce_specversion", b"1.0"),
                ("ce_id", event.id.encode()),
                ("ce_source", self._source),
                ("ce_type", (event.type or UNTYPED).encode()),
                ("ce_time", rfc3339(event.time).encode()),
                *((("content-type", event.content_type.encode()),) if event.content_type else ()),
                *self._tail,
            ),
        )


def rfc3339(unix_s: float) -> str:
    """A time as RFC 3339 in UTC, to the millisecond."""
    milliseconds = int(unix_s * 1000)
    return f"{_second(milliseconds // 1000)}.{milliseconds % 1000:03d}Z"


@lru_cache(maxsize=8)
def _second(unix_s: int) -> str:
    # Most events share their second with the one before.
    return datetime.fromtimestamp(unix_s, UTC).strftime("%Y-%m-%dT%H:%M:%S")
