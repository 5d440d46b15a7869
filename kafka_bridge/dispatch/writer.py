"""Writes results and dead letters: together where many are due, and one that cannot be written alone."""

import logging
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Final

from kafka_bridge.broker.loops import Loop
from kafka_bridge.dispatch.engine import Write
from kafka_bridge.dispatch.task import Writing
from kafka_bridge.errors import BridgeError, Unavailable
from kafka_bridge.events.record import Delivery, Record
from kafka_bridge.incidents import incident_of

logger = logging.getLogger(__name__)

# What goes out together, and how many such groups are on their way at once.
RECORDS: Final = 100
GROUPS: Final = 4

type Send = Callable[[Sequence[Record]], Sequence[Delivery]]
"""Publishes records and returns once the broker has acknowledged all of them. Raises BridgeError."""
type Told = Callable[[Sequence[Write], BridgeError | None], None]
"""Takes what became of a group; called with the loop's lock held."""


class Writer:
    """`put` is for the loop; the writing itself waits, beside it."""

    def __init__(self, send: Send, record_of: Callable[[Write], Record], *, told: Told, loop: Loop) -> None:
        self._send = send
        self._record_of = record_of
        self._told = told
        self._loop = loop
        self._waiting: deque[Write] = deque()
        self._groups = 0

    @property
    def busy(self) -> bool:
        """Whether something is being written; what failed and will be tried again is not."""
        return self._groups > 0

    def put(self, write: Write) -> None:
        """Write this, soon."""
        self._waiting.append(write)
        if self._groups < GROUPS:
            self._groups += 1
            self._loop.spawn(self._work)

    def _work(self) -> None:
        while True:
            with self._loop.lock:
                group = [self._waiting.popleft() for _ in range(min(len(self._waiting), RECORDS))]
                if not group:
                    self._groups -= 1
                    self._told((), None)
                    return
            for same in _by_topic(group):
                self._deliver(same)

    def _deliver(self, group: Sequence[Write]) -> None:
        error: BridgeError | None = None
        try:
            self._send([self._record_of(write) for write in group])
        except BridgeError as found:
            error = found
        except Exception as found:  # noqa: BLE001 - nobody would hear of these records again
            error = self._defect(found)
        if error is not None and len(group) > 1 and not isinstance(error, Unavailable):
            # One that is too large, say, must not keep the others from being written. What is true of the topic, or of
            # the cluster, is true of each: to ask once more for every one of them would take minutes.
            for write in group:
                self._deliver([write])
            return
        with self._loop.lock:
            self._told(group, error)

    def _defect(self, error: Exception) -> BridgeError:
        incident = incident_of(error)
        self._loop.log(partial(logger.error, "%s", incident.line))
        return incident.error


def _by_topic(group: Sequence[Write]) -> Iterable[Sequence[Write]]:
    """A dead-letter topic that is not there must not keep results from being written."""
    kinds: dict[tuple[Writing, str], list[Write]] = {}
    for write in group:
        kinds.setdefault((write.kind, write.task.position.topic), []).append(write)
    return kinds.values()
