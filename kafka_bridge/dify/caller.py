"""Whether whoever sent a request still waits for its answer.

Nobody tells a plugin that its caller has gone. What it asks of its session from then on is dropped without a word, and
a run that is under way is never answered: it would keep its slot, and the window its endpoint, as long as any run may.
So while there are runs the session is asked now and then for something that the daemon answers by itself.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from kafka_bridge.broker.loops import Interrupted, Loop, Task, Waiter

LOOK_S: Final = 2.0
# The daemon answers within a millisecond. Twice without an answer: once may be a process that had no time to read it.
ANSWER_S: Final = 4.0
MISSES: Final = 2


def answers(ask: Callable[[], object], loop: Loop, within_s: float) -> bool:
    """Whether the session of a request gives an answer, whatever it says."""
    try:
        with loop.deadline(within_s):
            ask()
    except TimeoutError:
        return False
    except Exception:  # noqa: BLE001 - the SDK raises a bare one for whatever the daemon says
        return True
    return True


class Caller:
    """The other end of one open request. `ask` returns, or raises whatever it likes, if the session is alive.

    `on_gone` is told when it is not, `on_look` whenever it was looked at and is.
    """

    def __init__(
        self, ask: Callable[[], object], loop: Loop, on_gone: Task = lambda: None, *, on_look: Task = lambda: None
    ) -> None:
        self._ask = ask
        self._loop = loop
        self._on_gone = on_gone
        self._on_look = on_look
        self._interrupts: set[Task] = set()
        self._waiter: Waiter | None = None
        self._gone = False

    def call[T](self, task: Callable[[], T]) -> T:
        """What `task` gives. Raises Interrupted when the caller goes meanwhile, or has gone."""
        if self._gone:
            raise Interrupted
        with self._loop.interruptible() as interrupt:
            self._interrupts.add(interrupt)
            try:
                return task()
            finally:
                self._interrupts.discard(interrupt)

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Look now and then whether the caller is there; what it called for is interrupted when it is not."""
        self._waiter = self._loop.waiter()
        self._loop.spawn(self._watch)
        try:
            yield
        finally:
            waiter, self._waiter = self._waiter, None
            waiter.wake()

    def check(self) -> None:
        """Look now: return when it is known."""
        missed = 0
        while not self._gone and missed < MISSES:
            if answers(self._ask, self._loop, ANSWER_S):
                return
            missed += 1
        if self._waiter is not None and not self._gone:
            self._gone = True
            self._on_gone()
            for interrupt in tuple(self._interrupts):
                interrupt()

    def _watch(self) -> None:
        while (waiter := self._waiter) is not None and not self._gone:
            if not waiter.wait(LOOK_S):
                self.check()
                if self._waiter is waiter and not self._gone:
                    self._on_look()
