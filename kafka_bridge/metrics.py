"""Plain numbers per endpoint, which cost next to nothing to count; who looks makes of them what he needs. Pure."""

from bisect import bisect_left
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

MAX_ENDPOINTS: Final = 512
# Of an endpoint. Settings change, and with them the names of its sources: what is counted stays.
MAX_SOURCES: Final = 64
OTHERS: Final = "(others)"
# Seconds. A request takes about a millisecond with a broker near by, and is given up after nine.
REQUEST_BOUNDS_S: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
# From a function that does nothing to a workflow that takes as long as a run may.
RUN_BOUNDS_S: Final = (0.025, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 240.0)


class Histogram:
    """`counts` has one number for each bound, whose upper end belongs to it, and one for what is above the last."""

    __slots__ = ("bounds", "counts", "sum")

    def __init__(self, bounds: Sequence[float]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.sum = 0.0

    def add(self, value: float) -> None:
        """One more."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.sum += value


class EndpointMetrics:
    """Of one endpoint, since the process began. Times in seconds.

    `requests` counts by source and what became of them, `runs` by how they ended.
    """

    __slots__ = ("_sources", "dead_letters", "publish_s", "published", "request_s", "requests", "run_s", "runs")

    def __init__(self) -> None:
        self.requests: dict[tuple[str, str], int] = {}
        self.request_s = Histogram(REQUEST_BOUNDS_S)
        self.publish_s = Histogram(REQUEST_BOUNDS_S)
        self.published = 0
        self.runs: dict[str, int] = {}
        self.run_s = Histogram(RUN_BOUNDS_S)
        self.dead_letters = 0
        self._sources: set[str] = set()

    def request(self, source: str, outcome: str) -> None:
        """One request; `source` is a name of the settings."""
        key = source, outcome
        if key not in self.requests:
            if source not in self._sources and len(self._sources) >= MAX_SOURCES:
                key = OTHERS, outcome
            self._sources.add(key[0])
            self.requests.setdefault(key, 0)
        self.requests[key] += 1

    def run(self, ending: str) -> None:
        """One run that is over."""
        self.runs[ending] = self.runs.get(ending, 0) + 1


class Gauges(NamedTuple):
    """What else there is to know of an endpoint: of its log since that was opened, and of this moment.

    `lags` are by topic; `connected`, `queued` and `waiting` are of the connection to Kafka.
    """

    recorded: int
    written: int
    commits: int
    failures: int
    dropped: int
    pending: int
    connected: bool
    queued: int
    waiting: int
    runs: int
    streams: int
    lags: Mapping[str, int]


class Metrics:
    """Of all endpoints; those of the one that nobody has used for longest are forgotten when there are too many."""

    def __init__(self) -> None:
        self._of: OrderedDict[str, EndpointMetrics] = OrderedDict()

    def of(self, endpoint: str) -> EndpointMetrics:
        """Those of one."""
        found = self._of.get(endpoint)
        if found is None:
            if len(self._of) >= MAX_ENDPOINTS:
                self._of.popitem(last=False)
            found = self._of[endpoint] = EndpointMetrics()
        else:
            self._of.move_to_end(endpoint)
        return found

    def published(self, endpoint: str, count: int, latency_s: float) -> None:
        """Records were acknowledged, so long after they were sent together."""
        metrics = self.of(endpoint)
        metrics.published += count
        metrics.publish_s.add(latency_s)
