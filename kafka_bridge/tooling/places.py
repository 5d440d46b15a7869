"""Where topics are, begin and end, and where reading begins. On the thread of an errand: everything here may block."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Final

from kafka_bridge.broker.causes import is_decisive
from kafka_bridge.broker.ports import Admin, Reader, Start
from kafka_bridge.broker.pump import REACH_HURRIED_S, REACH_S, REACH_SILENT_S, VERDICT_S
from kafka_bridge.clock import Clock
from kafka_bridge.dispatch.trouble import HEALS, HEALS_S
from kafka_bridge.errors import Cause, Malformed, NotFound, Unavailable, Unreadable
from kafka_bridge.events.record import TopicPartition
from kafka_bridge.tooling.selection import From, Selection

# As long as a call of `publish` waits for a cluster.
REACH_MOST_S: Final = 8.0
_REST_S: Final = 0.1

type Offsets = Mapping[TopicPartition, int]


def reach(client: Reader | Admin, topic: str, clock: Clock) -> None:
    """Return as soon as a broker has answered. Raises Unreadable; a cause that is known is told after a second."""
    began, patience_s = clock.monotonic(), REACH_S
    while not client.reach(topic, patience_s):
        trouble, elapsed = client.trouble, clock.monotonic() - began
        cause = trouble.cause if trouble else None
        if cause is not None and (is_decisive(cause) or elapsed >= VERDICT_S):
            raise Unreadable(cause, trouble.text if trouble else "")
        if elapsed >= REACH_MOST_S:
            raise Unreadable(Cause.NOT_ACKNOWLEDGED, "no answer")
        most_s = REACH_HURRIED_S if cause else REACH_SILENT_S
        patience_s = max(REACH_S, min(patience_s * 2, most_s, REACH_MOST_S - elapsed))


class Places:
    """What a reader's brokers say. `rest` lets the thread do nothing for so many seconds."""

    def __init__(self, reader: Reader, clock: Clock, rest: Callable[[float], None]) -> None:
        self._reader = reader
        self._clock = clock
        self._rest = rest

    def reach(self, topic: str = "") -> None:
        """Return as soon as a broker has answered a question about the topic, or about all. Raises Unreadable."""
        reach(self._reader, topic, self._clock)

    def partitions(self, topics: Sequence[str], only: int | None = None) -> Sequence[TopicPartition]:
        """All partitions of the topics, or the one of that number of each. Raises BridgeError."""
        found = [at for topic in topics for at in self._partitions(topic)]
        if only is None:
            return found
        chosen = [at for at in found if at.partition == only]
        if len(chosen) < len(topics):
            raise Malformed(f"partition: not every topic has a partition {only}.")
        return chosen

    def _partitions(self, topic: str) -> Sequence[TopicPartition]:
        try:
            return self.patiently(partial(self._reader.partitions, topic))
        except Unavailable as error:
            if error.cause is Cause.TOPIC_DOES_NOT_EXIST:
                # Of several topics, which one.
                raise NotFound(f"{error}: {topic}") from error
            raise

    def earliest(self, partitions: Sequence[TopicPartition]) -> Offsets:
        """The offset of the first record of each that is still there. Raises BridgeError."""
        return self.patiently(lambda: self._reader.offsets(partitions, Start.EARLIEST))

    def ends(self, partitions: Sequence[TopicPartition]) -> Offsets:
        """The offset that the next record of each will get. Raises BridgeError."""
        return self.patiently(lambda: self._reader.offsets(partitions, Start.LATEST))

    def committed(self, partitions: Sequence[TopicPartition]) -> Offsets:
        """What the reader's group has committed, where it has. Raises BridgeError."""
        found = self.patiently(lambda: self._reader.committed(partitions))
        return {at: offset for at, offset in found.items() if offset is not None}

    def starts(self, partitions: Sequence[TopicPartition], selection: Selection) -> tuple[Offsets, Offsets]:
        """Where reading begins, and the ends as they are now. Raises BridgeError."""
        earliest, ends = self.earliest(partitions), self.ends(partitions)
        starts = dict(ends if selection.start is From.LATEST else earliest)
        if selection.group_id:
            starts.update(self.committed(partitions))
        elif selection.start is From.TIMESTAMP:
            starts.update(self.patiently(lambda: self._reader.offsets(partitions, selection.timestamp_ms)))
        elif selection.start is From.OFFSET:
            starts = {at: selection.offset + (end if selection.offset < 0 else 0) for at, end in ends.items()}
        return {at: min(max(offset, earliest[at]), ends[at]) for at, offset in starts.items()}, ends

    def patiently[Answer](self, question: Callable[[], Answer]) -> Answer:
        """Ask until it is answered: a topic that has just been made has no leader for a moment. Raises BridgeError."""
        began = self._clock.monotonic()
        while True:
            try:
                return question()
            except Unavailable as error:
                if error.cause not in HEALS or self._clock.monotonic() - began > HEALS_S:
                    raise
                self._rest(_REST_S)
