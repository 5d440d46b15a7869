"""The numbers of one endpoint in Prometheus' words. Imported when somebody asks for them: the library is large."""

from collections.abc import Iterable, Iterator
from itertools import accumulate
from typing import Final

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from kafka_bridge.metrics import EndpointMetrics, Gauges, Histogram

PREFIX: Final = "kafka_bridge_"
ENDPOINT: Final = "endpoint"


def exposition(endpoint: str, metrics: EndpointMetrics, gauges: Gauges) -> bytes:
    """All numbers as text; `endpoint` is the label's value."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Numbers(endpoint, metrics, gauges))
    return generate_latest(registry)


class _Numbers(Collector):
    """Implements Prometheus' collector."""

    def __init__(self, endpoint: str, metrics: EndpointMetrics, gauges: Gauges) -> None:
        self._endpoint = endpoint
        self._metrics = metrics
        self._gauges = gauges

    def collect(self) -> Iterable[Metric]:
        """All of them."""
        yield from self._of_webhooks(self._metrics)
        yield from self._of_runs(self._metrics)
        yield from self._of_the_log(self._gauges)
        yield from self._of_now(self._gauges)

    def _of_webhooks(self, metrics: EndpointMetrics) -> Iterator[Metric]:
        requests = CounterMetricFamily(
            f"{PREFIX}webhook_requests",
            "Requests of senders, by what became of them.",
            labels=(ENDPOINT, "source", "outcome"),
        )
        for (source, outcome), count in sorted(metrics.requests.items()):
            requests.add_metric((self._endpoint, source, outcome), count)
        yield requests
        text = "From a sender's request to its answer."
        yield self._histogram("webhook_request_duration_seconds", text, metrics.request_s)
        yield self._histogram("publish_latency_seconds", "Until the broker has acknowledged.", metrics.publish_s)
        yield self._counter("records_published", "Records that the broker has acknowledged.", metrics.published)

    def _of_runs(self, metrics: EndpointMetrics) -> Iterator[Metric]:
        runs = CounterMetricFamily(
            f"{PREFIX}runs", "Runs that are over, by how they ended.", labels=(ENDPOINT, "outcome")
        )
        for ending, count in sorted(metrics.runs.items()):
            runs.add_metric((self._endpoint, ending.replace(" ", "_")), count)
        yield runs
        yield self._histogram("run_duration_seconds", "How long runs took.", metrics.run_s)
        yield self._counter("dead_letters", "Acknowledged dead letters.", metrics.dead_letters)

    def _of_the_log(self, gauges: Gauges) -> Iterator[Metric]:
        yield self._counter("event_log_recorded", "Entries that were made.", gauges.recorded)
        yield self._counter("event_log_written", "Entries that storage has acknowledged.", gauges.written)
        yield self._counter("event_log_commits", "Writes to storage.", gauges.commits)
        yield self._counter("event_log_failures", "Writes that storage has not acknowledged.", gauges.failures)
        yield self._counter("event_log_dropped", "Entries that went without having been written.", gauges.dropped)
        yield self._gauge("event_log_pending", "Entries that wait for being written.", gauges.pending)

    def _of_now(self, gauges: Gauges) -> Iterator[Metric]:
        yield self._gauge("producer_connected", "1 while records can be written.", gauges.connected)
        yield self._gauge("producer_queue_records", "Records that are not acknowledged yet.", gauges.queued)
        yield self._gauge("producer_waiting", "Requests that wait for Kafka.", gauges.waiting)
        yield self._gauge("runs_in_flight", "Runs that are not over.", gauges.runs)
        yield self._gauge("streams_open", "Open streams of events.", gauges.streams)
        lag = GaugeMetricFamily(
            f"{PREFIX}consumer_lag_records",
            "End minus committed offset of the partitions of this process.",
            labels=(ENDPOINT, "topic"),
        )
        for topic, records in sorted(gauges.lags.items()):
            lag.add_metric((self._endpoint, topic), records)
        yield lag

    def _counter(self, name: str, text: str, value: float) -> Metric:
        family = CounterMetricFamily(f"{PREFIX}{name}", text, labels=(ENDPOINT,))
        family.add_metric((self._endpoint,), value)
        return family

    def _gauge(self, name: str, text: str, value: float) -> Metric:
        family = GaugeMetricFamily(f"{PREFIX}{name}", text, labels=(ENDPOINT,))
        family.add_metric((self._endpoint,), value)
        return family

    def _histogram(self, name: str, text: str, histogram: Histogram) -> Metric:
        bounds = (*(f"{bound}" for bound in histogram.bounds), "+Inf")
        family = HistogramMetricFamily(f"{PREFIX}{name}", text, labels=(ENDPOINT,))
        buckets = list(zip(bounds, accumulate(histogram.counts), strict=True))
        family.add_metric((self._endpoint,), buckets, histogram.sum)
        return family
