"""One received record on its way to being done. Pure.

A task *waits* until it is run, *runs*, waits again if it has to be tried again, and is *written* (its result, or its
dead letter) where that belongs to being done.
"""

from dataclasses import dataclass
from enum import IntEnum, StrEnum

from kafka_bridge.dispatch.ended import Ended
from kafka_bridge.events.record import Consumed, Record, TopicPartition


class IllegalFact(Exception):
    """The engine was told what cannot be: a programming error of whoever drives it. Nothing has changed."""


class Ordering(StrEnum):
    """Which records wait for one another."""

    KEY = "key"
    """Those of one partition with the same key; a record without a key waits for none."""
    PARTITION = "partition"
    NONE = "none"


class Writing(StrEnum):
    """What is written before a task is done."""

    RESULT = "result"
    DEAD_LETTER = "dead letter"


class Reason(StrEnum):
    """Why a record is dead-lettered."""

    ATTEMPTS = "attempts used up"
    REFUSED = "input refused"
    EXPIRED = "too old"
    RESULT = "the run succeeded and its result cannot be written"


class Place(IntEnum):
    """Where a task is; the engine counts by it."""

    OUT = 0
    """Done, or dropped because its partition is no longer ours."""
    WAITING = 1
    RUNNING = 2
    WRITING = 3
    """To be written, being written, or to be written again."""


@dataclass(slots=True, eq=False, repr=False)
class Task:
    """A record and what became of it so far. Drivers read; only the engine changes it.

    `assignment` numbers the assignment of its partition that it was received under; `expires` is monotonic seconds,
    `first_failure`, `last_failure` and `since` (its last start) unix seconds. `attempts` are the runs that counted;
    `last` is how the last run ended that was started at all; `reason` says why it is dead-lettered. `started`: handed
    out, and not yet ended or written; `write_failures`: how often the present writing failed.
    """

    consumed: Consumed
    position: TopicPartition
    assignment: int
    size_bytes: int
    expires: float | None = None
    attempts: int = 0
    first_failure: float | None = None
    last_failure: float | None = None
    last: Ended | None = None
    reason: Reason | None = None
    writing: Writing | None = None
    since: float | None = None
    started: bool = False
    write_failures: int = 0
    place: Place = Place.OUT

    def __repr__(self) -> str:
        """Where it lies, and nothing of what is in it."""
        return f"Task({self.position.topic}[{self.position.partition}]@{self.consumed.offset}, {self.place.name})"


def size_bytes(record: Record) -> int:
    """What a record weighs in a buffer: key, value, headers."""
    size = len(record.value or b"") + len(record.key or b"")
    for name, value in record.headers:
        size += len(name) + len(value or b"")
    return size


def expiry(record: Record, max_age_s: int | None, *, now: float, unix: float) -> float | None:
    """When a record is too old to be run, in monotonic seconds; its age counts from its timestamp.

    A timestamp in the future is a clock that goes wrong, and adds nothing.
    """
    if max_age_s is None:
        return None
    age_s = 0.0 if record.timestamp_ms is None else max(0.0, unix - record.timestamp_ms / 1000)
    return now + max_age_s - age_s
