"""One line of the event log, and how it is written. Pure."""

from collections.abc import Sequence
from enum import StrEnum
from itertools import chain, repeat
from typing import Final, NamedTuple

import orjson


class Kind(StrEnum):
    """What an entry tells of."""

    ACCEPTED = "accepted"
    """The broker has acknowledged the event."""
    DUPLICATE = "duplicate"
    """The same event came before, and was acknowledged."""
    DROPPED = "dropped"
    """A route says that nobody wants it."""
    REJECTED = "rejected"
    """It is not verified."""
    FAILED = "failed"
    """It was not acknowledged, or could not be taken: its sender was told so."""
    HANDSHAKE = "handshake"
    """The sender asked something, and was answered."""
    RUN = "run"
    """A run of the app for a record."""
    DEAD_LETTERED = "dead-lettered"
    """The dead-letter topic has the record: there will be no other run."""
    REPLAY = "replay"
    """A person has sent an event again."""


RUNS: Final = frozenset({Kind.RUN, Kind.DEAD_LETTERED})


class Entry(NamedTuple):
    """One line. A text that is empty and a number that is -1 are not known.

    `id` is the log's own: it sorts by time. `time` is unix seconds. `body` is text, or base64 where `encoding` says
    so; `body_bytes` is how long it was when it came, and `note` says why it is not here as it came. `attempt`,
    `ending` and `run_id` belong to a run, whose error is the `reason`. `missed`: so many like it were not recorded.
    `record_format`, and the `attributes` of a CloudEvent as a JSON object, are there where the whole record can be made
    from the entry.
    """

    id: str
    kind: str
    time: float
    source: str = ""
    scheme: str = ""
    event_id: str = ""
    event_type: str = ""
    id_signed: bool = False
    verdict: str = ""
    reason: str = ""
    method: str = ""
    path: str = ""
    headers: Sequence[tuple[str, str]] = ()
    content_type: str = ""
    body: str = ""
    encoding: str = ""
    body_bytes: int = 0
    note: str = ""
    topic: str = ""
    partition: int = -1
    offset: int = -1
    key: str = ""
    status: int = 0
    duration_ms: float = 0.0
    attempt: int = 0
    ending: str = ""
    run_id: str = ""
    replay_of: str = ""
    missed: int = 0
    record_format: str = ""
    attributes: str = ""

    @property
    def position(self) -> tuple[str, int, int] | None:
        """Where its record lies."""
        return (self.topic, self.partition, self.offset) if self.topic and self.offset >= 0 else None


FIELDS: Final = Entry._fields
_NUMBERS: Final = frozenset({"time", "duration_ms"})
_TYPES: Final = tuple(
    (int, float)
    if name in _NUMBERS
    else list | tuple
    if name == "headers"
    else type(Entry._field_defaults.get(name, ""))
    for name in FIELDS
)
# The year 10000: no date is later.
_END_S: Final = 253_402_300_800
WRITER_CHARS: Final = 8
ID_CHARS: Final = 16 + WRITER_CHARS
# A row begins `["<id>","<kind>",`.
_ID_AT: Final = len('["')
_KIND_AT: Final = _ID_AT + ID_CHARS + len('",')
_RUN_STARTS: Final = tuple(f'"{kind}"'.encode() for kind in RUNS)
_MOST_PER_MS: Final = 0xFFFF


class Ids:
    """Ids of one writer: they only ever grow, whatever the clock does."""

    def __init__(self, writer: str) -> None:
        self.writer = writer
        self._ms = 0
        self._number = 0

    def next(self, now: float) -> str:
        """A fresh id; `now` in unix seconds."""
        ms = int(now * 1000)
        if ms > self._ms:
            self._ms, self._number = ms, 0
        elif self._number < _MOST_PER_MS:
            self._number += 1
        else:
            self._ms, self._number = self._ms + 1, 0
        return f"{self._ms:012x}{self._number:04x}{self.writer}"


def is_id(text: str) -> bool:
    """Whether it can be the id of an entry."""
    return len(text) == ID_CHARS and not text.strip("0123456789abcdef")


def time_of(entry_id: str) -> float:
    """When it was made, unix seconds."""
    return int(entry_id[:12], 16) / 1000


def id_at(unix_s: float) -> str:
    """The lowest id of a moment, to compare others with."""
    return f"{max(0, int(unix_s * 1000)):012x}"


def to_row(entry: Entry) -> bytes:
    """An entry as it is written: one line of JSON."""
    try:
        return orjson.dumps([*entry])
    except orjson.JSONEncodeError:
        # Half a character, which a sender's text may hold where it was not decoded strictly.
        return orjson.dumps([whole(value) for value in entry])


def whole(value: object) -> object:
    """A value without half characters: with them no JSON can be made of it."""
    if isinstance(value, str):
        return value if value.isascii() else value.encode("utf-8", "replace").decode()
    if isinstance(value, dict):
        return {name: whole(each) for name, each in value.items()}
    return [whole(each) for each in value] if isinstance(value, list | tuple) else value


def from_row(row: bytes, fields: Sequence[str] = FIELDS) -> Entry | None:
    """The entry of a row; None when it is none. Fields that this version does not know are left out."""
    try:
        values = orjson.loads(row)
        entry = Entry(**{name: value for name, value in zip(fields, values, strict=False) if name in FIELDS})
        if entry.headers:
            entry = entry._replace(headers=[(name, value) for name, value in entry.headers])
        return entry if _is_sound(entry) else None
    except (orjson.JSONDecodeError, TypeError, ValueError):
        return None


def _is_sound(entry: Entry) -> bool:
    """Whether everything is of its type: one row that another version wrote must not hide all the others."""
    texts = chain.from_iterable(entry.headers)
    return all(map(isinstance, entry, _TYPES)) and 0 <= entry.time < _END_S and all(map(isinstance, texts, repeat(str)))


def id_of(row: bytes) -> str:
    """The id in a row."""
    return row[_ID_AT : _ID_AT + ID_CHARS].decode("ascii", "replace")


def is_run(row: bytes) -> bool:
    """Whether a row tells of a run."""
    return row.startswith(_RUN_STARTS, _KIND_AT)
