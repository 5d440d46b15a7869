"""A reader of parts of partitions, and of what a group remembers of them."""

from collections.abc import Mapping, Sequence
from typing import Final

from confluent_kafka import OFFSET_BEGINNING, OFFSET_END, OFFSET_INVALID, KafkaError
from confluent_kafka import TopicPartition as LibraryPartition

from kafka_bridge.broker.causes import connection_cause, record_error
from kafka_bridge.broker.config import Properties
from kafka_bridge.broker.kafka.consumer import KafkaConsumer
from kafka_bridge.broker.kafka.partitions import METADATA_TIMEOUT_S, ours, theirs
from kafka_bridge.broker.kafka.translate import BROKER_LIMIT, Translated
from kafka_bridge.broker.ports import Mark, Span, Trouble
from kafka_bridge.events.record import Consumed, TopicPartition

# A topic to which nothing was dead-lettered yet may not be there.
_ABSENT: Final = frozenset({KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError._UNKNOWN_TOPIC})


class KafkaScanner(KafkaConsumer):
    """Implements `ports.Scanner`. It assigns and never subscribes, so that the broker hears of no group by it."""

    def __init__(self, properties: Properties) -> None:
        """Raises SettingsInvalid when the library refuses the properties."""
        super().__init__(properties)
        self._reading: Mapping[TopicPartition, int] = {}

    def spans(self, topics: Sequence[str]) -> Mapping[TopicPartition, Span]:
        partitions = [at for topic in topics for at in self.partitions(topic)]
        starts, ends = (self._offsets(partitions, which) for which in (OFFSET_BEGINNING, OFFSET_END))
        return {at: Span(starts[at], max(starts[at], ends[at])) for at in partitions}

    def partitions(self, topic: str) -> Sequence[TopicPartition]:
        with Translated(self._explain):
            found = self._consumer.list_topics(topic, METADATA_TIMEOUT_S).topics[topic]
        if found.error is not None:
            if found.error.code() in _ABSENT:
                return ()
            raise record_error(found.error.code(), found.error.str(), limit_of=BROKER_LIMIT)
        return [TopicPartition(topic, number) for number in sorted(found.partitions)]

    def read(
        self, spans: Mapping[TopicPartition, Span], *, limit: int, timeout_s: float
    ) -> tuple[Sequence[Consumed], Mapping[TopicPartition, Span]]:
        wanted = {at: span for at, span in spans.items() if span.start < span.end}
        if any(self._reading.get(at) != span.start for at, span in wanted.items()):
            self._ended.clear()
            self.assign({at: span.start for at, span in wanted.items()})
            self._reading = {at: span.start for at, span in wanted.items()}
        records = self.poll(timeout_s, limit=limit) if wanted else ()
        at_now = {**self._reading, **{record.position: record.next_offset for record in records}}
        # Of one that has ended the last offsets may hold no record: a transaction's marker, or what compaction took.
        self._reading = {
            at: max(offset, wanted[at].end) if at in self._ended and at in wanted else offset
            for at, offset in at_now.items()
        }
        found = [record for record in records if (span := wanted.get(record.position)) and record.offset < span.end]
        left = {at: Span(self._reading[at], span.end) for at, span in wanted.items()}
        return found, {at: span for at, span in left.items() if span.start < span.end}

    def marks(self, partitions: Sequence[TopicPartition]) -> Mapping[TopicPartition, Mark]:
        if not partitions:
            return {}
        with Translated(self._explain):
            found = self._consumer.committed(theirs(partitions), timeout=METADATA_TIMEOUT_S)
        for one in found:
            if one.error is not None:
                raise record_error(one.error.code(), one.error.str(), limit_of=BROKER_LIMIT)
        return {
            at: Mark(None if one.offset == OFFSET_INVALID else one.offset, one.metadata or "")
            for at, one in zip(ours(found), found, strict=True)
        }

    def remember(self, marks: Mapping[TopicPartition, Mark]) -> None:
        wanted = [
            LibraryPartition(at.topic, at.partition, mark.offset, metadata=mark.note)
            for at, mark in marks.items()
            if mark.offset is not None
        ]
        with Translated(self._explain):
            results = (self._consumer.commit(offsets=wanted, asynchronous=False) if wanted else None) or []
        for result in results:
            if result.error is not None:
                raise record_error(result.error.code(), result.error.str(), limit_of=BROKER_LIMIT)

    def _offsets(self, partitions: Sequence[TopicPartition], which: int) -> Mapping[TopicPartition, int]:
        """Of all at once: the question for an offset by time also knows the beginning and the end."""
        if not partitions:
            return {}
        asked = [LibraryPartition(at.topic, at.partition, which) for at in partitions]
        with Translated(self._explain):
            answers = self._consumer.offsets_for_times(asked, timeout=METADATA_TIMEOUT_S)
        for answer in answers:
            if answer.error is not None:
                raise record_error(answer.error.code(), answer.error.str(), limit_of=BROKER_LIMIT)
        return {at: answer.offset for at, answer in zip(ours(answers), answers, strict=True)}

    def _explain(self) -> Trouble | None:
        # What the library has to say of its connections, and of a group that may not be looked at, comes within a poll,
        # which must not take a record away.
        message = None if self._reading else self._consumer.poll(0)
        if message is not None and (error := message.error()) is not None:
            self._on_trouble(Trouble(connection_cause(error.code(), error.str()), error.str()))
        return self._trouble
