"""The event logs of all endpoints of the process. Pure but for its ports.

How many refused requests are kept is limited per source: whoever can send garbage cannot push the events out of a log.
"""

import hashlib
from collections import OrderedDict
from collections.abc import Callable
from typing import Final

from kafka_bridge.clock import Clock
from kafka_bridge.events.log.entry import Entry
from kafka_bridge.events.log.feed import Feeds
from kafka_bridge.events.log.log import EventLog
from kafka_bridge.events.log.making import entries_of, entry_of_run
from kafka_bridge.events.log.masking import Keeping
from kafka_bridge.events.log.pending import MAX_PENDING_BYTES
from kafka_bridge.events.log.segments import is_plain
from kafka_bridge.events.outcome import Outcome, Verdict
from kafka_bridge.events.run import Ran
from kafka_bridge.ratelimit import RateLimit

MAX_LOGS: Final = 512
# Of what waits in all logs together.
MAX_WAITING_BYTES: Final = 32 * 1024 * 1024
MIN_WAITING_BYTES: Final = 64 * 1024
# Requests that nobody has signed: so many at once, then one a second.
REFUSED_AT_ONCE: Final = 10
REFUSED_EVERY_S: Final = 1.0


class EventLogs:
    """Implements `events.outcome.Recorder`. `new_writer` makes the name that this process writes under in one log."""

    def __init__(self, clock: Clock, new_writer: Callable[[], str]) -> None:
        self._clock = clock
        self._new_writer = new_writer
        self._logs: OrderedDict[str, tuple[EventLog, Keeping]] = OrderedDict()
        self.feeds = Feeds(clock)
        self._limit = RateLimit(burst=REFUSED_AT_ONCE, interval_s=REFUSED_EVERY_S)

    def open(self, endpoint: str, keeping: Keeping) -> EventLog:
        """The log of an endpoint with the settings of this moment."""
        found = self._logs.get(endpoint)
        if found is not None and found[1] is keeping:
            self._logs.move_to_end(endpoint)
            return found[0]
        log = found[0] if found is not None else self._make(endpoint)
        log.keep = keeping.keep
        log.pending.shrink(keep=keeping.keep)
        self._logs[endpoint] = log, keeping
        return log

    def record(self, endpoint: str, outcome: Outcome) -> None:
        log, keeping = self._logs[endpoint]
        if not keeping.keep:
            return
        missed: int | None = 0
        if outcome.verdict is Verdict.REJECTED or outcome.verdict is Verdict.SKIPPED:
            missed = self._limit.take((endpoint, outcome.source), now=self._clock.monotonic())
        if missed is not None:
            for entry in entries_of(outcome, keeping, log.next_id, missed=missed):
                self.add(endpoint, entry)

    def ran(self, endpoint: str, ran: Ran) -> None:
        found = self._logs.get(endpoint)
        if found is not None and found[1].keep:
            self.add(endpoint, entry_of_run(ran, found[1], found[0].next_id))

    def add(self, endpoint: str, entry: Entry) -> None:
        """Record one, in a log that is open."""
        self._logs[endpoint][0].add(entry)
        self.feeds.add(endpoint, entry)

    def _make(self, endpoint: str) -> EventLog:
        while len(self._logs) >= MAX_LOGS and (gone := self._least_used()):
            del self._logs[gone]
        plain = endpoint if is_plain(endpoint) else hashlib.sha256(endpoint.encode()).hexdigest()[:40]
        log = EventLog(plain, new_writer=self._new_writer, clock=self._clock)
        room = max(MIN_WAITING_BYTES, MAX_WAITING_BYTES // (len(self._logs) + 1))
        for each in (log, *(known for known, _ in self._logs.values())):
            each.room_bytes = min(MAX_PENDING_BYTES, room)
        return log

    def _least_used(self) -> str | None:
        """The log that nobody misses: what is stored of it is found again."""
        return next((endpoint for endpoint, (log, _) in self._logs.items() if log.idle), None)
