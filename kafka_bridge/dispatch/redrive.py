"""What is sent back of the dead letters: who asks for which, where one goes, what has become of all of them. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, NamedTuple

from kafka_bridge.dispatch.cursor import Positions
from kafka_bridge.dispatch.ended import Ended, Ending
from kafka_bridge.dispatch.letter import Letter
from kafka_bridge.dispatch.plan import Plan
from kafka_bridge.errors import BridgeError, Malformed, Unroutable
from kafka_bridge.events.record import Delivery, TopicPartition
from kafka_bridge.moments import unix_of

FILTERS: Final = ("topic", "event_id", "key", "reason", "group", "since", "until")
MAX_TEXT_CHARS: Final = 512


class Target(StrEnum):
    """Where dead letters go."""

    TOPIC = "topic"
    """Back to the topic that they came from: whoever consumes it runs them."""
    WORKFLOW = "workflow"
    """Straight to what is run for each record."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which dead letters; an empty text and None want any. Times in unix seconds, of the last failure.

    `topic` is the one that a letter came from, or the one where it lies; `reason` a part of its reason, in any case;
    `group` who has written it.
    """

    topic: str = ""
    event_id: str = ""
    key: str = ""
    reason: str = ""
    group: str = ""
    since: float | None = None
    until: float | None = None

    def matches(self, letter: Letter) -> bool:
        """Whether this is one of them."""
        record = letter.consumed.record
        if self.topic and self.topic not in {letter.topic, record.topic}:
            return False
        if self.group and self.group != letter.group:
            return False
        if self.reason and self.reason.casefold() not in f"{letter.kind} {letter.error}".casefold():
            return False
        if self.key and (record.key is None or self.key != record.key.decode("utf-8", "replace")):
            return False
        if not self._is_in_time(letter.failed_at):
            return False
        return not self.event_id or self.event_id == letter.event_id

    def _is_in_time(self, unix: float | None) -> bool:
        if self.since is None and self.until is None:
            return True
        return unix is not None and (self.since or unix) <= unix <= (self.until or unix)


def wanted_of(fields: Mapping[str, str]) -> Wanted:
    """From texts by the names of `FILTERS`. Raises Malformed."""
    if unknown := sorted(fields.keys() - set(FILTERS)):
        raise Malformed(f"There is no filter {unknown[0][:40]!a}; there are {', '.join(FILTERS)}.")
    texts = {name: text[:MAX_TEXT_CHARS] for name, text in fields.items() if name not in {"since", "until"}}
    return Wanted(**texts, since=_moment(fields, "since"), until=_moment(fields, "until"))


def _moment(fields: Mapping[str, str], name: str) -> float | None:
    text = fields.get(name, "").strip()
    if text and unix_of(text) is None:
        raise Malformed(f"{name} must be a time as 2026-01-31T12:00:00Z, or in unix seconds.")
    return unix_of(text) if text else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What somebody asks for.

    `count`: so many at the most are sent, None: all. `record`: this one alone, by its place in the dead-letter topic,
    and with `again` also where it was sent back before. `cursor` is where an answer before had come to.
    """

    to: Target = Target.TOPIC
    dry_run: bool = True
    count: int | None = None
    wanted: Wanted = Wanted()
    record: tuple[TopicPartition, int] | None = None
    again: bool = False
    cursor: Positions = field(default_factory=dict)


def letter_topics(plan: Plan, topic: str = "") -> Sequence[str]:
    """The topics where the dead letters lie; with a `topic` where its own do, or itself where it is one of these."""
    letters = {each: plan.dead_letters.of(each) for each in plan.topics}
    found = {letters[topic]} if topic in letters else {each for each in letters.values() if topic in {"", each}}
    return sorted(found)


