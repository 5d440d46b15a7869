"""One partition from its assignment until it is forgotten: all that is known of it in one place. Pure."""

from collections import deque
from dataclasses import dataclass, field

from kafka_bridge.dispatch.offsets import Offsets
from kafka_bridge.dispatch.shards import Shards
from kafka_bridge.dispatch.task import Place, Task
from kafka_bridge.events.record import TopicPartition


class Tally:
    """How many tasks are at each place, and what they weigh."""

    __slots__ = ("count", "size_bytes")

    def __init__(self) -> None:
        self.count = [0] * len(Place)
        self.size_bytes = [0] * len(Place)

    def move(self, task: Task, place: Place) -> None:
        """A task goes from where it is to `place`. What is out is not counted."""
        count, size_bytes = self.count, self.size_bytes
        if task.place:
            count[task.place] -= 1
            size_bytes[task.place] -= task.size_bytes
        if place:
            count[place] += 1
            size_bytes[place] += task.size_bytes

    def drain(self, other: "Tally", place: Place) -> None:
        """All that `other` has at `place` is gone, here and there."""
        self.count[place] -= other.count[place]
        self.size_bytes[place] -= other.size_bytes[place]
        other.count[place] = other.size_bytes[place] = 0

    @property
    def in_flight(self) -> int:
        """Tasks that run or are written."""
        return self.count[Place.RUNNING] + self.count[Place.WRITING]

    @property
    def held(self) -> int:
        """Tasks that fill the buffer: all but those that run, whose number has a bound of its own."""
        return self.count[Place.WAITING] + self.count[Place.WRITING]

    @property
    def held_bytes(self) -> int:
        """What fills the buffer weighs."""
        return self.size_bytes[Place.WAITING] + self.size_bytes[Place.WRITING]


@dataclass(slots=True, eq=False)
class Lane:
    """A partition under its assignment number `number`.

    `draining`: revoked, only what was started may end. `failing` counts the tasks whose last write was not
    acknowledged: while there is one, the partition is blocked, `trouble` says why, and what could start is `parked`.
    """

    position: TopicPartition
    number: int
    shards: Shards
    offsets: Offsets = field(default_factory=Offsets)
    tally: Tally = field(default_factory=Tally)
    parked: deque[Task] = field(default_factory=deque)
    draining: bool = False
    failing: int = 0
    trouble: str = ""
