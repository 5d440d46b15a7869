"""The segments of one writer: commits, what is put together, what has to go. Pure.

A commit is one `set` of a new key, and nothing is written twice under one key while anybody could still be writing
there. The manifest follows every `COMMITS` commits; younger segments are found by looking for the next numbers, so a
kill at any moment loses nothing and leaves nothing behind that nobody knows. Reading tells entries apart by their ids:
that one is in two segments for a while changes nothing.
"""

from collections.abc import Container, Generator, Iterable, Mapping, Sequence
from itertools import chain, groupby
from typing import Any, Final

from kafka_bridge.events.log.entry import time_of
from kafka_bridge.events.log.manifest import Guest, read
from kafka_bridge.events.log.register import SLOTS, Register
from kafka_bridge.events.log.segments import (
    Keys,
    Place,
    Ref,
    Segment,
    decode,
    describe,
    encode,
    merged,
)
from kafka_bridge.events.log.store import StorageFailed, Store

COMMITS: Final = 16
# So many segments of a level become one of the next, as long as they are small: a large one is as good as it gets.
FAN_IN: Final = 16
SMALL_BYTES: Final = 8 * 1024
# However well its rows can be deflated: whoever reads one reads all of it at once.
SMALL_ENTRIES: Final = 128
# Numbers whose write was lost leave holes. So many in a row, and a reader takes them for the end.
HOLES: Final = 3
# A write that was given up may happen yet: what it left behind is deleted when that is over.
LATE_S: Final = 300.0
MAX_BYTES: Final = 32 * 1024 * 1024
MIN_BYTES: Final = 256 * 1024
GROWS_S: Final = 600.0
# Runs are entries too. A record is run once, or a few times.
ENTRIES_PER_EVENT: Final = 4

type Steps = Generator[None, None, None]
"""Work on storage, with a pause before each call: `store` may be another one after it."""


