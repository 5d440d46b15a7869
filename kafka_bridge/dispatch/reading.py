"""Reads parts of partitions with patience, until it is time to end."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from kafka_bridge.broker.ports import ClientDead, Scanner, Span
from kafka_bridge.clock import Clock
from kafka_bridge.dispatch.trouble import HEALS, HEALS_S
from kafka_bridge.errors import Cause, Unavailable, Unreadable
from kafka_bridge.events.record import Consumed, TopicPartition

POLL_S: Final = 0.1
# A broker that says nothing at all for so long is not waited for any longer.
SILENCE_S: Final = 30.0

type Spans = dict[TopicPartition, Span]


@dataclass(frozen=True, slots=True)
class Bounds:
    """When to end: at `until` (monotonic seconds; None: never), or when `stopped` says so."""

    clock: Clock
    stopped: Callable[[], bool]
    until: float | None = None

    @property
    def over(self) -> bool:
        """Whether it is time."""
        return self.stopped() or (self.until is not None and self.clock.monotonic() >= self.until)


class Reading:
    """On the thread that owns the scanner. A broker that is away may be one of several, or back in a moment."""

    def __init__(self, scanner: Scanner, clock: Clock) -> None:
        self._scanner = scanner
        self._clock = clock
        self._heard_at = clock.monotonic()
        self._troubled_at: float | None = None

    def read(self, spans: Spans, *, limit: int) -> tuple[Sequence[Consumed], Spans]:
        """What the scanner gives within a moment, and what is left. Raises BridgeError."""
        now = self._clock.monotonic()
        try:
            records, left = self._scanner.read(spans, limit=limit, timeout_s=POLL_S)
        except ClientDead as dead:
            raise dead.error from dead
        except Unavailable as error:
            self._troubled_at = now if self._troubled_at is None else self._troubled_at
            if error.cause not in HEALS or now - self._troubled_at > HEALS_S:
                raise
            return (), spans
        if left != spans:
            self._heard_at, self._troubled_at = now, None
        elif now - self._heard_at > SILENCE_S:
            raise Unreadable(Cause.NOT_ACKNOWLEDGED, "no answer")
        return records, dict(left)

    def rested(self) -> None:
        """Nothing was read for a while, on purpose."""
        self._heard_at = self._clock.monotonic()
