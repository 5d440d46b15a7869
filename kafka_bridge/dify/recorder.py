"""Feeds the event log: what waits in it is written through the session of a request that is open.

Whatever storage does, or this code, no sender's answer changes, and none waits for it longer than `WAIT_S`.
"""

import logging
from typing import Final

from kafka_bridge.broker.loops import Loop
from kafka_bridge.clock import Clock
from kafka_bridge.dify.call import Call, Handler
from kafka_bridge.dify.caller import answers
from kafka_bridge.dify.storage import SessionStore
from kafka_bridge.events.log.entry import Entry
from kafka_bridge.events.log.feed import Feeds
from kafka_bridge.events.log.log import FRESH_S, LINGER_S, EventLog
from kafka_bridge.events.log.logs import EventLogs
from kafka_bridge.events.log.replaying import entry_of_replay
from kafka_bridge.events.log.store import Store
from kafka_bridge.events.outcome import Outcome
from kafka_bridge.events.record import Delivery
from kafka_bridge.events.run import Ran
from kafka_bridge.http import Answer
from kafka_bridge.incidents import incident_of
from kafka_bridge.ratelimit import RateLimit

logger = logging.getLogger(__name__)

# What a sender may wait for a write that is not its own alone.
WAIT_S: Final = 0.25
# The same of a request that is open for seconds anyway.
PATIENT_S: Final = 2.0
# A person who looks waits so long.
LOOK_S: Final = 5.0
# The session itself answers within a millisecond.
ASK_S: Final = 0.1
# A call that has less time than this is not begun: whoever waited for another one's write has used it up.
CALL_S: Final = 0.05


class EventRecorder:
    """Implements `events.outcome.Recorder` for endpoints that have a request open, and wraps their handlers."""

    def __init__(self, logs: EventLogs, *, loop: Loop, clock: Clock) -> None:
        self._logs = logs
        self._loop = loop
        self._clock = clock
        # Whoever can send requests can make a defect show again and again.
        self._limit = RateLimit(burst=3, interval_s=60.0)

    def record(self, endpoint: str, outcome: Outcome) -> None:
        try:
            self._logs.record(endpoint, outcome)
        except Exception as error:  # noqa: BLE001 - the event is in Kafka: its sender must not bring it again
            self._report(error)

    def ran(self, endpoint: str, ran: Ran) -> None:
        try:
            self._logs.ran(endpoint, ran)
        except Exception as error:  # noqa: BLE001 - the run has been
            self._report(error)

    def replayed(self, call: Call, entry: Entry, delivery: Delivery, *, duration_s: float) -> str:
        """Note that an entry's event was sent again; the id of the new entry, empty where none could be made."""
        entry_id = ""
        try:
            entry_id = self.log(call).next_id()
            made = entry_of_replay(entry, entry_id, delivery, now=self._clock.now(), duration_s=duration_s)
            self._logs.add(call.endpoint, made)
        except Exception as error:  # noqa: BLE001 - the record is in Kafka
            self._report(error)
        return entry_id

    def around(self, handler: Handler) -> Handler:
        """The handler, with what it records written when it ends."""

        def recording(call: Call) -> Answer:
            log, began_at = self._began(call), self._clock.monotonic()
            try:
                return handler(call)
            finally:
                if log is not None:
                    log.ended()
                    self._flush(call, log, WAIT_S, began_at)

        return recording

    @property
    def feeds(self) -> Feeds:
        """The entries as they are made."""
        return self._logs.feeds

    def keep_up(self, call: Call, within_s: float = PATIENT_S) -> None:
        """Write what has come together while a request is open for long. Raises nothing."""
        if (log := self._opened(call)) is not None:
            self._flush(call, log, within_s, self._clock.monotonic())

    def catch_up(self, call: Call, within_s: float = PATIENT_S) -> None:
        """The same in the request of somebody who looks, and should not see the trouble of half a minute ago."""
        if (log := self._opened(call)) is not None:
            until = self._clock.monotonic() + within_s
            self._flush(call, log, within_s, self._clock.monotonic(), urgent=log.may_retry)
            self._tend(call, log, until)

    def log(self, call: Call) -> EventLog:
        """The log of the call's endpoint."""
        return self._logs.open(call.endpoint, call.hook.keeping)

    def store(self, call: Call, within_s: float = LOOK_S) -> Store:
        """Storage through the call's session, for so long."""
        return SessionStore(call.storage, self._loop, self._clock, until=self._clock.monotonic() + within_s)

    def _began(self, call: Call) -> EventLog | None:
        log = self._opened(call)
        if log is not None:
            log.began()
        return log

    def _opened(self, call: Call) -> EventLog | None:
        try:
            return self.log(call)
        except Exception as error:  # noqa: BLE001 - see the module's docstring
            self._report(error)
            return None

    def _flush(self, call: Call, log: EventLog, within_s: float, began_at: float, *, urgent: bool = False) -> None:
        try:
            self._write(call, log, self._clock.monotonic() + within_s, began_at, urgent=urgent)
        except Exception as error:  # noqa: BLE001 - see the module's docstring
            self._report(error)

    def _tend(self, call: Call, log: EventLog, until: float) -> None:
        try:
            log.tend(self.store(call, until - self._clock.monotonic()), until=until, who=call.storage)
        except Exception as error:  # noqa: BLE001 - see the module's docstring
            self._report(error)

    def _write(self, call: Call, log: EventLog, until: float, began_at: float, *, urgent: bool) -> None:
        if log.needs(call.storage):
            if not self._follow(log, until):
                return
            urgent = True
        if not len(log.pending) or not (urgent or log.due):
            return
        if log.lingers and not urgent and self._linger(log):
            return
        # In a session that nobody listens to any more nothing is written, and a write without an answer is costly.
        suspect = log.doubtful or self._clock.monotonic() - began_at > FRESH_S
        if suspect and not answers(call.ask, self._loop, min(ASK_S, until - self._clock.monotonic())):
            return
        left_s = until - self._clock.monotonic()
        log.flush(self.store(call, left_s), until=until, who=call.storage, urgent=urgent)

    def _linger(self, log: EventLog) -> bool:
        """Wait a little; whether another request has begun, which is going to write."""
        waiter = self._loop.waiter()
        log.linger(waiter.wake)
        return waiter.wait(LINGER_S)

    def _follow(self, log: EventLog, until: float) -> bool:
        """Wait until whoever writes has ended; whether there is something left to do, and time for it."""
        waiter = self._loop.waiter()
        log.follow(waiter.wake)
        if not waiter.wait(until - self._clock.monotonic()):
            return False
        left_s = until - self._clock.monotonic()
        # One that failed for good would do so again. One without an answer may have been left by its own caller.
        return (log.due or log.doubtful) and left_s > max(CALL_S, 2 * log.pace_s)

    def _report(self, error: Exception) -> None:
        if self._limit.take(None, now=self._clock.monotonic()) is not None:
            logger.error("%s", incident_of(error).line)
