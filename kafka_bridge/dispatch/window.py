"""What a driver allows the dispatcher: to run records with this runner, so many of them, until it is closed. Pure."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from kafka_bridge.dispatch.ended import Ended, Ending
from kafka_bridge.dispatch.engine import Engine
from kafka_bridge.dispatch.task import Task
from kafka_bridge.events.record import TopicPartition

type Runner = Callable[[Task], Ended]
"""Runs the app for one record and says how that ended. Never raises."""


class EndedBy(StrEnum):
    """Why a window came to its end."""

    MAX_RECORDS = "max_records"
    MAX_SECONDS = "max_seconds"
    CAUGHT_UP = "caught_up"
    """Nothing is left to consume."""
    PAUSED = "paused"
    """The app, or Dify, cannot run anything now."""


@dataclass(slots=True)
class Counts:
    """What happened.

    `consumed`: records that were run for the first time, or dead-lettered without a run; `failed`: runs that did not
    succeed; `retried`: runs of a record after its first.
    """

    consumed: int = 0
    succeeded: int = 0
    failed: int = 0
    retried: int = 0
    dead_lettered: int = 0


@dataclass(slots=True, eq=False)
class Window:
    """An open one. `left` is how many more records may be started, None: any number.

    `patient`: nothing to consume is no reason to end; what comes meanwhile is run at once. `on_over` is called when
    nothing more is started in it: while its last runs end another one may be open. `wake`: its driver is to look again.
    """

    runner: Runner
    left: int | None = None
    patient: bool = False
    on_over: Callable[[], None] = lambda: None
    wake: Callable[[], None] = lambda: None
    counts: Counts = field(default_factory=Counts)
    tasks: set[Task] = field(default_factory=set)
    """Started in this window, and not done yet."""
    running: int = 0
    closing: bool = False
    ended_by: EndedBy | None = None

    def began(self, task: Task, *, first: bool) -> None:
        """A run of `task` starts."""
        self.running += 1
        if first:
            self._take(task)
        else:
            self.counts.retried += 1
            self.tasks.add(task)

    def ended(self, ended: Ended) -> None:
        """A run ended."""
        self.running -= 1
        if ended.ending is Ending.DONE:
            self.counts.succeeded += 1
        elif ended.ending is not Ending.NOT_STARTED:
            self.counts.failed += 1

    def buried(self, task: Task, *, untried: bool) -> None:
        """The dead-letter topic has acknowledged `task`."""
        if untried:
            self._take(task)
        self.counts.dead_lettered += 1

    def done(self, task: Task) -> None:
        """Nothing is left to do for `task`."""
        self.tasks.discard(task)

    def gone(self, is_gone: Callable[[TopicPartition], bool]) -> None:
        """Partitions are somebody else's now, and their records."""
        self.tasks = {task for task in self.tasks if not is_gone(task.position)}

    def _take(self, task: Task) -> None:
        self.counts.consumed += 1
        self.tasks.add(task)
        if self.left is not None:
            self.left -= 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """A window that is over. `lag` is None when the broker did not say; `reason`: what stands in the way."""

    counts: Counts
    ended_by: EndedBy
    lag: int | None
    reason: str = ""
    blocked: Mapping[TopicPartition, str] = field(default_factory=dict)


def end_of(window: Window, engine: Engine, *, at_end: bool, hopeless: bool) -> EndedBy | None:
    """Why a window comes to its end now, if it does.

    `at_end`: everything that lies in the partitions was read; `hopeless`: nothing can be, and waiting is of no use.
    """
    if window.left == 0 and not window.tasks:
        return EndedBy.MAX_RECORDS
    if window.patient:
        return None
    if engine.circuit is not None and engine.circuit.ending is Ending.MISCONFIGURED and not window.running:
        # A person has to act; an outage may be over within the window.
        return EndedBy.PAUSED
    if at_end and engine.idle:
        return EndedBy.CAUGHT_UP
    if hopeless and (engine.idle or not engine.assigned):
        return EndedBy.PAUSED
    return None
