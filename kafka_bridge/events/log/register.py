"""A small document that is replaced again and again, in a store where nothing is replaced safely. Pure.

It lives under a few keys in turn, each time with a higher number, so there is always a whole one. An old daemon counts
an overwrite in full, so a key is deleted before it is written. A write of which nobody knows whether it happened may
happen later, over a newer one: its key is left alone for a while.
"""

from collections.abc import Callable, Generator, Mapping
from typing import Final

import orjson

from kafka_bridge.events.log.store import StorageFailed, Store

SLOTS: Final = 3
READS: Final = 3
# No call is still on its way after this long: the platform itself gives up before.
LATE_S: Final = 300.0


class Register:
    """One document. `key` is the beginning of its keys."""

    def __init__(self, key: str) -> None:
        self._key = key
        self._number = 0
        self._seen = -1
        self._slot: int | None = None
        self._used: set[int] = set()
        self._doubtful: dict[int, float] = {}

    @property
    def keys(self) -> list[str]:
        """All its keys."""
        return [f"{self._key}{slot}" for slot in range(SLOTS)]

    def read(self, store: Callable[[], Store]) -> Generator[None, None, Mapping[str, object]]:
        """The document, with a pause before each call, and the store of the moment. Raises StorageFailed."""
        for _ in range(READS):
            number, document = -1, dict[str, object]()
            for slot in range(SLOTS):
                yield
                found = self._look(store(), slot)
                if found is not None and found[0] > number:
                    number, document, at = found[0], found[1], slot
            # If this process itself has written meanwhile, what it wrote may stand where it was looked before.
            if number >= self._seen:
                break
        if number >= 0:
            self._seen, self._slot = number, at
            self._number = max(self._number, number)
        return document

    def _look(self, store: Store, slot: int) -> tuple[int, dict[str, object]] | None:
        value = store.get(self.keys[slot])
        if value is None:
            self._used.discard(slot)
            return None
        self._used.add(slot)
        try:
            document = orjson.loads(value)
            return int(document["n"]), dict(document)
        except (orjson.JSONDecodeError, KeyError, TypeError, ValueError):
            return None

    def write(self, store: Store, document: Mapping[str, object], *, now: float) -> None:
        """Replace the document. Raises StorageFailed; then the old one is there, or the new one."""
        slot = self._free(now)
        try:
            if slot in self._used:
                store.delete(self.keys[slot])
            self._number += 1
            self._used.add(slot)
            store.set(self.keys[slot], orjson.dumps({**document, "n": self._number}))
        except BaseException as failed:
            if not isinstance(failed, StorageFailed) or failed.unknown:
                # Also when the greenlet is killed.
                self._doubtful[slot] = now + LATE_S
            raise
        self._slot, self._seen = slot, self._number

    def _free(self, now: float) -> int:
        free = [slot for slot in range(SLOTS) if slot != self._slot and now >= self._doubtful.get(slot, now)]
        if not free:
            raise StorageFailed("storage has not answered for some minutes")
        return min(free, key=lambda slot: (slot - (self._slot or 0)) % SLOTS)
