"""Who writes into one log: every process under a name of its own, listed in the directory. Pure but for its ports.

The directory is read, changed and written, and two processes may do so at once: so each looks again whether it is still
listed, soon after it has entered itself and then now and then. A writer that has been silent for long is taken over:
its segments are listed by somebody else, it is no longer listed, its manifest goes. If it lives, it finds out before it
writes again, and goes on under another name. Until it has, two processes list the same segments, which changes nothing.
"""

from collections.abc import Callable, Mapping
from typing import Final

from kafka_bridge.clock import Clock
from kafka_bridge.events.log.register import Register
from kafka_bridge.events.log.segments import Keys, Ref
from kafka_bridge.events.log.shelf import LATE_S, Shelf, Steps
from kafka_bridge.events.log.store import Store

# After being entered: when to look again whether another process has written over it.
CHECKS_S: Final = (1.0, 5.0, 20.0, 60.0)
SILENT_S: Final = 600.0
# That one is silent is not acted upon later than that. Should it write just then, it finds out before it writes again.
STALE_S: Final = 120.0


class Writers:
    """The directory of one log, and the shelf of this process. `store` is set by whoever drives it."""

    store: Store

    def __init__(self, keys: Keys, new_writer: Callable[[], str], clock: Clock) -> None:
        self.shelf = Shelf(keys, new_writer())
        self.check_at = float("-inf")
        self._keys = keys
        self._new_writer = new_writer
        self._clock = clock
        self._register = Register(keys.directory)
        self._listed: dict[str, float] = {}
        self._entered = False
        self._since = 0.0
        self._checks = 0
        self._adopt_at = float("-inf")

    @property
    def others(self) -> list[str]:
        """All writers but this process."""
        return [writer for writer in self._listed if writer != self.shelf.writer]

    @property
    def adopts(self) -> bool:
        """Whether it is time to look for writers that are silent."""
        return self._clock.monotonic() >= self._adopt_at

    def read(self) -> Steps:
        """Find out who is listed. Raises StorageFailed."""
        document = yield from self._register.read(lambda: self.store)
        self._listed = dict(_read(document))

    def enter(self) -> Steps:
        """See to it that this process is listed. Raises StorageFailed."""
        before = self._listed
        yield from self.read()
        if self._entered and self._listed.get(self.shelf.writer) == self._since:
            self._checks = min(self._checks + 1, len(CHECKS_S) - 1)
        else:
            wall = self._clock.now()
            if self._entered:
                # Taken over, or written over.
                self.shelf = self.shelf.renamed(self._new_writer(), until=wall + LATE_S)
                self.shelf.store = self.store
                yield
                self.shelf.store = self.store
                self.shelf.write_manifest(wall)
            # Whoever wrote over this process may have written over others, who cannot enter themselves any more. One
            # that was taken over, and lives, sees that this is not its own entry.
            self._listed = {**dict.fromkeys(before, 0.0), **self._listed, self.shelf.writer: wall}
            self._since = wall
            yield
            self._write()
            self._checks = 0
        self._entered = True
        self.check_at = self._clock.monotonic() + CHECKS_S[self._checks]

    def adopt(self) -> Steps:
        """Take over those that have been silent for long, one after the other. Raises StorageFailed."""
        yield from self.enter()
        shelf = self.shelf
        shelf.settle_guests(self._listed)
        beside: list[Ref] = []
        for writer in self.others:
            other = Shelf(self._keys, writer)
            yield from self._driven(other, other.load())
            if self._is_silent(other):
                yield from self._take_over(other)
            else:
                beside += other.refs
            if shelf is not self.shelf:
                return
        shelf.beside = beside
        self._adopt_at = self._clock.monotonic() + SILENT_S

    def _is_silent(self, other: Shelf) -> bool:
        last = max(other.active_at, self._listed.get(other.writer, 0.0))
        return self._clock.now() - last >= SILENT_S

    def _take_over(self, other: Shelf) -> Steps:
        """Own what another one has written, and take it off the list, unless it has come to life meanwhile."""
        began_at, shelf = self._clock.monotonic(), self.shelf
        yield from self._driven(other, other.look_on())
        if not self._is_silent(other):
            return
        # Written down before it is taken off the list, and not touched before it is known that it is.
        other.settle_guests(self._listed)
        shelf.guests = {other.writer: (other.refs, [*other.condemned])}
        yield
        shelf.store = self.store
        shelf.write_manifest(self._clock.now())
        yield from self.read()
        yield
        if self._clock.monotonic() - began_at > STALE_S or shelf is not self.shelf:
            return
        # Not before the pause, in which the list may have been read again.
        self._listed = {writer: since for writer, since in self._listed.items() if writer != other.writer}
        self._write()
        shelf.settle_guests(self._listed)
        shelf.condemn_manifest(other.writer, until=self._clock.now() + LATE_S)

    def _driven(self, shelf: Shelf, steps: Steps) -> Steps:
        """The steps of another shelf, on the store of the moment."""
        while True:
            shelf.store = self.store
            try:
                next(steps)
            except StopIteration:
                return
            yield

    def _write(self) -> None:
        self._register.write(self.store, {"writers": self._listed}, now=self._clock.now())


def _read(document: Mapping[str, object]) -> Mapping[str, float]:
    writers = document.get("writers")
    if not isinstance(writers, dict):
        return {}
    return {str(writer): float(since) for writer, since in writers.items() if isinstance(since, int | float)}
