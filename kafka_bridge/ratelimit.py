"""A token bucket per key, for log lines that an outsider can cause. Pure: time is an argument."""

from collections import OrderedDict
from dataclasses import dataclass
from typing import Final

# Keys are (endpoint, reason) pairs: few by design. The bound is for the day when that is no longer so.
MAX_KEYS: Final = 1024


@dataclass(slots=True)
class _Bucket:
    tokens: float
    since_s: float
    suppressed: int = 0


class RateLimit:
    """`burst` passes at once, then one every `interval_s` seconds; what was held back is counted."""

    def __init__(self, *, burst: int, interval_s: float) -> None:
        self._burst = burst
        self._interval_s = interval_s
        self._buckets: OrderedDict[object, _Bucket] = OrderedDict()

    def take(self, key: object, *, now: float) -> int | None:
        """The number of calls held back since the last one that passed, or None: this one is held back too."""
        bucket = self._buckets.get(key)
        if bucket is None:
            if len(self._buckets) >= MAX_KEYS:
                self._buckets.popitem(last=False)
            bucket = self._buckets[key] = _Bucket(self._burst, now)
        bucket.tokens = min(self._burst, bucket.tokens + (now - bucket.since_s) / self._interval_s)
        bucket.since_s = now
        if bucket.tokens < 1:
            bucket.suppressed += 1
            return None
        bucket.tokens -= 1
        suppressed, bucket.suppressed = bucket.suppressed, 0
        return suppressed
