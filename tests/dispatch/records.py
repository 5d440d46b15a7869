"""Records as a consumer gives them."""

from kafka_bridge.dispatch.payload import Payload, read
from kafka_bridge.events.record import Consumed, Headers, Record


def consumed(
    value: bytes | None = b"{}",
    *,
    key: bytes | None = None,
    headers: Headers = (),
    topic: str = "orders",
    partition: int = 3,
    offset: int = 41,
) -> Consumed:
    """A record that was read."""
    return Consumed(Record(topic=topic, value=value, key=key, headers=headers), partition, offset)


def payload(value: bytes | None = b"{}", **fields) -> Payload:
    """What such a record says."""
    return read(consumed(value, **fields))
