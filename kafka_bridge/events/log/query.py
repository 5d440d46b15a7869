"""What a look at the log asks for, and what it gets: events with their runs, newest first. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from kafka_bridge.events.log.entry import RUNS, Entry, Kind, id_at


class Row(NamedTuple):
    """An event with the runs for its record, oldest first; or the runs for a record whose event is not in the log."""

    entry: Entry
    runs: Sequence[Entry] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """Which rows. Empty texts and None ask for nothing in particular.

    `outcome` is a kind of entry, or how a run of the event has ended; `text` stands somewhere in what the list shows,
    in any case. Times are unix seconds, `until` exclusive.
    """

    source: str = ""
    event_type: str = ""
    outcome: str = ""
    text: str = ""
    since: float | None = None
    until: float | None = None

    def below(self, cursor: str) -> str:
        """The id that all rows are below; empty when there is none."""
        bounds = [cursor] if cursor else []
        if self.until is not None:
            bounds.append(id_at(self.until))
        return min(bounds, default="")

    def takes(self, row: Row) -> bool:
        """Whether the row is one of them."""
        entry = row.entry
        if (self.source and entry.source != self.source) or (self.event_type and entry.event_type != self.event_type):
            return False
        if self.since is not None and entry.id < id_at(self.since):
            return False
        if self.outcome and not any(self.outcome in {each.kind, each.ending} for each in (entry, *row.runs)):
            return False
        return not self.text or self._is_in(row)

    def _is_in(self, row: Row) -> bool:
        text = self.text.casefold()
        return any(text in told.casefold() for each in (row.entry, *row.runs) for told in _told(each))


class Page(NamedTuple):
    """Rows, newest first. `next` is the cursor of those after them, empty when there are none.

    `trouble`: why there may be more than could be read.
    """

    rows: Sequence[Row]
    next: str = ""
    trouble: str = ""


def joined(entries: Iterable[Entry]) -> list[Row]:
    """Entries, newest first, as rows: a run belongs to the event of its record."""
    runs: dict[tuple[str, int, int], list[Entry]] = {}
    events: list[Entry] = []
    for entry in entries:
        if entry.kind in RUNS and (position := entry.position) is not None:
            runs.setdefault(position, []).insert(0, entry)
        else:
            events.append(entry)
    rows = []
    for entry in events:
        # Of a duplicate the record is the first one's.
        position = entry.position if entry.kind in {Kind.ACCEPTED, Kind.REPLAY} else None
        rows.append(Row(entry, runs.pop(position, ()) if position is not None else ()))
    rows += [Row(group[-1], group) for group in runs.values()]
    return sorted(rows, key=lambda row: row.entry.id, reverse=True)


def page_of(rows: Iterable[Row], wanted: Filter, *, cursor: str, limit: int) -> tuple[Sequence[Row], bool]:
    """The first rows that are wanted, and whether there are more."""
    below = wanted.below(cursor)
    found: list[Row] = []
    for row in rows:
        if (not below or row.entry.id < below) and wanted.takes(row):
            if len(found) == limit:
                return found, True
            found.append(row)
    return found, False


def _told(entry: Entry) -> Iterable[str]:
    yield from (entry.event_id, entry.event_type, entry.source, entry.topic, entry.key, entry.reason, entry.path)
    yield from (entry.kind, entry.ending, entry.run_id, entry.scheme)
