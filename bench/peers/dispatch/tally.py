"""What a contender of ours counts while it works, and the one JSON line that every contender prints."""

import json
import time

from confluent_kafka import Consumer, TopicPartition

from bench.peers.dispatch import work


class Tally:
    """Takes every record from any thread. Within a unit starts must be in offset order, each after the end before."""

    def __init__(self, ordering: str, keys: int) -> None:
        self._ordering = ordering
        self._seen = [0] * work.N
        # The last offset of each unit that is free; taking one out is one step for all threads.
        units = {"PARTITION": [""], "KEY": sorted({work.key_of(n, keys) for n in range(work.N)}), "UNORDERED": []}
        self._free = dict.fromkeys(units[ordering], -1)
        self._active: list[int] = []
        self._disorder: list[int] = []
        self._peak = 0
        self._began = time.perf_counter()
        self._first = self._last = 0.0

    @property
    def done(self) -> int:
        """Records that were worked on, each counted once."""
        return work.N - self._seen.count(0)

    def run(self, key: bytes | None, offset: int) -> None:
        """Do one record's work."""
        self._first = self._first or time.perf_counter()
        self._active.append(offset)
        self._peak = max(self._peak, len(self._active))
        unit = "" if self._ordering == "PARTITION" else (key or b"").decode()
        if self._ordering != "UNORDERED":
            before = self._free.pop(unit, None)
            if before is None or before >= offset:
                self._disorder.append(offset)
        if milliseconds := work.sleep_ms(offset):
            time.sleep(milliseconds / 1000)  # noqa: TID251 - the work
        self._seen[offset] += 1
        self._active.pop()
        self._last = time.perf_counter()
        self._free[unit] = offset

    def print(self, bootstrap: str, topic: str, group: str, *, ended: float, left: float) -> None:
        """The line. `ended`: when it knew that all was done, `left`: when it had left the group."""
        reader = Consumer({"bootstrap.servers": bootstrap, "group.id": group})
        committed = reader.committed([TopicPartition(topic, 0)], timeout=10)[0].offset
        reader.close()
        line = {
            "finished": self.done == work.N,
            "span_s": round(self._last - self._first, 3),
            "wall_s": round(ended - self._began, 3),
            "close_s": round(left - ended, 3),
            "once": self._seen.count(1),
            "more": sum(times > 1 for times in self._seen),
            "disorder": len(self._disorder),
            "peak_in_flight": self._peak,
            "slept_ms": sum(times * work.sleep_ms(offset) for offset, times in enumerate(self._seen)),
            "committed": committed,
        }
        print(json.dumps(line), flush=True)
