"""Events of a stream as Kafka records: the data as the value, the rest as the headers of CloudEvents. Pure."""

from collections.abc import Callable

import orjson

from kafka_bridge.events.envelope import rfc3339
from kafka_bridge.events.record import Record
from kafka_bridge.tooling.sse.parser import Event


def record_of(event: Event, *, topic: str, source: str, now: float, new_id: Callable[[], str]) -> Record:
    """The event as a record for `topic`.

    `source` is the stream's URL without its query, and the key too: a stream has an order, and so have the records
    of one partition. An event that has no id of its own gets a new one: two would otherwise have that of the first.
    """
    value = event.data.encode()
    return Record(
        topic=topic,
        key=source.encode(),
        value=value,
        headers=(
            ("ce_specversion", b"1.0"),
            ("ce_id", (event.id if event.own_id and event.id else new_id()).encode()),
            ("ce_source", source.encode()),
            ("ce_type", event.type.encode()),
            ("ce_time", rfc3339(now).encode()),
            ("content-type", b"application/json" if _is_json(value) else b"text/plain; charset=utf-8"),
        ),
    )


def _is_json(value: bytes) -> bool:
    try:
        orjson.loads(value)
    except orjson.JSONDecodeError:
        return False
    return True
