"""Segments: the entries of one commit, or of several that were put together; their keys. Pure.

A segment's key is written once. It is a header and rows, one JSON document per line, so that rows are moved without
being read; deflated, as events resemble one another: a quarter of it has to pass the pipe and counts against the quota.
"""

import re
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import orjson

from kafka_bridge.events.log.entry import FIELDS, Entry, from_row, id_of, is_id, is_run, to_row

# Of rows, as they are written and before they are deflated.
MAX_SEGMENT_BYTES: Final = 1024 * 1024
# Segments that resemble one another are put together as long as they are small when deflated.
MAX_INFLATED_BYTES: Final = 32 * MAX_SEGMENT_BYTES
# The next level takes half as long again, for a twelfth less.
_LEVEL: Final = 1

type Place = tuple[str, int]
"""The writer and the number of a segment."""


class Ref(NamedTuple):
    """What is known of a segment. `level`: how often its rows were put together; `first` and `last` are ids.

    `events` counts the entries that are not runs.
    """

    writer: str
    number: int
    level: int
    entries: int
    events: int
    size_bytes: int
    first: str
    last: str

    @property
    def place(self) -> Place:
        """Where it is."""
        return self.writer, self.number


@dataclass(frozen=True, slots=True)
class Segment:
    """A segment, read. `replaces` are those whose rows it holds."""

    rows: Sequence[bytes]
    level: int = 0
    replaces: Sequence[Place] = ()
    fields: Sequence[str] = FIELDS
    size_bytes: int = 0

    def entries(self) -> list[Entry]:
        """Its entries; a row that is broken is left out."""
        return [entry for row in self.rows if (entry := from_row(row, self.fields)) is not None and is_id(entry.id)]


class Keys:
    """The keys of one endpoint. None of them is another endpoint's, and none has a slash, which would make a folder."""

    def __init__(self, endpoint: str) -> None:
        self._prefix = f"kb1-{endpoint}-"

    @property
    def directory(self) -> str:
        """Where the writers are listed."""
        return f"{self._prefix}d"

    @property
    def probe(self) -> str:
        """A key that may be read at any time: whatever is there, somebody has answered."""
        return f"{self.directory}0"

    def manifest(self, writer: str) -> str:
        """Where a writer lists its segments."""
        return f"{self._prefix}{writer}-m"

    def segment(self, place: Place) -> str:
        """One segment; or, where the number is negative, one of the keys of a manifest."""
        writer, number = place
        if number < 0:
            return f"{self.manifest(writer)}{-1 - number}"
        return f"{self._prefix}{place[0]}-{place[1]}"


_ENDPOINT: Final = re.compile(r"[A-Za-z0-9-]{1,64}", re.ASCII)


def is_plain(endpoint: str) -> bool:
    """Whether an endpoint's id can stand in a key as it is."""
    return _ENDPOINT.fullmatch(endpoint) is not None


def encode(rows: Sequence[bytes], *, level: int = 0, replaces: Sequence[Place] = ()) -> bytes:
    """A segment as it is written."""
    header = {"v": 1, "level": level, "replaces": replaces, "fields": FIELDS}
    return zlib.compress(b"\n".join((orjson.dumps(header), *rows)), _LEVEL)


def decode(value: bytes) -> Segment:
    """A segment, read. Of one that is broken whatever can be read."""
    try:
        header, *rows = _inflated(value).split(b"\n")
        found = orjson.loads(header)
        fields = tuple(map(str, found["fields"]))
        replaces = tuple((str(writer), int(number)) for writer, number in found["replaces"])
        level = int(found["level"])
    except (zlib.error, orjson.JSONDecodeError, KeyError, TypeError, ValueError):
        return Segment((), size_bytes=len(value))
    segment = Segment([row for row in rows if is_id(id_of(row))], level, replaces, fields, len(value))
    if fields == FIELDS:
        return segment
    # Another version's: its rows are written anew, so that those of two versions can stand in one segment.
    return Segment([to_row(entry) for entry in segment.entries()], level, replaces, FIELDS, len(value))


def _inflated(value: bytes) -> bytes:
    """What was deflated. Raises ValueError for more than any segment holds: a few bytes may stand for gigabytes."""
    inflater = zlib.decompressobj()
    raw = inflater.decompress(value, MAX_INFLATED_BYTES)
    if not inflater.eof:
        raise ValueError
    return raw


def describe(place: Place, rows: Iterable[bytes], *, level: int, size_bytes: int) -> Ref:
    """What is to be remembered of a segment."""
    ids, events = [], 0
    for row in rows:
        ids.append(id_of(row))
        events += not is_run(row)
    first, last = (min(ids), max(ids)) if ids else ("", "")
    return Ref(*place, level, len(ids), events, size_bytes, first, last)


def merged(segments: Iterable[Segment]) -> list[bytes]:
    """The rows of several segments, in order, each once."""
    rows = {id_of(row): row for segment in segments for row in segment.rows}
    return [rows[entry_id] for entry_id in sorted(rows)]
