"""What the member of a group tells whoever decides, and what it is asked."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from kafka_bridge.broker.loops import Waiter
from kafka_bridge.broker.ports import Position
from kafka_bridge.dispatch.flow import Flow
from kafka_bridge.errors import BridgeError
from kafka_bridge.events.record import Consumed, TopicPartition

type Partitions = Sequence[TopicPartition]


class Desk(Protocol):
    """Where it is decided; every method runs on the loop."""

    def assigned(self, positions: Mapping[TopicPartition, Position]) -> None:
        """These are ours now."""

    def revoked(self, partitions: Partitions) -> None:
        """These go: start nothing more of them."""

    def in_flight(self, partitions: Partitions) -> int:
        """How many of their records run or are written."""

    def gone(self, partitions: Partitions | None) -> None:
        """These, or all, are somebody else's now."""

    def arrived(self, records: Sequence[Consumed], *, at_end: bool) -> Flow:
        """Records came, or none did for a moment; what is to be paused and resumed."""

    def committable(self) -> Mapping[TopicPartition, int]:
        """What may be committed."""

    def committed(self, offsets: Mapping[TopicPartition, int]) -> None:
        """The broker has these."""

    def troubled(self, error: BridgeError) -> None:
        """Nothing can be read now, and why."""

    def answered(self) -> None:
        """The brokers have answered a question."""

    def left(self) -> None:
        """The member is no longer in its group, and never will be again."""


@dataclass(slots=True)
class Inquiry:
    """Somebody wants what is done to be committed, and to know the lag; `lags` is None when it cannot be had."""

    waiter: Waiter
    lags: Mapping[TopicPartition, int] | None = None

    @property
    def lag(self) -> int | None:
        """That of all partitions together; None also where there are none."""
        return None if not self.lags else sum(self.lags.values())
