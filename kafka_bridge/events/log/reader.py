"""Looks at the log: what all writers have written, and what waits for being written. Pure but for its ports.

What is read is not kept, apart from a bounded number of segments without bodies and headers: a segment never changes.
"""

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from kafka_bridge.clock import Clock
from kafka_bridge.events.log.entry import RUNS, Entry
from kafka_bridge.events.log.log import EventLog
from kafka_bridge.events.log.query import Filter, Page, Row, joined, page_of
from kafka_bridge.events.log.segments import Ref, decode
from kafka_bridge.events.log.store import StorageFailed, Store

# So many entries older than the cursor are looked through for one page: nothing else runs meanwhile.
SCAN: Final = 5_000
# Of segments that were read, without bodies and headers.
CACHE_BYTES: Final = 16 * 1024 * 1024
# What an entry takes in memory besides its texts.
ENTRY_BYTES: Final = 700
# While a look goes on others put segments together and delete them. So often it begins anew.
LOOKS: Final = 3
_NOT_READ: Final = "the log cannot be read: {}"


class Cache:
    """Segments that were read, without bodies and headers; of all endpoints."""

    def __init__(self, max_bytes: int = CACHE_BYTES) -> None:
        self._max_bytes = max_bytes
        self._bytes = 0
        self._kept: OrderedDict[str, tuple[Sequence[Entry], int]] = OrderedDict()

    def get(self, key: str) -> Sequence[Entry] | None:
        """The segment's entries, when they are known."""
        found = self._kept.get(key)
        if found is None:
            return None
        self._kept.move_to_end(key)
        return found[0]

    def put(self, key: str, entries: Sequence[Entry], size_bytes: int) -> None:
        """Know them from now on."""
        # Two looks at once may have read the same.
        _, known_bytes = self._kept.pop(key, ((), 0))
        self._kept[key] = entries, size_bytes
        self._bytes += size_bytes - known_bytes
        while self._bytes > self._max_bytes:
            _, (_, gone_bytes) = self._kept.popitem(last=False)
            self._bytes -= gone_bytes


class _Seen(NamedTuple):
    """Entries, newest first, down to `floor`: those that are older were not read. Why something is missing.

    Of the segments that are newer than all that was asked for the runs alone; they have `newer` events.
    """

    entries: Sequence[Entry]
    newer: int = 0
    floor: str = ""
    trouble: str = ""


