"""Who is told what becomes of records, and the log: what the operator must know, once and not with every record."""

import logging
from collections.abc import Iterable, Mapping
from functools import partial
from typing import Protocol

from kafka_bridge.broker.loops import Loop
from kafka_bridge.broker.ports import Position
from kafka_bridge.dispatch.breaker import Circuit
from kafka_bridge.dispatch.ended import Ended
from kafka_bridge.dispatch.engine import Write
from kafka_bridge.dispatch.task import Task
from kafka_bridge.errors import BridgeError
from kafka_bridge.events.record import TopicPartition

logger = logging.getLogger(__name__)


class Listener(Protocol):
    """Who is told what becomes of records. Called with the loop's lock held: it must neither wait nor raise."""

    def ran(self, task: Task, ended: Ended) -> None:
        """A run ended."""

    def dead_lettered(self, task: Task) -> None:
        """The dead-letter topic has acknowledged a record."""


class News:
    """Called on the loop; the lines are written where the loop allows it. `name` says whose they are."""

    def __init__(self, name: str, loop: Loop) -> None:
        self._name = name
        self._loop = loop
        self._reason = ""
        self._trouble = ""

    def assigned(self, positions: Mapping[TopicPartition, Position]) -> None:
        """Partitions are ours."""
        self._trouble = ""
        self._note(logging.INFO, "consuming %s", _shown(positions))
        for at, position in positions.items():
            if position.missed:
                text = "%d records of %s were deleted before they were consumed; going on at offset %d"
                self._note(logging.WARNING, text, position.missed, _shown([at]), position.offset)

    def troubled(self, error: BridgeError) -> None:
        """Nothing can be read."""
        if str(error) != self._trouble:
            self._trouble = str(error)
            self._note(logging.WARNING, "cannot consume: %s%s", error, f" ({error.hint})" if error.hint else "")

    def recovered(self) -> None:
        """Records come."""
        if self._trouble:
            self._trouble = ""
            self._note(logging.INFO, "consuming again")

    def circuit(self, circuit: Circuit | None) -> None:
        """Whether anything can be run."""
        reason = circuit.reason if circuit else ""
        if reason != self._reason:
            self._reason = reason
            if reason:
                self._note(logging.WARNING, "paused, nothing is dead-lettered: %s", reason)
            else:
                self._note(logging.INFO, "running again")

    def not_written(self, write: Write, error: BridgeError) -> None:
        """A result or a dead letter could not be written."""
        at, offset = write.task.position, write.task.consumed.offset
        text = "the %s of %s, offset %d, cannot be written: %s; its partition is paused until it can"
        self._note(logging.WARNING, text, write.kind.value, _shown([at]), offset, error)

    def _note(self, level: int, text: str, *values: object) -> None:
        # As texts: an exception in a record would be kept with all that its frames hold.
        self._loop.log(partial(logger.log, level, "%s: " + text, self._name, *map(_plain, values)))


def _plain(value: object) -> object:
    return value if isinstance(value, int) else str(value)


def _shown(partitions: Iterable[TopicPartition]) -> str:
    return ", ".join(f"{at.topic}[{at.partition}]" for at in sorted(partitions))
