"""One request, one or many events: CloudEvents, batches of them, lines of JSON, a vendor's array. Pure."""

from collections.abc import Iterator
from typing import Final, NamedTuple

import orjson

from kafka_bridge.documents import at
from kafka_bridge.errors import Malformed, TooLarge
from kafka_bridge.events import cloudevents
from kafka_bridge.events.cloudevents import CloudEvent
from kafka_bridge.ingress.content import Content

NDJSON: Final = frozenset({"application/x-ndjson", "application/ndjson", "application/jsonl"})
# They are published together, and wait together.
MAX_ITEMS: Final = 4_000


class Item(NamedTuple):
    """One event of a request. `number` counts from 0 among many; None when the request is one event."""

    content: Content
    number: int | None = None
    cloudevent: CloudEvent | None = None


def items_of(content: Content, *, open_format: bool, path: tuple[str, ...] | None) -> tuple[list[Item], bool]:
    """The events of a verified request, and whether its answer is that of a batch. Raises Malformed, TooLarge.

    `open_format`: the sender may use CloudEvents and lines of JSON; `path`: where a body has its array of events.
    """
    if open_format:
        media_type = content.media_type
        if media_type == cloudevents.STRUCTURED:
            return [Item(*_opened(content, cloudevents.from_document(content.document), None))], False
        if media_type == cloudevents.BATCH:
            return _bounded(_batch(content)), True
        if media_type in NDJSON:
            return _bounded(_lines(content)), True
        if event := cloudevents.from_headers(content.inbound.headers, content.inbound.body):
            return [Item(content, None, event)], False
    array = at(content.document, path) if path is not None else None
    if isinstance(array, list):
        return _bounded(_each(content, array)), True
    return [Item(content)], False


def _opened(content: Content, event: CloudEvent, index: int | None) -> tuple[Content, int | None, CloudEvent]:
    document: object = None
    if cloudevents.is_json(event.content_type):
        try:
            document = orjson.loads(event.data) if event.data else None
        except orjson.JSONDecodeError:
            document = None
    return content.opened(event.data, document, event.content_type), index, event


def _batch(content: Content) -> Iterator[Item]:
    if not isinstance(content.document, list):
        raise Malformed("A batch of CloudEvents is a JSON array.")
    for index, document in enumerate(content.document):
        yield Item(*_opened(content, cloudevents.from_document(document), index))


def _lines(content: Content) -> Iterator[Item]:
    number = 0
    for line in content.inbound.body.split(b"\n"):
        if value := line.strip():
            try:
                document = orjson.loads(value)
            except orjson.JSONDecodeError as error:
                raise Malformed(f"Event {number + 1} of the batch is not JSON.") from error
            yield Item(content.opened(value, document, "application/json"), number)
            number += 1


def _each(content: Content, array: list[object]) -> Iterator[Item]:
    for index, document in enumerate(array):
        try:
            value = orjson.dumps(document)
        except orjson.JSONEncodeError as error:
            raise Malformed(f"Event {index + 1} of the batch is nested too deep.") from error
        yield Item(content.opened(value, document, "application/json"), index)


def _bounded(items: Iterator[Item]) -> list[Item]:
    found: list[Item] = []
    for item in items:
        if len(found) == MAX_ITEMS:
            raise TooLarge(f"A batch may have {MAX_ITEMS} events.")
        found.append(item)
    return found
