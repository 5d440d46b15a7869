"""The tool `consume`: records of topics, as many as were asked for."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import replace
from types import MappingProxyType
from typing import Final, NamedTuple

from kafka_bridge.broker.loops import Loop
from kafka_bridge.broker.ports import Reader, Start
from kafka_bridge.clock import Clock
from kafka_bridge.events.record import TopicPartition
from kafka_bridge.tooling.call import ToolCall
from kafka_bridge.tooling.credentials import read_target
from kafka_bridge.tooling.errands import Errand, Errands
from kafka_bridge.tooling.messages import Message, results
from kafka_bridge.tooling.places import Places
from kafka_bridge.tooling.readers import MORE_S, MakeReader
from kafka_bridge.tooling.reading import Progress, Reading, Reason
from kafka_bridge.tooling.selection import MAX_S, From, Selection, read_selection

OUTPUTS: Final = ("count", "reason", "committed", "records", "positions")
# Joining a group comes on top of the seconds for reading.
JOIN_S: Final = 15.0

_WHY: Final = MappingProxyType(
    {
        Reason.MESSAGES: "as many as were asked for.",
        Reason.SECONDS: "the time is over.",
        Reason.END: "there are no more.",
        Reason.SIZE: "the answer is full; the next call can go on from the positions.",
        Reason.STOPPED: "nobody waits for more.",
    }
)


class Consumption(NamedTuple):
    """What became of a call; `positions` are where the next one may go on."""

    progress: Progress
    positions: Mapping[TopicPartition, int]
    reason: Reason
    committed: bool


class Consume:
    """Reads on a thread of its own for each call; without a group, and without `commit`, it leaves no trace."""

    def __init__(
        self, make_reader: MakeReader, errands: Errands, *, loop: Loop, clock: Clock, most_s: float = MAX_S
    ) -> None:
        """`most_s`: what the platform leaves a call."""
        self._most_s = most_s
        self._make_reader = make_reader
        self._errands = errands
        self._loop = loop
        self._clock = clock

    def __call__(self, call: ToolCall) -> Iterator[Message]:
        selection = read_selection(call.parameters, now=self._clock.now())
        call.parameters.check()
        limits = replace(selection.limits, seconds=min(selection.limits.seconds, self._most_s))
        selection = replace(selection, limits=limits)
        cluster = read_target(call.saved)

        def task(errand: Errand[Consumption]) -> Consumption:
            with closing(self._make_reader(cluster, selection.group_id)) as reader:
                return self._consume(reader, selection, lambda: errand.stopped)

        consumption = self._errands.run(task, timeout_s=selection.limits.seconds + MORE_S)
        yield from results(_result(selection, consumption), _sentence(selection, consumption), OUTPUTS)

    def _consume(self, reader: Reader, selection: Selection, stopped: Callable[[], bool]) -> Consumption:
        places = Places(reader, self._clock, self._loop.rest)
        places.reach(selection.topics[0])
        partitions = places.partitions(selection.topics, selection.partition)
        reading = Reading(reader, selection.limits, selection.filter.matches, clock=self._clock, stopped=stopped)
        if selection.commit:
            start = Start.LATEST if selection.start is From.LATEST else Start.EARLIEST
            reason = reading.member(selection.topics, start, join_s=JOIN_S)
            # A copy: what is given back at the end is no longer among them.
            positions = dict(reading.progress.positions)
            # Nor for whoever has gone: he never saw the records.
            committed = bool(positions) and not stopped() and reader.commit(positions)
            return Consumption(reading.progress, positions, reason, committed)
        starts, ends = places.starts(partitions, selection)
        reason = reading.assigned(starts, ends)
        return Consumption(reading.progress, reading.progress.positions, reason, committed=False)


def _result(selection: Selection, consumption: Consumption) -> dict[str, object]:
    progress = consumption.progress
    return {
        "status": "success",
        "count": len(progress.collected.items),
        "reason": consumption.reason.value,
        "looked_at": progress.looked_at,
        "topics": list(selection.topics),
        "group_id": selection.group_id,
        "committed": consumption.committed,
        "records": progress.collected.items,
        "positions": [
            {"topic": at.topic, "partition": at.partition, "offset": offset}
            for at, offset in sorted(consumption.positions.items())
        ],
    }


def _sentence(selection: Selection, consumption: Consumption) -> str:
    count = len(consumption.progress.collected.items)
    read = f"Read {count} record{'' if count == 1 else 's'} from {', '.join(selection.topics)}: "
    group = f" The group {selection.group_id} has committed them." if consumption.committed else ""
    if selection.commit and not consumption.committed and count:
        group = f" The group {selection.group_id} was being balanced and has not committed them: they will come again."
    return read + _WHY[consumption.reason] + group
