"""Counts what became of requests and runs. Pure."""

from collections.abc import Iterable

from kafka_bridge.dispatch.ended import Ending
from kafka_bridge.events.outcome import Outcome, Taken, Verdict
from kafka_bridge.events.run import Ran
from kafka_bridge.metrics import Metrics


class Meter:
    """Implements `events.outcome.Recorder`."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def record(self, endpoint: str, outcome: Outcome) -> None:
        metrics = self._metrics.of(endpoint)
        metrics.request(outcome.source, word_of(outcome))
        metrics.request_s.add(outcome.duration_s)

    def ran(self, endpoint: str, ran: Ran) -> None:
        metrics = self._metrics.of(endpoint)
        if ran.dead_lettered:
            # Its last run was told of before.
            metrics.dead_letters += 1
            return
        metrics.run(ran.ending)
        if ran.ending != Ending.NOT_STARTED:
            metrics.run_s.add(ran.duration_s)


def word_of(outcome: Outcome) -> str:
    """What became of a request, in one word."""
    if outcome.error is not None:
        return "rejected" if outcome.verdict is Verdict.REJECTED else "failed"
    events = outcome.events
    return _word(events[0]) if len(events) == 1 else _word_of_many(events)


def _word(taken: Taken) -> str:
    return "dropped" if taken.record is None else "duplicate" if taken.duplicate else "accepted"


def _word_of_many(events: Iterable[Taken]) -> str:
    """Of a batch whatever became of one of its events at least; without any the request was a handshake."""
    words = {_word(taken) for taken in events}
    return next((word for word in ("accepted", "duplicate", "dropped") if word in words), "handshake")
