"""Whether an entry's event can be sent again, and the record that it was: the same to the last byte. Pure.

What nobody has verified never becomes a record, and neither does what the log holds in part: cut, or masked.
"""

import base64
import binascii
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

import orjson

from kafka_bridge.errors import NotReplayable
from kafka_bridge.events.envelope import BINARY, FORMATS, Envelope, Event, rfc3339
from kafka_bridge.events.log.entry import Entry, Kind
from kafka_bridge.events.log.masking import BASE64
from kafka_bridge.events.outcome import Verdict
from kafka_bridge.events.record import Delivery, Record

# The header of a record that was sent again: the id of the entry that it was made from.
REPLAYED_FROM: Final = "replayed-from"
# What somebody chooses without naming it: of a duplicate there is the first, of a replay the event itself.
ORIGINALS: Final = frozenset({Kind.ACCEPTED, Kind.FAILED})
_REPLAYABLE: Final = ORIGINALS | {Kind.DUPLICATE, Kind.REPLAY}
_CHECKED: Final = frozenset({Verdict.VERIFIED, Verdict.UNCHECKED})
_WHY_NOT: Final[Mapping[str, str]] = MappingProxyType(
    {
        Kind.REJECTED: "The event was not verified: nothing of it may reach Kafka.",
        Kind.DROPPED: "A route drops the event: there is no topic that it belongs to.",
        Kind.HANDSHAKE: "The request was a handshake, and no event.",
        Kind.RUN: "The entry is a run: send the event of its record again.",
        Kind.DEAD_LETTERED: "The entry is a dead letter: send the event of its record again.",
    }
)
_NOT_HELD: Final = "The log no longer holds the event's body."


def why_not(entry: Entry) -> str:
    """Why an entry cannot be sent again, for the operator; empty when it can. Its body is not needed for that."""
    if entry.kind not in _REPLAYABLE:
        return _WHY_NOT.get(entry.kind, "The entry is no event.")
    if entry.verdict not in _CHECKED:
        return _WHY_NOT[Kind.REJECTED]
    if not entry.topic:
        return "The event has led to no topic."
    if entry.note:
        return f"The log does not hold the event's body as it came: {entry.note}."
    if entry.record_format not in FORMATS:
        return "The log does not hold the whole record: values in it are masked or cut, or another version wrote it."
    return ""


def record_of(entry: Entry) -> Record:
    """The record as it went to Kafka, or should have; of an entry with its body. Raises NotReplayable."""
    if reason := why_not(entry):
        raise NotReplayable(reason)
    value = _value(entry)
    if len(value) != entry.body_bytes:
        raise NotReplayable(_NOT_HELD)
    envelope = Envelope(source=entry.source, scheme=entry.scheme, record_format=entry.record_format)
    return Record(
        topic=entry.topic,
        value=value,
        key=entry.key.encode() if entry.key else None,
        headers=envelope.headers(_event(entry)),
    )


def replay_of(entry: Entry) -> Record:
    """The same to be sent again: it says what it was made from. Raises NotReplayable."""
    record = record_of(entry)
    return record._replace(headers=(*record.headers, (REPLAYED_FROM, entry.id.encode())))


def entry_of_replay(entry: Entry, entry_id: str, delivery: Delivery, *, now: float, duration_s: float) -> Entry:
    """What the log holds of a replay: all of the event, so that it outlives its first entry."""
    # The time of the entry is that of the replay.
    attributes = {"time": rfc3339(entry.time), **_attributes(entry)} if entry.record_format == BINARY else {}
    return entry._replace(
        id=entry_id,
        kind=Kind.REPLAY,
        time=now,
        reason="",
        topic=delivery.topic,
        partition=delivery.partition,
        offset=-1 if delivery.offset is None else delivery.offset,
        status=0,
        duration_ms=round(duration_s * 1000, 1),
        replay_of=entry.id,
        missed=0,
        attributes=orjson.dumps(attributes).decode() if attributes else "",
    )


def _value(entry: Entry) -> bytes:
    if entry.encoding != BASE64:
        return entry.body.encode()
    try:
        return base64.b64decode(entry.body, validate=True)
    except binascii.Error as error:
        raise NotReplayable(_NOT_HELD) from error


def _event(entry: Entry) -> Event:
    return Event(
        id=entry.event_id,
        type=entry.event_type or None,
        source=entry.source,
        scheme=entry.scheme,
        time=entry.time,
        id_signed=entry.id_signed,
        content_type=entry.content_type,
        attributes=_attributes(entry),
    )


def _attributes(entry: Entry) -> Mapping[str, str]:
    if not entry.attributes:
        return {}
    try:
        attributes: dict[str, str] = orjson.loads(entry.attributes)
        # An attribute that is no text is none of ours.
        "".join(attributes.values())
    except (orjson.JSONDecodeError, AttributeError, TypeError) as error:
        raise NotReplayable(_NOT_HELD) from error
    return attributes
