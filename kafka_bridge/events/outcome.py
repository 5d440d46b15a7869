"""What became of one request, and who wants to know. Pure."""

from enum import StrEnum
from typing import NamedTuple, Protocol

from kafka_bridge.errors import BridgeError
from kafka_bridge.events.envelope import Event
from kafka_bridge.events.record import Delivery, Record
from kafka_bridge.events.run import Ran
from kafka_bridge.http import Inbound, Outbound


class Verdict(StrEnum):
    """What the verification said."""

    VERIFIED = "verified"
    REJECTED = "rejected"
    UNCHECKED = "unchecked"
    """The scheme is `none`: the operator chose not to verify."""
    SKIPPED = "skipped"
    """The request was refused before its signature was looked at (a truncated body), or is a handshake without one."""
    OWN = "own"
    """No sender has brought it: a person who has the API token had the bridge make it."""


class Taken(NamedTuple):
    """One event of a request. `record` is None when a route drops it.

    `delivery` is set if and only if the broker has acknowledged the event: this record, or, for a `duplicate`, the one
    that came before.
    """

    event: Event
    record: Record | None = None
    delivery: Delivery | None = None
    duplicate: bool = False


class Outcome(NamedTuple):
    """One request, whole: what came, what was found, where it went, how long it took.

    `time` is unix seconds, `duration_s` seconds. Either every event that was not dropped has a delivery, or `error`
    says why not. `batch`: the answer lists the events. `reply` is what the sender must read instead of the usual
    answer, with no events when the request was a handshake. `reason` explains a verdict to the operator and never
    leaves to the sender. `inbound` is the request itself.
    """

    source: str
    scheme: str
    time: float
    duration_s: float
    verdict: Verdict
    reason: str = ""
    events: tuple[Taken, ...] = ()
    batch: bool = False
    reply: Outbound | None = None
    error: BridgeError | None = None
    inbound: Inbound | None = None

    @property
    def event(self) -> Event | None:
        """The first event."""
        return self.events[0].event if self.events else None

    @property
    def record(self) -> Record | None:
        """The first event's record."""
        return self.events[0].record if self.events else None

    @property
    def delivery(self) -> Delivery | None:
        """Where the first event's record lies."""
        return self.events[0].delivery if self.events else None


class Recorder(Protocol):
    """Takes every outcome. Must not raise, and must not make the sender wait."""

    def record(self, endpoint: str, outcome: Outcome) -> None:
        """Note what became of a request to `endpoint`."""

    def ran(self, endpoint: str, ran: Ran) -> None:
        """Note what became of a run."""


class Recorders:
    """Implements `Recorder`: several, one after the other."""

    def __init__(self, *recorders: Recorder) -> None:
        self._recorders = recorders

    def record(self, endpoint: str, outcome: Outcome) -> None:
        for recorder in self._recorders:
            recorder.record(endpoint, outcome)

    def ran(self, endpoint: str, ran: Ran) -> None:
        for recorder in self._recorders:
            recorder.ran(endpoint, ran)
