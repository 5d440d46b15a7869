"""The plugin's key-value store: SQLite with the daemon's quota, key rules and error texts."""

import posixpath
import sqlite3
from dataclasses import dataclass
from pathlib import Path
from typing import Final

MAX_KEY_CHARS: Final = 256
# PERSISTENCE_STORAGE_MAX_SIZE of the daemon.
DEFAULT_QUOTA_BYTES: Final = 100 * 1024 * 1024
_LOAD_FAILED: Final = "load data failed, please check if the key is correct or you have not set it"


class StorageError(Exception):
    """`str()` is the text that the plugin gets."""


@dataclass(frozen=True, slots=True)
class Accounting:
    """`overwrites_count_in_full` is what daemons up to 0.5.6 do: the old size is never given back."""

    quota_bytes: int = DEFAULT_QUOTA_BYTES
    overwrites_count_in_full: bool = False


class Storage:
    """One store per plugin and workspace, shared by all its endpoints."""

    def __init__(self, path: Path | None = None, accounting: Accounting = Accounting()) -> None:
        self._accounting = accounting
        self._db = sqlite3.connect(path or ":memory:", check_same_thread=False, isolation_level=None)
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=NORMAL")
        self._db.execute("CREATE TABLE IF NOT EXISTS entry (key TEXT PRIMARY KEY, value BLOB NOT NULL)")
        self._db.execute("CREATE TABLE IF NOT EXISTS used (bytes INTEGER NOT NULL)")
        if self._db.execute("SELECT 1 FROM used").fetchone() is None:
            self._db.execute("INSERT INTO used VALUES (0)")

    @property
    def used_bytes(self) -> int:
        """What the quota counts."""
        return int(self._db.execute("SELECT bytes FROM used").fetchone()[0])

    def get(self, key: str) -> bytes:
        """The value. Raises StorageError, also for a key that is not there."""
        row = None if _bad(key) else self._db.execute("SELECT value FROM entry WHERE key = ?", (key,)).fetchone()
        if row is None:
            raise StorageError(_LOAD_FAILED)
        return bytes(row[0])

    def set(self, key: str, value: bytes) -> None:
        """Write a value. As in the daemon, a value over quota is written all the same, only not counted."""
        if bad := _bad(key):
            raise StorageError(f"save data failed: {bad}")
        if len(key) > MAX_KEY_CHARS:
            raise StorageError("save data failed: key length must be less than 256 characters")
        old = 0 if self._accounting.overwrites_count_in_full else self._size(key) or 0
        self._db.execute("INSERT OR REPLACE INTO entry VALUES (?, ?)", (key, value))
        if self.used_bytes + len(value) - old > self._accounting.quota_bytes:
            raise StorageError("save data failed: allocated size is greater than max storage size")
        self._db.execute("UPDATE used SET bytes = bytes + ?", (len(value) - old,))

    def delete(self, key: str) -> None:
        """Delete a value. Raises StorageError, also for a key that is not there."""
        if bad := _bad(key):
            raise StorageError(f"delete data failed: {bad}")
        size = self._size(key)
        if size is None:
            raise StorageError("delete data failed: no such file or directory")
        self._db.execute("DELETE FROM entry WHERE key = ?", (key,))
        self._db.execute("UPDATE used SET bytes = bytes - ?", (size,))

    def exist(self, key: str) -> bool:
        """Whether there is a value."""
        if bad := _bad(key):
            raise StorageError(f"exist data failed: {bad}")
        return self._size(key) is not None

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def _size(self, key: str) -> int | None:
        row = self._db.execute("SELECT length(value) FROM entry WHERE key = ?", (key,)).fetchone()
        return None if row is None else int(row[0])


def _bad(key: str) -> str:
    cleaned = posixpath.normpath(key)
    if ".." in cleaned or "\\" in cleaned:
        return "invalid key: path traversal attempt detected"
    return ""
