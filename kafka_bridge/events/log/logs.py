"""The event logs of all endpoints of the process. Pure but for its ports.

Of refused requests few are kept: whoever can send garbage needs days to push the events out of a log with it.
"""

import hashlib
from collections import OrderedDict
from collections.abc import Callable
from typing import Final, NamedTuple

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
# Requests that nobody has signed: of a source so many at once, then one a second; of all sources together so great a
# share of the log, one after the other, and then one in ten minutes.
REFUSED_AT_ONCE: Final = 10
REFUSED_EVERY_S: Final = 1.0
REFUSED_SHARE: Final = 10
REFUSED_LATER_S: Final = 600.0


class _Refusals:
    """Which requests that nobody has signed are kept. Each source has a part of the share, whatever others get."""

    def __init__(self, keep: int, sources: int) -> None:
        self.made_for = keep, sources
        self._soon = RateLimit(burst=REFUSED_AT_ONCE, interval_s=REFUSED_EVERY_S)
        self._ever = RateLimit(burst=max(1, keep // (REFUSED_SHARE * sources)), interval_s=REFUSED_LATER_S * sources)
        self._missed: dict[str, int] = {}

    def take(self, source: str, *, now: float) -> int | None:
        """How many before it were not kept; None when this one is not either."""
        kept = self._soon.take(source, now=now) is not None and self._ever.take(source, now=now) is not None
        if kept:
            return self._missed.pop(source, 0)
        self._missed[source] = self._missed.get(source, 0) + 1
        return None


class _Open(NamedTuple):
    """A log, and the settings that it has."""

    log: EventLog
    keeping: Keeping
    refusals: _Refusals


class EventLogs:
    """Implements `events.outcome.Recorder`. `new_writer` makes the name that this process writes under in one log."""

    def __init__(self, clock: Clock, new_writer: Callable[[], str]) -> None:
        self._clock = clock
        self._new_writer = new_writer
        self._logs: OrderedDict[str, _Open] = OrderedDict()
        self.feeds = Feeds(clock)

    def open(self, endpoint: str, keeping: Keeping) -> EventLog:
        """The log of an endpoint with the settings of this moment."""
        found = self._logs.get(endpoint)
        if found is not None and found.keeping is keeping:
            self._logs.move_to_end(endpoint)
            return found.log
        log = found.log if found is not None else self._make(endpoint)
        log.keep = keeping.keep
        log.pending.shrink(keep=keeping.keep)
        refusals = found.refusals if found is not None else None
        share = keeping.keep, max(1, len(keeping.secrets.keys() - {""}))
        if refusals is None or refusals.made_for != share:
            refusals = _Refusals(*share)
        self._logs[endpoint] = _Open(log, keeping, refusals)
        return log

    def record(self, endpoint: str, outcome: Outcome) -> None:
        log, keeping, refusals = self._logs[endpoint]
        if not keeping.keep:
            return
        missed: int | None = 0
        if outcome.verdict is Verdict.REJECTED or outcome.verdict is Verdict.SKIPPED:
            missed = refusals.take(outcome.source, now=self._clock.monotonic())
        if missed is not None:
            for entry in entries_of(outcome, keeping, log.next_id, missed=missed):
                self.add(endpoint, entry)

    def ran(self, endpoint: str, ran: Ran) -> None:
        found = self._logs.get(endpoint)
        if found is not None and found.keeping.keep:
            self.add(endpoint, entry_of_run(ran, found.keeping, found.log.next_id))

    def add(self, endpoint: str, entry: Entry) -> None:
        """Record one, in a log that is open."""
        self._logs[endpoint].log.add(entry)
        self.feeds.add(endpoint, entry)

    def _make(self, endpoint: str) -> EventLog:
        while len(self._logs) >= MAX_LOGS and (gone := self._least_used()):
            del self._logs[gone]
        plain = endpoint if is_plain(endpoint) else hashlib.sha256(endpoint.encode()).hexdigest()[:40]
        log = EventLog(plain, new_writer=self._new_writer, clock=self._clock)
        room = max(MIN_WAITING_BYTES, MAX_WAITING_BYTES // (len(self._logs) + 1))
        for each in (log, *(known.log for known in self._logs.values())):
            each.room_bytes = min(MAX_PENDING_BYTES, room)
        return log

    def _least_used(self) -> str | None:
        """The log that nobody misses: what is stored of it is found again."""
        return next((endpoint for endpoint, known in self._logs.items() if known.log.idle), None)
