"""Order within one partition: which record waits for which. Pure.

A *unit* is what keeps its order: a key, the whole partition, or nothing. The first task of a unit is not kept here, it
is on its way; the others wait behind it until it is done.
"""

from collections import deque
from typing import Final

from kafka_bridge.dispatch.task import Ordering, Task

# The one unit of a partition that is kept in order as a whole.
_WHOLE: Final = b""


class Shards:
    """The units of one partition that have a task on its way, and what waits behind each."""

    __slots__ = ("_behind", "_ordering")

    def __init__(self, ordering: Ordering) -> None:
        self._ordering = ordering
        # Most units have nobody behind: they need no queue.
        self._behind: dict[bytes, deque[Task] | None] = {}

    def __len__(self) -> int:
        return len(self._behind)

    def add(self, task: Task) -> bool:
        """Whether a task that came is the first of its unit and may start; if not, it waits here."""
        unit = self._unit(task)
        if unit is None:
            return True
        if unit not in self._behind:
            self._behind[unit] = None
            return True
        queue = self._behind[unit]
        if queue is None:
            queue = self._behind[unit] = deque()
        queue.append(task)
        return False

    def finish(self, task: Task) -> Task | None:
        """The first of its unit is done: the one that may start now, if there is one."""
        unit = self._unit(task)
        if unit is None:
            return None
        queue = self._behind.get(unit)
        if queue:
            return queue.popleft()
        self._behind.pop(unit, None)
        return None

    def clear(self) -> None:
        """Drop what waits."""
        self._behind.clear()

    def _unit(self, task: Task) -> bytes | None:
        match self._ordering:
            case Ordering.KEY:
                return task.consumed.record.key
            case Ordering.PARTITION:
                return _WHOLE
            case Ordering.NONE:
                return None
