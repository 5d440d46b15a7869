"""What a call of `publish` is to write. Pure."""

import json
import re
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

import orjson

from kafka_bridge.documents import json_text
from kafka_bridge.events.record import Headers, Record, is_topic_name
from kafka_bridge.tooling.parameters import Parameters, is_unicode

FORMATS: Final = ("text", "json", "batch")
# They are published together, and wait together.
MAX_RECORDS: Final = 4_000
# As JSON. Each record of a batch has it, and so has the answer, which is one line of stdout.
MAX_ID_BYTES: Final = 512
MAX_PARTITION: Final = 2**31 - 1
_NO_PARTITION: Final = -1
_SEPARATOR: Final = re.compile(r"[\s,]*")
TOPIC_RULE: Final = "is no topic's name: letters, digits, dots, underscores and hyphens, 249 at most"


class Order(NamedTuple):
    """Records to be written together. `event_ids` has one for each, empty where the call names none."""

    records: tuple[Record, ...]
    event_ids: tuple[str, ...]
    batch: bool


def read_order(parameters: Parameters, *, topic: str = "topic", formats: Sequence[str] = FORMATS) -> Order:
    """What is to be written; what is wrong is noted in `parameters`, whose `check` comes before anything is sent.

    `topic` is the name of the parameter that has it.
    """
    name = topic_of(parameters, topic)
    format_ = parameters.choice("format", formats)
    values = tuple(_values(parameters, format_))
    # Once: the records of a batch share it.
    key = parameters.verbatim("key").encode() or None
    headers = headers_of(parameters)
    event_id = event_id_of(parameters)
    batch = format_ == "batch"
    ids = tuple(f"{event_id}-{number}" if batch and event_id else event_id for number in range(len(values)))
    partition = parameters.integer("partition", default=_NO_PARTITION, low=_NO_PARTITION, high=MAX_PARTITION)
    records = tuple(
        Record(
            topic=name,
            value=value,
            key=key,
            headers=_identified(headers, event_id),
            partition=None if partition == _NO_PARTITION else partition,
        )
        for value, event_id in zip(values, ids, strict=True)
    )
    return Order(records, ids, batch)


def topic_of(parameters: Parameters, name: str = "topic") -> str:
    """A legal topic's name."""
    topic = parameters.required(name)
    if topic and not is_topic_name(topic):
        parameters.problem(name, TOPIC_RULE)
    return topic


def event_id_of(parameters: Parameters) -> str:
    """The event's id; empty where none was given."""
    event_id = parameters.text("event_id")
    if len(orjson.dumps(event_id)) > MAX_ID_BYTES:
        parameters.problem("event_id", f"is longer than {MAX_ID_BYTES} bytes")
        return ""
    return event_id


def headers_of(parameters: Parameters) -> Headers:
    """The headers in a JSON object: a text each, null, or an array where a name repeats."""
    found: list[tuple[str, bytes | None]] = []
    for name, value in parameters.json_object("headers").items():
        for one in value if isinstance(value, list) else (value,):
            text = one if isinstance(one, str) else json_text(one)
            if isinstance(one, dict | list) or text is None:
                parameters.problem("headers", "every value must be a text, a number, true, false, null or an array")
                return ()
            if not is_unicode(name + text) or "\0" in name:
                parameters.problem("headers", "a name or a value is not valid Unicode, or a name has a zero in it")
                return ()
            found.append((name, None if one is None else text.encode()))
    return tuple(found)


def _identified(headers: Headers, event_id: str) -> Headers:
    # Where CloudEvents have it in Kafka, and where the dispatcher looks for it.
    others = tuple(header for header in headers if header[0] != "ce_id") if event_id else headers
    return (*others, ("ce_id", event_id.encode())) if event_id else headers


def _values(parameters: Parameters, format_: str) -> Iterator[bytes]:
    message = parameters.verbatim("message")
    if not message.strip() and (format_ != "text" or not message):
        parameters.problem("message", "missing")
    elif format_ == "text":
        yield message.encode()
    elif format_ == "json":
        if _is_json(message):
            yield message.strip().encode()
        else:
            parameters.problem("message", "is not valid JSON")
    elif message.lstrip().startswith("["):
        yield from _elements(parameters, message)
    else:
        yield from _lines(parameters, message)


def _elements(parameters: Parameters, message: str) -> Iterator[bytes]:
    if not _is_json(message):
        parameters.problem("message", "is not a valid JSON array")
        return
    elements = _split(message.strip())
    if _countable(parameters, len(elements)):
        yield from (_element(text).encode() for text in elements)


def _split(array: str) -> list[str]:
    """The elements of a valid JSON array as they stand there, so that no number changes."""
    # What it reads is not looked at, only where it ends.
    decoder = json.JSONDecoder(parse_int=str, parse_float=str)
    elements, at = list[str](), 1
    # One too many says it already, and nobody else has a turn meanwhile.
    while len(elements) <= MAX_RECORDS and (gap := _SEPARATOR.match(array, at)) and gap.end() < len(array) - 1:
        _, at = decoder.raw_decode(array, gap.end())
        elements.append(array[gap.end() : at])
    return elements


def _element(text: str) -> str:
    # A text is published as what it says, everything else as JSON.
    return str(orjson.loads(text)) if text.startswith('"') else text


def _lines(parameters: Parameters, message: str) -> Iterator[bytes]:
    lines = [line for line in (part.strip() for part in message.split("\n")) if line]
    if not _countable(parameters, len(lines)):
        return
    for number, line in enumerate(lines, start=1):
        if not _is_json(line):
            parameters.problem("message", f"line {number} is not valid JSON")
            return
    yield from (line.encode() for line in lines)


def _countable(parameters: Parameters, count: int) -> bool:
    if not 1 <= count <= MAX_RECORDS:
        parameters.problem("message", f"a batch has 1 to {MAX_RECORDS} records")
        return False
    return True


def _is_json(text: str) -> bool:
    try:
        orjson.loads(text)
    except orjson.JSONDecodeError:
        return False
    return True
