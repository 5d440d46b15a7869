"""Feeds the event log: what waits in it is written through the session of a request that is open.

Whatever storage does, or this code, no sender's answer changes, and none waits for it longer than `WAIT_S`.
"""

import logging
from typing import Final

from kafka_bridge.broker.loops import Loop
from kafka_bridge.clock import Clock
from kafka_bridge.dify.call import Call, Handler
from kafka_bridge.dify.storage import SessionStore
from kafka_bridge.events.log.entry import Entry
from kafka_bridge.events.log.feed import Feeds
from kafka_bridge.events.log.log import EventLog
from kafka_bridge.events.log.logs import EventLogs
from kafka_bridge.events.log.replaying import entry_of_replay
from kafka_bridge.events.log.store import Store
from kafka_bridge.events.outcome import Outcome
from kafka_bridge.events.record import Delivery
from kafka_bridge.events.run import Ran
from kafka_bridge.http import Answer
from kafka_bridge.incidents import incident_of

logger = logging.getLogger(__name__)

# What a sender may wait for a write that is not its own alone.
WAIT_S: Final = 0.25
# The same of a request that is open for seconds anyway.
PATIENT_S: Final = 2.0
# A person who looks waits so long.
LOOK_S: Final = 5.0


class EventRecorder:
    """Implements `events.outcome.Recorder` for endpoints that have a request open, and wraps their handlers."""

    def __init__(self, logs: EventLogs, *, loop: Loop, clock: Clock) -> None:
        self._logs = logs
        self._loop = loop
        self._clock = clock

    def record(self, endpoint: str, outcome: Outcome) -> None:
        try:
            self._logs.record(endpoint, outcome)
        except Exception as error:  # noqa: BLE001 - the event is in Kafka: its sender must not bring it again
            logger.error("%s", incident_of(error).line)  # noqa: TRY400

    def ran(self, endpoint: str, ran: Ran) -> None:
        try:
            self._logs.ran(endpoint, ran)
        except Exception as error:  # noqa: BLE001 - the run has been
            logger.error("%s", incident_of(error).line)  # noqa: TRY400

    def replayed(self, call: Call, entry: Entry, delivery: Delivery, *, duration_s: float) -> str:
        """Note that an entry's event was sent again; the id of the new entry, empty where none could be made."""
        entry_id = ""
        try:
            entry_id = self.log(call).next_id()
            made = entry_of_replay(entry, entry_id, delivery, now=self._clock.now(), duration_s=duration_s)
            self._logs.add(call.endpoint, made)
        except Exception as error:  # noqa: BLE001 - the record is in Kafka
            logger.error("%s", incident_of(error).line)  # noqa: TRY400
        return entry_id

    def around(self, handler: Handler) -> Handler:
        """The handler, with what it records written when it ends."""

        def recording(call: Call) -> Answer:
            log = self.log(call)
            log.began()
            try:
                return handler(call)
            finally:
                log.ended()
                self._flush(call, log, WAIT_S)

        return recording

    @property
    def feeds(self) -> Feeds:
        """The entries as they are made."""
        return self._logs.feeds

    def keep_up(self, call: Call) -> None:
        """Write what has come together while a long request is open."""
        self._flush(call, self.log(call), PATIENT_S)

    def log(self, call: Call) -> EventLog:
        """The log of the call's endpoint."""
        return self._logs.open(call.endpoint, call.hook.keeping)

    def store(self, call: Call, within_s: float = LOOK_S) -> Store:
        """Storage through the call's session, for so long."""
        return SessionStore(call.storage, self._loop, self._clock, until=self._clock.monotonic() + within_s)

    def _flush(self, call: Call, log: EventLog, within_s: float) -> None:
        if not len(log.pending):
            return
        try:
            log.flush(self.store(call, within_s), until=self._clock.monotonic() + within_s)
        except Exception as error:  # noqa: BLE001 - see the module's docstring
            logger.error("%s", incident_of(error).line)  # noqa: TRY400
