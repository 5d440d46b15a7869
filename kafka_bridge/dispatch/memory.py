"""What a consumer group of its own remembers of the dead letters that were sent back; and that one at a time does it.

Nobody is a member of that group: offsets are read and committed as they are. Who sends letters back says so beside the
offset of each topic's first partition, and again every few seconds; whoever comes meanwhile is turned away. The claim
of one who was killed ends by itself.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from kafka_bridge.broker.loops import Loop
from kafka_bridge.broker.ports import Mark, Scanner, Span
from kafka_bridge.clock import Clock
from kafka_bridge.dispatch.progress import Claim, Progress, TooScattered, read_note
from kafka_bridge.errors import Busy
from kafka_bridge.events.record import TopicPartition

SUFFIX: Final = ".redrive"
CLAIM_S: Final = 10.0
RENEW_S: Final = 3.0
_LOOK_S: Final = 0.5


class Memory:
    """On the thread that owns the scanner: all of it may block, and raises BridgeError."""

    def __init__(self, scanner: Scanner, topics: Sequence[str], *, holder: str, loop: Loop, clock: Clock) -> None:
        self._scanner = scanner
        self._topics = topics
        self._holder = holder
        self._loop = loop
        self._clock = clock
        self._progress: dict[TopicPartition, Progress] = {}
        self._claims: dict[TopicPartition, Claim] = {}
        self._dirty: set[TopicPartition] = set()
        self._kept_at = clock.monotonic()
        self._lost = False
        partitions = sorted(at for topic in topics for at in scanner.partitions(topic))
        # Of each topic one: the first. What comes later in the order stands, so they are gone through from the end.
        self._first = frozenset({at.topic: at for at in reversed(partitions)}.values())
        self._partitions = partitions
        self.spans: Mapping[TopicPartition, Span] = {}

    @property
    def progress(self) -> Mapping[TopicPartition, Progress]:
        """What is done, by partition."""
        return self._progress

    def load(self) -> None:
        """Learn what is done, and then what lies there: `spans` hold all that anybody has done."""
        marks = self._scanner.marks(self._partitions)
        spans = self._scanner.spans(self._topics)
        self.spans = {at: spans.get(at, Span(0, 0)) for at in self._partitions}
        for at, span in self.spans.items():
            self._progress[at], self._claims[at] = _known(marks.get(at, Mark(None)), span)

    def claim(self) -> None:
        """As `load`, and be the one who sends these back. Raises Busy while somebody else is."""
        began, before = self._clock.monotonic(), None
        while True:
            self.load()
            others = self._others()
            if not others or max(others.values()) <= self._clock.now():
                break
            if before is not None and others != before:
                raise _busy()
            if self._clock.monotonic() - began > CLAIM_S:
                break
            before = others
            self._loop.rest(_LOOK_S)
        self._write(self._first)
        self.load()
        if self._others():
            raise _busy()

    def done(self, at: TopicPartition, start: int, end: int) -> None:
        """These are done: to be kept."""
        self._progress[at].add(start, end)
        self._dirty.add(at)

    def check(self, ranges: Iterable[tuple[TopicPartition, int, int]]) -> None:
        """Return if it can be remembered when these are done. Raises Busy."""
        tried: dict[TopicPartition, Progress] = {}
        for at, start, end in ranges:
            tried.setdefault(at, self._progress[at].copy()).add(start, end)
        try:
            for progress in tried.values():
                progress.note()
        except TooScattered as error:
            raise Busy(
                "So many single dead letters were sent back that no more can be remembered: send the older ones back"
                " first, without a filter."
            ) from error

    @property
    def is_kept(self) -> bool:
        """Whether the group remembers all that is done."""
        return not self._dirty

    def keep(self) -> None:
        """Have the group remember what is done; and now and then that somebody is at work."""
        silent_s = self._check_claim()
        if silent_s > RENEW_S or self._dirty:
            self._write(self._dirty | (self._first if silent_s > RENEW_S else set()))

    def release(self) -> None:
        """Be at work no more."""
        if self._lost:
            return
        self._check_claim()
        self._holder = ""
        self._write(self._dirty | self._first)

    def _write(self, partitions: Iterable[TopicPartition]) -> None:
        until = int(self._clock.now() + CLAIM_S) if self._holder else 0
        claim = Claim(self._holder, until)
        self._scanner.remember(
            {
                at: Mark(self._progress[at].low, self._progress[at].note(claim if at in self._first else None))
                for at in partitions
            }
        )
        self._dirty.clear()
        self._kept_at = self._clock.monotonic()

    def _check_claim(self) -> float:
        """For how long nobody has heard of us. If that is long, somebody else may be at work by now. Raises Busy."""
        silent_s = self._clock.monotonic() - self._kept_at
        if silent_s > CLAIM_S and not self._lost:
            first = sorted(self._first)
            marks = self._scanner.marks(first)
            self._lost = any(_known(marks[at], self.spans[at])[1].holder != self._holder for at in first)
        if self._lost:
            raise _busy()
        return silent_s

    def _others(self) -> dict[TopicPartition, int]:
        """Until when others say that they are at work."""
        holders = {at: self._claims[at] for at in self._first}
        return {at: claim.until for at, claim in holders.items() if claim.holder not in {"", self._holder}}


def _known(mark: Mark, span: Span) -> tuple[Progress, Claim]:
    if mark.offset is None:
        return Progress(span.start), Claim()
    progress, claim = read_note(mark.offset, mark.note)
    highest = max((end for _, end in progress.above), default=progress.low)
    if highest > span.end:
        # The topic was made anew: of what lies there now nothing is done.
        return Progress(span.start), claim
    progress.add(0, span.start)
    return progress, claim


def _busy() -> Busy:
    return Busy("Somebody else is sending these dead letters back.")
