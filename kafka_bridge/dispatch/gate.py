"""Where one driver waits until something is so."""

from collections.abc import Callable
from typing import Final

from kafka_bridge.broker.loops import Loop, Waiter

# Whoever waits without a bound looks around this often.
LONG_S: Final = 3600.0


class Gate:
    """`wait` is for the driver, `open` is called with the loop's lock held whenever something has changed."""

    def __init__(self, loop: Loop, monotonic: Callable[[], float]) -> None:
        self._loop = loop
        self._monotonic = monotonic
        self._waiter: Waiter | None = None

    def wait(self, until: float | None, is_over: Callable[[], bool]) -> None:
        """Return once `is_over`, which is asked with the lock held, or at `until` (monotonic seconds)."""
        while True:
            with self._loop.lock:
                if is_over():
                    return
                waiter = self._waiter = self._loop.waiter()
            left = LONG_S if until is None else until - self._monotonic()
            if left <= 0 or not waiter.wait(left):
                with self._loop.lock:
                    self._waiter = None
                if until is not None:
                    return

    def open(self) -> None:
        """Have the driver look again."""
        if self._waiter is not None:
            waiter, self._waiter = self._waiter, None
            waiter.wake()
