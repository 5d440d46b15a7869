"""Records that somebody brings in a request's body, to be run at once. Pure.

CloudEvents (binary, structured, batch), lines of JSON, a JSON array, or one value. An item that is an object of
Kafka's own words (`topic`, `partition`, `offset`, `timestamp`, `key`, `value`, `headers`; what HTTP sinks of Kafka
Connect send) is that record; anything else is a record's value.
"""

from collections.abc import Mapping
from typing import Final

import orjson

from kafka_bridge.errors import Malformed
from kafka_bridge.events.cloudevents import CloudEvent
from kafka_bridge.events.record import Consumed, Headers, Record, is_topic_name
from kafka_bridge.http import Inbound
from kafka_bridge.ingress.content import Content
from kafka_bridge.ingress.items import Item, items_of
from kafka_bridge.ingress.keys import fingerprint

# Where a record is that says nothing of it.
TOPIC: Final = "dispatch"
_WORDS: Final = frozenset({"topic", "partition", "offset", "timestamp", "key", "value", "headers"})


def records_of(inbound: Inbound) -> tuple[list[Consumed], bool]:
    """The records in a body, and whether it was one of many. Raises Malformed, TooLarge."""
    items, many = items_of(Content(inbound), open_format=True, path=None)
    if not many and items[0].cloudevent is None:
        items, many = items_of(Content(inbound), open_format=True, path=())
    return [_record(item, number) for number, item in enumerate(items)], many


def _record(item: Item, number: int) -> Consumed:
    content, event = item.content, item.cloudevent
    if event is not None:
        return _consumed(content.inbound.body, number, headers=_attributes(event, content))
    document = content.document
    if isinstance(document, dict) and "value" in document and document.keys() <= _WORDS:
        return _spelt(document, number)
    typed: Headers = (("content-type", content.content_type.encode()),) if content.content_type else ()
    return _consumed(content.inbound.body, number, headers=typed)


def _attributes(event: CloudEvent, content: Content) -> Headers:
    attributes = tuple((f"ce_{name}", text.encode()) for name, text in event.attributes.items())
    typed = content.content_type.encode()
    return (*attributes, ("content-type", typed)) if typed else attributes


def _spelt(document: Mapping[str, object], number: int) -> Consumed:
    """A record in Kafka's own words."""
    topic, partition, offset = document.get("topic", TOPIC), document.get("partition"), document.get("offset")
    timestamp = document.get("timestamp")
    headers = document.get("headers") or {}
    if not isinstance(topic, str) or not is_topic_name(topic) or not isinstance(headers, dict):
        raise Malformed(f"Record {number + 1}: topic must be the name of one, and headers an object.")
    for name, value in (("partition", partition), ("offset", offset), ("timestamp", timestamp)):
        if value is not None and (not isinstance(value, int) or isinstance(value, bool)):
            raise Malformed(f"Record {number + 1}: {name} must be a whole number.")
    try:
        value, key = _bytes(document["value"]), _bytes(document.get("key"))
        named = tuple((str(name), _bytes(value)) for name, value in headers.items())
    except orjson.JSONEncodeError as error:
        raise Malformed(f"Record {number + 1} is nested too deep.") from error
    return _consumed(
        value,
        number,
        topic=topic,
        key=key,
        headers=named,
        partition=partition if isinstance(partition, int) else 0,
        offset=offset if isinstance(offset, int) else None,
        timestamp_ms=timestamp if isinstance(timestamp, int) else None,
    )


def _bytes(value: object) -> bytes | None:
    """A text as it is, anything else as JSON."""
    return None if value is None else value.encode() if isinstance(value, str) else orjson.dumps(value)


def _consumed(
    value: bytes | None,
    number: int,
    *,
    headers: Headers,
    topic: str = TOPIC,
    key: bytes | None = None,
    partition: int = 0,
    offset: int | None = None,
    timestamp_ms: int | None = None,
) -> Consumed:
    if offset is None and not any(name == "ce_id" for name, _ in headers):
        # Without a place of its own the same body is the same event.
        headers = (*headers, ("ce_id", fingerprint(topic, value or b"").encode()))
    record = Record(topic=topic, value=value, key=key, headers=headers, partition=partition, timestamp_ms=timestamp_ms)
    return Consumed(record, partition, number if offset is None else offset)
