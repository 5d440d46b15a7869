"""A reader of topics in memory, and calls of the tools that read."""

import itertools
from collections import deque
from collections.abc import Callable, Mapping, Sequence

from kafka_bridge.broker.loops import ThreadLoop
from kafka_bridge.broker.ports import ClientDead, Position, Start, Trouble
from kafka_bridge.clock import Clock
from kafka_bridge.errors import BridgeError, Cause, Unavailable
from kafka_bridge.events.record import Consumed, Record, TopicPartition

SAVED = {"bootstrap_servers": "broker.example.com:9092"}
NOW = 1_700_000_000


class Quick(ThreadLoop):
    """Nobody rests."""

    def rest(self, seconds: float) -> None:
        pass


def running_clock() -> Clock:
    """Each look at it is a tenth of a second later, so that every wait is over soon."""
    ticks = itertools.count()
    return Clock(now=lambda: NOW, monotonic=lambda: next(ticks) / 10)


class Shelf:
    """In the place of a cluster: what lies in the topics, and what groups have committed."""

    def __init__(self, **topics: int) -> None:
        self.counts = dict(topics)
        self.records: dict[TopicPartition, list[Consumed]] = {}
        self.first: dict[TopicPartition, int] = {}
        self.commits: list[tuple[str, dict[TopicPartition, int]]] = []

    def put(self, topic: str, *values: object, partition: int = 0, **fields: object) -> None:
        at = TopicPartition(topic, partition)
        for value in values:
            raw = value if isinstance(value, bytes) else str(value).encode()
            offset = self.first.get(at, 0) + len(self.records.setdefault(at, []))
            record = Record(topic=topic, value=raw, partition=partition, **fields)
            self.records[at].append(Consumed(record, partition, offset))

    def committed(self, group: str) -> dict[TopicPartition, int]:
        found: dict[TopicPartition, int] = {}
        for name, offsets in self.commits:
            if name == group:
                found.update(offsets)
        return found


class ShelfReader:
    """In the place of `broker.kafka.reader.KafkaReader`. `happens` are run before polls, one each."""

    def __init__(self, shelf: Shelf, group_id: str = "") -> None:
        self.shelf = shelf
        self.group_id = group_id
        self.closed = False
        self.subscribed = False
        self.unreachable: Unavailable | None = None
        self.balancing = False
        self.happens: deque[Callable[[], object]] = deque()
        self.trouble: Trouble | None = None
        self.ended: set[TopicPartition] = set()
        self._at: dict[TopicPartition, int] = {}
        self._callbacks: dict[str, Callable[..., None]] = {}
        self._joins = False

    # Looking.

    def reach(self, topic: str, timeout_s: float) -> bool:
        if self.unreachable is not None:
            self.trouble = Trouble(self.unreachable.cause, "as the library says it")
        return self.unreachable is None

    def topics(self) -> Mapping[str, int]:
        return self.shelf.counts

    def partitions(self, topic: str) -> Sequence[TopicPartition]:
        if topic not in self.shelf.counts:
            raise Unavailable(Cause.TOPIC_DOES_NOT_EXIST, "as the library says it")
        return [TopicPartition(topic, number) for number in range(self.shelf.counts[topic])]

    def offsets(
        self, partitions: Sequence[TopicPartition], at: Start | int, *, partly: bool = False
    ) -> Mapping[TopicPartition, int]:
        return {one: self._offset(one, at) for one in partitions}

    def _offset(self, at: TopicPartition, when: Start | int) -> int:
        first, records = self.shelf.first.get(at, 0), self.shelf.records.get(at, [])
        if when is Start.EARLIEST:
            return first
        if when is not Start.LATEST:
            for consumed in records:
                if (consumed.record.timestamp_ms or 0) >= when:
                    return consumed.offset
        return first + len(records)

    def committed(self, partitions: Sequence[TopicPartition]) -> Mapping[TopicPartition, int | None]:
        return {at: self.shelf.committed(self.group_id).get(at) for at in partitions}

    # Reading.

    def assign(self, offsets: Mapping[TopicPartition, int | Start]) -> None:
        self._at = {at: int(offset) for at, offset in offsets.items()}

    def subscribe(self, topics: Sequence[str], **callbacks: Callable[..., None]) -> None:
        self.subscribed, self._joins, self._callbacks = True, True, callbacks
        self._topics = topics

    def _join(self) -> None:
        self._joins = False
        positions = {}
        for topic in self._topics:
            for at in self.partitions(topic):
                committed = self.shelf.committed(self.group_id).get(at)
                start = self._callbacks["start"]
                positions[at] = Position(self._offset(at, start) if committed is None else committed)
        self._at = {at: position.offset for at, position in positions.items()}
        self._callbacks["on_assigned"](positions)

    def lose(self, *partitions: TopicPartition) -> None:
        """Another member of the group gets these."""
        for at in partitions:
            del self._at[at]
        self._callbacks["on_revoked"](list(partitions))

    def poll(self, timeout_s: float, *, limit: int = 100) -> Sequence[Consumed]:
        if self.happens and (error := self.happens.popleft()()) is not None:
            raise error  # type: ignore[misc]
        if self._joins:
            self._join()
        found: list[Consumed] = []
        for at, offset in self._at.items():
            records = [one for one in self.shelf.records.get(at, []) if one.offset >= offset]
            taken = records[: limit - len(found)]
            found += taken
            if taken:
                self._at[at] = taken[-1].next_offset
            if len(taken) == len(records):
                self.ended.add(at)
            else:
                self.ended.discard(at)
        return found

    @property
    def at_end(self) -> bool:
        return bool(self._at) and self.ended.issuperset(self._at)

    def assigned(self) -> Sequence[TopicPartition]:
        return [*self._at]

    def commit(self, offsets: Mapping[TopicPartition, int]) -> bool:
        if self.balancing:
            return False
        self.shelf.commits.append((self.group_id, dict(offsets)))
        return True

    def close(self) -> None:
        self.closed = True
        if self.subscribed:
            self._callbacks["on_revoked"]([*self._at])


def dead(error: BridgeError) -> Callable[[], ClientDead]:
    """For `happens`: the client is beyond repair."""
    return lambda: ClientDead(error)