def destination(letter: Letter, plan: Plan, *, group: str = "") -> str:
    """The topic that a letter belongs to. Raises Unroutable, whose text says why it has none.

    Who may write to the dead-letter topic may write anything into a letter: only a topic that is consumed, and whose
    dead letters lie here, is believed. Where there is but one of those, a letter that says nothing came from there.
    `group`: somebody asks for the letters of this one; otherwise those that the bridge wrote for others stay.
    """
    here = [topic for topic in plan.topics if plan.dead_letters.of(topic) == letter.consumed.record.topic]
    if not letter.is_readable:
        raise Unroutable("Its headers cannot be read: the record could not be made again.")
    if letter.topic and letter.topic not in here:
        raise Unroutable("It came from a topic that is not consumed here.")
    if not letter.topic and len(here) != 1:
        raise Unroutable("It does not say which topic it came from.")
    if letter.is_ours and letter.group != (group or plan.group_id):
        raise Unroutable("It is a dead letter of another consumer group.")
    return letter.topic or here[0]


class Parcel(NamedTuple):
    """A letter on its way to where it goes. `start`: no record lies between this offset and the letter's."""

    letter: Letter
    topic: str
    start: int


type Fate = Delivery | Ended | BridgeError
"""What has become of a parcel: written, run, or neither."""


REDRIVEN: Final = "redriven"
FAILED: Final = "failed"
SKIPPED: Final = "skipped"
MATCHED: Final = "matched"


class Line(NamedTuple):
    """What is said of one letter; `word` is one of the four above."""

    letter: Letter
    word: str
    detail: str = ""
    fate: Fate | None = None


@dataclass(slots=True, kw_only=True)
class Told:
    """What has become of an order. `matched` is always the sum of the others.

    `remaining` are those that match and were not tried. `next` is where to go on; while it is not empty, there may be
    more of them than were looked at. `error` is the first that stood in the way; `results` has the first run of each
    ending, without its outputs: there may be very many.
    """

    dry_run: bool
    redriven: int = 0
    skipped: int = 0
    failed: int = 0
    remaining: int = 0
    next: Positions = field(default_factory=dict)
    error: BridgeError | None = None
    results: list[Ended] = field(default_factory=list)

    @property
    def matched(self) -> int:
        """The letters that match and were not sent back before."""
        return self.redriven + self.skipped + self.failed + self.remaining

    @property
    def counts(self) -> Mapping[str, object]:
        """As they are told; what remains is not known while not all were looked at."""
        return {
            "dry_run": self.dry_run,
            "matched": self.matched,
            "redriven": self.redriven,
            "skipped": self.skipped,
            "failed": self.failed,
            "remaining": None if self.next else self.remaining,
        }

    def settle(self, parcel: Parcel, fate: Fate) -> Line:
        """Count what has become of one that was tried."""
        if isinstance(fate, Delivery):
            self.redriven += 1
            return Line(parcel.letter, REDRIVEN, fate=fate)
        if isinstance(fate, BridgeError):
            self.failed += 1
            self.error = self.error or fate
            return Line(parcel.letter, FAILED, str(fate), fate)
        if fate.ending not in {Ending.NOT_STARTED, *(known.ending for known in self.results)}:
            self.results.append(fate._replace(outputs=None))
        match fate.ending:
            case Ending.DONE:
                self.redriven += 1
                return Line(parcel.letter, REDRIVEN, fate=fate)
            case Ending.FAILED | Ending.REFUSED | Ending.UNKNOWN:
                self.failed += 1
                return Line(parcel.letter, FAILED, fate.error or fate.ending.value, fate)
            case Ending.UNAVAILABLE | Ending.MISCONFIGURED | Ending.NOT_STARTED:
                self.remaining += 1
                return Line(parcel.letter, MATCHED, fate.error or fate.ending.value, fate)

    def skip(self, letter: Letter, why: str) -> Line:
        """Count one that cannot be sent anywhere."""
        self.skipped += 1
        return Line(letter, SKIPPED, why)

    def leave(self, letter: Letter) -> Line:
        """Count one that is not tried now."""
        self.remaining += 1
        return Line(letter, MATCHED)
