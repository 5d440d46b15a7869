"""The numbers in Prometheus' words, made when somebody asks: counting itself costs the runs next to nothing."""

from collections.abc import Callable, Iterable
from itertools import accumulate
from typing import Final

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from kafka_bridge.dispatch.ended import Ending
from kafka_bridge.standalone.look import Look
from kafka_bridge.standalone.tally import BUCKETS_S, Tally

PREFIX: Final = "kafka_bridge_"


class WorkerMetrics(Collector):
    """Implements Prometheus' collector."""

    def __init__(self, look: Callable[[], Look], tally: Tally) -> None:
        self._look = look
        self._tally = tally

    def collect(self) -> Iterable[Metric]:
        """All of them."""
        look, tally = self._look(), self._tally
        yield from self._counters(tally)
        yield self._durations(tally)
        yield _gauge("runs_in_flight", "Runs and writes that are not over.", look.in_flight)
        yield _gauge("records_buffered", "Records that wait to be run, or to be run again.", look.buffered)
        yield _gauge("circuit_open", "1 while nothing can run, and intake is paused.", look.circuit_open)
        yield _gauge("joined", "1 while this worker is a member of its group.", look.joined)
        yield _gauge("partitions", "Partitions that are this worker's.", look.partitions)
        yield _gauge(
            "partitions_blocked", "Partitions that are paused: something cannot be written.", len(look.blocked)
        )
        lag = GaugeMetricFamily(
            f"{PREFIX}lag_records",
            "End minus committed offset of this worker's partitions.",
            labels=("topic", "partition"),
        )
        for at, records in sorted(look.lags.items()):
            lag.add_metric((at.topic, str(at.partition)), records)
        yield lag

    def _counters(self, tally: Tally) -> Iterable[Metric]:
        runs = CounterMetricFamily(f"{PREFIX}runs", "Runs that are over, by how they ended.", labels=("outcome",))
        for ending in Ending:
            runs.add_metric((ending.value.replace(" ", "_"),), tally.runs[ending])
        yield runs
        yield CounterMetricFamily(f"{PREFIX}runs_retried", "Runs of records that had failed before.", tally.retried)
        yield CounterMetricFamily(f"{PREFIX}dead_letters", "Acknowledged dead letters.", tally.dead_letters)

    def _durations(self, tally: Tally) -> Metric:
        counts = tuple(accumulate(tally.durations.counts))
        bounds = (*(f"{bound}" for bound in BUCKETS_S), "+Inf")
        return HistogramMetricFamily(
            f"{PREFIX}run_duration_seconds",
            "How long runs took.",
            buckets=list(zip(bounds, counts, strict=True)),
            sum_value=tally.durations.sum_s,
        )


def registry_of(metrics: WorkerMetrics) -> CollectorRegistry:
    """A registry that holds these and nothing else."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(metrics)
    return registry


def _gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(f"{PREFIX}{name}", text, value)
