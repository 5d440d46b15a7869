"""Whose intake is paused: the buffer's bounds, with hysteresis. Pure.

The consumer goes on polling while partitions are paused: that keeps it in its group.
"""

from collections.abc import Iterable
from typing import Final, NamedTuple

from kafka_bridge.dispatch.board import Board
from kafka_bridge.dispatch.lane import Lane
from kafka_bridge.events.record import TopicPartition

# What blocked partitions hold does not stop the others; with many of them there is an end to that too.
MOST: Final = 4


class Flow(NamedTuple):
    """Partitions to pause and to resume. `idle`: nothing can become due by itself."""

    pause: tuple[TopicPartition, ...] = ()
    resume: tuple[TopicPartition, ...] = ()
    idle: bool = False


class _Latch:
    """Shut from its limit on, open again from half of it down: what is paused stays so for a while."""

    __slots__ = ("_limit", "_shut")

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._shut = False

    def look(self, load: int) -> bool:
        self._shut = load > self._limit // 2 if self._shut else load >= self._limit
        return self._shut


class Intake:
    """What is paused now, and why."""

    __slots__ = ("_ahead", "_all_bytes", "_all_records", "_bytes", "_far", "_ours", "_paused", "_records")

    def __init__(self, *, records: int, size_bytes: int, ahead: int) -> None:
        self._records, self._all_records = _Latch(records), _Latch(records * MOST)
        self._bytes, self._all_bytes = _Latch(size_bytes), _Latch(size_bytes * MOST)
        self._ahead = ahead
        self._ours: set[TopicPartition] = set()
        # Those that are too far ahead of their commit point, and those of ours that are paused.
        self._far: set[TopicPartition] = set()
        self._paused: set[TopicPartition] = set()

    def assign(self, positions: Iterable[TopicPartition]) -> None:
        """These are ours, and not paused."""
        self._ours.update(positions)

    def look(self, lane: Lane) -> None:
        """A partition's span has changed."""
        if lane.offsets.span >= self._ahead:
            self._far.add(lane.position)
        elif self._far and lane.offsets.span <= self._ahead // 2:
            self._far.discard(lane.position)

    def revoke(self, positions: Iterable[TopicPartition]) -> None:
        """These are not ours any more: what the consumer does with them is nobody's business."""
        self._ours.difference_update(positions)
        self._far.difference_update(positions)
        self._paused.difference_update(positions)

    def flow(self, board: Board, *, stop: bool) -> Flow:
        """What changes. `stop`: nothing may come, whatever there is room for."""
        full = self._is_full(board)
        if stop or full:
            wanted = self._ours
            if len(self._paused) == len(wanted):
                return Flow()
        elif self._far or board.blocked or self._paused:
            wanted = self._far.union(board.blocked) & self._ours
        else:
            return Flow()
        flow = Flow(tuple(wanted - self._paused), tuple(self._paused - wanted))
        self._paused = set(wanted)
        return flow

    def _is_full(self, board: Board) -> bool:
        records, size_bytes = board.total.held, board.total.held_bytes
        shut = [self._all_records.look(records), self._all_bytes.look(size_bytes)]
        for lane in board.blocked.values():
            records -= lane.tally.held
            size_bytes -= lane.tally.held_bytes
        # Each latch has to see every load.
        return any([*shut, self._records.look(records), self._bytes.look(size_bytes)])
