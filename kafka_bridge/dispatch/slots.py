"""How many runs there may be at once in the whole process: a few at a time stop a default Dify for everybody.

Pure but for the lock and the waiters of its loop.
"""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from kafka_bridge.broker.loops import Loop, Waiter


class Slots:
    """So many slots, given to those who wait in turn, and to each in the order in which he asked for them.

    While more than one is `present`, whoever has his share already leaves a quarter of all slots, one at least, to the
    others: so that they need not wait for the end of his runs, which may be far away.
    """

    def __init__(self, limit: int, loop: Loop) -> None:
        self._limit = limit
        self._loop = loop
        self._in_use = 0
        self._held: Counter[object] = Counter()
        self._present: Counter[object] = Counter()
        # By whose they are, the next one first. A slot that is given takes its waiter out.
        self._waiting: dict[object, dict[Waiter, None]] = {}

    @property
    def limit(self) -> int:
        """How many there are."""
        return self._limit

    @property
    def in_use(self) -> int:
        """How many are taken."""
        return self._in_use

    @property
    def waiting(self) -> int:
        """How many callers wait for one."""
        return sum(map(len, self._waiting.values()))

    @contextmanager
    def present(self, whose: object) -> Iterator[None]:
        """Somebody may want slots."""
        with self._loop.lock:
            self._present[whose] += 1
        try:
            yield
        finally:
            with self._loop.lock:
                _take_one(self._present, whose)
                self._give()

    def acquire(self, timeout_s: float, whose: object = None) -> bool:
        """Take a slot, which the caller must `release`; False when there was none in time.

        `whose`: however many wait for the same one, everybody else's turn comes as soon.
        """
        with self._loop.lock:
            # Whoever waits may have none of those that are free: so who comes later does not come first.
            if whose not in self._waiting and self._may_have_one(whose):
                self._take(whose)
                return True
            if timeout_s <= 0:
                return False
            waiter = self._loop.waiter()
            self._waiting.setdefault(whose, {})[waiter] = None
        try:
            waiter.wait(timeout_s)
        except BaseException:
            # A greenlet that is killed while it waits.
            if not self._withdraw(waiter, whose):
                self.release(whose)
            raise
        # What counts is not whether the time was over, but whether the slot was given at the same moment.
        return not self._withdraw(waiter, whose)

    def release(self, whose: object = None) -> None:
        """Give a slot back, or on to the next one."""
        with self._loop.lock:
            self._in_use -= 1
            _take_one(self._held, whose)
            self._give()

    def _may_have_one(self, whose: object) -> bool:
        free, share = self._limit - self._in_use, max(1, self._limit // max(1, len(self._present)))
        if not self._present.keys() - {whose} or self._held[whose] < share:
            return free > 0
        return free > max(1, self._limit // 4)

    def _take(self, whose: object) -> None:
        self._in_use += 1
        self._held[whose] += 1

    def _give(self) -> None:
        """Give what is free to those who may have it."""
        while next_ones := [whose for whose in self._waiting if self._may_have_one(whose)]:
            whose = next_ones[0]
            queue = self._waiting.pop(whose)
            waiter = next(iter(queue))
            del queue[waiter]
            if queue:
                self._waiting[whose] = queue
            self._take(whose)
            waiter.wake()

    def _withdraw(self, waiter: Waiter, whose: object) -> bool:
        """Wait no longer; False when the slot was given already."""
        with self._loop.lock:
            queue = self._waiting.get(whose, {})
            if waiter not in queue:
                return False
            del queue[waiter]
            if not queue:
                del self._waiting[whose]
            return True


def _take_one(counter: Counter[object], whose: object) -> None:
    counter[whose] -= 1
    if not counter[whose]:
        del counter[whose]
