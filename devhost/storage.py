"""The plugin's key-value store: SQLite with the daemon's quota, key rules, cache and error texts.

The daemon keeps a file per key, so keys behave like paths: they are cleaned, a slash makes a folder, and a folder
exists, and takes everything below it with it when it is deleted.
"""

import posixpath
import sqlite3
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

MAX_KEY_BYTES: Final = 256
# PERSISTENCE_STORAGE_MAX_SIZE of the daemon.
DEFAULT_QUOTA_BYTES: Final = 100 * 1024 * 1024
# What a folder counts when it is deleted: its own size on the disk, whatever was in it.
FOLDER_BYTES: Final = 4096
# Values that were read are read from the cache for this long.
CACHE_S: Final = 300.0
# Where a daemon from the platform's image keeps the files of a workspace's plugin; it shows in error texts.
ROOT: Final = "/app/storage/persistence/00000000-0000-0000-0000-000000000000"
_NAME_MAX_BYTES: Final = 255
_LOAD_FAILED: Final = "load data failed, please check if the key is correct or you have not set it"
_OVER_QUOTA: Final = "allocated size is greater than max storage size"


class StorageError(Exception):
    """`str()` is the text that the plugin gets."""


@dataclass(frozen=True, slots=True)
class Accounting:
    """`overwrites_count_in_full` is what daemons up to 0.5.6 do: the old size is never given back."""

    quota_bytes: int = DEFAULT_QUOTA_BYTES
    overwrites_count_in_full: bool = False


class _Refused(Exception):
    """What the operating system would say: a reason, without the call and its path."""


