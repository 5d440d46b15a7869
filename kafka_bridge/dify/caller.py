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

    `on_gone` is told when it is not, `on_look` whenever it was looked at and is. `rest_s`: how rarely to look while
    nothing is under way for him.
    """

    def __init__(
        self,
        ask: Callable[[], object],
        loop: Loop,
        on_gone: Task = lambda: None,
        *,
        on_look: Task = lambda: None,
        rest_s: float = 0.0,
    ) -> None:
        self._ask = ask
        self._loop = loop
        self._on_gone = on_gone
        self._on_look = on_look
        self._rest_s = rest_s
        self._interrupts: set[Task] = set()
        self._waiter: Waiter | None = None
        self._over, self._gone = True, False
        # Whether anything was called for since the last look; and whether the next look is far away because of that.
        self._called = self._rests = False

    def call[T](self, task: Callable[[], T]) -> T:
        """What `task` gives. Raises Interrupted when the caller goes meanwhile, or has gone."""
        if self._gone:
            raise Interrupted
        self._called = True
        if self._rests:
            self._rouse()
        with self._loop.interruptible() as interrupt:
            self._interrupts.add(interrupt)
            try:
                return task()
            finally:
                self._interrupts.discard(interrupt)

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Look now and then whether the caller is there; what it called for is interrupted when it is not."""
        self._over = False
        self._loop.spawn(self._watch)
        try:
            yield
        finally:
            self._over = True
            self._rouse()

    def check(self) -> None:
        """Look now: return when it is known."""
        missed = 0
        while not self._gone and missed < MISSES:
            if answers(self._ask, self._loop, ANSWER_S):
                return
            missed += 1
        if not self._over and not self._gone:
            self._gone = True
            self._on_gone()
            for interrupt in tuple(self._interrupts):
                interrupt()

    def _watch(self) -> None:
        while not self._over and not self._gone:
            waiter = self._waiter = self._loop.waiter()
            self._rests = self._rest_s > LOOK_S and not (self._called or self._interrupts)
            self._called = False
            if not waiter.wait(self._rest_s if self._rests else LOOK_S):
                self.check()
                if self._waiter is waiter and not self._gone:
                    self._on_look()

    def _rouse(self) -> None:
        self._rests = False
        if self._waiter is not None:
            waiter, self._waiter = self._waiter, None
            waiter.wake()
