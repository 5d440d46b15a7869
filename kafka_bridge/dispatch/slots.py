"""How many runs there may be at once in the whole process: a few at a time stop a default Dify for everybody.

Pure but for the lock and the waiters of its loop.
"""

from kafka_bridge.broker.loops import Loop, Waiter


class Slots:
    """So many slots, given to those who wait in turn, and to each in the order in which he asked for them."""

    def __init__(self, limit: int, loop: Loop) -> None:
        self._limit = limit
        self._loop = loop
        self._in_use = 0
        # By whose they are, the next one first. A slot that is given on takes its waiter out; `in_use` stays as it is.
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

    def acquire(self, timeout_s: float, whose: object = None) -> bool:
        """Take a slot, which the caller must `release`; False when there was none in time.

        `whose`: however many wait for the same one, everybody else's turn comes as soon.
        """
        with self._loop.lock:
            # While anybody waits none is free: who comes later does not come first.
            if self._in_use < self._limit:
                self._in_use += 1
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
                self.release()
            raise
        # What counts is not whether the time was over, but whether the slot was given at the same moment.
        return not self._withdraw(waiter, whose)

    def release(self) -> None:
        """Give a slot back, or on to the next one."""
        with self._loop.lock:
            if not self._waiting:
                self._in_use -= 1
                return
            whose = next(iter(self._waiting))
            queue = self._waiting.pop(whose)
            waiter = next(iter(queue))
            del queue[waiter]
            if queue:
                self._waiting[whose] = queue
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
