"""A page of dead letters, the newest first, over all partitions of their topics.

Kafka is read forwards only, so each partition is read in parts from its end on, and the newest of what they have come
to is next. Where a page ends each partition has a place of its own, which the cursor names: the next page goes on
there, whatever was written meanwhile.
"""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from kafka_bridge.broker.ports import Scanner, Span
from kafka_bridge.dispatch.cursor import Positions
from kafka_bridge.dispatch.letter import Letter, read_letter
from kafka_bridge.dispatch.reading import Bounds, Reading, Spans
from kafka_bridge.dispatch.shown import Page, Shown
from kafka_bridge.errors import Cause, Unreadable
from kafka_bridge.events.record import TopicPartition

# Records that one look reads at the most, and of a partition at first and later on.
MOST: Final = 20_000
PART: Final = 20
MOST_OF_A_PART: Final = 2000
_READ: Final = 200

type Choose = Callable[[Letter], Shown | None]
"""What is shown of a letter; None for one that is not wanted."""


@dataclass(slots=True)
class _Lane:
    """One partition: what was read of it and is not on the page yet, and the offset above which all was read."""

    at: TopicPartition
    earliest: int
    floor: int
    part: int
    rows: deque[Shown] = field(default_factory=deque)

    @property
    def is_done(self) -> bool:
        return not self.rows and self.floor <= self.earliest

    @property
    def place(self) -> int:
        return self.rows[0].offset + 1 if self.rows else self.floor

    @property
    def span(self) -> Span:
        return Span(max(self.earliest, self.floor - self.part), self.floor)


class Listing:
    """On the thread that owns the scanner."""

    def __init__(self, scanner: Scanner, choose: Choose, bounds: Bounds) -> None:
        self._choose = choose
        self._bounds = bounds
        self._reading = Reading(scanner, bounds.clock)
        self._looked_at = 0
        self._lanes: list[_Lane] = []

    def page(self, spans: Spans, *, limit: int, cursor: Positions) -> Page:
        """The page. Raises BridgeError."""
        part = max(PART, 2 * limit // max(1, len(spans)))
        self._lanes = [
            _Lane(at, span.start, max(span.start, min(span.end, cursor.get(at, span.end))), part)
            for at, span in sorted(spans.items())
        ]
        rows = list[Shown]()
        while len(rows) < limit:
            if empty := [lane for lane in self._lanes if not lane.rows and not lane.is_done]:
                if self._looked_at >= MOST or self._bounds.over or not self._fill(empty):
                    if not rows and self._looked_at < MOST and not self._has_moved(spans, cursor):
                        raise Unreadable(Cause.NOT_ACKNOWLEDGED, "the time was over before anything was read")
                    break
                continue
            lanes = [lane for lane in self._lanes if lane.rows]
            if not lanes:
                break
            newest = max(lanes, key=lambda lane: (lane.rows[0].time, lane.at))
            rows.append(newest.rows.popleft())
        places = {} if all(lane.is_done for lane in self._lanes) else {lane.at: lane.place for lane in self._lanes}
        return Page(rows, places)

    def _has_moved(self, spans: Spans, cursor: Positions) -> bool:
        return any(
            lane.place < min(spans[lane.at].end, cursor.get(lane.at, spans[lane.at].end)) for lane in self._lanes
        )

    def _fill(self, lanes: Sequence[_Lane]) -> bool:
        """Read the next part of each; False when the time was over before that was done."""
        left = {lane.at: lane.span for lane in lanes}
        found: dict[TopicPartition, deque[Shown]] = {lane.at: deque() for lane in lanes}
        while left:
            if self._bounds.over:
                return False
            records, left = self._reading.read(left, limit=_READ)
            self._looked_at += len(records)
            for consumed in records:
                if (row := self._choose(read_letter(consumed))) is not None:
                    found[consumed.position].appendleft(row)
        for lane in lanes:
            lane.floor, lane.rows = lane.span.start, found[lane.at]
            lane.part = min(lane.part * 2, MOST_OF_A_PART)
        return True
