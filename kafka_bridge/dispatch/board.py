"""Where every task is: what may start, what is to be written, what waits for its time. Pure.

It keeps the books and decides nothing; the engine does.
"""

from collections import deque
from collections.abc import Sequence

from kafka_bridge.dispatch.lane import Lane, Tally
from kafka_bridge.dispatch.retry import Delayed
from kafka_bridge.dispatch.shards import Shards
from kafka_bridge.dispatch.task import IllegalFact, Ordering, Place, Task
from kafka_bridge.events.record import Consumed, TopicPartition


class Board:
    """All lanes and all queues.

    `moved`: lanes whose commit point is above what is committed. `total` counts the runs of forgotten
    partitions too, until they end. `ready`: firsts of their units, of partitions that are ours and not blocked: any of
    them may start.
    """

    __slots__ = ("_assignments", "blocked", "delayed", "lanes", "moved", "ready", "to_write", "total")

    def __init__(self) -> None:
        self.lanes: dict[TopicPartition, Lane] = {}
        self.blocked: dict[TopicPartition, Lane] = {}
        self.moved: set[Lane] = set()
        self.total = Tally()
        self.ready: deque[Task] = deque()
        self.to_write: deque[Task] = deque()
        self.delayed = Delayed()
        self._assignments = 0

    @property
    def running(self) -> int:
        """Occupied slots."""
        return self.total.count[Place.RUNNING]

    def assign(self, positions: Sequence[TopicPartition], ordering: Ordering) -> None:
        """Open a lane for each. Raises IllegalFact if there is one."""
        for position in positions:
            if position in self.lanes:
                raise IllegalFact(f"{position} was assigned before, and is not forgotten")
        for position in positions:
            self._assignments += 1
            self.lanes[position] = Lane(position, self._assignments, Shards(ordering))

    def admit(self, records: Sequence[Consumed]) -> list[tuple[Lane, Consumed]]:
        """The records that are ours, each with its lane. Raises IllegalFact unless all of them are in order."""
        admitted: list[tuple[Lane, Consumed]] = []
        lowest: dict[Lane, int | None] = {}
        for consumed in records:
            lane = self.lanes.get(consumed.position)
            if lane is None or lane.draining:
                continue
            bound = lowest.get(lane, lane.offsets.next)
            if bound is not None and consumed.offset < bound:
                raise IllegalFact(f"offset {consumed.offset} of {lane.position} came where {bound} is the lowest")
            lowest[lane] = consumed.next_offset
            admitted.append((lane, consumed))
        return admitted

    def lane_of(self, task: Task) -> Lane | None:
        """The lane that a task came by; None if that assignment is forgotten."""
        lane = self.lanes.get(task.position)
        return lane if lane is not None and lane.number == task.assignment else None

    def move(self, task: Task, lane: Lane | None, place: Place) -> None:
        """A task goes to another place."""
        self.total.move(task, place)
        if lane is not None:
            lane.tally.move(task, place)
        task.place = place

    def make_ready(self, task: Task, lane: Lane, *, first: bool = False) -> None:
        """A waiting task may start once there is a slot; `first` if it was that far before."""
        queue = lane.parked if lane.failing else self.ready
        if first:
            queue.appendleft(task)
        else:
            queue.append(task)

    def block(self, lane: Lane) -> None:
        """A write of this partition failed: nothing of it may start until all that failed are acknowledged."""
        lane.failing += 1
        if lane.position not in self.blocked:
            self.blocked[lane.position] = lane
            lane.parked.extend(task for task in self.ready if task.position == lane.position)
            self.ready = deque(task for task in self.ready if task.position != lane.position)

    def unblock(self, lane: Lane) -> None:
        """One of those that failed is acknowledged."""
        lane.failing -= 1
        if not lane.failing:
            del self.blocked[lane.position]
            self.ready.extend(lane.parked)
            lane.parked.clear()

    def revoke(self, positions: Sequence[TopicPartition]) -> None:
        """Drop what waits of these."""
        for position in positions:
            lane = self.lanes[position]
            lane.draining = True
            lane.shards.clear()
            lane.parked.clear()
            self.total.drain(lane.tally, Place.WAITING)
        self.ready = deque(task for task in self.ready if self._is_ours(task))
        self.delayed.keep(lambda task: task.writing is not None or self._is_ours(task))

    def forget(self, positions: Sequence[TopicPartition]) -> None:
        """Close the lanes of these; what runs of them stays in `total`."""
        self.revoke(positions)
        for position in positions:
            lane = self.lanes.pop(position)
            self.blocked.pop(position, None)
            self.moved.discard(lane)
            self.total.drain(lane.tally, Place.WRITING)
        self.to_write = deque(task for task in self.to_write if self.lane_of(task))
        self.delayed.keep(lambda task: self.lane_of(task) is not None)

    def _is_ours(self, task: Task) -> bool:
        lane = self.lane_of(task)
        return lane is not None and not lane.draining
