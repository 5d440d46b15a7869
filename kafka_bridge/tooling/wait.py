"""The tool `wait_for_event`: publishes a request, if there is one, and waits for the record that answers it.

The position in the topic is taken before anything is published, so that no reply is too fast for it.
"""

from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from typing import Final

from kafka_bridge.broker.loops import Loop
from kafka_bridge.broker.ports import Reader
from kafka_bridge.broker.registry import ProducerRegistry
from kafka_bridge.clock import Clock
from kafka_bridge.errors import NothingCame
from kafka_bridge.events.record import Consumed, Delivery
from kafka_bridge.tooling.awaiting import Awaited, read_awaited
from kafka_bridge.tooling.call import ToolCall
from kafka_bridge.tooling.credentials import read_target
from kafka_bridge.tooling.errands import Errand, Errands
from kafka_bridge.tooling.messages import Message, results
from kafka_bridge.tooling.places import Places
from kafka_bridge.tooling.publish import SEND_S, place_of
from kafka_bridge.tooling.readers import MORE_S, MakeReader
from kafka_bridge.tooling.reading import Reading
from kafka_bridge.tooling.selection import MAX_S, Limits

OUTPUTS: Final = (
    *("status", "topic", "partition", "offset", "timestamp", "key", "headers", "value", "encoding", "parsed"),
    *("waited_ms", "correlation_id", "published"),
)
# How soon after its request is acknowledged a reply is looked for.
_LOOK_S: Final = 0.002
_NOTHING: Final = ("partition", "offset", "timestamp", "key", "value", "parsed")

type Reply = dict[str, object] | None


class WaitForEvent:
    """Request and reply over Kafka, in one call. It is in no group and leaves no trace but its request."""

    def __init__(
        self,
        make_reader: MakeReader,
        registry: ProducerRegistry,
        errands: Errands,
        *,
        loop: Loop,
        clock: Clock,
        new_id: Callable[[], str],
        most_s: float = MAX_S,
    ) -> None:
        """`most_s`: what the platform leaves a call."""
        self._make_reader = make_reader
        self._registry = registry
        self._errands = errands
        self._loop = loop
        self._clock = clock
        self._new_id = new_id
        self._most_s = most_s

    def __call__(self, call: ToolCall) -> Iterator[Message]:
        awaited = read_awaited(call.parameters, new_id=self._new_id())
        call.parameters.check()
        awaited = replace(awaited, seconds=min(awaited.seconds, self._most_s))
        cluster = read_target(call.saved)
        published: list[Delivery] = []

        def task(errand: Errand[Reply]) -> Reply:
            with closing(self._make_reader(cluster, "")) as reader:
                return self._wait(reader, awaited, published, errand)

        with self._errands.running(task) as errand:
            errand.begun(MORE_S)
            began = self._clock.monotonic()
            if awaited.request is not None:
                published += self._registry.lease(cluster).send_all((awaited.request,), timeout_s=SEND_S)
            reply = errand.result(awaited.seconds + MORE_S)
        waited_ms = round((self._clock.monotonic() - began) * 1000, 3)
        if reply is None and awaited.fails:
            raise NothingCame(_nothing(awaited))
        result = _result(awaited, reply, published, waited_ms)
        yield from results(result, _sentence(awaited, result), OUTPUTS)

    def _wait(self, reader: Reader, awaited: Awaited, published: list[Delivery], errand: Errand[Reply]) -> Reply:
        places = Places(reader, self._clock, self._loop.rest)
        places.reach(awaited.topic)
        ends = places.ends(places.partitions((awaited.topic,)))
        errand.begin()
        while awaited.request is not None and not published and not errand.stopped:
            self._loop.rest(_LOOK_S)
        own = {(one.topic, one.partition, one.offset) for one in published}

        def is_reply(consumed: Consumed) -> bool:
            # In the topic of the request, the request itself would answer it.
            place = (consumed.record.topic, consumed.partition, consumed.offset)
            return place not in own and awaited.filter.matches(consumed)

        limits = Limits(messages=1, seconds=awaited.seconds, waits=True)
        reading = Reading(reader, limits, is_reply, clock=self._clock, stopped=lambda: errand.stopped)
        reading.assigned(ends, ends)
        return next(iter(reading.progress.collected.items), None)


def _result(awaited: Awaited, reply: Reply, published: list[Delivery], waited_ms: float) -> dict[str, object]:
    nothing: dict[str, object] = {"topic": awaited.topic, **dict.fromkeys(_NOTHING), "headers": {}, "encoding": "utf-8"}
    request = {**place_of(published[0]), "event_id": awaited.event_id} if published else {}
    return {
        "status": "success" if reply else "timeout",
        **(reply or nothing),
        "waited_ms": waited_ms,
        "correlation_id": awaited.correlation_id,
        "published": request,
    }


def _nothing(awaited: Awaited) -> str:
    what = "that passes the filter " if awaited.filter else ""
    reply = " The request was published." if awaited.request is not None else ""
    return f"No record {what}came to {awaited.topic} within {awaited.seconds:g} s.{reply}"


def _sentence(awaited: Awaited, result: dict[str, object]) -> str:
    if result["status"] != "success":
        return _nothing(awaited)
    where = f"topic {result['topic']}, partition {result['partition']}, offset {result['offset']}"
    return f"The record came after {result['waited_ms']} ms: {where}."
