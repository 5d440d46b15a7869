"""How many runs there may be at once in the whole process: a few at a time stop a default Dify for everybody.

Pure but for the lock and the waiters of its loop.
"""

from kafka_bridge.broker.loops import Loop, Waiter


class Slots:
    """So many slots, given in the order in which they were asked for."""

    def __init__(self, limit: int, loop: Loop) -> None:
        self._limit = limit
        self._loop = loop
        self._in_use = 0
        # In their order: a slot that is given to one of them takes it out, and `in_use` stays as it is.
        self._waiting: dict[Waiter, None] = {}

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
        return len(self._waiting)

    def acquire(self, timeout_s: float) -> bool:
        """Take a slot, which the caller must `release`; False when there was none in time."""
        with self._loop.lock:
            # While anybody waits none is free: who comes later does not come first.
            if self._in_use < self._limit:
                self._in_use += 1
                return True
            if timeout_s <= 0:
                return False
            waiter = self._loop.waiter()
            self._waiting[waiter] = None
        try:
            waiter.wait(timeout_s)
        except BaseException:
            # A greenlet that is killed while it waits.
            if not self._withdraw(waiter):
                self.release()
            raise
        # What counts is not whether the time was over, but whether the slot was given at the same moment.
        return not self._withdraw(waiter)

    def release(self) -> None:
        """Give a slot back, or on to the one who has waited longest."""
        with self._loop.lock:
            if not self._waiting:
                self._in_use -= 1
                return
            waiter = next(iter(self._waiting))
            del self._waiting[waiter]
            waiter.wake()

    def _withdraw(self, waiter: Waiter) -> bool:
        """Wait no longer; False when the slot was given already."""
        with self._loop.lock:
            if waiter not in self._waiting:
                return False
            del self._waiting[waiter]
            return True
