"""Work on a store within the time that somebody has: it goes on where the last one stopped. Pure but for its ports."""

from collections.abc import Callable

from kafka_bridge.events.log.shelf import Steps
from kafka_bridge.events.log.store import Store


class Paced:
    """A store that knows how long its calls take, and whether there is time for another one."""

    def __init__(self, store: Store, monotonic: Callable[[], float], until: float) -> None:
        self._store = store
        self._monotonic = monotonic
        self._until = until
        self.slowest_s = 0.0
        self.calls = 0

    @property
    def has_time(self) -> bool:
        """Whether a call is likely to end in time. The first one always has its chance."""
        return self._monotonic() + self.slowest_s < self._until

    def _timed[T](self, call: Callable[[], T]) -> T:
        began = self._monotonic()
        self.calls += 1
        answer = call()
        self.slowest_s = max(self.slowest_s, self._monotonic() - began)
        return answer

    def get(self, key: str) -> bytes | None:
        return self._timed(lambda: self._store.get(key))

    def set(self, key: str, value: bytes) -> None:
        self._timed(lambda: self._store.set(key, value))

    def delete(self, key: str) -> None:
        self._timed(lambda: self._store.delete(key))


class Job:
    """Work that one request may begin and another one ends."""

    def __init__(self, make: Callable[[], Steps]) -> None:
        self._make = make
        self._steps: Steps | None = None

    def drop(self) -> None:
        """Begin anew the next time."""
        self._steps = None

    def go(self, store: Paced, calls: int | None = None) -> bool:
        """Go on as long as there is time, or for so many calls; whether it is done. Raises StorageFailed."""
        steps, self._steps = self._steps or self._make(), None
        last = None if calls is None else store.calls + calls
        for _ in steps:
            if not store.has_time or store.calls == last:
                self._steps = steps
                return False
        return True
