"""How values are written on a page: cut, on one line, times in two ways. Pure.

Whatever a sender chose may be anything. Templates escape it and isolate its direction; here it is kept short.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Final, NamedTuple

from kafka_bridge.events.log.document import iso_time
from kafka_bridge.events.log.entry import Entry, Kind

NAME_CHARS: Final = 64
VALUE_CHARS: Final = 512
ELLIPSIS: Final = "…"
_MINUTE_S: Final = 60
_HOUR_S: Final = 3600
_DAY_S: Final = 86_400
_SECOND_MS: Final = 1000
# Unicode has a picture for each control character, and one for DEL.
_PICTURES: Final = 0x2400
_DELETE: Final = 0x7F

GOOD: Final = "good"
BAD: Final = "bad"
WARN: Final = "warn"
CALM: Final = "calm"
_TONES: Final[Mapping[str, str]] = MappingProxyType(
    {
        **dict.fromkeys(("accepted", "succeeded", "healthy", "ok", "verified", "running", "closed"), GOOD),
        **dict.fromkeys(
            ("rejected", "failed", "dead-lettered", "refused", "misconfigured", "unhealthy", "open", "failing"), BAD
        ),
        **dict.fromkeys(("unknown", "unavailable", "degraded", "unchecked", "queued", "stopped"), WARN),
    }
)

type Words = Mapping[str, str]


class Badge(NamedTuple):
    """An outcome: its word, the same for a person, and a tone that is never all that tells it from others."""

    word: str
    text: str
    tone: str


class When(NamedTuple):
    """A moment: for machines, absolute in UTC, and how long ago."""

    iso: str
    utc: str
    ago: str


def one_line(text: str, chars: int = NAME_CHARS) -> str:
    """On one line and no longer than that; control characters as pictures."""
    cut = text[:chars]
    if not cut.isprintable():
        cut = "".join(map(_visible, cut))
    return cut if len(text) <= chars else cut + ELLIPSIS


def _visible(character: str) -> str:
    code = ord(character)
    if code < ord(" "):
        return chr(_PICTURES + code)
    return "\u2421" if code == _DELETE else character


def badge(word: str, words: Words) -> Badge:
    """An outcome, an ending, a state."""
    return Badge(word, words.get(word) or word, _TONES.get(word, CALM))


def when(unix_s: float, now: float, words: Words) -> When:
    """A moment, seen from another one."""
    try:
        moment = datetime.fromtimestamp(unix_s, UTC)
        iso = iso_time(unix_s)
    except (ValueError, OverflowError, OSError):
        # Whatever lies in storage, a page is shown.
        return When("", "?", "")
    return When(iso, moment.strftime("%Y-%m-%d %H:%M:%S"), ago(now - unix_s, words))


def ago(seconds: float, words: Words) -> str:
    """How long ago, in one unit."""
    if seconds < 2:  # noqa: PLR2004 - clocks of two machines differ by that
        return words["now"]
    for key, unit, limit in (
        ("seconds_ago", 1, _MINUTE_S),
        ("minutes_ago", _MINUTE_S, _HOUR_S),
        ("hours_ago", _HOUR_S, _DAY_S),
    ):
        if seconds < limit:
            return words[key].format(int(seconds // unit))
    return words["days_ago"].format(int(seconds // _DAY_S))


def duration(milliseconds: float) -> str:
    """How long something took."""
    if milliseconds < _SECOND_MS:
        return f"{milliseconds:.0f} ms" if milliseconds >= 10 else f"{milliseconds:.1f} ms"  # noqa: PLR2004
    return f"{milliseconds / _SECOND_MS:.1f} s"


def size(count: int, words: Words) -> str:
    """A number of bytes."""
    return words["bytes"].format(f"{count:,}")


def place(entry: Entry) -> str:
    """Where its record lies, or should: `topic[partition]@offset`."""
    if not entry.topic:
        return ""
    topic = one_line(entry.topic)
    if entry.partition < 0:
        return topic
    return f"{topic}[{entry.partition}]@{entry.offset}" if entry.offset >= 0 else f"{topic}[{entry.partition}]"


def word_of(entry: Entry) -> str:
    """What became of it: of a run how it ended."""
    return entry.ending if entry.kind == Kind.RUN and entry.ending else entry.kind