class Shelf:
    """What `writer` has written, and what it has taken over. `store` is set by whoever drives it.

    `active_at` is when it last wrote, as far as can be seen, in unix seconds. `beside` is what others have written:
    what is older than enough of that need not be kept here.
    """

    store: Store

    def __init__(self, keys: Keys, writer: str) -> None:
        self.writer = writer
        self.refs: list[Ref] = []
        self._keys = keys
        self.register = Register(keys.manifest(writer))
        self._next = 0
        self._holes = 0
        self._dirty = False
        self._room_bytes = MAX_BYTES
        self._grows_at = 0.0
        self._since = 0
        self._listed = 0
        # What has to go, and since when: what may still be on its way there goes later.
        self.condemned: dict[Place, float] = {}
        self.active_at = 0.0
        self.beside: Sequence[Ref] = ()
        self.guests: Mapping[str, Guest] = {}

    @property
    def size_bytes(self) -> int:
        """What its segments take."""
        return sum(ref.size_bytes for ref in self.refs)

    @property
    def backlog(self) -> int:
        """How many segments are to be put together, or have to go."""
        return len(self.condemned) + sum(map(_is_small, self.refs))

    @property
    def everything(self) -> Iterable[Ref]:
        """Its segments and those of its guests."""
        return chain(self.refs, *(refs for refs, _ in self.guests.values()))

    def commit(self, rows: Sequence[bytes], *, now: float) -> Ref:
        """Write the rows as a new segment. Raises StorageFailed: then they are not, or nobody knows."""
        return self._put(rows, now=now)

    def _put(self, rows: Sequence[bytes], *, now: float, level: int = 0, replaces: Sequence[Place] = ()) -> Ref:
        if self._holes >= HOLES:
            self.write_manifest(now)
        place, value = (self.writer, self._next), encode(rows, level=level, replaces=replaces)
        key = self._keys.segment(place)
        try:
            if self._dirty:
                self.store.delete(key)
                self._dirty = False
            self.store.set(key, value)
        except BaseException as failed:
            if not isinstance(failed, StorageFailed) or failed.unknown:
                # Also when the greenlet is killed.
                self.condemned[place] = now + LATE_S
                self._next += 1
                self._holes += 1
                self._dirty = False
            else:
                # What is over quota is written all the same, and not counted.
                self._dirty = True
                if failed.full:
                    self._grows_at = now + GROWS_S
                    self._room_bytes = max(MIN_BYTES, min(self._room_bytes, self.size_bytes) * 3 // 4)
            raise
        self._next += 1
        self._holes = 0
        self._since += 1
        ref = describe(place, rows, level=level, size_bytes=len(value))
        self.refs.append(ref)
        return ref

    def tidy(self, keep: int, now: float, *, merges: bool = True) -> Steps:
        """What is to be done when there is time: put together, throw away, write down. Raises StorageFailed.

        Without `merges` nothing is put together: that takes room before it gives some.
        """
        while merges and (batch := self._small()):
            yield from self._merge(batch, now)
        self._condemn(sorted(self.refs, key=lambda ref: ref.last)[: self._over(keep)])
        due = self._due(now)
        fresh = [place for place in due if place[0] == self.writer and place[1] >= self._listed]
        # First what may go at once: a store that is full has no room for a manifest.
        yield from self._delete([place for place in due if place not in fresh])
        if self._since >= COMMITS or fresh:
            # Who looks for the next numbers would take what is deleted for the end.
            yield
            self.write_manifest(now)
        yield from self._delete(fresh)

    def _delete(self, places: Iterable[Place]) -> Steps:
        for place in places:
            yield
            self.store.delete(self._keys.segment(place))
            self.condemned.pop(place, None)

    def _due(self, now: float) -> list[Place]:
        return [place for place, since in self.condemned.items() if since <= now]

    def untidy(self, keep: int, now: float) -> bool:
        """Whether there is something to do."""
        return self._since >= COMMITS or bool(self._due(now)) or bool(self._over(keep)) or bool(self._small())

    def _over(self, keep: int) -> int:
        """How many of the oldest segments are too many."""
        events = sum(ref.events for ref in self.refs)
        count = sum(ref.entries for ref in self.refs)
        size_bytes = self.size_bytes
        number = 0
        own = {ref.place for ref in self.refs}
        beside = [(ref.first, ref.events) for ref in self.beside if ref.place not in own]
        # The newest stays, however large it is.
        for ref in sorted(self.refs, key=lambda ref: ref.last)[:-1]:
            newer = events - ref.events + sum(other for first, other in beside if first > ref.last)
            spare = newer >= keep or count - ref.entries >= keep * ENTRIES_PER_EVENT
            if not spare and size_bytes <= self._room_bytes:
                break
            events, count, size_bytes = events - ref.events, count - ref.entries, size_bytes - ref.size_bytes
            number += 1
        return number

    def _small(self) -> list[Ref]:
        """Segments of one level that are to become one."""
        small = sorted(filter(_is_small, self.refs), key=lambda ref: (ref.level, ref.first))
        for _, group in groupby(small, key=lambda ref: ref.level):
            if len(batch := list(group)) >= FAN_IN:
                return batch[:FAN_IN]
        return []

    def _merge(self, batch: Sequence[Ref], now: float) -> Steps:
        segments: list[Segment] = []
        for ref in batch:
            yield
            value = self.store.get(self._keys.segment(ref.place))
            # One that is gone was deleted by somebody who has its rows elsewhere.
            segments.append(decode(value) if value is not None else Segment(()))
        yield
        places = [ref.place for ref in batch]
        self._put(merged(segments), now=now, level=batch[0].level + 1, replaces=places)
        self._condemn(batch)

    def _condemn(self, refs: Sequence[Ref]) -> None:
        gone = {ref.place for ref in refs}
        self.refs = [ref for ref in self.refs if ref.place not in gone]
        self.condemned.update(dict.fromkeys(gone, 0.0))

    def write_manifest(self, now: float) -> None:
        """Write down what there is. Raises StorageFailed."""
        document: dict[str, Any] = {
            "next": self._next,
            "time": now,
            "segments": [[*ref] for ref in self.refs],
            "condemned": [[*place] for place in self.condemned],
            "guests": {writer: [[[*ref] for ref in refs], places] for writer, (refs, places) in self.guests.items()},
        }
        self.register.write(self.store, document, now=now)
        self._holes = 0
        self._since = 0
        self._listed = document["next"]
        if now >= self._grows_at:
            # A store that was full may have room again. What it refuses it does not count, so it is seldom asked.
            self._room_bytes = min(MAX_BYTES, self._room_bytes + self._room_bytes // 16)
            self._grows_at = now + GROWS_S

    def renamed(self, writer: str, *, until: float) -> "Shelf":
        """The same under another name. What has to go is no longer ours to delete: somebody else may have it."""
        shelf = Shelf(self._keys, writer)
        shelf.refs, shelf.beside, shelf.guests = self.refs, self.beside, self.guests
        shelf.condemn_manifest(self.writer, until=until)
        return shelf

    def condemn_manifest(self, writer: str, *, until: float) -> None:
        """Nobody is to read another writer's manifest after `until`."""
        self.condemned.update({(writer, -1 - slot): until for slot in range(SLOTS)})
        self._since = COMMITS

    def settle_guests(self, listed: Container[str]) -> None:
        """Own what was written by those that are not listed any more; forget about those that still are."""
        for writer, (refs, condemned) in self.guests.items():
            if writer not in listed:
                known = {ref.place for ref in self.refs}
                self.refs += [ref for ref in refs if ref.place not in known]
                self.condemned.update(dict.fromkeys(condemned, 0.0))
        self.guests = {}

    def load(self) -> Steps:
        """Find out what its writer has written. Raises StorageFailed."""
        document = yield from self.register.read(lambda: self.store)
        self._next, self.active_at, self.refs, condemned, self.guests = read(document)
        self.condemned = dict.fromkeys(condemned, 0.0)
        yield from self._look_for_more()

    def look_on(self) -> Steps:
        """What its writer has written since `load`. Raises StorageFailed."""
        self._next -= HOLES
        yield from self._look_for_more()

    def _look_for_more(self) -> Steps:
        holes = 0
        while holes < HOLES:
            yield
            place = self.writer, self._next
            value = self.store.get(self._keys.segment(place))
            self._next += 1
            holes = 0 if value is not None else holes + 1
            if value is not None:
                self._found(place, decode(value))

    def _found(self, place: Place, segment: Segment) -> None:
        ref = describe(place, segment.rows, level=segment.level, size_bytes=segment.size_bytes)
        replaced = set(segment.replaces)
        self.refs = [ref for ref in self.refs if ref.place not in replaced]
        self.condemned.update(dict.fromkeys(segment.replaces, 0.0))
        if ref.entries:
            self.refs.append(ref)
            self.active_at = max(self.active_at, time_of(ref.last))
        else:
            self.condemned[place] = 0.0


def _is_small(ref: Ref) -> bool:
    return ref.size_bytes < SMALL_BYTES and ref.entries < SMALL_ENTRIES