class Reader:
    """Looks at one log after the other."""

    def __init__(self, cache: Cache, clock: Clock) -> None:
        self._cache = cache
        self._clock = clock

    def query(self, log: EventLog, store: Store, wanted: Filter, *, cursor: str = "", limit: int = 100) -> Page:
        """A page of the log. Raises nothing: what cannot be read is told in the page."""
        if not log.keep:
            return Page(())
        seen = self._see(log, store, wanted.below(cursor))
        rows, more = page_of(self._kept(log, seen), wanted, cursor=cursor, limit=limit)
        following = rows[-1].entry.id if more else seen.floor
        since = wanted.since is not None and rows_end_before(following, wanted.since)
        return Page(rows, "" if since else following, seen.trouble)

    def find(self, log: EventLog, store: Store, entry_id: str) -> Row | None:
        """One entry whole, with its runs. Raises StorageFailed."""
        if not log.keep:
            return None
        waiting = next((entry for entry in log.pending.entries if entry.id == entry_id), None)
        whole = waiting or self._whole(log, store, [entry_id]).get(entry_id)
        if whole is None:
            return None
        seen = self._see(log, store, "")
        row = next((row for row in joined(seen.entries) if row.entry.id == entry_id), Row(whole))
        return row._replace(entry=whole)

    def whole(self, log: EventLog, store: Store, rows: Sequence[Row]) -> Sequence[Row]:
        """The same rows with bodies. Raises StorageFailed."""
        waiting = {entry.id: entry for entry in log.pending.entries}
        found = self._whole(log, store, [row.entry.id for row in rows if row.entry.id not in waiting])
        known = {**found, **waiting}
        return [row._replace(entry=known.get(row.entry.id, row.entry)) for row in rows]

    def _kept(self, log: EventLog, seen: _Seen) -> Sequence[Row]:
        """The rows of as many events as are to be kept: segments go as a whole, so there may be more of them."""
        return joined(seen.entries)[: max(0, log.keep - seen.newer)]

    def _see(self, log: EventLog, store: Store, below: str) -> _Seen:
        for _ in range(LOOKS):
            seen, vanished = self._look(log, store, below)
            if not vanished:
                break
            # Another process has put segments together meanwhile: their rows are in a new one.
            log.others.again()
        return seen

    def _look(self, log: EventLog, store: Store, below: str) -> tuple[_Seen, bool]:
        found = {entry.id: _brief(entry) for entry in log.pending.entries}
        older, newer, floor, trouble, vanished = 0, 0, "", "", False
        try:
            log.others.find(store)
        except StorageFailed as failed:
            # What is known may still be read.
            trouble = _NOT_READ.format(failed)
        try:
            for ref in self._refs(log):
                if older >= SCAN:
                    floor = ref.last
                    break
                above = bool(below) and ref.first >= below
                newer += ref.events if above else 0
                if above and ref.entries == ref.events:
                    continue
                entries, gone = self._entries(log, store, ref)
                found.update((entry.id, entry) for entry in entries if not above or entry.kind in RUNS)
                older += 0 if above else len(entries)
                vanished = vanished or gone
        except StorageFailed as failed:
            trouble = _NOT_READ.format(failed)
        entries = sorted((entry for entry in found.values() if entry.id > floor), key=lambda entry: entry.id)
        return _Seen(entries[::-1], newer, floor and f"{floor}~", trouble), vanished

    def _entries(self, log: EventLog, store: Store, ref: Ref) -> tuple[Sequence[Entry], bool]:
        """The entries of a segment, and whether it is found only now that it is not there any more."""
        key = log.keys.segment(ref.place)
        known = self._cache.get(key)
        if known is not None:
            return known, False
        value = store.get(key)
        found = tuple(_brief(entry) for entry in decode(value).entries()) if value is not None else ()
        texts = sum(map(_texts_of, found))
        self._cache.put(key, found, texts + (len(found) + 1) * ENTRY_BYTES)
        return found, value is None

    def _whole(self, log: EventLog, store: Store, ids: Iterable[str]) -> dict[str, Entry]:
        missing, found = set(ids), dict[str, Entry]()
        for _ in range(LOOKS) if missing else ():
            if not self._gather(log, store, missing, found):
                break
            log.others.again()
        return found

    def _gather(self, log: EventLog, store: Store, missing: set[str], found: dict[str, Entry]) -> bool:
        """Look for what is missing; whether it is worth while to look again. Raises StorageFailed."""
        failure: StorageFailed | None = None
        try:
            log.others.find(store)
        except StorageFailed as failed:
            failure = failed
        vanished = False
        for ref in self._refs(log):
            if any(ref.first <= entry_id <= ref.last for entry_id in missing):
                value = store.get(log.keys.segment(ref.place))
                vanished = vanished or value is None
                for entry in decode(value).entries() if value is not None else ():
                    if entry.id in missing:
                        found[entry.id] = entry
                missing -= found.keys()
            if not missing:
                return False
        if failure is not None:
            raise failure
        return vanished

    def _refs(self, log: EventLog) -> Sequence[Ref]:
        """All segments that are known, the newest first."""
        refs = {ref.place: ref for ref in (*log.others.refs, *log.shelf.everything)}
        return sorted(refs.values(), key=lambda ref: ref.last, reverse=True)


def _brief(entry: Entry) -> Entry:
    """What a list needs of it: the rest of a thousand events may take as much as all else in the process."""
    return entry._replace(body="", headers=(), attributes="")


def _texts_of(entry: Entry) -> int:
    """The characters of those texts that a sender may make long."""
    return sum(map(len, (entry.event_id, entry.event_type, entry.reason, entry.path, entry.key, entry.content_type)))


def rows_end_before(cursor: str, since: float) -> bool:
    """Whether all that is older than the cursor is older than a moment."""
    return bool(cursor) and int(cursor[:12], 16) / 1000 < since
