"""What other processes have written into a log, as far as a look has found it out. Pure but for its ports.

It may take many calls: each look goes on where the last one stopped. A process that has been silent for a while is
asked seldom: most of them are gone.
"""

from collections.abc import Callable, Generator, Iterable
from typing import Final

from kafka_bridge.clock import Clock
from kafka_bridge.events.log.pace import Paced
from kafka_bridge.events.log.segments import Keys, Ref
from kafka_bridge.events.log.shelf import Shelf
from kafka_bridge.events.log.store import StorageFailed, Store
from kafka_bridge.events.log.writers import Writers

# What other processes write is looked for this often.
OTHERS_S: Final = 2.0
# Of those that have been silent for so long most are gone: they are asked this often.
SILENT_S: Final = 60.0
SELDOM_S: Final = 15.0
# Of the time of a look so much: what is known is to be read too.
LOOK_S: Final = 3.0
NOT_YET: Final = "storage is too slow, look again"


class Others:
    """The shelves of all writers of a log but `me`."""

    def __init__(self, keys: Keys, me: str, clock: Clock) -> None:
        self._keys = keys
        self._me = me
        self._clock = clock
        self._shelves: dict[str, tuple[Shelf, float]] = {}
        self._round: _Round | None = None
        self._at = float("-inf")

    @property
    def refs(self) -> Iterable[Ref]:
        """All segments of theirs that are known."""
        return [ref for shelf, _ in self._shelves.values() for ref in shelf.everything]

    def again(self) -> None:
        """Something was not where it should be: look for all of it anew."""
        self._shelves = {writer: (shelf, float("-inf")) for writer, (shelf, _) in self._shelves.items()}
        self._at = float("-inf")
        self._round = None

    def find(self, store: Store) -> None:
        """Find out what is new. Raises StorageFailed: then not all is known."""
        now = self._clock.monotonic()
        if now - self._at <= OTHERS_S:
            return
        # Whoever looks meanwhile has a round of his own: this one is not to be had by two.
        this, self._round = self._round or _Round(self._find, Writers(self._keys, lambda: self._me, self._clock)), None
        if not this.go(Paced(store, self._clock.monotonic, now + LOOK_S)):
            self._round = this
            raise StorageFailed(NOT_YET)
        self._at = now

    def _find(self, writers: Writers) -> Generator[Shelf | None, None, None]:
        """What is done in a round: gives the shelf that is on its turn."""
        for _ in writers.read():
            yield None
        listed = writers.others
        self._shelves = {writer: known for writer, known in self._shelves.items() if writer in listed}
        for writer in listed:
            if not self._is_known(writer):
                shelf = Shelf(self._keys, writer)
                for _ in shelf.load():
                    yield shelf
                self._shelves[writer] = shelf, self._clock.monotonic()

    def _is_known(self, writer: str) -> bool:
        if writer not in self._shelves:
            return False
        shelf, looked_at = self._shelves[writer]
        silent = self._clock.now() - shelf.active_at > SILENT_S
        return self._clock.monotonic() - looked_at <= (SELDOM_S if silent else OTHERS_S)


class _Round:
    """A look at all writers, by one after the other with what time and store he has."""

    def __init__(self, find: Callable[[Writers], Generator[Shelf | None, None, None]], writers: Writers) -> None:
        self._writers = writers
        self._steps = find(writers)
        self._shelf: Shelf | None = None

    def go(self, store: Paced) -> bool:
        """Go on; whether it is done. Raises StorageFailed: then it cannot be gone on with."""
        self._writers.store = store
        if self._shelf is not None:
            self._shelf.store = store
        for shelf in self._steps:
            self._shelf = shelf
            if shelf is not None:
                shelf.store = store
            if not store.has_time:
                return False
        return True
