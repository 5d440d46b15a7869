"""When a task is tried again, and when no more. Pure: randomness and time are arguments."""

import heapq
from collections.abc import Callable, Iterator
from typing import Final

from kafka_bridge.dispatch.ended import Ended, Ending
from kafka_bridge.dispatch.task import Reason, Task

# Full jitter: many records that failed together do not come back together.
# https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/
BASE_S: Final = 1.0
CAP_S: Final = 60.0
# A flow that confuses milliseconds with seconds must not hold its key for weeks.
MAX_RETRY_AFTER_S: Final = 24 * 3600.0
# Beyond this exponent the cap has long been reached; a write may fail for ever.
_MAX_EXPONENT: Final = 30


def delay_s(failures: int, *, random: Callable[[], float], retry_after_s: float | None = None) -> float:
    """Seconds until the next try after `failures` of them; what the flow asked for wins."""
    if retry_after_s is not None:
        return min(MAX_RETRY_AFTER_S, max(0.0, retry_after_s))
    return random() * min(CAP_S, BASE_S * 2.0 ** min(failures - 1, _MAX_EXPONENT))


def is_expired(task: Task, now: float) -> bool:
    """Whether a task is too old to be run."""
    return task.expires is not None and task.expires <= now


def give_up(task: Task, ended: Ended, *, max_attempts: int, now: float) -> Reason | None:
    """Why a task whose run did not succeed is not tried again; None: it is."""
    if ended.ending is Ending.REFUSED:
        return Reason.REFUSED
    if task.attempts >= max_attempts:
        return Reason.ATTEMPTS
    return Reason.EXPIRED if is_expired(task, now) else None


class Delayed:
    """Tasks that wait for their time, the earliest first."""

    __slots__ = ("_heap", "_pushed")

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Task]] = []
        self._pushed = 0

    def __len__(self) -> int:
        return len(self._heap)

    @property
    def due(self) -> float | None:
        """When the first one's time comes."""
        return self._heap[0][0] if self._heap else None

    def push(self, task: Task, due: float) -> None:
        """Let a task wait until `due`."""
        self._pushed += 1
        heapq.heappush(self._heap, (due, self._pushed, task))

    def pop(self, now: float) -> Iterator[Task]:
        """Those whose time has come."""
        while self._heap and self._heap[0][0] <= now:
            yield heapq.heappop(self._heap)[2]

    def keep(self, wanted: Callable[[Task], bool]) -> None:
        """Drop all others."""
        self._heap = [entry for entry in self._heap if wanted(entry[2])]
        heapq.heapify(self._heap)
