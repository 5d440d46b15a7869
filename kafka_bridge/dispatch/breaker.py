"""The circuit between us and Dify: open while nothing can run, so that an outage costs no attempts. Pure.

While it is open one run at a time, the *probe*, tries whether it is over.
"""

from collections.abc import Callable
from typing import Final, NamedTuple

from kafka_bridge.dispatch.ended import Ended, Ending
from kafka_bridge.dispatch.task import Task

# An app that restarts is found again within seconds; a probe costs one request.
FIRST_S: Final = 0.5
UNAVAILABLE_CAP_S: Final = 10.0
# A person has to act first, and many workers wait for the same person: rarer, and not all at once.
MISCONFIGURED_CAP_S: Final = 30.0
_MAX_EXPONENT: Final = 10

_OPENING: Final = frozenset({Ending.UNAVAILABLE, Ending.MISCONFIGURED})


class Circuit(NamedTuple):
    """An open circuit: why, since when (unix seconds), and when the next probe may go (monotonic seconds)."""

    reason: str
    ending: Ending
    since: float
    next_probe: float


class Breaker:
    """Opens, probes and closes the circuit."""

    __slots__ = ("_failures", "_probe", "_random", "circuit")

    def __init__(self, *, random: Callable[[], float]) -> None:
        self.circuit: Circuit | None = None
        self._random = random
        self._probe: Task | None = None
        self._failures = 0

    @property
    def probing(self) -> bool:
        """Whether a probe is on its way."""
        return self._probe is not None

    def allows(self, now: float) -> bool:
        """Whether a run may start: any while the circuit is closed, one probe when its time has come."""
        return self.circuit is None or (self._probe is None and self.circuit.next_probe <= now)

    def start(self, task: Task) -> None:
        """A run that was allowed starts; while the circuit is open it is the probe."""
        if self.circuit is not None:
            self._probe = task

    def end(self, task: Task, ended: Ended, *, now: float, unix: float) -> None:
        """A run ended. What started before the circuit opened knows nothing new, unless it succeeded."""
        probe = task is self._probe
        if probe:
            self._probe = None
        if ended.ending in _OPENING:
            if self.circuit is None or probe:
                self._open(ended, now=now, unix=unix)
        elif ended.ending is Ending.DONE or (probe and ended.ending is not Ending.NOT_STARTED):
            self._close()

    def abandon(self, is_gone: Callable[[Task], bool]) -> None:
        """Wait no longer for a probe whose partition is gone: another one may go."""
        if self._probe is not None and is_gone(self._probe):
            self._probe = None

    def _open(self, ended: Ended, *, now: float, unix: float) -> None:
        doubled = FIRST_S * 2.0 ** min(self._failures, _MAX_EXPONENT)
        if ended.ending is Ending.MISCONFIGURED:
            wait_s = min(MISCONFIGURED_CAP_S, doubled) * (1 + self._random()) / 2
        else:
            wait_s = min(UNAVAILABLE_CAP_S, doubled)
        since = unix if self.circuit is None else self.circuit.since
        self.circuit = Circuit(ended.error or ended.ending.value, ended.ending, since, now + wait_s)
        self._failures += 1

    def _close(self) -> None:
        self.circuit = None
        self._probe = None
        self._failures = 0
