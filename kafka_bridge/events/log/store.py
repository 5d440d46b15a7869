"""What the event log needs of a key-value store, as a port. Pure."""

from typing import Protocol


class StorageFailed(Exception):
    """A call that did not succeed. `str()` says why in the operator's words.

    `unknown`: nobody said that it failed, so it may have happened, or happen yet. `full`: there is no room.
    """

    def __init__(self, reason: str, *, unknown: bool = False, full: bool = False) -> None:
        super().__init__(reason)
        self.unknown = unknown
        self.full = full


class Store(Protocol):
    """Keys and values. Each call may wait, and raises StorageFailed and nothing else."""

    def get(self, key: str) -> bytes | None:
        """The value; None when there is none."""

    def set(self, key: str, value: bytes) -> None:
        """Write a value."""

    def delete(self, key: str) -> None:
        """Delete a value; one that is not there is no error."""
