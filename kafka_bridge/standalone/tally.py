"""What has happened since the start, as plain numbers; and a log line for what went wrong. Implements `Listener`.

Everything is called with the loop's lock held.
"""

import logging
from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from kafka_bridge.dispatch.ended import Ended, Ending
from kafka_bridge.dispatch.task import Task
from kafka_bridge.ratelimit import RateLimit

logger = logging.getLogger(__name__)

# From a function that does nothing to a workflow that takes as long as Dify lets it.
BUCKETS_S: Final = (0.005, 0.025, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0)
# Lines of a kind that are written at once, and then one in so many seconds.
BURST: Final = 10
INTERVAL_S: Final = 1.0
# These are of the record; the others are of Dify, and the dispatcher says once when they begin and end.
_FAILURES: Final = frozenset({Ending.FAILED, Ending.UNKNOWN, Ending.REFUSED})


@dataclass(slots=True)
class Durations:
    """A histogram: `counts` has one number for each bound, and one for what is above the last."""

    counts: list[int] = field(default_factory=lambda: [0] * (len(BUCKETS_S) + 1))
    sum_s: float = 0.0

    def add(self, duration_s: float) -> None:
        """One more."""
        self.counts[bisect_left(BUCKETS_S, duration_s)] += 1
        self.sum_s += duration_s


class Tally:
    """`runs` counts by how they ended; `retried` those of a record that had failed before."""

    def __init__(self, *, max_attempts: int, monotonic: Callable[[], float]) -> None:
        self.runs = dict.fromkeys(Ending, 0)
        self.retried = 0
        self.dead_letters = 0
        self.durations = Durations()
        self._max_attempts = max_attempts
        self._monotonic = monotonic
        self._limit = RateLimit(burst=BURST, interval_s=INTERVAL_S)

    @property
    def succeeded(self) -> int:
        """Runs that did."""
        return self.runs[Ending.DONE]

    @property
    def failed(self) -> int:
        """Runs that count as attempts, and did not succeed."""
        return sum(self.runs[ending] for ending in _FAILURES)

    def ran(self, task: Task, ended: Ended) -> None:
        self.runs[ended.ending] += 1
        self.durations.add(ended.duration_s)
        if task.attempts > 1:
            self.retried += 1
        if ended.ending in _FAILURES:
            run = f"run {ended.run_id} " if ended.run_id else "the run "
            self._note(
                "failed",
                "%sof %s[%d], offset %d, attempt %d of %d %s: %s%s",
                run,
                *_place(task),
                task.attempts,
                self._max_attempts,
                "ended in an unknown way" if ended.ending is Ending.UNKNOWN else ended.ending.value,
                ended.error or "no reason is known",
            )

    def dead_lettered(self, task: Task) -> None:
        self.dead_letters += 1
        reason = task.reason.value if task.reason else "failed"
        self._note(
            "dead letter",
            "dead-lettered %s[%d], offset %d: %s after %d attempts%s",
            *_place(task),
            reason,
            task.attempts,
        )

    def _note(self, kind: str, text: str, *values: object) -> None:
        held_back = self._limit.take(kind, now=self._monotonic())
        if held_back is not None:
            logger.warning(text, *values, f" (and {held_back} more like this)" if held_back else "")


def _place(task: Task) -> tuple[str, int, int]:
    return task.position.topic, task.position.partition, task.consumed.offset
