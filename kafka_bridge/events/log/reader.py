"""Looks at the log: what all writers have written, and what waits for being written. Pure but for its ports.

What is read is not kept, apart from a bounded number of segments without their bodies: a segment never changes.
"""

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from kafka_bridge.clock import Clock
from kafka_bridge.events.log.entry import Entry
from kafka_bridge.events.log.log import EventLog
from kafka_bridge.events.log.query import Filter, Page, Row, joined, page_of
from kafka_bridge.events.log.segments import Ref, decode
from kafka_bridge.events.log.shelf import Shelf, Steps
from kafka_bridge.events.log.store import StorageFailed, Store
from kafka_bridge.events.log.writers import Writers

# So many entries older than the cursor are looked through for one page.
SCAN: Final = 20_000
# Of segments that were read, without bodies.
CACHE_BYTES: Final = 16 * 1024 * 1024
# What an entry takes in memory besides its texts.
ENTRY_BYTES: Final = 700
# What other processes write is looked for this often.
OTHERS_S: Final = 2.0
_NOT_READ: Final = "the log cannot be read: {}"


class Cache:
    """Segments that were read, without their bodies; of all endpoints."""

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
        self._kept[key] = entries, size_bytes
        self._bytes += size_bytes
        while self._bytes > self._max_bytes:
            _, (_, gone_bytes) = self._kept.popitem(last=False)
            self._bytes -= gone_bytes


class _Seen(NamedTuple):
    """All entries, newest first, down to `floor`: those that are older were not read. Why something is missing."""

    entries: Sequence[Entry]
    floor: str = ""
    trouble: str = ""


class Reader:
    """Looks at one log after the other."""

    def __init__(self, cache: Cache, clock: Clock) -> None:
        self._cache = cache
        self._clock = clock

    def query(self, log: EventLog, store: Store, wanted: Filter, *, cursor: str = "", limit: int = 100) -> Page:
        """A page of the log. Raises nothing: what cannot be read is told in the page."""
        seen = self._see(log, store, wanted.below(cursor))
        rows, more = page_of(self._kept(log, seen), wanted, cursor=cursor, limit=limit)
        following = rows[-1].entry.id if more else seen.floor
        since = wanted.since is not None and rows_end_before(following, wanted.since)
        return Page(rows, "" if since else following, seen.trouble)

    def find(self, log: EventLog, store: Store, entry_id: str) -> Row | None:
        """One entry whole, with its runs. Raises StorageFailed."""
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
        return joined(seen.entries)[: log.keep]

    def _see(self, log: EventLog, store: Store, below: str) -> _Seen:
        found = {entry.id: entry._replace(body="") for entry in log.pending.entries}
        older, floor, trouble = 0, "", ""
        try:
            refs = self._refs(log, store)
            for ref in refs:
                if older >= SCAN:
                    floor = ref.last
                    break
                entries = self._entries(log, store, ref)
                found.update((entry.id, entry) for entry in entries)
                older += len(entries) if not below or ref.first < below else 0
        except StorageFailed as failed:
            trouble = _NOT_READ.format(failed)
        entries = sorted((entry for entry in found.values() if entry.id > floor), key=lambda entry: entry.id)
        return _Seen(entries[::-1], floor and f"{floor}~", trouble)

    def _entries(self, log: EventLog, store: Store, ref: Ref) -> Sequence[Entry]:
        key = log.keys.segment(ref.place)
        found = self._cache.get(key)
        if found is None:
            value = store.get(key)
            found = tuple(entry._replace(body="") for entry in decode(value).entries()) if value is not None else ()
            bodies = sum(len(entry.reason) + len(entry.path) + len(entry.key) for entry in found)
            self._cache.put(key, found, bodies + len(found) * ENTRY_BYTES)
        return found

    def _whole(self, log: EventLog, store: Store, ids: Iterable[str]) -> dict[str, Entry]:
        missing, found = set(ids), dict[str, Entry]()
        for ref in self._refs(log, store) if missing else ():
            if any(ref.first <= entry_id <= ref.last for entry_id in missing):
                value = store.get(log.keys.segment(ref.place))
                for entry in decode(value).entries() if value is not None else ():
                    if entry.id in missing:
                        found[entry.id] = entry
                missing -= found.keys()
            if not missing:
                break
        return found

    def _refs(self, log: EventLog, store: Store) -> Sequence[Ref]:
        """All segments, the newest first. Raises StorageFailed."""
        now = self._clock.monotonic()
        if log.others is None or now - log.others_at > OTHERS_S:
            # Not the log's own list: a commit may be waiting in the middle of it.
            writers = Writers(log.keys, lambda: log.shelf.writer, self._clock)
            writers.store = store
            _run(writers.read())
            found = []
            for writer in writers.others:
                shelf = Shelf(log.keys, writer)
                shelf.store = store
                _run(shelf.load())
                found.append(shelf)
            log.others, log.others_at = found, now
        refs = {ref.place: ref for shelf in (log.shelf, *log.others) for ref in shelf.everything}
        return sorted(refs.values(), key=lambda ref: ref.last, reverse=True)


def _run(steps: Steps) -> None:
    for _ in steps:
        pass


def rows_end_before(cursor: str, since: float) -> bool:
    """Whether all that is older than the cursor is older than a moment."""
    return bool(cursor) and int(cursor[:12], 16) / 1000 < since
