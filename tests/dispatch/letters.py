"""Dead letters in the place of Kafka: topics in memory, and what a group remembers of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from kafka_bridge.broker.ports import Mark, Span
from kafka_bridge.dispatch.deadletter import dead_letter
from kafka_bridge.dispatch.ended import Ended, Ending
from kafka_bridge.dispatch.plan import Plan, compile_plan
from kafka_bridge.errors import BridgeError
from kafka_bridge.events.record import Consumed, Delivery, Headers, Record, TopicPartition
from kafka_bridge.settings import endpoint

NOW = 1_700_000_000.0
PARTITIONS = 3


def plan_of(**saved: object) -> Plan:
    """A plan from saved settings; of the topic `orders` without others."""
    settings = endpoint.parse({"consume_topics": "orders", **saved})
    plan, problems = compile_plan(settings.consume, name="test")
    assert plan is not None, problems
    return plan


def letter_of(
    number: int = 0,
    *,
    topic: str = "orders",
    group: str = "kafka-bridge",
    headers: Headers | None = None,
    key: bytes | None = None,
    value: bytes | None = b"{}",
    error: str = "boom",
    reason: str = "attempts used up",
    attempts: int = 3,
) -> Record:
    """The dead letter of record `number` of a topic, as the dispatcher writes it."""
    headers = (("ce_id", f"e-{number}".encode()),) if headers is None else headers
    consumed = Consumed(Record(topic, value, key, headers), number % PARTITIONS, number)
    return dead_letter(
        consumed,
        Ended(Ending.FAILED, run_id=f"run-{number}", error=error),
        topic=f"{topic}.dead-letter",
        group=group,
        attempts=attempts,
        first_failure=NOW + number,
        last_failure=NOW + number,
        reason=reason,
    )


@dataclass
class Kafka:
    """Topics with their records by offset, and the marks of one group. `refuse` has commits fail."""

    logs: dict[TopicPartition, dict[int, Record]] = field(default_factory=dict)
    marks: dict[TopicPartition, Mark] = field(default_factory=dict)
    earliest: dict[TopicPartition, int] = field(default_factory=dict)
    ends: dict[TopicPartition, int] = field(default_factory=dict)
    refuse: BridgeError | None = None

    def create(self, topic: str, partitions: int = 1) -> None:
        """A topic."""
        for number in range(partitions):
            self.logs.setdefault(TopicPartition(topic, number), {})

    def write(self, record: Record, partition: int = 0) -> Delivery:
        """One record at the end."""
        at = TopicPartition(record.topic, partition)
        offset = self.end(at)
        self.logs.setdefault(at, {})[offset] = record._replace(timestamp_ms=int(NOW * 1000) + offset)
        self.ends[at] = offset + 1
        return Delivery(record.topic, partition, offset, None)

    def end(self, at: TopicPartition) -> int:
        """The offset of the next record."""
        return self.ends.get(at, 0)

    def skip(self, at: TopicPartition, count: int = 1) -> None:
        """Offsets that hold no record."""
        self.logs.setdefault(at, {})
        self.ends[at] = self.end(at) + count

    def delete(self, at: TopicPartition, offset: int) -> None:
        """As compaction does."""
        del self.logs[at][offset]

    def truncate(self, at: TopicPartition, earliest: int) -> None:
        """As retention does."""
        self.earliest[at] = earliest
        self.logs[at] = {offset: record for offset, record in self.logs[at].items() if offset >= earliest}


class Scanner:
    """Implements `ports.Scanner`. `at_once` is what a read gives at the most."""

    def __init__(self, kafka: Kafka, at_once: int = 7) -> None:
        self.kafka = kafka
        self.at_once = at_once
        self.closed = False

    def partitions(self, topic: str) -> Sequence[TopicPartition]:
        return sorted(at for at in self.kafka.logs if at.topic == topic)

    def spans(self, topics: Sequence[str]) -> Mapping[TopicPartition, Span]:
        kafka = self.kafka
        return {at: Span(kafka.earliest.get(at, 0), kafka.end(at)) for topic in topics for at in self.partitions(topic)}

    def read(
        self, spans: Mapping[TopicPartition, Span], *, limit: int, timeout_s: float
    ) -> tuple[Sequence[Consumed], Mapping[TopicPartition, Span]]:
        records, left = list[Consumed](), dict(spans)
        for at, span in spans.items():
            for offset in sorted(self.kafka.logs[at]):
                if span.start <= offset < span.end and len(records) < min(limit, self.at_once):
                    records.append(Consumed(self.kafka.logs[at][offset], at.partition, offset))
                    left[at] = Span(offset + 1, span.end)
            if not any(left[at].start <= offset < span.end for offset in self.kafka.logs[at]):
                left[at] = Span(span.end, span.end)
        return records, {at: span for at, span in left.items() if span.start < span.end}

    def marks(self, partitions: Sequence[TopicPartition]) -> Mapping[TopicPartition, Mark]:
        return {at: self.kafka.marks.get(at, Mark(None)) for at in partitions}

    def remember(self, marks: Mapping[TopicPartition, Mark]) -> None:
        if self.kafka.refuse is not None:
            raise self.kafka.refuse
        self.kafka.marks.update(marks)

    def close(self) -> None:
        self.closed = True
