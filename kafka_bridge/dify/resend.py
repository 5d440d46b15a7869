"""Sends what is in the event log again: to Kafka, acknowledged before anything is said of it, or to the workflow.

A set goes out topic by topic, in the order in which it came; what becomes of each event is told.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import batched, groupby
from typing import Final

from kafka_bridge.broker.registry import ProducerRegistry
from kafka_bridge.clock import Clock
from kafka_bridge.dify.call import Call
from kafka_bridge.dify.events import Events
from kafka_bridge.dify.recorder import EventRecorder
from kafka_bridge.dify.runs import Runs
from kafka_bridge.dispatch.ended import Ended, Ending
from kafka_bridge.dispatch.trouble import OF_TOPICS
from kafka_bridge.errors import BridgeError, Cause, NotReplayable, SettingsInvalid, Unavailable, Unroutable
from kafka_bridge.events.log.entry import Entry
from kafka_bridge.events.log.query import Row
from kafka_bridge.events.log.replaying import ORIGINALS, record_of, replay_of, why_not
from kafka_bridge.events.record import Consumed, Delivery, Record, is_topic_name
from kafka_bridge.ingress.patterns import Pattern
from kafka_bridge.settings.table import Part

# As a sender's: the delivery timeout is 8 s, and expiry is scanned once a second.
SEND_S: Final = 9.0
# Who asks for runs waits for a free slot as long as one run may take.
START_S: Final = 240.0
# What is read from the log, and sent, at once.
PART: Final = 100

type Published = Callable[[str, int, float], None]
"""Told of an endpoint's records that were acknowledged together: how many, and after how many seconds."""


@dataclass(slots=True)
class Told:
    """What became of a set. `records` says it of each event; `error` is the first that kept one from being sent.

    `results` are those of its runs.
    """

    matched: int
    dry_run: bool
    replayed: int = 0
    failed: int = 0
    skipped: int = 0
    records: list[dict[str, object]] = field(default_factory=list)
    error: BridgeError | None = None
    results: Sequence[Ended] = ()

    def choose(self, entry: Entry) -> None:
        """It would be sent."""
        self.records.append({**_named(entry), "topic": entry.topic})

    def skip(self, entry: Entry, reason: str) -> None:
        """It cannot be sent again."""
        self.skipped += 1
        self.records.append({**_named(entry), "skipped": reason})

    def fail(self, entry: Entry, error: BridgeError) -> None:
        """It was not acknowledged, or not even sent."""
        self.failed += 1
        self.error = self.error or error
        self.records.append({**_named(entry), "failed": str(error)})

    def publish(self, entry: Entry, entry_id: str, delivery: Delivery) -> None:
        """The broker has it; its new entry is `entry_id`."""
        self.replayed += 1
        place = {"topic": delivery.topic, "partition": delivery.partition, "offset": delivery.offset}
        self.records.append({**_named(entry), "replay_id": entry_id, **place})

    def run(self, entry: Entry, ended: Ended) -> None:
        """Its run has ended."""
        done = ended.ending is Ending.DONE
        self.replayed += done
        self.failed += not done
        self.records.append({**_named(entry), "run": ended.ending.value, "run_id": ended.run_id})


