"""Decides what is run, written, tried again, dead-lettered, paused and committed. Pure: facts in, commands out.

Whoever drives it tells it every fact as it happens and carries out every command; one caller at a time. Offsets,
order, retries, the circuit and the intake have modules of their own; here they meet.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from math import inf
from typing import NamedTuple

from kafka_bridge.dispatch import retry
from kafka_bridge.dispatch.board import Board
from kafka_bridge.dispatch.breaker import Breaker, Circuit
from kafka_bridge.dispatch.ended import Ended, Ending
from kafka_bridge.dispatch.flow import Flow, Intake
from kafka_bridge.dispatch.lane import Lane
from kafka_bridge.dispatch.policy import Policy
from kafka_bridge.dispatch.task import IllegalFact, Place, Reason, Task, Writing, expiry, size_bytes
from kafka_bridge.events.record import Consumed, TopicPartition


class Run(NamedTuple):
    """Run this; then tell `end`. It occupies one of `concurrency`. `first`: it was never started before."""

    task: Task
    first: bool


class Write(NamedTuple):
    """Write this task's result or dead letter; then tell `wrote` or `not_written`."""

    task: Task
    kind: Writing


class Engine:
    """The facts are methods without a result; each raises IllegalFact when it cannot be, and then changes nothing.

    `now` is monotonic seconds, `unix` unix seconds, `random` gives numbers from 0 to 1.
    """

    def __init__(self, policy: Policy, *, random: Callable[[], float]) -> None:
        self.policy = policy
        self._random = random
        self._board = Board()
        self._breaker = Breaker(random=random)
        self._intake = Intake(records=policy.buffer_records, size_bytes=policy.buffer_bytes, ahead=policy.ahead)
        self._now = 0.0

    # Facts.

    def assign(self, partitions: Iterable[TopicPartition]) -> None:
        """These are ours now, besides the others."""
        positions = tuple(dict.fromkeys(partitions))
        self._board.assign(positions, self.policy.ordering)
        self._intake.assign(positions)

    def receive(self, records: Sequence[Consumed], *, now: float, unix: float) -> None:
        """Records came, ascending in each partition. What is not, or no longer, ours is dropped."""
        board = self._board
        admitted = board.admit(records)
        self._now = now
        for lane, consumed in admitted:
            record = consumed.record
            expires = expiry(record, self.policy.max_age_s, now=now, unix=unix)
            task = Task(consumed, lane.position, lane.number, size_bytes(record), expires)
            lane.offsets.receive(consumed)
            board.move(task, lane, Place.WAITING)
            if lane.shards.add(task):
                board.make_ready(task, lane)
        for lane in {lane for lane, _ in admitted}:
            if lane.offsets.to_commit is not None:
                board.moved.add(lane)
            self._intake.look(lane)

    def end(self, task: Task, ended: Ended, *, now: float, unix: float) -> None:
        """A run ended. If its partition is forgotten, its slot is free again and that is all."""
        if not task.started or task.writing is not None:
            raise IllegalFact(f"{task} ended, which does not run")
        self._now = now
        task.started = False
        lane = self._board.lane_of(task)
        if lane is None:
            self._board.move(task, None, Place.OUT)
            return
        self._breaker.end(task, ended, now=now, unix=unix)
        if ended.ending is not Ending.NOT_STARTED:
            task.last = ended
        match ended.ending:
            case Ending.DONE:
                task.attempts += 1
                if self.policy.results:
                    self._write(task, lane, Writing.RESULT)
                else:
                    self._finish(task, lane)
            case Ending.FAILED | Ending.UNKNOWN | Ending.REFUSED:
                self._failed(task, lane, ended, now=now, unix=unix)
            case Ending.UNAVAILABLE | Ending.MISCONFIGURED | Ending.NOT_STARTED:
                self._put_back(task, lane)

    def wrote(self, task: Task) -> None:
        """The result or dead letter is acknowledged: the task is done."""
        lane = self._written(task)
        if lane is not None:
            if task.write_failures:
                self._board.unblock(lane)
            self._finish(task, lane)

    def not_written(self, task: Task, error: str, *, now: float, final: bool = False) -> None:
        """It is not: it is written again after a while, and until that succeeds its partition is blocked.

        `final`: this can never be written. A result becomes a dead letter then; for a dead letter a person has to act.
        """
        lane = self._written(task)
        self._now = now
        if lane is not None and final and task.writing is Writing.RESULT:
            if task.write_failures:
                self._board.unblock(lane)
            task.write_failures = 0
            self._bury(task, lane, Reason.RESULT)
        elif lane is not None:
            if not task.write_failures:
                self._board.block(lane)
            task.write_failures += 1
            lane.trouble = error
            self._board.delayed.push(task, now + retry.delay_s(task.write_failures, random=self._random))

    def revoke(self, partitions: Iterable[TopicPartition]) -> None:
        """These go: nothing more of them is run, what waits is dropped. What was started may end and be written."""
        positions = self._known(partitions)
        self._board.revoke(positions)
        self._intake.revoke(positions)

    def forget(self, partitions: Iterable[TopicPartition]) -> None:
        """These are gone: what was started of them tells nothing any more, but keeps its slot until it ends."""
        positions = self._known(partitions)
        self._board.forget(positions)
        self._intake.revoke(positions)
        self._breaker.abandon(lambda task: self._board.lane_of(task) is None)

    def committed(self, offsets: Mapping[TopicPartition, int]) -> None:
        """The broker has these next offsets. Of a partition that is not ours it means nothing."""
        lanes = [(self._board.lanes[position], offsets[position]) for position in self._known(offsets)]
        for lane, offset in lanes:
            lane.offsets.check(offset)
        for lane, offset in lanes:
            lane.offsets.commit(offset)
            if lane.offsets.to_commit is None:
                self._board.moved.discard(lane)

    # Commands.

    def start(self, *, now: float, unix: float, runs: bool = True, fresh: int | None = None) -> Sequence[Run | Write]:
        """All that can be started now; no `runs`, or only `fresh` of those that never were, None being any number."""
        board, commands = self._board, list[Run | Write]()
        self._now = now
        for task in board.delayed.pop(now):
            self._wake(task)
        while runs and board.ready and board.running < self.policy.concurrency and self._breaker.allows(now):
            first = board.ready[0].since is None
            if first and fresh is not None and (fresh := fresh - 1) < 0:
                # What is tried again stands before them.
                break
            task = board.ready.popleft()
            lane = board.lanes[task.position]
            if self._breaker.circuit is None and retry.is_expired(task, now):
                self._bury(task, lane, Reason.EXPIRED)
                continue
            self._breaker.start(task)
            board.move(task, lane, Place.RUNNING)
            task.started, task.since = True, unix
            commands.append(Run(task, first))
        while board.to_write:
            task = board.to_write.popleft()
            assert task.writing is not None
            task.started = True
            commands.append(Write(task, task.writing))
        return commands

    def flow(self) -> Flow:
        """Whose intake is to be paused or resumed since the last call."""
        # With nothing to probe with, an open circuit that paused everything would stay open for ever.
        stop = self._breaker.circuit is not None and (bool(self._board.ready) or self._breaker.probing)
        return self._intake.flow(self._board, stop=stop)

    def commits(self) -> Mapping[TopicPartition, int]:
        """Next offsets that may be committed and are not; also of revoked partitions, until they are forgotten."""
        return {lane.position: offset for lane in self._board.moved if (offset := lane.offsets.to_commit) is not None}

    def due(self) -> float | None:
        """When `start` may give something although nothing happens; None: only a fact can help."""
        board, circuit = self._board, self._breaker.circuit
        if board.to_write:
            return self._now
        times = [board.delayed.due] if board.delayed.due is not None else []
        if board.ready and board.running < self.policy.concurrency and not self._breaker.probing:
            times.append(self._now if circuit is None else circuit.next_probe)
        return min(times, default=None)

    # Looks.

    def in_flight(self, partitions: Iterable[TopicPartition] | None = None) -> int:
        """Runs, and writes until they are acknowledged; of all partitions with the runs of forgotten ones."""
        if partitions is None:
            return self._board.total.in_flight
        return sum(self._board.lanes[position].tally.in_flight for position in self._known(partitions))

    @property
    def buffered(self) -> int:
        """Records that wait to be run, or to be run again."""
        return self._board.total.count[Place.WAITING]

    @property
    def idle(self) -> bool:
        """Whether nothing waits, runs or is written."""
        return not any(self._board.total.count)

    @property
    def blocked(self) -> Mapping[TopicPartition, str]:
        """Partitions of which nothing is run because something cannot be written, and why not."""
        return {position: lane.trouble for position, lane in self._board.blocked.items()}

    @property
    def circuit(self) -> Circuit | None:
        """The open circuit."""
        return self._breaker.circuit

    @property
    def assigned(self) -> Collection[TopicPartition]:
        """The partitions that are ours and not revoked."""
        return [position for position, lane in self._board.lanes.items() if not lane.draining]

    @property
    def positions(self) -> Mapping[TopicPartition, int | None]:
        """The same with where each goes on after a restart; None before its first record."""
        return {position: self._board.lanes[position].offsets.committable for position in self.assigned}

    # What becomes of a task.

    def _known(self, partitions: Iterable[TopicPartition]) -> list[TopicPartition]:
        return [position for position in dict.fromkeys(partitions) if position in self._board.lanes]

    def _finish(self, task: Task, lane: Lane) -> None:
        self._board.move(task, lane, Place.OUT)
        if lane.offsets.finish(task.consumed.offset):
            self._board.moved.add(lane)
            self._intake.look(lane)
        following = lane.shards.finish(task)
        if following is not None:
            self._board.make_ready(following, lane)

    def _failed(self, task: Task, lane: Lane, ended: Ended, *, now: float, unix: float) -> None:
        task.attempts += 1
        task.last_failure = unix
        task.first_failure = unix if task.first_failure is None else task.first_failure
        reason = retry.give_up(task, ended, max_attempts=self.policy.max_attempts, now=now)
        if reason is not None:
            self._bury(task, lane, reason)
        else:
            delay_s = retry.delay_s(task.attempts, random=self._random, retry_after_s=ended.retry_after_s)
            # A record that is too old by then need not hold its unit any longer.
            self._put_back(task, lane, due=min(now + delay_s, inf if task.expires is None else task.expires))

    def _put_back(self, task: Task, lane: Lane, *, due: float | None = None) -> None:
        """To its place at the head of its unit, where it waits until `due`; a revoked partition has no such place."""
        self._board.move(task, lane, Place.OUT if lane.draining else Place.WAITING)
        if lane.draining:
            return
        if due is None:
            self._board.make_ready(task, lane, first=True)
        else:
            self._board.delayed.push(task, due)

    def _bury(self, task: Task, lane: Lane, reason: Reason) -> None:
        task.reason = reason
        self._write(task, lane, Writing.DEAD_LETTER)

    def _write(self, task: Task, lane: Lane, kind: Writing) -> None:
        task.writing = kind
        self._board.move(task, lane, Place.WRITING)
        self._board.to_write.append(task)

    def _written(self, task: Task) -> Lane | None:
        """The lane of a task whose write is over, if it is still known. Raises IllegalFact."""
        if not task.started or task.writing is None:
            raise IllegalFact(f"{task} was written, which is not being written")
        task.started = False
        return self._board.lane_of(task)

    def _wake(self, task: Task) -> None:
        if task.writing is not None:
            self._board.to_write.append(task)
        else:
            self._board.make_ready(task, self._board.lanes[task.position], first=True)
