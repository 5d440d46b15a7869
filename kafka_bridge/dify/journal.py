"""The log lines about requests: what was refused, and why, at a rate that an attacker cannot raise."""

import logging
from typing import Final

from kafka_bridge.clock import Clock
from kafka_bridge.dispatch.ended import Ending
from kafka_bridge.errors import Refused, SettingsInvalid, Unverified
from kafka_bridge.events.outcome import Outcome
from kafka_bridge.events.run import Ran
from kafka_bridge.ratelimit import RateLimit

logger = logging.getLogger(__name__)

# Of a text that a sender chose. Each line is one on stdout, and one of 5 MiB is the end of the process.
MAX_SHOWN: Final = 256


class Journal:
    """Implements `events.outcome.Recorder`: logs outcomes that were not a success."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._limit = RateLimit(burst=5, interval_s=10.0)

    def record(self, endpoint: str, outcome: Outcome) -> None:
        error = outcome.error
        if error is None:
            return
        what = outcome.reason or str(error)
        hint = f" ({error.hint})" if error.hint else ""
        # Of a batch the event at fault, where one is.
        taken = next(iter(outcome.events[error.index or 0 :]), None)
        topic = f", topic {taken.record.topic}" if taken and taken.record else ""
        # The id is the sender's own text: no line break of it is one of the log's.
        event = f", event {_shown(taken.event.id)}" if taken else ""
        # The number of an event in a batch is the sender's to choose, and no cause of its own.
        cause = "batch" if outcome.batch and isinstance(error, Refused) else str(error)
        self._warn(
            (endpoint, outcome.source, error.slug, cause),
            f"webhook answered {error.status.value}: endpoint {endpoint}, source {outcome.source}{topic}{event}:"
            f" {what}{hint}",
        )

    def refused(self, endpoint: str, source: str, error: Unverified) -> None:
        """Note that somebody who is not the sender asked for a handshake."""
        self._warn(
            (endpoint, source, error.slug, "handshake"),
            f"handshake answered 401: endpoint {endpoint}, source {source}: {error.reason}",
        )

    def misconfigured(self, endpoint: str, source: str, error: SettingsInvalid) -> None:
        """Note that a request met settings that cannot work."""
        self._warn(
            (endpoint, source, error.slug), f"webhook answered 500: endpoint {endpoint}, source {source}: {error}"
        )

    def ran(self, endpoint: str, ran: Ran) -> None:
        """Note how a run ended."""
        if ran.ending == Ending.DONE and not ran.dead_lettered:
            return
        what = "dead-lettered after" if ran.dead_lettered else "run"
        self._warn(
            (endpoint, ran.topic[:MAX_SHOWN], ran.ending, ran.dead_lettered),
            f"{what} {ran.ending}: endpoint {endpoint}, {_shown(ran.topic)}[{ran.partition}] offset {ran.offset},"
            f" event {_shown(ran.event_id)}, attempt {ran.attempt}: {ran.error or '-'}",
        )

    def _warn(self, key: object, line: str) -> None:
        suppressed = self._limit.take(key, now=self._clock.monotonic())
        if suppressed is not None:
            logger.warning("%s%s", line, f" [{suppressed} more like it were not logged]" if suppressed else "")


def _shown(text: str) -> str:
    """On one line, of a length that fits into it."""
    shown = ascii(text[:MAX_SHOWN])[1:-1]
    return f"{shown}..." if len(text) > MAX_SHOWN else shown
