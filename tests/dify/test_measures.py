"""What Prometheus reads."""

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from prometheus_client.parser import text_string_to_metric_families

from kafka_bridge.broker.pump import State
from kafka_bridge.dify.call import Call
from kafka_bridge.dify.hooks import compile_hook
from kafka_bridge.dify.measures import TEXT, Measures, label_of
from kafka_bridge.dify.meter import Meter
from kafka_bridge.errors import TokenNotConfigured, Unauthorized
from kafka_bridge.metrics import Metrics
from tests.stand_ins import NOW, Broker, Registry, Ticking, event_log, receive_at, request, saved, source_of

TOKEN = "not-a-real-token"
REPOSITORY = Path(__file__).resolve().parent.parent.parent


class Rig:
    def __init__(self, **settings):
        self.metrics = Metrics()
        self.registry = Registry()
        self.recorder, _ = event_log(Ticking().clock)
        self.lags = {}
        self.measures = Measures(
            self.metrics,
            registry=self.registry,
            recorder=self.recorder,
            runs=SimpleNamespace(in_flight=lambda endpoint: {"endpoint-1": 2}.get(endpoint, 0)),
            consumer=SimpleNamespace(lags=lambda _call: self.lags),
            stream=SimpleNamespace(open_at=lambda endpoint: {"endpoint-1": 3}.get(endpoint, 0)),
        )
        self.hook = compile_hook(saved(api_token=TOKEN, **settings))

    def scrape(self, endpoint="endpoint-1", *, token=TOKEN, hook=None):
        call = Call(request(b"", {"authorization": f"Bearer {token}"}, method="GET"), hook or self.hook, endpoint)
        return self.measures.show(call)

    def samples(self, endpoint="endpoint-1"):
        """Every sample by its name and its labels but that of the endpoint, which is checked."""
        outbound = self.scrape(endpoint)
        assert (outbound.status, outbound.content_type) == (200, TEXT)
        found = {}
        for family in text_string_to_metric_families(outbound.body.decode()):
            assert family.documentation
            for sample in family.samples:
                labels = dict(sample.labels)
                assert labels.pop("endpoint") == label_of(endpoint)
                found[sample.name, tuple(sorted(labels.items()))] = sample.value
        return found


def test_what_was_counted_is_what_is_read():
    rig = Rig()
    outcome = receive_at(request(b"{}"), source_of(scheme="none"), Broker(), now=NOW)._replace(duration_s=0.004)
    for _ in range(3):
        Meter(rig.metrics).record("endpoint-1", outcome)
    rig.metrics.published("endpoint-1", 5, 0.003)
    rig.metrics.of("endpoint-1").run("not started")
    rig.metrics.of("endpoint-1").run_s.add(7)
    rig.metrics.of("endpoint-1").dead_letters = 4

    found = rig.samples()

    assert found["kafka_bridge_webhook_requests_total", (("outcome", "accepted"), ("source", "default"))] == 3
    assert found["kafka_bridge_webhook_request_duration_seconds_count", ()] == 3
    assert found["kafka_bridge_webhook_request_duration_seconds_sum", ()] == pytest.approx(0.012)
    assert found["kafka_bridge_webhook_request_duration_seconds_bucket", (("le", "0.0025"),)] == 0
    assert found["kafka_bridge_webhook_request_duration_seconds_bucket", (("le", "0.005"),)] == 3
    assert found["kafka_bridge_publish_latency_seconds_bucket", (("le", "+Inf"),)] == 1
    assert found["kafka_bridge_records_published_total", ()] == 5
    assert found["kafka_bridge_runs_total", (("outcome", "not_started"),)] == 1
    assert found["kafka_bridge_run_duration_seconds_sum", ()] == 7
    assert found["kafka_bridge_dead_letters_total", ()] == 4


def test_what_there_is_at_this_moment_is_read_too():
    rig = Rig()
    rig.lags = {"orders": 7, "refunds": 0}
    rig.registry.lease(rig.hook.cluster)
    rig.registry.connection.queued, rig.registry.connection.waiting = 11, 5
    log = rig.recorder.log(Call(request(), rig.hook, "endpoint-1"))
    log.counters.recorded, log.counters.written, log.counters.commits, log.counters.failures = 9, 8, 7, 6
    log.pending.dropped = 2

    found = rig.samples()

    told = {name: value for (name, labels), value in found.items() if not labels}
    assert {name.removeprefix("kafka_bridge_"): told[name] for name in told if "seconds" not in name} == {
        "records_published_total": 0,
        "dead_letters_total": 0,
        "event_log_recorded_total": 9,
        "event_log_written_total": 8,
        "event_log_commits_total": 7,
        "event_log_failures_total": 6,
        "event_log_dropped_total": 2,
        "event_log_pending": 0,
        "producer_connected": 1,
        "producer_queue_records": 11,
        "producer_waiting": 5,
        "runs_in_flight": 2,
        "streams_open": 3,
    }
    assert found["kafka_bridge_consumer_lag_records", (("topic", "orders"),)] == 7


@pytest.mark.parametrize("state", [State.STARTING, State.SUSPECT, State.DOWN, State.CLOSED])
def test_a_connection_that_cannot_be_written_to_is_told_as_such(state):
    rig = Rig()
    rig.registry.lease(rig.hook.cluster)
    rig.registry.connection.state = state

    assert rig.samples()["kafka_bridge_producer_connected", ()] == 0


def test_whoever_asks_for_numbers_connects_to_nothing():
    rig = Rig()
    rig.samples()

    assert rig.registry.leased == []


def test_an_endpoint_sees_nothing_of_another_one():
    rig = Rig()
    Meter(rig.metrics).record("endpoint-1", receive_at(request(), source_of(), Broker(), now=NOW))

    text = rig.scrape("endpoint-2").body.decode()

    assert "webhook_requests_total{" not in text
    assert (label_of("endpoint-1") in text, label_of("endpoint-2") in text) == (False, True)
    assert "endpoint-1" not in rig.scrape("endpoint-1").body.decode()


def test_an_endpoint_whose_settings_are_wrong_has_numbers_all_the_same():
    hook = compile_hook({"api_token": TOKEN})

    assert Rig().scrape(hook=hook).status == 200


def test_nobody_reads_them_without_the_token():
    rig = Rig()
    with pytest.raises(Unauthorized):
        rig.scrape(token="wrong")
    with pytest.raises(TokenNotConfigured):
        rig.scrape(hook=compile_hook(saved()))


def test_names_and_labels_are_quoted_whatever_is_in_them():
    rig = Rig()
    rig.metrics.of("endpoint-1").request('a"b\\c\n', "accepted")

    name = "kafka_bridge_webhook_requests_total"
    assert rig.samples()[name, (("outcome", "accepted"), ("source", 'a"b\\c\n'))] == 1


def test_until_somebody_asks_the_library_is_not_loaded():
    code = "import kafka_bridge.dify.routes, sys; print('prometheus_client' in sys.modules)"
    found = subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, check=True, text=True)

    assert found.stdout == "False\n"
