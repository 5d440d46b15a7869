"""The commit point of one partition: why an offset moves, and why it does not. Pure.

*Committable* is the low watermark: the lowest offset that is not finished, or, if all are, the one after the last.
Offsets need not be contiguous: compaction and transactions leave gaps.
"""

from collections import deque

from kafka_bridge.dispatch.task import IllegalFact
from kafka_bridge.events.record import Consumed


class Offsets:
    """What was received of one partition and is not finished; what of it is committed."""

    __slots__ = ("_next", "_order", "_pending", "committed")

    def __init__(self) -> None:
        # Of what was received, from the lowest unfinished on: all of it in order, and the unfinished.
        self._order: deque[int] = deque()
        self._pending: set[int] = set()
        self._next: int | None = None
        self.committed: int | None = None

    @property
    def next(self) -> int | None:
        """The lowest offset that may come next; None before the first record, when any may."""
        return self._next

    @property
    def span(self) -> int:
        """How many records would come again after a restart, finished ones between unfinished ones included."""
        return len(self._order)

    @property
    def committable(self) -> int | None:
        """The offset to read next after a restart; None before the first record."""
        return self._order[0] if self._order else self._next

    @property
    def to_commit(self) -> int | None:
        """What is committable, if it is above what is committed.

        The offset of the first record counts although nothing is finished: without it, a group that starts at the
        latest record would skip the first one after a crash.
        """
        committable = self.committable
        if committable is None or (self.committed is not None and committable <= self.committed):
            return None
        return committable

    def receive(self, consumed: Consumed) -> None:
        """A record came. Raises IllegalFact unless it lies above all before it."""
        offset = consumed.offset
        if self._next is not None and offset < self._next:
            raise IllegalFact(f"offset {offset} was received where {self._next} is the lowest that may come")
        self._order.append(offset)
        self._pending.add(offset)
        self._next = consumed.next_offset

    def finish(self, offset: int) -> bool:
        """A record is done; whether the commit point moved. Raises IllegalFact if it is not one to finish."""
        if offset not in self._pending:
            raise IllegalFact(f"offset {offset} is not unfinished")
        self._pending.remove(offset)
        if self._order[0] != offset:
            return False
        while self._order and self._order[0] not in self._pending:
            self._order.popleft()
        return True

    def check(self, committed: int) -> None:
        """Raises IllegalFact if this cannot have been committed."""
        committable = self.committable
        if committable is None or committed > committable:
            raise IllegalFact(f"offset {committed} was committed, only {committable} may be")

    def commit(self, committed: int) -> None:
        """A next offset is committed; an older one than before changes nothing. Raises IllegalFact."""
        self.check(committed)
        self.committed = committed if self.committed is None else max(self.committed, committed)
