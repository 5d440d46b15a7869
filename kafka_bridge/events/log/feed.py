"""Entries as they are made, for whoever looks on: numbered, the last ones kept, nothing kept where nobody looks. Pure.

The numbers of a feed are consecutive, and begin with the time at which it was made: so they only ever grow, also over
restarts, and who has missed some sees it. They stay below 2**53, which is as far as a browser counts.
"""

from collections import deque
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Final

from kafka_bridge.clock import Clock
from kafka_bridge.events.log.entry import RUNS, Entry
from kafka_bridge.events.log.query import Row

MAX_ENTRIES: Final = 512
MAX_FEEDS: Final = 64
# Whoever was cut off comes again within seconds, and goes on where it was.
KEPT_S: Final = 60.0
_PER_MS: Final = 1000


class Feed:
    """Those of one endpoint. `listeners` is how many look on."""

    def __init__(self, now: float) -> None:
        """`now` is unix seconds."""
        self._rows: deque[Row] = deque(maxlen=MAX_ENTRIES)
        self._last = int(now * 1000) * _PER_MS - 1
        self._wakes: dict[Callable[[], None], None] = {}
        self.listeners = 0
        self.left_at = 0.0

    @property
    def last(self) -> int:
        """The number of the newest entry; the one before the first where there is none."""
        return self._last

    def add(self, entry: Entry) -> None:
        """One more. Its headers and its body are not kept."""
        bare = entry._replace(headers=(), body="", attributes="")
        self._rows.append(Row(bare, (bare,) if bare.kind in RUNS else ()))
        self._last += 1
        if self._wakes:
            wakes, self._wakes = self._wakes, {}
            for wake in wakes:
                wake()

    def reaches(self, number: int) -> bool:
        """Whether all that came after the entry of this number is still here."""
        return self._last - len(self._rows) <= number <= self._last

    def after(self, number: int) -> Iterator[tuple[int, Row]]:
        """The entries that came later, oldest first, as far as they are here. They must not grow meanwhile."""
        first = self._last - len(self._rows) + 1
        start = max(0, number + 1 - first)
        yield from enumerate(islice(self._rows, start, None), first + start)

    def on_next(self, wake: Callable[[], None]) -> None:
        """Have `wake` called, once, when the next entry comes."""
        self._wakes[wake] = None

    def forget(self, wake: Callable[[], None]) -> None:
        """Do not, if it was not called yet."""
        self._wakes.pop(wake, None)


class Feeds:
    """Those of all endpoints at which somebody looks, or did a moment ago."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._feeds: dict[str, Feed] = {}

    def add(self, endpoint: str, entry: Entry) -> None:
        """An entry was made."""
        feed = self._feeds.get(endpoint)
        if feed is None:
            return
        if feed.listeners or self._clock.monotonic() - feed.left_at <= KEPT_S:
            feed.add(entry)
        else:
            del self._feeds[endpoint]

    def open(self, endpoint: str) -> Feed:
        """Somebody looks, until `close`."""
        feed = self._feeds.get(endpoint)
        if feed is None:
            self._make_room()
            feed = self._feeds[endpoint] = Feed(self._clock.now())
        feed.listeners += 1
        return feed

    def close(self, feed: Feed) -> None:
        """He does not any more."""
        feed.listeners -= 1
        feed.left_at = self._clock.monotonic()

    def _make_room(self) -> None:
        unheard = sorted((feed.left_at, name) for name, feed in self._feeds.items() if not feed.listeners)
        for _, name in unheard[: max(0, len(self._feeds) - MAX_FEEDS + 1)]:
            del self._feeds[name]
