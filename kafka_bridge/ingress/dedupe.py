"""Events that come again: not published twice while the first one is remembered. Pure but for its waiters.

Only an acknowledged event is remembered. What is on its way is waited for: when it fails, whoever waited takes its
place. Nothing is kept across a restart, and no more than `capacity` events; the oldest are forgotten first.
"""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, Protocol

from kafka_bridge.errors import Cause, Unavailable
from kafka_bridge.events.record import Delivery

CAPACITY: Final = 100_000
# Whoever waits occupies one of the platform's workers.
MAX_WAITERS: Final = 100
MAX_WAITERS_OF_ONE: Final = 8

type EventKey = tuple[str, str, str]
"""Endpoint, source and what tells the event from others: its id, with the body's digest where nobody signs the id."""


class Waiter(Protocol):
    """Parks one caller; see `broker.loops.Waiter`."""

    def wait(self, timeout_s: float) -> bool:
        """Wait until `wake`; False when the time is over."""

    def wake(self) -> None:
        """Let the caller go on."""


@dataclass(slots=True)
class Pending:
    """An event that somebody publishes right now, and the requests that wait for what becomes of it."""

    waiters: list[Waiter] = field(default_factory=list)
    settled: bool = False


@dataclass(slots=True, frozen=True)
class _Seen:
    delivery: Delivery
    until: float


class Dedupe:
    """What was acknowledged lately, and what is on its way. One for all endpoints; keys keep them apart."""

    def __init__(self, *, waiter: Callable[[], Waiter], capacity: int = CAPACITY) -> None:
        self._waiter = waiter
        self._capacity = capacity
        self._seen: OrderedDict[EventKey, _Seen] = OrderedDict()
        self._pending: dict[EventKey, Pending] = {}
        self._waiting = 0

    def __len__(self) -> int:
        return len(self._seen)

    def claim(self, key: EventKey, now: float) -> Delivery | Pending | None:
        """None: the caller publishes it, and must `settle`. A Delivery: where it lies already.

        A Pending: somebody else publishes it; the caller may `join`, at once, and claim again when it has waited.
        """
        seen = self._seen.get(key)
        if seen is not None:
            if now < seen.until:
                return seen.delivery
            del self._seen[key]
        pending = self._pending.get(key)
        if pending is None:
            self._pending[key] = Pending()
            return None
        return pending

    def join(self, pending: Pending) -> Waiter:
        """What wakes the caller once the event is settled. Raises Unavailable when too many requests wait already."""
        if len(pending.waiters) >= MAX_WAITERS_OF_ONE or self._waiting >= MAX_WAITERS:
            raise Unavailable(Cause.QUEUE_FULL, "many wait for the same event already")
        waiter = self._waiter()
        pending.waiters.append(waiter)
        self._waiting += 1
        if pending.settled:
            # By another thread, since it was claimed: nobody else would wake this one.
            waiter.wake()
        return waiter

    def settle(self, key: EventKey, delivery: Delivery | None, until: float) -> None:
        """Say what became of a claimed event: where it lies, or None when it was not acknowledged."""
        if delivery is not None:
            self._seen[key] = _Seen(delivery, until)
            if len(self._seen) > self._capacity:
                self._seen.popitem(last=False)
        pending = self._pending.pop(key)
        pending.settled = True
        self._waiting -= len(pending.waiters)
        for waiter in pending.waiters:
            waiter.wake()
