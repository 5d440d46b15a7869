"""From events to acknowledged events: together, and none that is on its way already. Pure but for its ports."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from kafka_bridge.errors import BridgeError, Cause, Unavailable
from kafka_bridge.events.outcome import Taken
from kafka_bridge.events.record import Delivery, Record
from kafka_bridge.ingress.dedupe import Dedupe, EventKey, Pending

type Send = Callable[[Sequence[Record]], Sequence[Delivery]]
"""Publishes records and returns once the broker has acknowledged all of them.

Raises BridgeError, whose `index` is that of the record at fault, where one is."""


class Planned(NamedTuple):
    """An event with the record that it is to become (None: dropped); for how long it is the same, and by what."""

    taken: Taken
    window_s: int = 0
    identity: str = ""


@dataclass(slots=True, kw_only=True)
class Publisher:
    """For one request. `endpoint` keeps the events of endpoints apart; `monotonic` and `deadline` are seconds.

    `refusal`: why nothing is published now, and nothing dropped either.
    """

    send: Send
    dedupe: Dedupe
    endpoint: str
    monotonic: Callable[[], float]
    deadline: float
    refusal: BridgeError | None = None

    def publish(self, plan: Sequence[Planned]) -> list[Taken]:
        """The events with their deliveries. Raises BridgeError when one of them was not acknowledged.

        The error's `index` is that of the event, where one is at fault.
        What this request can publish goes out before it waits for what others publish: two requests with the same
        events in another order never wait for each other.
        """
        if self.refusal is not None:
            raise self.refusal
        taken, free, guarded = [], list[int](), list[int]()
        for n, planned in enumerate(plan):
            taken.append(planned.taken)
            if planned.taken.record is not None:
                (guarded if planned.window_s else free).append(n)
        if not guarded:
            self._send(taken, free)
            return taken
        followers = self._followers(plan, guarded)
        todo = [n for n in guarded if n not in followers]
        while todo or free:
            todo, free = self._round(plan, taken, todo, free), []
        for n, first in followers.items():
            taken[n] = taken[n]._replace(delivery=taken[first].delivery, duplicate=True)
        return taken

    def _round(self, plan: Sequence[Planned], taken: list[Taken], todo: list[int], free: list[int]) -> list[int]:
        """Publish what nobody else publishes, or wait for somebody else; gives what must be claimed again."""
        mine, busy = list[int](), list[int]()
        pending: Pending | None = None
        settled = False
        try:
            for n in todo:
                match self.dedupe.claim(self._key(plan[n]), self.monotonic()):
                    case None:
                        mine.append(n)
                    case Delivery() as delivery:
                        taken[n] = taken[n]._replace(delivery=delivery, duplicate=True)
                    case pending:
                        busy.append(n)
            self._send(taken, sorted([*mine, *free]))
            settled = True
        finally:
            # Also when the request is cut off: nobody must wait for it for ever.
            for n in mine:
                found = taken[n].delivery if settled else None
                self.dedupe.settle(self._key(plan[n]), found, self.monotonic() + plan[n].window_s)
        if pending is not None and not (mine or free):
            self._wait_for(pending)
        return busy

    def _wait_for(self, pending: Pending) -> None:
        """Of all that others publish a request waits for one: the rest is settled by then, or is the next."""
        if not self.dedupe.join(pending).wait(self.deadline - self.monotonic()):
            raise Unavailable(Cause.NOT_ACKNOWLEDGED, "the same event is being published by another request")

    def _send(self, taken: list[Taken], numbers: list[int]) -> None:
        records = [record for n in numbers if (record := taken[n].record) is not None]
        if records:
            try:
                deliveries = self.send(records)
            except BridgeError as error:
                error.index = None if error.index is None else numbers[error.index]
                raise
            for n, delivery in zip(numbers, deliveries, strict=True):
                taken[n] = Taken(taken[n].event, taken[n].record, delivery)

    def _followers(self, plan: Sequence[Planned], guarded: Sequence[int]) -> dict[int, int]:
        """Events of this request that repeat another one of it."""
        first: dict[EventKey, int] = {}
        found: dict[int, int] = {}
        for n in guarded:
            before = first.setdefault(self._key(plan[n]), n)
            if before != n:
                found[n] = before
        return found

    def _key(self, planned: Planned) -> EventKey:
        event = planned.taken.event
        return self.endpoint, event.source, planned.identity or event.id
