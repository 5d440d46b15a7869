"""`/health` and `/metrics`."""

import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from kafka_bridge.dispatch.ended import Ended, Ending
from kafka_bridge.events.record import TopicPartition
from kafka_bridge.standalone.http import MAX_CONNECTIONS, MetricsApp, MetricsServer
from kafka_bridge.standalone.look import Look
from kafka_bridge.standalone.metrics import WorkerMetrics, registry_of
from kafka_bridge.standalone.tally import Tally
from tests.brokers import wait_until
from tests.dispatch.words import P0, P1, task

WELL = Look(
    why_not="",
    circuit_open=False,
    joined=True,
    partitions=2,
    in_flight=3,
    buffered=4,
    blocked={},
    lags={P0: 5, P1: 0},
    succeeded=0,
    failed=0,
    retried=0,
    dead_lettered=0,
)


class Served:
    """A server, and what it is to show."""

    def __init__(self) -> None:
        self.look = WELL
        self.tally = Tally(max_attempts=3, monotonic=lambda: 0.0)
        registry = registry_of(WorkerMetrics(lambda: self.look, self.tally))
        self.server = MetricsServer(MetricsApp(lambda: self.look, registry), host="127.0.0.1", port=0)

    def call(self, path: str, method: str = "GET", **headers: str) -> httpx.Response:
        with httpx.Client(trust_env=False) as client:
            return client.request(method, f"{self.server.url}{path}", headers=headers)

    def metrics(self) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
        found = text_string_to_metric_families(self.call("/metrics").text)
        return {
            (sample.name, frozenset(sample.labels.items())): sample.value for one in found for sample in one.samples
        }


@pytest.fixture
def served() -> Iterator[Served]:
    one = Served()
    yield one
    one.server.close()


def test_a_worker_that_runs_records_is_healthy(served):
    answer = served.call("/health")

    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
    assert answer.json() == {
        "status": "healthy",
        "joined": True,
        "partitions": 2,
        "in_flight": 3,
        "buffered": 4,
        "lag": 5,
    }


def test_who_says_nothing_takes_a_bounded_number_of_threads(served):
    address = served.server.url.removeprefix("http://").split(":")
    before = threading.active_count()
    with ExitStack() as stack:
        silent = [
            stack.enter_context(socket.create_connection((address[0], int(address[1])), timeout=5))
            for _ in range(MAX_CONNECTIONS + 8)
        ]
        # Those that are too many are hung up on.
        for one in silent[MAX_CONNECTIONS:]:
            assert one.recv(1) == b""
        assert threading.active_count() - before <= MAX_CONNECTIONS
    wait_until(lambda: threading.active_count() <= before)

    assert served.call("/health").status_code == 200


def test_one_that_does_not_says_why(served):
    served.look = replace(WELL, why_not="connection refused", joined=False, lags={}, partitions=0)

    answer = served.call("/health")

    assert answer.status_code == 503
    assert (answer.json()["status"], answer.json()["reason"]) == ("unhealthy", "connection refused")
    assert answer.json()["lag"] is None


def test_a_member_without_partitions_has_no_lag(served):
    served.look = replace(WELL, partitions=0, lags={})

    assert served.call("/health").json()["lag"] == 0


def test_everything_is_measured(served):
    served.tally.ran(task(attempts=1), Ended(Ending.DONE, duration_s=0.2))
    served.tally.ran(task(attempts=2), Ended(Ending.NOT_STARTED, duration_s=3))
    served.tally.dead_lettered(task())
    served.look = replace(WELL, circuit_open=True, blocked={TopicPartition("t", 1): "no such topic"})

    found = served.metrics()

    def of(name: str, **labels: str) -> float:
        return found[f"kafka_bridge_{name}", frozenset(labels.items())]

    assert (of("runs_total", outcome="succeeded"), of("runs_total", outcome="not_started")) == (1, 1)
    assert of("runs_total", outcome="failed") == 0, "it is there before the first one"
    assert (of("runs_retried_total"), of("dead_letters_total")) == (1, 1)
    assert (of("run_duration_seconds_bucket", le="0.1"), of("run_duration_seconds_bucket", le="0.25")) == (0, 1)
    assert (of("run_duration_seconds_bucket", le="+Inf"), of("run_duration_seconds_count")) == (2, 2)
    assert of("run_duration_seconds_sum") == pytest.approx(3.2)
    assert (of("runs_in_flight"), of("records_buffered"), of("partitions"), of("joined")) == (3, 4, 2, 1)
    assert (of("circuit_open"), of("partitions_blocked")) == (1, 1)
    assert (of("lag_records", topic="orders", partition="0"), of("lag_records", topic="orders", partition="1")) == (
        5,
        0,
    )


def test_open_metrics_where_they_are_asked_for(served):
    answer = served.call("/metrics", accept="application/openmetrics-text; version=1.0.0")

    assert answer.headers["content-type"].startswith("application/openmetrics-text")
    assert answer.text.endswith("# EOF\n")


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/", 404), ("GET", "/health/x", 404), ("POST", "/health", 405), ("DELETE", "/metrics", 405)],
)
def test_there_is_nothing_else(served, method, path, status):
    assert served.call(path, method).status_code == status


@pytest.mark.parametrize("path", ["/health", "/metrics"])
def test_head_has_no_body(served, path):
    answer = served.call(path, "HEAD")

    assert (answer.status_code, answer.content) == (200, b"")
