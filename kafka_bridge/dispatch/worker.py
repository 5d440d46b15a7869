"""Carries out what the engine decides: reads through a member of the group, runs records, writes, commits.

A driver opens a `Window` with a runner. While one is open records are started; one at a time, but what runs in one that
is over keeps nobody from opening the next. Between windows the member stays in its group and what it has read waits,
bounded. All state is the loop's (`broker.loops`): whoever touches it holds its lock.
Who has run a record takes the next one itself: handing over to another thread costs more than what is decided here.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import inf

from kafka_bridge.broker.loops import Loop
from kafka_bridge.broker.ports import Consumer, Position
from kafka_bridge.clock import Clock
from kafka_bridge.dispatch.ended import Ended, Ending
from kafka_bridge.dispatch.engine import Engine, Run, Write
from kafka_bridge.dispatch.flow import Flow
from kafka_bridge.dispatch.gate import Gate
from kafka_bridge.dispatch.member import Member
from kafka_bridge.dispatch.news import Listener, News
from kafka_bridge.dispatch.plan import Plan
from kafka_bridge.dispatch.task import Task, Writing
from kafka_bridge.dispatch.trouble import Trouble
from kafka_bridge.dispatch.window import EndedBy, Report, Runner, Window, end_of
from kafka_bridge.dispatch.writer import Send, Writer
from kafka_bridge.errors import BridgeError, Busy, Refused, Unavailable, Unreadable
from kafka_bridge.events.record import Consumed, TopicPartition


class Dispatcher:
    """See the module's docstring. Implements `desk.Desk`; `send` publishes results and dead letters."""

    def __init__(
        self,
        plan: Plan,
        *,
        make_consumer: Callable[[], Consumer],
        send: Send,
        listener: Listener,
        loop: Loop,
        clock: Clock,
        random: Callable[[], float],
        idle_s: float = inf,
        on_idle: Callable[[], None] = lambda: None,
    ) -> None:
        """`idle_s`: after so long without a window it stops by itself, and calls `on_idle` on the loop."""
        self.plan = plan
        self._idle_s = idle_s
        self._on_idle = on_idle
        self._listener = listener
        self.loop = loop
        self._clock = clock
        self._engine = Engine(plan.policy, random=random)
        self.member = Member(make_consumer, topics=plan.topics, start=plan.start, desk=self, loop=loop, clock=clock)
        self._news = News(plan.name, loop)
        self._window: Window | None = None
        self._drivers = 0
        self._writer = Writer(send, lambda write: plan.record_of(write.task, write.kind), told=self._told, loop=loop)
        self._at_end = False
        self.trouble = Trouble()
        self.used_at = clock.monotonic()

    # For drivers.

    def start(self) -> None:
        """Join the group."""
        self.loop.start_thread(self.member.run)

    def close(self, window: Window | None = None) -> None:
        """Start nothing more in that window, or in whichever is open: it ends with what runs."""
        with self.loop.lock:
            if (closing := window or self._window) is not None:
                closing.closing = True
                closing.wake()

    def stop(self) -> None:
        """Leave the group once what runs has ended, or after the drain's bound; what is done is committed."""
        with self.loop.lock:
            self.close()
            self.member.stop()

    def run(
        self, runner: Runner, *, max_records: int | None = None, max_s: float | None = None, patient: bool = False
    ) -> Report:
        """Run records until one of the bounds, or until there are none; see `serve`."""
        return self.serve(Window(runner, left=max_records, patient=patient), max_s=max_s)

    def serve(self, window: Window, *, max_s: float | None = None) -> Report:
        """Open the window for so long; returns when what was started in it has ended.

        Raises Busy while another window is open or when the group is left, Unavailable or SettingsInvalid when nothing
        can be read.
        """
        gate = Gate(self.loop, self._clock.monotonic)
        with self.loop.lock:
            if self.is_open or self.member.has_left:
                raise Busy("This endpoint's consumer is at work already.")
            before, self._window = self._window, window
            if before is not None:
                before.wake()
            self._at_end, self.used_at, window.wake = False, self._clock.monotonic(), gate.open
            self._drivers += 1
        try:
            with self.loop.lock:
                self._advance()
            until = None if max_s is None else self._clock.monotonic() + max_s
            gate.wait(until, lambda: window.ended_by is not None or window.closing)
            with self.loop.lock:
                window.closing = True
                window.on_over()
            # Each run has a time of its own, and each write one of the producer's; a window that came after this one
            # has the writes.
            gate.wait(None, lambda: not (window.running or (self._window is window and self._writer.busy)))
            return self._report(window)
        finally:
            with self.loop.lock:
                self._drivers -= 1
                self.used_at = self._clock.monotonic()
                if self._window is window:
                    self._window = None

    @property
    def engine(self) -> Engine:
        """For looking at: what waits, runs, is blocked."""
        return self._engine

    @property
    def busy(self) -> bool:
        """Whether a window is open, or its last runs have not ended."""
        return self._drivers > 0

    @property
    def is_open(self) -> bool:
        """Whether records are started."""
        return self._window is not None and not self._window.closing

    def _report(self, window: Window) -> Report:
        inquiry = self.member.inquire()
        with self.loop.lock:
            error = self.trouble.error
            if error is not None and not window.counts.consumed and (not self._engine.assigned or self._is_hopeless):
                raise Unreadable(error.cause, error.hint) if isinstance(error, Unavailable) else error
            circuit = self._engine.circuit
            return Report(
                counts=window.counts,
                ended_by=window.ended_by or (EndedBy.PAUSED if circuit else EndedBy.MAX_SECONDS),
                lag=inquiry.lag,
                reason=circuit.reason if circuit else str(error or ""),
                blocked=self._engine.blocked,
            )

    # What the member tells.

    def assigned(self, positions: Mapping[TopicPartition, Position]) -> None:
        self._engine.assign(positions)
        self.trouble.clear()
        self._news.assigned(positions)

    def revoked(self, partitions: Sequence[TopicPartition]) -> None:
        self._engine.revoke(partitions)

    def in_flight(self, partitions: Sequence[TopicPartition]) -> int:
        # Also what is to be written again while they drain.
        self._advance()
        return self._engine.in_flight(partitions)

    def gone(self, partitions: Sequence[TopicPartition] | None) -> None:
        going = list(self._engine.assigned) if partitions is None else partitions
        self._engine.revoke(going)
        self._engine.forget(going)
        if self._window is not None:
            self._window.gone(frozenset(going).__contains__)
        self._look()

    def arrived(self, records: Sequence[Consumed], *, at_end: bool) -> Flow:
        self._at_end = at_end and not records
        if records:
            self.trouble.clear()
            self._news.recovered()
            self._engine.receive(records, now=self._clock.monotonic(), unix=self._clock.now())
        if not self._drivers and self._clock.monotonic() - self.used_at > self._idle_s:
            self.used_at = inf
            self.member.stop()
            self._on_idle()
        due = self._engine.due()
        if records or (due is not None and due <= self._clock.monotonic()):
            self._advance()
        else:
            self._look()
        return self._engine.flow()._replace(idle=self._engine.idle)

    def committable(self) -> Mapping[TopicPartition, int]:
        return self._engine.commits()

    def committed(self, offsets: Mapping[TopicPartition, int]) -> None:
        self._engine.committed(offsets)

    def troubled(self, error: BridgeError) -> None:
        self._news.troubled(error)
        self.trouble.note(error, self._clock.monotonic())
        self._look()

    def answered(self) -> None:
        if self.trouble.answered():
            self._news.recovered()

    def left(self) -> None:
        self.stop()

    # Carrying out.

    def _advance(self) -> None:
        for run in self._runs():
            self.loop.spawn(run)

    def _runs(self) -> "list[_Run]":
        """Start what may be started; gives what is to be run."""
        window, runs = self._window, list[_Run]()
        now, unix = self._clock.monotonic(), self._clock.now()
        stopped = window is None or window.closing
        left = None if window is None else window.left
        for command in self._engine.start(now=now, unix=unix, runs=not stopped, fresh=left):
            if isinstance(command, Run):
                assert window is not None
                window.began(command.task, first=command.first)
                runs.append(_Run(self, command.task, window))
            else:
                self._writer.put(command)
        self._look()
        return runs

    def after(self, task: Task, ended: Ended, window: Window) -> "_Run | None":
        """A run ended: what whoever ran it may run next, maybe in another window. With the loop's lock held."""
        self._engine.end(task, ended, now=self._clock.monotonic(), unix=self._clock.now())
        window.ended(ended)
        self._listener.ran(task, ended)
        if ended.ending is Ending.DONE and task.writing is None:
            window.done(task)
        if window is not self._window:
            window.wake()
        runs = self._runs()
        for other in runs[1:]:
            self.loop.spawn(other)
        return runs[0] if runs else None

    def _told(self, writes: Sequence[Write], error: BridgeError | None) -> None:
        for write in writes:
            self._written(write, error)
        self._advance()

    def _written(self, write: Write, error: BridgeError | None) -> None:
        task = write.task
        if error is not None:
            self._news.not_written(write, error)
            final = isinstance(error, Refused)
            self._engine.not_written(task, str(error), now=self._clock.monotonic(), final=final)
            return
        self._engine.wrote(task)
        if write.kind is Writing.DEAD_LETTER:
            self._listener.dead_lettered(task)
            if self._window is not None:
                self._window.buried(task, untried=task.since is None)
        if self._window is not None:
            self._window.done(task)

    def _look(self) -> None:
        """Whether the open window has come to its end, or whoever waits for its last run can go on."""
        self._news.circuit(self._engine.circuit)
        window = self._window
        if window is None:
            return
        if not window.closing and window.ended_by is None:
            window.ended_by = end_of(window, self._engine, at_end=self._at_end, hopeless=self._is_hopeless)
        if window.ended_by is not None or window.closing:
            window.wake()

    @property
    def _is_hopeless(self) -> bool:
        return self.trouble.is_hopeless(self._clock.monotonic(), assigned=bool(self._engine.assigned))


@dataclass(frozen=True, slots=True)
class _Run:
    """What is spawned: runs a task, and then what may follow."""

    dispatcher: Dispatcher
    task: Task
    window: Window

    def __call__(self) -> None:
        run: _Run | None = self
        while run is not None:
            try:
                ended = run.window.runner(run.task)
            except BaseException as error:  # noqa: BLE001 - its slot would be taken, and its window open, for ever
                ended = Ended(Ending.UNKNOWN, error=f"the run was broken off ({type(error).__name__})")
            with self.dispatcher.loop.lock:
                run = self.dispatcher.after(run.task, ended, run.window)
