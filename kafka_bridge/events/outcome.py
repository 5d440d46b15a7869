"""What became of one request, and who wants to know. Pure."""

from enum import StrEnum
from typing import NamedTuple, Protocol

from kafka_bridge.errors import BridgeError
from kafka_bridge.events.envelope import Event
from kafka_bridge.events.record import Delivery, Record


class Verdict(StrEnum):
    """What the verification said."""

    VERIFIED = "verified"
    REJECTED = "rejected"
    UNCHECKED = "unchecked"
    """The scheme is `none`: the operator chose not to verify."""
    SKIPPED = "skipped"
    """The request was refused before its signature was looked at (a truncated body)."""


class Outcome(NamedTuple):
    """One request, whole: what came, what was found, where it went, how long it took.

    `time` is unix seconds, `duration_s` seconds. `delivery` is set if and only if the broker acknowledged;
    otherwise `error` says why not. `reason` explains a verdict to the operator and never leaves to the sender.
    """

    source: str
    scheme: str
    time: float
    duration_s: float
    verdict: Verdict
    reason: str = ""
    event: Event | None = None
    record: Record | None = None
    delivery: Delivery | None = None
    error: BridgeError | None = None


class Recorder(Protocol):
    """Takes every outcome. Must not raise, and must not make the sender wait."""

    def record(self, endpoint: str, outcome: Outcome) -> None:
        """Note what became of a request to `endpoint`."""
