"""Key-value stores that fail as the platform's does."""

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count

from kafka_bridge.clock import Clock
from kafka_bridge.events.log.entry import Entry
from kafka_bridge.events.log.log import EventLog
from kafka_bridge.events.log.query import Filter
from kafka_bridge.events.log.reader import Cache, Reader
from kafka_bridge.events.log.store import StorageFailed

NOW = 1_700_000_000.0


class Killed(BaseException):
    """The process is gone."""


class CutOff(BaseException):
    """The greenlet is, in the middle of a call; its process goes on."""


@dataclass
class Time:
    """A clock that a test moves by hand."""

    at: float = 0.0

    @property
    def clock(self) -> Clock:
        return Clock(now=lambda: NOW + self.at, monotonic=lambda: self.at)


@dataclass
class Disk:
    """What is stored, by whichever process. `late` are writes that were given up and have not happened yet."""

    values: dict[str, bytes] = field(default_factory=dict)
    late: list[Callable[[], None]] = field(default_factory=list)
    counted: int = 0
    """What a daemon up to 0.5.6 counts: an overwrite in full, and nothing is given back for it."""
    overwritten: int = 0

    @property
    def size_bytes(self) -> int:
        return sum(map(len, self.values.values()))

    def set(self, key: str, value: bytes) -> None:
        self.overwritten += len(self.values.get(key, b""))
        self.values[key] = value
        self.counted += len(value)

    def delete(self, key: str) -> None:
        self.counted -= len(self.values.pop(key, b""))


@dataclass
class ModelStore:
    """One process's way to the disk. `fate` decides over each call, in the words of `_call`."""

    disk: Disk
    fate: Callable[[str], str] = lambda _operation: "ok"
    calls: list[str] = field(default_factory=list)
    latency_s: float = 0.0
    time: Time = field(default_factory=Time)

    def get(self, key: str) -> bytes | None:
        found: list[bytes | None] = []
        self._call("get", lambda: found.append(self.disk.values.get(key)))
        return found[0]

    def set(self, key: str, value: bytes) -> None:
        self._call("set", lambda: self.disk.set(key, value))

    def delete(self, key: str) -> None:
        self._call("delete", lambda: self.disk.delete(key))

    def _call(self, operation: str, act: Callable[[], None]) -> None:
        self.calls.append(operation)
        self.time.at += self.latency_s
        match self.fate(operation):
            case "ok":
                act()
            case "failed":
                raise StorageFailed("storage has failed")
            case "full":
                # The daemon writes first and counts then.
                act()
                raise StorageFailed("the plugin's storage is full", full=True)
            case "lost":
                act()
                raise StorageFailed("storage does not answer in time", unknown=True)
            case "hung":
                raise StorageFailed("storage does not answer in time", unknown=True)
            case "late":
                if operation != "get":
                    self.disk.late.append(act)
                raise StorageFailed("storage does not answer in time", unknown=True)
            case "cut off":
                if operation != "get":
                    self.disk.late.append(act)
                raise CutOff
            case "killed before":
                raise Killed
            case "killed after":
                act()
                raise Killed


class Process:
    """One process with one log: records, flushes, looks."""

    def __init__(self, disk: Disk, time: Time, writer: str, *, keep: int = 1000, endpoint: str = "endpoint-1") -> None:
        self.store = ModelStore(disk, time=time)
        self.time = time
        names = (f"{int(writer, 16) + number * 0x1000000:08x}" for number in count())
        self.log = EventLog(endpoint, new_writer=lambda: next(names), clock=time.clock)
        self.log.keep = keep
        self.reader = Reader(Cache(), time.clock)

    def add(self, number: int, kind: str = "accepted", body: str = "", **fields: object) -> Entry:
        entry = Entry(self.log.next_id(), kind, NOW + self.time.at, event_id=f"e-{number}", body=body, **fields)
        self.log.add(entry)
        return entry

    def flush(self) -> set[str]:
        """Flush as an ending request does; gives the ids that are written by now."""
        before = {entry.id for entry in self.log.pending.entries}
        self.log.flush(self.store, until=self.time.at + 0.25, urgent=True)
        return before - {entry.id for entry in self.log.pending.entries}

    def seen(self, limit: int = 100_000, **wanted: object) -> list[Entry]:
        """All rows of the log, as a fresh look has them."""
        self.log.others.again()
        page = self.reader.query(self.log, self.store, Filter(**wanted), limit=limit)
        assert page.trouble == ""
        return [row.entry for row in page.rows]