class Resend:
    """For all endpoints."""

    def __init__(
        self,
        events: Events,
        recorder: EventRecorder,
        registry: ProducerRegistry,
        runs: Runs,
        *,
        clock: Clock,
        published: Published = lambda _endpoint, _count, _seconds: None,
    ) -> None:
        self._events = events
        self._recorder = recorder
        self._registry = registry
        self._runs = runs
        self._clock = clock
        self._published = published

    def publish(self, call: Call, entry: Entry) -> tuple[str, Delivery]:
        """Send one to Kafka; its new entry's id, and where it lies. Raises BridgeError."""
        check_settings(call)
        record = replay_of(entry)
        if reason := _not_allowed(call, entry.topic):
            raise Unroutable(reason)
        return self._publish(call, [entry], [record])[0]

    def run(self, call: Call, entry: Entry) -> tuple[Consumed, Ended]:
        """Run the workflow for one; its record, and how that ended. Raises SettingsInvalid, NotReplayable."""
        plan = call.hook.consumption(topics=False)
        consumed = _consumed(entry, record_of(entry))
        (ended,) = self._runs.run_all(call, plan, [consumed], until=self._clock.monotonic() + START_S)
        return consumed, ended

    def publish_all(self, call: Call, rows: Sequence[Row], *, outcome: str, dry_run: bool) -> Told:
        """Send a set to Kafka. Raises SettingsInvalid, Unavailable when nothing can be sent at all."""
        check_settings(call)
        told = Told(len(rows), dry_run)
        parts = _parts(_chosen(rows, told, outcome, partial(_not_allowed, call)))
        bad: dict[str, BridgeError] = {}
        stopped: BridgeError | None = None
        for part in parts if not dry_run else ():
            topic = part[0].entry.topic
            if known := stopped or bad.get(topic):
                for row in part:
                    told.fail(row.entry, known)
            elif failure := self._publish_part(call, part, told):
                bad[topic] = failure
                # What is wrong with one topic is nothing to the others.
                of_topic = isinstance(failure, Unavailable) and failure.cause in OF_TOPICS
                stopped = None if of_topic else failure
        return told

    def run_all(self, call: Call, rows: Sequence[Row], *, outcome: str, dry_run: bool) -> Told:
        """Run the workflow for a set. Raises SettingsInvalid, LogUnreadable."""
        plan = call.hook.consumption(topics=False)
        told = Told(len(rows), dry_run)
        chosen = _chosen(rows, told, outcome, lambda _topic: "")
        if dry_run:
            return told
        readable: list[tuple[Entry, Record]] = []
        for part in batched(chosen, PART):
            readable += self._read(call, part, told, record_of)
        records = [_consumed(entry, record) for entry, record in readable]
        told.results = self._runs.run_all(call, plan, records, until=self._clock.monotonic() + START_S)
        for (entry, _), ended in zip(readable, told.results, strict=True):
            told.run(entry, ended)
        return told

    def _publish_part(self, call: Call, part: Sequence[Row], told: Told) -> BridgeError | None:
        """Send some together. After an error any of them may have been written: all of them have failed."""
        entries = [row.entry for row in part]
        try:
            readable = self._read(call, part, told, replay_of)
            entries = [entry for entry, _ in readable]
            sent = self._publish(call, entries, [record for _, record in readable])
        except BridgeError as error:
            for entry in entries:
                told.fail(entry, error)
            return error
        for entry, (entry_id, delivery) in zip(entries, sent, strict=True):
            told.publish(entry, entry_id, delivery)
        return None

    def _read(
        self, call: Call, part: Sequence[Row], told: Told, make: Callable[[Entry], Record]
    ) -> list[tuple[Entry, Record]]:
        """What can be made of the rows, with their bodies. Raises LogUnreadable."""
        made = []
        for row in self._events.whole(call, part):
            try:
                made.append((row.entry, make(row.entry)))
            except NotReplayable as error:
                told.skip(row.entry, str(error))
        return made

    def _publish(self, call: Call, entries: Sequence[Entry], records: Sequence[Record]) -> list[tuple[str, Delivery]]:
        """Returns when the broker has acknowledged all of them, and they are noted. Raises BridgeError."""
        if not records:
            return []
        began = self._clock.monotonic()
        deliveries = self._registry.lease(call.hook.target()).send_all(records, timeout_s=SEND_S)
        took_s = self._clock.monotonic() - began
        self._published(call.endpoint, len(records), took_s)
        return [
            (self._recorder.replayed(call, entry, delivery, duration_s=took_s), delivery)
            for entry, delivery in zip(entries, deliveries, strict=True)
        ]


def check_settings(call: Call) -> None:
    """Return if senders' events would be written: what fails closed does here. Raises Unavailable, SettingsInvalid."""
    if not call.hook.settings.publishing:
        raise Unavailable(Cause.PUBLISHING_DISABLED)
    if wrong := [str(found) for found in call.hook.problems if found.part is Part.WEBHOOK and found.source is None]:
        raise SettingsInvalid(wrong)


def _not_allowed(call: Call, topic: str) -> str:
    """Why the settings of today have nothing sent to a topic; empty when they do."""
    if not is_topic_name(topic):
        return "The topic of the event is not a legal topic name."
    allowed = call.hook.settings.topic_allow
    if allowed and not any(Pattern(name).matches(topic) for name in allowed):
        return "The topic of the event is not among the allowed topics."
    return ""


def _chosen(rows: Iterable[Row], told: Told, outcome: str, refusal: Callable[[str], str]) -> Sequence[Row]:
    """Those that can be sent; a copy of an event only where somebody asks for copies."""
    chosen, refusals = [], dict[str, str]()
    for row in rows:
        entry = row.entry
        if entry.topic not in refusals:
            refusals[entry.topic] = refusal(entry.topic)
        reason = why_not(entry) or refusals[entry.topic]
        if not reason and entry.kind not in ORIGINALS and entry.kind != outcome:
            reason = f"A copy ({entry.kind}): only originals are sent, unless the outcome asked for is {entry.kind}."
        if reason:
            told.skip(entry, reason)
            continue
        chosen.append(row)
        if told.dry_run:
            told.choose(entry)
    return chosen


def _parts(rows: Sequence[Row]) -> Iterator[tuple[Row, ...]]:
    """Topic by topic, so that what is wrong with one is told of it alone."""
    for _, of_topic in groupby(sorted(rows, key=_topic_of), key=_topic_of):
        yield from batched(of_topic, PART)


def _topic_of(row: Row) -> str:
    return row.entry.topic


def _named(entry: Entry) -> dict[str, object]:
    return {"id": entry.id, "event_id": entry.event_id}


def _consumed(entry: Entry, record: Record) -> Consumed:
    """The record where it lies; one that was never acknowledged lies nowhere."""
    return Consumed(record, entry.partition, entry.offset)
