"""The plugin's storage, through the session of a request that is open.

A call whose request has ended is dropped without a word: each has an end of its own. The platform says of a missing key
what it says of one that cannot be read, so who reads nothing asks whether there is nothing.
"""

from collections.abc import Callable
from typing import Final, Protocol

from kafka_bridge.broker.loops import Loop
from kafka_bridge.clock import Clock
from kafka_bridge.events.log.store import StorageFailed

# Of a request that is patient.
CALL_S: Final = 2.0
# A value is one line of hex on stdout, and one above 5 MiB ends the process.
MAX_VALUE_BYTES: Final = 2 * 1024 * 1024
NO_ANSWER: Final = "storage does not answer in time"
_CAUSES: Final = (
    ("allocated size is greater than max storage size", "the plugin's storage is full"),
    ("permission denied", "the plugin has no permission to use storage"),
    ("resource not found", "the plugin has no permission to use storage"),
)
_MISSING: Final = ("load data failed", "delete data failed")
FAILED: Final = "storage has failed"


class SessionStorage(Protocol):
    """What is used of the SDK's `session.storage`. Each raises a bare Exception with whatever the platform says."""

    def get(self, key: str) -> bytes:
        """The value."""

    def set(self, key: str, val: bytes) -> None:
        """Write it."""

    def delete(self, key: str) -> None:
        """Delete it."""

    def exist(self, key: str) -> bool:
        """Whether there is one."""


class _NoStorage:
    """In the place of a session's storage where there is none: whatever is asked of it fails."""

    def get(self, key: str) -> bytes:
        raise NotImplementedError(key)

    def set(self, key: str, val: bytes) -> None:
        raise NotImplementedError(key)

    def delete(self, key: str) -> None:
        raise NotImplementedError(key)

    def exist(self, key: str) -> bool:
        raise NotImplementedError(key)


NO_STORAGE: Final[SessionStorage] = _NoStorage()


class SessionStore:
    """Implements `events.log.store.Store` until a moment in monotonic seconds."""

    def __init__(self, storage: SessionStorage, loop: Loop, clock: Clock, *, until: float) -> None:
        self._storage = storage
        self._loop = loop
        self._clock = clock
        self._until = until

    def get(self, key: str) -> bytes | None:
        try:
            return self._call(lambda: self._storage.get(key))
        except _Refused as refused:
            self._check_missing(key, refused)
            return None

    def set(self, key: str, value: bytes) -> None:
        if len(value) > MAX_VALUE_BYTES:
            raise StorageFailed("a value is too large for storage")
        try:
            self._call(lambda: self._storage.set(key, value))
        except _Refused as refused:
            raise refused.failed from refused

    def delete(self, key: str) -> None:
        try:
            self._call(lambda: self._storage.delete(key))
        except _Refused as refused:
            self._check_missing(key, refused)

    def _check_missing(self, key: str, refused: "_Refused") -> None:
        """Return if there is no such value: then it was refused for that. Raises StorageFailed."""
        if not refused.text.startswith(_MISSING):
            raise refused.failed from refused
        try:
            if not self._call(lambda: self._storage.exist(key)):
                return
        except _Refused as other:
            raise other.failed from other
        raise refused.failed from refused

    def _call[T](self, call: Callable[[], T]) -> T:
        left_s = min(CALL_S, self._until - self._clock.monotonic())
        if left_s <= 0:
            raise StorageFailed(NO_ANSWER)
        try:
            with self._loop.deadline(left_s):
                return call()
        except TimeoutError as error:
            raise StorageFailed(NO_ANSWER, unknown=True) from error
        except Exception as error:
            raise _Refused(str(error)) from error


class _Refused(Exception):
    """What the platform says."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text

    @property
    def failed(self) -> StorageFailed:
        """The same in the operator's words."""
        reason = next((reason for words, reason in _CAUSES if words in self.text), FAILED)
        return StorageFailed(reason, full=reason == _CAUSES[0][1])
