"""The event log of one endpoint: group commit, and what is known of its store. Pure but for its ports.

Entries wait until a request writes them, all in one segment. A request that ends writes if nobody else does and nobody
else will soon: so of many at once one pays. What could not be written waits for the next request, and while the store
fails, fewer and fewer requests try. Nothing here is guarded by locks: greenlets switch only in the store.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from kafka_bridge.clock import Clock
from kafka_bridge.events.log.entry import Entry, Ids
from kafka_bridge.events.log.others import Others
from kafka_bridge.events.log.pace import Job, Paced
from kafka_bridge.events.log.pending import MAX_PENDING_BYTES, Pending
from kafka_bridge.events.log.segments import MAX_SEGMENT_BYTES, Keys
from kafka_bridge.events.log.shelf import Shelf, Steps
from kafka_bridge.events.log.store import StorageFailed, Store
from kafka_bridge.events.log.writers import Writers

# Entries wait for so many others, or for so long, as long as requests come that can write them.
GROUP: Final = 256
GROUP_S: Final = 1.0
# A request that began longer ago waits for something slow: nobody relies on it.
FRESH_S: Final = 0.5
# Where most requests begin while another one is open, one that leaves nobody behind waits so long for the next.
LINGER_S: Final = 0.02
_MOST: Final = 0.5
_OF_LATE: Final = 0.1
# Of work that is not urgent a request does so much after its commit; the first of a process does what it has time for.
STEPS: Final = 3
RETRY_S: Final = (0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 30.0)
# Of a store that is full less is asked for at once, and soon again: the log makes room for itself.
FULL_S: Final = 2.0
PORTION_BYTES: Final = 64 * 1024
DEFECT: Final = "the event log itself has failed: the plugin's log says where"


@dataclass(slots=True)
class Counters:
    """Since the process began."""

    recorded: int = 0
    written: int = 0
    commits: int = 0
    failures: int = 0


class EventLog:
    """One endpoint's, in one process, which writes under names that `new_writer` makes."""

    def __init__(self, endpoint: str, *, new_writer: Callable[[], str], clock: Clock) -> None:
        self.keep = 0
        self.room_bytes = MAX_PENDING_BYTES
        self.counters = Counters()
        self.trouble = ""
        """Why the last attempt to write failed; empty when it did not."""
        self.last_error = ""
        self.doubtful = False
        """Whether the last attempt had no answer: whoever made it may have gone, and the store may work."""
        self.pace_s = 0.0
        """How long the slowest call of the last attempt took."""
        self.pending = Pending()
        self.keys = Keys(endpoint)
        self.writers = Writers(self.keys, new_writer, clock)
        self.others = Others(self.keys, self.shelf.writer, clock)
        self._ids = Ids(self.writers.shelf.writer)
        self._clock = clock
        self._leader: object = None
        self._followers: list[Callable[[], None]] = []
        self._lingerers: list[Callable[[], None]] = []
        self._overlap = 0.0
        self._open = 0
        self._began_at = 0.0
        self._waits_since = 0.0
        self._failed = 0
        self._failed_at = 0.0
        self._retry_at = 0.0
        self._full = False
        self._portion_bytes = MAX_SEGMENT_BYTES
        self._entering = Job(self.writers.enter)
        self._tidying = Job(self._tidy)
        self._tidied = False

    @property
    def shelf(self) -> Shelf:
        """What this process has written."""
        return self.writers.shelf

    # What requests do.

    def add(self, entry: Entry) -> None:
        """Record one. It is written by a `flush`."""
        if self.keep:
            self.counters.recorded += 1
            if not len(self.pending):
                self._waits_since = self._clock.monotonic()
            self.pending.add(entry, keep=self.keep, room_bytes=self.room_bytes)

    def next_id(self) -> str:
        """The id of the next entry."""
        return self._ids.next(self._clock.now())

    def began(self) -> None:
        """A request has begun that will flush."""
        self._overlap += _OF_LATE * (bool(self._open) - self._overlap)
        if self._lingerers:
            woken, self._lingerers = self._lingerers, []
            for wake in woken:
                wake()
        self._open += 1
        self._began_at = self._clock.monotonic()

    def ended(self) -> None:
        """It ends; `flush` is next."""
        self._open -= 1

    @property
    def idle(self) -> bool:
        """Whether it can be forgotten: all that it knows is in the store."""
        return not (self._open or self._leader is not None or len(self.pending))

    def flush(self, store: Store, *, until: float, who: object = None, urgent: bool = False) -> None:
        """Write what waits, unless somebody else does or will; return at `until` (monotonic).

        `urgent`: also when it is not due. `who` is whose store it is. Raises nothing but defects.
        """
        if self._leader is not None or not (len(self.pending) and (urgent or self.due)):
            return
        self._leader = store if who is None else who
        paced = Paced(store, self._clock.monotonic, until)
        try:
            self._lead(paced)
        except StorageFailed as failed:
            self.failed(str(failed))
            self._full, self.doubtful = failed.full, failed.unknown
            if failed.full:
                self._tidying.drop()
                self._portion_bytes = PORTION_BYTES
                self._retry_at = min(self._retry_at, self._clock.monotonic() + FULL_S)
        except Exception:
            # Not every request is to fall over it, and fill the logs.
            self.failed(DEFECT)
            raise
        finally:
            self._leader, self.pace_s = None, paced.slowest_s
            followers, self._followers = self._followers, []
            for wake in followers:
                wake()

    def needs(self, who: object) -> bool:
        """Whether somebody writes now who needs `who`: it is his store, or nobody else could write what is left."""
        alone = not self._open and len(self.pending) > 0
        return self._leader is not None and (self._leader is who or alone)

    @property
    def lingers(self) -> bool:
        """Whether it is worth while to wait for somebody else to write: many come, and none is there just now."""
        young = self._clock.monotonic() - self._waits_since < GROUP_S and len(self.pending) < GROUP
        return not self._open and self._leader is None and self._overlap > _MOST and young

    def linger(self, wake: Callable[[], None]) -> None:
        """`wake` is called when the next request begins."""
        self._lingerers.append(wake)

    def follow(self, wake: Callable[[], None]) -> None:
        """`wake` is called when whoever writes now has ended."""
        self._followers.append(wake)

    def failed(self, reason: str) -> None:
        """The store does not work: the next attempt is later."""
        self.trouble = self.last_error = reason
        self.counters.failures += 1
        self._failed_at = self._clock.monotonic()
        self._retry_at = self._failed_at + RETRY_S[min(self._failed, len(RETRY_S) - 1)]
        self._failed += 1

    @property
    def due(self) -> bool:
        """Whether it is time to write what waits."""
        now = self._clock.monotonic()
        if self.trouble and now < self._retry_at:
            return False
        if not self._open or now - self._began_at > FRESH_S:
            return True
        return len(self.pending) >= min(GROUP, self.keep) or now - self._waits_since > GROUP_S

    @property
    def may_retry(self) -> bool:
        """Whether the last failure is long enough ago for somebody who wants to know how it is now."""
        return bool(self.trouble) and self._clock.monotonic() >= self._failed_at + RETRY_S[0]

    # What the leader does.

    def _lead(self, store: Paced) -> None:
        self.shelf.store = self.writers.store = store
        shelf = self.shelf
        if self.doubtful:
            # A write that is given up may happen yet, and leaves a hole: first see whether anybody answers.
            store.get(self.keys.probe)
            self.doubtful = False
        if self._clock.monotonic() >= self.writers.check_at and not self._entering.go(store):
            return
        if shelf is not self.shelf:
            self._tidying.drop()
        # What is not needed any more makes room.
        if self._full and not self._tidying.go(store):
            return
        self._full = False
        while len(self.pending) and store.has_time:
            self._commit()
            tight = self._portion_bytes < MAX_SEGMENT_BYTES
            if not self.due or (tight and not self._tidying.go(store)):
                break
        self._tidied = self._tidying.go(store, STEPS if self._tidied else None) or self._tidied

    def _commit(self) -> None:
        rows = self.pending.take(self._portion_bytes)
        try:
            self.shelf.commit(rows, now=self._clock.now())
        except BaseException:
            # Also when the greenlet is killed.
            self.pending.give_back(keep=self.keep, room_bytes=self.room_bytes)
            raise
        self.counters.commits += 1
        self.counters.written += self.pending.settle()
        self.trouble, self._failed = "", 0
        if not len(self.pending):
            self._portion_bytes = min(MAX_SEGMENT_BYTES, 2 * self._portion_bytes)

    def _tidy(self) -> Steps:
        if self.writers.adopts:
            yield from self.writers.adopt()
        now = self._clock.now()
        if self.shelf.untidy(self.keep, now):
            yield from self.shelf.tidy(self.keep, now, merges=not self._full)
