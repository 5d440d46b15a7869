"""A dead letter, read: what was added to the record that failed, and that record as it was. Pure.

Whoever wrote it. The bridge and Kafka Connect (KIP-298) append headers of known names, the topic first; a header of
such a name that stands before the last of these is the record's own, or is left from a failure before. Of other tools
nothing is known: all their headers stay with the record.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from kafka_bridge.dispatch.deadletter import (
    ATTEMPTS,
    CLASS,
    CONNECT,
    FIRST_FAILURE,
    LAST_FAILURE,
    REDRIVES,
    RUN_ID,
    number_of,
    texts_of,
)
from kafka_bridge.dispatch.payload import EVENT_ID, place_id, read
from kafka_bridge.events.record import UNREADABLE, Consumed, Headers, Record
from kafka_bridge.moments import unix_of

_TOPIC: Final = f"{CONNECT}topic"
_CONNECTOR: Final = f"{CONNECT}connector.name"
_OURS: Final = frozenset({ATTEMPTS, FIRST_FAILURE, LAST_FAILURE, RUN_ID})
# What goes back with the record, and is written anew each time.
CARRIED: Final = frozenset({ATTEMPTS, FIRST_FAILURE, REDRIVES, EVENT_ID})
# Of an offset: 2^63 - 1.
_DIGITS: Final = 19


@dataclass(frozen=True, eq=False)
class Letter:
    """`consumed` is the dead letter where it lies; `headers` are the record's own, `facts` those that were added."""

    consumed: Consumed
    headers: Headers
    facts: Mapping[str, str]

    @property
    def topic(self) -> str:
        """The topic that the record came from, as far as the letter says; it may have been forged."""
        return self.facts.get(_TOPIC, "")

    @property
    def place(self) -> tuple[int, int] | None:
        """The partition and the offset that it came from."""
        partition, offset = self._whole(f"{CONNECT}partition"), self._whole(f"{CONNECT}offset")
        return None if not self.topic or partition is None or offset is None else (partition, offset)

    @property
    def group(self) -> str:
        """Who has written it: a consumer group of the bridge's, or a connector."""
        return self.facts.get(_CONNECTOR, "")

    @property
    def is_ours(self) -> bool:
        """Whether the bridge has written it, for whatever group."""
        return self.facts.get(f"{CONNECT}class.name") == CLASS

    @property
    def is_readable(self) -> bool:
        """Whether the client library gives its headers."""
        return self.consumed.record.headers != UNREADABLE

    @property
    def kind(self) -> str:
        """How the last run ended (`failed`, `refused` …), or the class of an exception."""
        return self.facts.get(f"{CONNECT}exception.class.name", "")

    @property
    def error(self) -> str:
        """Why it is a dead letter."""
        return self.facts.get(f"{CONNECT}exception.message", "")

    @property
    def attempts(self) -> int:
        """Runs so far, of all its lives."""
        return number_of(self.facts.get(ATTEMPTS, ""))

    @property
    def redrives(self) -> int:
        """How often it was sent back."""
        return number_of(texts_of(self.headers, (REDRIVES,)).get(REDRIVES, ""))

    @property
    def first_failure(self) -> str:
        """When it failed first, in RFC 3339; empty where nobody says."""
        return self.facts.get(FIRST_FAILURE, "")

    @property
    def last_failure(self) -> str:
        """When it failed last."""
        return self.facts.get(LAST_FAILURE, "")

    @property
    def run_id(self) -> str:
        """The last run."""
        return self.facts.get(RUN_ID, "")

    @property
    def failed_at(self) -> float | None:
        """When it failed last, in unix seconds; of one that does not say so, when it was written."""
        timestamp_ms = self.consumed.record.timestamp_ms
        said = unix_of(self.last_failure) if self.last_failure else None
        return said if said is not None else None if timestamp_ms is None else timestamp_ms / 1000

    @cached_property
    def event_id(self) -> str:
        """The id that its event had, and keeps wherever its record goes."""
        if own := next(filter(None, self._ids), ""):
            return own
        return place_id(
            Consumed(self.consumed.record._replace(topic=self.topic), *self.place) if self.place else self.consumed
        )

    def original(self, topic: str) -> Consumed:
        """The record where it lay, in `topic`: what a run is to see. Where nobody knows the place, it is the letter's.

        Its headers are the very ones; but for an event that was known by its place, which is not known any more.
        """
        partition, offset = self.place or (self.consumed.partition, self.consumed.offset)
        named = () if self.place or any(self._ids) else self._named
        record = self.consumed.record._replace(topic=topic, headers=(*self.headers, *named), partition=partition)
        return Consumed(record, partition, offset)

    def redriven(self, topic: str, partitions: int = 0) -> Record:
        """The record for `topic`, which has so many partitions: where it lay, else where its key belongs.

        Its headers are its own, and behind them what is counted on if it fails again. It gets a timestamp of its own:
        with the old one it might be too old at once.
        """
        record, partition = self.consumed.record, self.place[0] if self.place else partitions
        counted = {
            ATTEMPTS: str(self.attempts) if self.attempts else "",
            FIRST_FAILURE: self.first_failure,
            REDRIVES: str(self.redrives + 1),
        }
        headers = (
            *(pair for pair in self.headers if pair[0] not in CARRIED),
            *((name, text.encode()) for name, text in counted.items() if text),
            *(() if self._ids[0] else self._named),
        )
        return Record(topic, record.value, record.key, headers, partition if partition < partitions else None)

    @cached_property
    def _ids(self) -> tuple[str, str]:
        """The id of the event's own, and the one that it was given when its record was sent back; empty without one."""
        headers = read(Consumed(self.consumed.record._replace(headers=self.headers), 0, 0)).headers
        return headers.get("ce_id", ""), headers.get(EVENT_ID, "")

    @property
    def _named(self) -> Headers:
        return ((EVENT_ID, self.event_id.encode()),)

    def _whole(self, name: str) -> int | None:
        text = self.facts.get(name, "")
        return int(text) if text.isascii() and text.isdigit() and len(text) <= _DIGITS else None


def read_letter(consumed: Consumed) -> Letter:
    """What a dead letter says. Never raises."""
    headers = consumed.record.headers
    start = _start(headers)
    added = [(name, value) for name, value in headers[start:] if _is_added(name)]
    own = (*headers[:start], *((name, value) for name, value in headers[start:] if not _is_added(name)))
    return Letter(consumed, own, texts_of(tuple(added), {name for name, _ in added}))


def _start(headers: Headers) -> int:
    """Where what was added begins. Connect leaves the place out where it has none."""
    names = [name for name, _ in headers]
    for first in (_TOPIC, _CONNECTOR):
        if first in names:
            return len(names) - 1 - names[::-1].index(first)
    return len(names)


def _is_added(name: str) -> bool:
    return name.startswith(CONNECT) or name in _OURS
