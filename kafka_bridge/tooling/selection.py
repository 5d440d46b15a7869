"""What a call of `consume` is to read. Pure."""

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from kafka_bridge.events.record import is_topic_name
from kafka_bridge.tooling.filters import Filter, read_filter
from kafka_bridge.tooling.order import MAX_PARTITION, TOPIC_RULE
from kafka_bridge.tooling.parameters import Parameters

MAX_TOPICS: Final = 50
MAX_MESSAGES: Final = 1000
# The platform ends a call after ten minutes, and whoever calls waits.
MAX_S: Final = 240.0
DEFAULT_MESSAGES: Final = 10
DEFAULT_S: Final = 10.0
MAX_GROUP_CHARS: Final = 249
_NO_PARTITION: Final = -1
# A number below this is a time in seconds, one above in milliseconds: the year 5138, or 1973.
_MILLISECONDS_FROM: Final = 100_000_000_000
_MAX_DIGITS: Final = 15
_AGO: Final = re.compile(r"(\d{1,6}) ?([smhd])")
_SECONDS: Final = MappingProxyType({"s": 1, "m": 60, "h": 3600, "d": 86400})


class From(StrEnum):
    """Where reading begins."""

    EARLIEST = "earliest"
    LATEST = "latest"
    OFFSET = "offset"
    TIMESTAMP = "timestamp"
    GROUP = "group"


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """When reading ends: after so many records, after so many seconds, and unless it `waits` where there is no more.

    Of a group that is where there is no more and something has been read.
    """

    messages: int
    seconds: float
    waits: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Topics, where to begin, which records, how many. `partition` is None for all of them.

    A negative `offset` counts from the end. `commit` is only set together with a group.
    """

    topics: tuple[str, ...]
    start: From
    limits: Limits
    filter: Filter = field(default_factory=Filter)
    partition: int | None = None
    offset: int = 0
    timestamp_ms: int = 0
    group_id: str = ""
    commit: bool = False


def read_selection(parameters: Parameters, *, now: float) -> Selection:
    """What is to be read; what is wrong is noted in `parameters`. `now` is unix time in seconds."""
    start = From(parameters.choice("from", [*From]))
    group_id = group_of(parameters)
    partition = parameters.integer("partition", default=_NO_PARTITION, low=_NO_PARTITION, high=MAX_PARTITION)
    commit = parameters.flag("commit")
    _check_combination(parameters, start, group_id, commit=commit)
    return Selection(
        topics=_topics(parameters),
        start=start,
        limits=Limits(
            messages=parameters.integer("max_messages", default=DEFAULT_MESSAGES, low=1, high=MAX_MESSAGES),
            seconds=parameters.number("max_seconds", default=DEFAULT_S, low=0.1, high=MAX_S),
            waits=parameters.flag("wait") or start is From.LATEST,
        ),
        filter=read_filter(parameters, "filter"),
        partition=None if partition == _NO_PARTITION else partition,
        offset=parameters.integer("offset", default=0, low=-(2**53), high=2**53),
        # Below zero Kafka means something else: -1 is the end.
        timestamp_ms=max(0, _timestamp(parameters, now)) if start is From.TIMESTAMP else 0,
        group_id=group_id,
        commit=commit,
    )


def group_of(parameters: Parameters) -> str:
    """The name of a consumer group; empty where none was given."""
    group_id = parameters.text("group_id")
    if len(group_id) > MAX_GROUP_CHARS:
        parameters.problem("group_id", f"is longer than {MAX_GROUP_CHARS} characters")
    return group_id


def _topics(parameters: Parameters) -> tuple[str, ...]:
    topics = parameters.names("topics")
    if not topics and not parameters.has("topics"):
        parameters.problem("topics", "missing")
    if not all(map(is_topic_name, topics)):
        parameters.problem("topics", f"an entry {TOPIC_RULE}")
    if len(topics) > MAX_TOPICS:
        parameters.problem("topics", f"has more than {MAX_TOPICS} entries")
    return topics[:MAX_TOPICS]


def _check_combination(parameters: Parameters, start: From, group_id: str, *, commit: bool) -> None:
    if start is From.GROUP and not group_id:
        parameters.problem("group_id", "missing: from is group")
    if start is From.OFFSET and not parameters.has("offset"):
        parameters.problem("offset", "missing: from is offset")
    if start is From.TIMESTAMP and not parameters.has("timestamp"):
        parameters.problem("timestamp", "missing: from is timestamp")
    if group_id and start in {From.OFFSET, From.TIMESTAMP}:
        parameters.problem("group_id", f"cannot be used with from {start}: a group begins where it has committed")
    if commit and not group_id:
        parameters.problem("commit", "needs a group_id")
    if commit and parameters.has("partition") and parameters.text("partition") != str(_NO_PARTITION):
        parameters.problem("partition", "cannot be chosen together with commit: the group gives out its partitions")


def _timestamp(parameters: Parameters, now: float) -> int:
    """Unix milliseconds of an ISO 8601 time, a number, or of so long ago: 15m, 2h, 1d."""
    text = parameters.text("timestamp")
    if match := _AGO.fullmatch(text.removesuffix("ago").removeprefix("-").strip()):
        return int((now - int(match[1]) * _SECONDS[match[2]]) * 1000)
    if text.isascii() and text.isdecimal() and len(text) <= _MAX_DIGITS:
        number = int(text)
        return number if number >= _MILLISECONDS_FROM else number * 1000
    try:
        time = datetime.fromisoformat(text)
        return int((time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp() * 1000)
    except (ValueError, OverflowError):
        if text:
            parameters.problem("timestamp", "is an ISO 8601 time, unix milliseconds, or so long ago: 15m, 2h, 1d")
        return 0
