"""Reads records until there are enough of them. On the thread of an errand: everything here may block."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from kafka_bridge.broker.ports import ClientDead, Reader, Start
from kafka_bridge.clock import Clock
from kafka_bridge.dispatch.trouble import HEALS, HEALS_S
from kafka_bridge.errors import BridgeError, Unavailable
from kafka_bridge.events.record import Consumed, TopicPartition
from kafka_bridge.tooling.items import Collected
from kafka_bridge.tooling.selection import Limits

POLL_S: Final = 0.1
POLL_RECORDS: Final = 100


class Reason(StrEnum):
    """Why reading has ended."""

    MESSAGES = "max_messages"
    SECONDS = "max_seconds"
    END = "end"
    SIZE = "size"
    STOPPED = "stopped"


@dataclass(slots=True)
class Progress:
    """What has been read. `positions` are the next offsets after all that was looked at."""

    positions: dict[TopicPartition, int] = field(default_factory=dict)
    collected: Collected = field(default_factory=Collected)
    looked_at: int = 0


class Reading:
    """One call's reading. `stopped` says that nobody waits for it any more."""

    def __init__(
        self,
        reader: Reader,
        limits: Limits,
        wanted: Callable[[Consumed], bool],
        *,
        clock: Clock,
        stopped: Callable[[], bool],
    ) -> None:
        self._reader = reader
        self._limits = limits
        self._wanted = wanted
        self._clock = clock
        self._stopped = stopped
        self._troubled_at: float | None = None
        self.progress = Progress()

    def assigned(self, starts: Mapping[TopicPartition, int], ends: Mapping[TopicPartition, int]) -> Reason:
        """Read these partitions from these offsets, up to what were their ends. Raises BridgeError."""
        self.progress.positions.update(starts)
        self._reader.assign(starts)
        return self._read(lambda: self._is_done(ends))

    def member(self, topics: Sequence[str], start: Start, *, join_s: float) -> Reason:
        """Read as a member of the reader's group, which takes a while to join. Raises BridgeError."""
        joined: list[bool] = []

        def gone(partitions: Sequence[TopicPartition]) -> None:
            # Committed is only what is still ours when the call succeeds: the next owner reads the rest again.
            for at in partitions:
                self.progress.positions.pop(at, None)

        self._reader.subscribe(
            topics, start=start, on_assigned=lambda _: joined.append(True), on_revoked=gone, on_lost=gone
        )
        deadline = self._clock.monotonic() + join_s
        while not joined:
            if reason := self._turn(deadline):
                return reason
        return self._read(lambda: bool(self.progress.collected.items) and self._reader.at_end)

    def _read(self, is_done: Callable[[], bool]) -> Reason:
        deadline = self._clock.monotonic() + self._limits.seconds
        while True:
            if len(self.progress.collected.items) >= self._limits.messages:
                return Reason.MESSAGES
            if not self._limits.waits and is_done():
                return Reason.END
            if reason := self._turn(deadline):
                return reason

    def _turn(self, deadline: float) -> Reason | None:
        """Look at what comes within a moment; a reason where that is the end."""
        if self._stopped():
            return Reason.STOPPED
        if self._clock.monotonic() >= deadline:
            return Reason.SECONDS
        for consumed in self._poll(deadline):
            if not self._look(consumed):
                return Reason.SIZE
            if len(self.progress.collected.items) >= self._limits.messages:
                return Reason.MESSAGES
        return None

    def _look(self, consumed: Consumed) -> bool:
        """Look at one record; False where it is wanted, and there is no room for it."""
        if self._wanted(consumed) and not self.progress.collected.add(consumed):
            return False
        self.progress.positions[consumed.position] = consumed.next_offset
        self.progress.looked_at += 1
        return True

    def _poll(self, deadline: float) -> Sequence[Consumed]:
        wait_s = max(0.0, min(POLL_S, deadline - self._clock.monotonic()))
        try:
            records = self._reader.poll(wait_s, limit=POLL_RECORDS)
        except ClientDead as dead:
            raise dead.error from dead
        except BridgeError as error:
            now = self._clock.monotonic()
            self._troubled_at = now if self._troubled_at is None else self._troubled_at
            cause = error.cause if isinstance(error, Unavailable) else None
            if cause not in HEALS or now - self._troubled_at > HEALS_S:
                raise
            return ()
        if records:
            self._troubled_at = None
        return records

    def _is_done(self, ends: Mapping[TopicPartition, int]) -> bool:
        # The last offsets may hold no record: a transaction's marker, or what compaction has removed.
        positions, ended = self.progress.positions, self._reader.ended
        return all(at in ended or positions[at] >= end for at, end in ends.items())
