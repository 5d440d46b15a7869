"""What the rest of the bridge may ask of a broker. Pure.

Three kinds of offsets, named once: a record's *offset* is its place in its partition; the *committed* offset of a group
is the next one it will read after a restart (`Consumed.next_offset` of the last record that is done); the *end* offset
is the one that the next record written will get. *Lag* is end minus committed.

Everything here may block the calling thread unless it says otherwise: in the plugin it is called on native threads.
All of it raises `BridgeError` and nothing else.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple, Protocol

from kafka_bridge.errors import BridgeError, Cause
from kafka_bridge.events.record import Consumed, Delivery, Record, TopicPartition


class Publisher(Protocol):
    """Writes records and waits for their acknowledgement."""

    def send(self, record: Record, *, timeout_s: float) -> Delivery:
        """Where the record lies, once the broker has acknowledged it."""

    def send_all(self, records: Sequence[Record], *, timeout_s: float) -> tuple[Delivery, ...]:
        """Where each lies, once the broker has acknowledged all of them; raises if it did not acknowledge one."""


@dataclass(frozen=True, slots=True)
class Trouble:
    """What the client library reports about its connections. `cause` is None when the report does not say why."""

    cause: Cause | None
    text: str
    all_brokers_down: bool = False


class ClientDead(Exception):
    """The client is beyond repair (a fatal error of the idempotent producer, a fenced member): build another one."""

    def __init__(self, error: BridgeError) -> None:
        super().__init__(str(error))
        self.error = error


type Report = tuple[object, object]
"""A delivery report as the client library hands it over: its error and its message, both opaque."""


class ProducerClient(Protocol):
    """One instance of the client library's idempotent producer, as `bridge.Connection` drives it."""

    def produce(self, record: Record, on_report: Callable[[object, object], None]) -> None:
        """Queue a record; never blocks. Raises BridgeError or ClientDead.

        `on_report` runs inside `poll`, on its thread.
        """

    def read(self, report: Report) -> Delivery | BridgeError | None:
        """What a report means; never blocks. None: the record was dropped, and who dropped it knows why."""

    def poll(self, timeout_s: float) -> None:
        """Serve reports and troubles for up to `timeout_s`. Blocks. Raises ClientDead."""

    def reach(self, topic: str, timeout_s: float) -> bool:
        """Whether a broker answered a question about `topic`. Blocks for up to `timeout_s`. Raises ClientDead."""

    def drop_queued(self) -> None:
        """Give up the records that were never sent; their reports follow. Never blocks."""

    def close(self) -> None:
        """Let go of threads and sockets. Blocks for a moment."""


class Start(StrEnum):
    """Where to read from when the group has no committed offset, or when there is no group."""

    EARLIEST = "earliest"
    LATEST = "latest"


@dataclass(frozen=True, slots=True)
class Position:
    """Where a partition is read from now; `missed` records before it were deleted before anybody consumed them."""

    offset: int
    missed: int = 0


class Consumer(Protocol):
    """A member of a consumer group, or a reader of assigned partitions. Not shared between threads."""

    def subscribe(
        self,
        topics: Sequence[str],
        *,
        start: Start,
        on_assigned: Callable[[Mapping[TopicPartition, Position]], None],
        on_revoked: Callable[[Sequence[TopicPartition]], None],
        on_lost: Callable[[Sequence[TopicPartition]], None],
    ) -> None:
        """Join the group. The callbacks run inside `poll`; a commit in `on_revoked` still counts, in `on_lost` not.

        `start` is for partitions of which the group has committed nothing. With `latest` their end is committed at
        once, so that what comes while nobody is a member is not skipped; a topic that is made later is read from its
        first record. A committed offset that is no longer there goes on at the earliest record that is.
        """

    def assign(self, offsets: Mapping[TopicPartition, int | Start]) -> None:
        """Read these partitions from these offsets, without a group's balancing."""

    def assigned(self) -> Sequence[TopicPartition]:
        """The partitions that are read now."""

    def poll(self, timeout_s: float, *, limit: int = 100) -> Sequence[Consumed]:
        """Up to `limit` records, as soon as there is one; empty when none came in time.

        Must be called regularly, also while paused. What went wrong is raised by a call that has no records; a member
        that is beyond repair raises ClientDead, with Fenced where another one has joined under its name.
        """

    @property
    def at_end(self) -> bool:
        """Whether all that lies in the assigned partitions has been given out; False when there are none."""

    def pause(self, partitions: Sequence[TopicPartition]) -> None:
        """Read no more from these until `resume`; a partition that is not assigned is passed over."""

    def resume(self, partitions: Sequence[TopicPartition]) -> None:
        """Read from these again."""

    def commit(self, offsets: Mapping[TopicPartition, int]) -> bool:
        """Commit next offsets and wait for it. False when the group is rebalancing: skip it and go on."""

    def committed(self, partitions: Sequence[TopicPartition]) -> Mapping[TopicPartition, int | None]:
        """The group's committed offsets; None where it has none."""

    def lag(self, partitions: Sequence[TopicPartition]) -> Mapping[TopicPartition, int]:
        """End minus committed, per partition; from the earliest record where nothing is committed."""

    def close(self) -> None:
        """Leave the group."""


