"""A source that says `"run": true`: the app is run within the sender's request, once the broker has the event.

The record is in Kafka whatever becomes of the run: its result is in the answer, and never its condition.
"""

from typing import Final

import orjson

from kafka_bridge.clock import Clock
from kafka_bridge.dify.call import Call
from kafka_bridge.dify.consume import tell
from kafka_bridge.dify.runs import Runs
from kafka_bridge.dispatch.ended import Ended, Ending
from kafka_bridge.errors import SettingsInvalid
from kafka_bridge.events.outcome import Outcome, Taken
from kafka_bridge.events.record import Consumed
from kafka_bridge.http import Outbound
from kafka_bridge.ingress.receive import answer

# Who delivers waits for a free slot no longer than this: most give up after some seconds.
START_S: Final = 5.0


class AfterRun:
    """Runs the app for the events that were just written."""

    def __init__(self, runs: Runs, clock: Clock) -> None:
        self._runs = runs
        self._clock = clock

    def answer(self, call: Call, outcome: Outcome) -> Outbound:
        """The usual answer, and in it how each run ended."""
        outbound = answer(outcome)
        fresh = [n for n, taken in enumerate(outcome.events) if _is_new(taken)]
        if not fresh or outcome.reply is not None:
            return outbound
        results = self._run(call, [_consumed(outcome.events[n]) for n in fresh])
        document = orjson.loads(outbound.body)
        told = document["records"] if outcome.batch else [document]
        tell([told[n] for n in fresh], results)
        return outbound._replace(body=orjson.dumps(document))

    def _run(self, call: Call, records: list[Consumed]) -> list[Ended]:
        try:
            plan = call.hook.consumption(topics=False)
        except SettingsInvalid as error:
            return [Ended(Ending.MISCONFIGURED, error=str(error))] * len(records)
        return list(self._runs.run_all(call, plan, records, until=self._clock.monotonic() + START_S))


def _is_new(taken: Taken) -> bool:
    return taken.record is not None and taken.delivery is not None and not taken.duplicate


def _consumed(taken: Taken) -> Consumed:
    record, delivery = taken.record, taken.delivery
    assert record is not None
    assert delivery is not None
    return Consumed(record, delivery.partition, delivery.offset or 0)
