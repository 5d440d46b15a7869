"""Entries that wait for being written: bounded, oldest first. Pure."""

from collections import deque
from collections.abc import Iterable, Sequence
from typing import Final

from kafka_bridge.events.log.entry import Entry, to_row
from kafka_bridge.events.log.segments import MAX_SEGMENT_BYTES

MAX_PENDING_BYTES: Final = 2 * 1024 * 1024
# What an entry takes besides those of its texts that may be long.
ENTRY_BYTES: Final = 1024


class Pending:
    """A queue. `dropped` counts the entries that had to go without having been written."""

    def __init__(self) -> None:
        self._entries: deque[Entry] = deque()
        self._taken: Sequence[Entry] = ()
        self._bytes = 0
        self.dropped = 0

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def entries(self) -> Iterable[Entry]:
        """All that are not written, those included that are being written."""
        return [*self._taken, *self._entries]

    def add(self, entry: Entry, *, keep: int, room_bytes: int = MAX_PENDING_BYTES) -> None:
        """Let one more wait. When there are too many, the oldest go."""
        self._entries.append(entry)
        self._bytes += _size(entry)
        if self._bytes > room_bytes or len(self._entries) > keep:
            self.shrink(keep=keep, room_bytes=room_bytes)

    def shrink(self, *, keep: int, room_bytes: int = MAX_PENDING_BYTES) -> None:
        """Let no more wait than that."""
        while self._entries and (self._bytes > room_bytes or len(self._entries) > keep):
            self._bytes -= _size(self._entries.popleft())
            self.dropped += 1

    def take(self, max_bytes: int = MAX_SEGMENT_BYTES) -> list[bytes]:
        """The rows of the next segment, one at least; they must be given back or settled."""
        rows: list[bytes] = []
        taken: list[Entry] = []
        size_bytes = 0
        while self._entries:
            row = to_row(self._entries[0])
            if rows and size_bytes + len(row) > max_bytes:
                break
            entry = self._entries.popleft()
            self._bytes -= _size(entry)
            size_bytes += len(row)
            rows.append(row)
            taken.append(entry)
        self._taken = taken
        return rows

    def give_back(self, *, keep: int, room_bytes: int = MAX_PENDING_BYTES) -> None:
        """What was taken was not written: it waits again, before all others."""
        self._entries.extendleft(reversed(self._taken))
        self._bytes += sum(_size(entry) for entry in self._taken)
        self._taken = ()
        self.shrink(keep=keep, room_bytes=room_bytes)

    def settle(self) -> int:
        """What was taken is written; gives how many."""
        count, self._taken = len(self._taken), ()
        return count


def _size(entry: Entry) -> int:
    """About what an entry takes in memory: what senders may make long is counted."""
    headers = 0
    for _, value in entry.headers:
        headers += len(value)
    return ENTRY_BYTES + len(entry.body) + len(entry.attributes) + headers
