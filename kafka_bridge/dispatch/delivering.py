"""Sends dead letters where they go: to their topics, together, or to what is run for each record, one by one.

Both give tasks for the loop, which wait as callers do; what has become of a parcel is told as soon as it is known.
"""

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Final, Protocol

from kafka_bridge.broker.loops import Task
from kafka_bridge.clock import Clock
from kafka_bridge.dispatch.ended import Ended, Ending
from kafka_bridge.dispatch.payload import read
from kafka_bridge.dispatch.plan import Plan
from kafka_bridge.dispatch.redrive import Fate, Parcel
from kafka_bridge.dispatch.results import result
from kafka_bridge.dispatch.task import size_bytes
from kafka_bridge.dispatch.trouble import OF_TOPICS
from kafka_bridge.dispatch.units import units_of
from kafka_bridge.errors import BridgeError, Refused, Unavailable
from kafka_bridge.events.record import Consumed, Delivery, Record

# What goes out together: what is on its way when the process is killed goes out again.
RECORDS: Final = 200
GROUP_BYTES: Final = 4 * 1024 * 1024

type SendEach = Callable[[Sequence[Record]], Sequence[Delivery | BridgeError]]
"""Publishes records; what has become of each, once that is known. Raises BridgeError when none was tried."""
type Run = Callable[[Consumed], Ended]
"""Runs what is run for each record, and waits for it. Raises nothing."""
type Settle = Callable[[Parcel, Fate], None]
"""Takes what has become of a parcel; from any task."""


class Deliver(Protocol):
    """One way to send parcels. `together` is how many are given at once."""

    together: int

    def tasks(self, parcels: Sequence[Parcel], settle: Settle) -> Sequence[Task]:
        """What the loop is to do, all at once; each parcel is settled by then."""


class ToTopic:
    """Back to the topics. `partitions` says how many each has."""

    together = RECORDS

    def __init__(self, send: SendEach, partitions: Mapping[str, int]) -> None:
        self._send = send
        self._partitions = partitions
        self._bad: dict[str, BridgeError] = {}

    def tasks(self, parcels: Sequence[Parcel], settle: Settle) -> Sequence[Task]:
        going = [(one, self._record(one)) for one in parcels]

        def send() -> None:
            for part in _parts(going):
                self._send_part(part, settle)

        return [send]

    def _record(self, parcel: Parcel) -> Record:
        return parcel.letter.redriven(parcel.topic, self._partitions.get(parcel.topic, 0))

    def _send_part(self, part: Sequence[tuple[Parcel, Record]], settle: Settle) -> None:
        # What is wrong with a topic is not asked again for every one of its records.
        for parcel, _ in part:
            if parcel.topic in self._bad:
                settle(parcel, self._bad[parcel.topic])
        going = [(parcel, record) for parcel, record in part if parcel.topic not in self._bad]
        if not going:
            return
        try:
            fates = self._send([record for _, record in going])
        except BridgeError as error:
            fates = [error] * len(going)
        for (parcel, _), fate in zip(going, fates, strict=True):
            if isinstance(fate, Unavailable) and fate.cause in OF_TOPICS:
                self._bad[parcel.topic] = fate
            settle(parcel, fate)


class ToWorkflow:
    """To what is run. Records of one key run one after another, all others at once, up to the plan's number of runs."""

    def __init__(self, run: Run, send: SendEach, plan: Plan, clock: Clock) -> None:
        self._run = run
        self._send = send
        self._plan = plan
        self._clock = clock
        self._halted = False
        # So that those who are quick need not wait for the slow ones too often.
        self.together = 4 * plan.policy.concurrency

    def tasks(self, parcels: Sequence[Parcel], settle: Settle) -> Sequence[Task]:
        originals = [parcel.letter.original(parcel.topic) for parcel in parcels]
        units = deque(units_of(originals))

        def work() -> None:
            # Taking from it is atomic; several threads may be at it.
            with suppress(IndexError):
                while True:
                    for number in units.popleft():
                        settle(parcels[number], self._fate(originals[number]))

        return [work] * min(self._plan.policy.concurrency, len(parcels))

    def _fate(self, consumed: Consumed) -> Fate:
        if self._halted:
            return Ended(Ending.NOT_STARTED)
        began = self._clock.now()
        ended = self._run(consumed)
        if is_halting(ended):
            # What keeps this one from being run keeps all from it.
            self._halted = True
        if ended.ending is not Ending.DONE or not self._plan.result_topic:
            return ended
        event_id = read(consumed).event_id
        unix = began + ended.duration_s
        record = result(ended, topic=self._plan.result_topic, event_id=event_id, source=self._plan.source, unix=unix)
        try:
            (fate,) = self._send([record])
        except BridgeError as error:
            return error
        return fate if isinstance(fate, BridgeError) else ended


def is_halting(fate: Fate) -> bool:
    """Whether nothing else can be sent after this, either."""
    if isinstance(fate, Ended):
        return fate.ending in {Ending.UNAVAILABLE, Ending.MISCONFIGURED, Ending.NOT_STARTED}
    if isinstance(fate, (Delivery, Refused)):
        return False
    return not (isinstance(fate, Unavailable) and fate.cause in OF_TOPICS)


def _parts(group: Sequence[tuple[Parcel, Record]]) -> Iterator[Sequence[tuple[Parcel, Record]]]:
    """In their order, in parts that the client's queue has room for."""
    part, weight = list[tuple[Parcel, Record]](), 0
    for each in group:
        size = size_bytes(each[1])
        if part and weight + size > GROUP_BYTES:
            yield part
            part, weight = [], 0
        part.append(each)
        weight += size
    if part:
        yield part