class Storage:
    """One store per plugin and workspace, shared by all its endpoints. `plugin` is `author/name`.

    May be used by several hosts, each on a thread of its own, as the nodes of a cluster share theirs.
    """

    def __init__(
        self,
        path: Path | None = None,
        accounting: Accounting = Accounting(),
        *,
        plugin: str = "author/name",
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._accounting = accounting
        self._folder = f"{ROOT}/{plugin}"
        self._clock = clock
        self._lock = threading.RLock()
        self._cache: dict[str, tuple[float, bytes]] = {}
        self._db = sqlite3.connect(path or ":memory:", check_same_thread=False, isolation_level=None)
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=NORMAL")
        # The root's path is empty; the value of a folder is NULL.
        self._db.execute("CREATE TABLE IF NOT EXISTS node (path TEXT PRIMARY KEY, value BLOB)")
        self._db.execute("CREATE TABLE IF NOT EXISTS used (bytes INTEGER NOT NULL)")
        if self._db.execute("SELECT 1 FROM used").fetchone() is None:
            self._db.execute("INSERT INTO used VALUES (0)")

    @property
    def used_bytes(self) -> int:
        """What the quota counts. It goes below zero when something is deleted that was never counted."""
        with self._lock:
            return int(self._db.execute("SELECT bytes FROM used").fetchone()[0])

    def get(self, key: str) -> bytes:
        """The value. Raises StorageError, also for a key that is not there."""
        with self._lock:
            if (value := self._cached(key)) is None:
                value = self._value(key)
                self._cache[key] = (self._clock(), value)
            return value

    def set(self, key: str, value: bytes) -> None:
        """Write a value. As in the daemon, a value over quota is written all the same, only not counted."""
        with self._lock:
            path = _path(key, "save")
            if len(key.encode()) > MAX_KEY_BYTES:
                raise StorageError("save data failed: key length must be less than 256 characters")
            try:
                old = 0 if self._accounting.overwrites_count_in_full else self._size(path)
            except _Refused:
                old = 0
            self._write(path, value)
            difference = len(value) - old
            if self.used_bytes + difference > self._accounting.quota_bytes:
                raise StorageError(f"save data failed: {_OVER_QUOTA}")
            self._count(difference)
            self._cache.pop(key, None)

    def delete(self, key: str) -> int:
        """Delete a value, or a folder with all that is in it. Raises StorageError, also for what is not there.

        The number says whether it was in the cache.
        """
        with self._lock:
            path = _path(key, "delete")
            cached = self._cached(key) is not None
            self._cache.pop(key, None)
            try:
                size = self._size(path)
            except _Refused as reason:
                raise StorageError(f"delete data failed: stat {self._shown(path)}: {reason}") from reason
            below = f"{path}/" if path else ""
            self._db.execute("DELETE FROM node WHERE path = ? OR substr(path, 1, ?) = ?", (path, len(below), below))
            self._count(-size)
            return int(cached)

    def exist(self, key: str) -> bool:
        """Whether there is a value, or a folder."""
        with self._lock:
            path = _path(key, "exist")
            if self._cached(key) is not None:
                return True
            try:
                self._size(path)
            except _Refused:
                return False
            return True

    @property
    def values(self) -> Mapping[str, bytes]:
        """All that is stored, by path."""
        with self._lock:
            return dict(self._db.execute("SELECT path, value FROM node WHERE value IS NOT NULL").fetchall())

    def clear(self) -> None:
        """Become the storage of a workspace that has never used the plugin."""
        with self._lock:
            self._db.execute("DELETE FROM node")
            self._db.execute("UPDATE used SET bytes = 0")
            self._cache.clear()

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def _cached(self, key: str) -> bytes | None:
        for known in list(self._cache):
            if self._clock() - self._cache[known][0] < CACHE_S:
                break
            del self._cache[known]
        return self._cache[key][1] if key in self._cache else None

    def _value(self, key: str) -> bytes:
        try:
            found = self._look_up(_path(key, "load"))
        except (_Refused, StorageError) as reason:
            raise StorageError(_LOAD_FAILED) from reason
        if found is None:
            raise StorageError(_LOAD_FAILED)
        return found

    def _size(self, path: str) -> int:
        value = self._look_up(path)
        return FOLDER_BYTES if value is None else len(value)

    def _look_up(self, path: str) -> bytes | None:
        """A file's content, None for a folder. Raises _Refused."""
        if "\0" in path:
            raise _Refused("invalid argument")
        value: bytes | None = None
        for step in _steps(path):
            if value is not None:
                raise _Refused("not a directory")
            if len(posixpath.basename(step).encode()) > _NAME_MAX_BYTES:
                raise _Refused("file name too long")
            row = self._db.execute("SELECT value FROM node WHERE path = ?", (step,)).fetchone()
            if row is None:
                raise _Refused("no such file or directory")
            value = row[0]
        return value

    def _write(self, path: str, value: bytes) -> None:
        """As `mkdir -p` and an overwriting write do it. Raises StorageError."""
        for step in _steps(path)[:-1]:
            try:
                if self._look_up(step) is not None:
                    raise _Refused("not a directory")
            except _Refused as reason:
                if str(reason) != "no such file or directory":
                    raise StorageError(f"save data failed: mkdir {self._shown(step)}: {reason}") from reason
                self._db.execute("INSERT INTO node VALUES (?, NULL)", (step,))
        try:
            if self._look_up(path) is None:
                raise _Refused("is a directory")
        except _Refused as reason:
            if str(reason) != "no such file or directory":
                raise StorageError(f"save data failed: open {self._shown(path)}: {reason}") from reason
        self._db.execute("INSERT OR REPLACE INTO node VALUES (?, ?)", (path, value))

    def _count(self, difference: int) -> None:
        self._db.execute("UPDATE used SET bytes = bytes + ?", (difference,))

    def _shown(self, path: str) -> str:
        return posixpath.join(self._folder, path) if path else self._folder


def _path(key: str, operation: str) -> str:
    """The path of a key below the root, which is empty for the root itself. Raises StorageError."""
    cleaned = posixpath.normpath(key)
    if ".." in cleaned or "\\" in cleaned:
        raise StorageError(f"{operation} data failed: invalid key: path traversal attempt detected")
    return "" if cleaned == "." else cleaned.lstrip("/")


def _steps(path: str) -> list[str]:
    """The root and every path on the way, `path` itself included."""
    parts = path.split("/") if path else []
    return ["", *("/".join(parts[: number + 1]) for number in range(len(parts)))]