class Reader(Consumer, Protocol):
    """A consumer that also says where topics begin and end. Until it subscribes it is in no group."""

    def reach(self, topic: str, timeout_s: float) -> bool:
        """Whether a broker answered a question about `topic`, or about all; `trouble` says why not."""

    @property
    def trouble(self) -> Trouble | None:
        """What the client has said last of its connections."""

    @property
    def ended(self) -> Collection[TopicPartition]:
        """The partitions of which all that lies there has been given out."""

    def topics(self) -> Mapping[str, int]:
        """All topics that may be seen, with their number of partitions."""

    def partitions(self, topic: str) -> Sequence[TopicPartition]:
        """Those of a topic. Raises Unavailable, with the cause `topic does not exist` where that is so."""

    def offsets(
        self, partitions: Sequence[TopicPartition], at: Start | int, *, partly: bool = False
    ) -> Mapping[TopicPartition, int]:
        """The earliest offset of each, the end, or that of the first record not older than a unix time in ms.

        `partly`: a partition of which no broker knows it now is left out, rather than to raise.
        """


class Admin(Protocol):
    """Creates topics."""

    def reach(self, topic: str, timeout_s: float) -> bool:
        """As a reader's."""

    @property
    def trouble(self) -> Trouble | None:
        """As a reader's."""

    def create_topic(
        self, name: str, *, partitions: int, replication: int, config: Mapping[str, str], timeout_s: float
    ) -> bool:
        """Create a topic and wait for it; False when it existed already. -1 leaves a number to the brokers.

        Raises Malformed where the brokers refuse to make it.
        """

    def close(self) -> None:
        """Let go of threads and sockets. Blocks for a moment."""


class Span(NamedTuple):
    """A part of a partition: from this offset, to that one and without it."""

    start: int
    end: int


class Mark(NamedTuple):
    """What a group remembers of a partition: the committed offset, None where there is none, and a text beside it."""

    offset: int | None
    note: str = ""


class Scanner(Protocol):
    """Reads parts of partitions without joining a group, and keeps what a group remembers where nobody has joined."""

    def spans(self, topics: Sequence[str]) -> Mapping[TopicPartition, Span]:
        """All partitions, from the earliest offset to the end. A topic that is not there has none."""

    def partitions(self, topic: str) -> Sequence[TopicPartition]:
        """Those of a topic; none where it is not there."""

    def read(
        self, spans: Mapping[TopicPartition, Span], *, limit: int, timeout_s: float
    ) -> tuple[Sequence[Consumed], Mapping[TopicPartition, Span]]:
        """Up to `limit` records of these, ascending in each partition, and what is left to be read of them.

        Returns as soon as there is something. What went wrong is raised by a call that has no records.
        """

    def marks(self, partitions: Sequence[TopicPartition]) -> Mapping[TopicPartition, Mark]:
        """What the group remembers."""

    def remember(self, marks: Mapping[TopicPartition, Mark]) -> None:
        """Have the group remember this, and wait for it; an offset must be there."""

    def close(self) -> None:
        """Let go of the client."""
