"""What became of requests and runs, in words and numbers."""

import pytest

from kafka_bridge.dify.meter import Meter, word_of
from kafka_bridge.errors import Cause, Unavailable
from kafka_bridge.events.run import Ran
from kafka_bridge.metrics import Metrics
from tests.stand_ins import NOW, Broker, receive_at, request, source_of

RAN = Ran("e", "t", "topic", 0, 1, 1, "succeeded", "run-1", "", 0.3, NOW)
NDJSON = {"content-type": "application/x-ndjson"}


def outcome(body=b'{"id": "e", "type": "paid"}', headers=None, *, error=None, **settings):
    source = source_of(**{"scheme": "none", **settings})
    return receive_at(request(body, headers or {}), source, Broker(error), now=NOW)


def as_duplicates(found):
    return found._replace(events=tuple(taken._replace(duplicate=True) for taken in found.events))


DROPS = '{"default": {"scheme": "none", "routes": {"paid": "drop"}}}'


@pytest.mark.parametrize(
    ("found", "word"),
    [
        (outcome(), "accepted"),
        (as_duplicates(outcome()), "duplicate"),
        (outcome(sources=DROPS), "dropped"),
        (outcome(scheme="hmac"), "rejected"),
        (outcome(error=Unavailable(Cause.QUEUE_FULL)), "failed"),
        (outcome(topic="{body.nothing}"), "failed"),
        (outcome()._replace(events=()), "handshake"),
        (outcome(b'{"type": "paid"}\n{"type": "x"}\n', NDJSON, sources=DROPS), "accepted"),
        (as_duplicates(outcome(b'{"type": "paid"}\n{"type": "x"}\n', NDJSON, sources=DROPS)), "duplicate"),
        (outcome(b'{"type": "paid"}\n{"type": "paid"}\n', NDJSON, sources=DROPS), "dropped"),
    ],
)
def test_a_request_has_one_word(found, word):
    metrics = Metrics()
    Meter(metrics).record("endpoint-1", found._replace(duration_s=0.02))

    assert word_of(found) == word
    assert metrics.of("endpoint-1").requests == {("default", word): 1}
    assert metrics.of("endpoint-1").request_s.sum == 0.02


def test_runs_count_by_how_they_ended_and_the_dead_letter_is_no_run():
    metrics = Metrics()
    meter = Meter(metrics)
    for ran in (
        RAN,
        RAN._replace(ending="failed"),
        RAN._replace(ending="failed", attempt=2),
        RAN._replace(ending="failed", attempt=2, dead_lettered=True),
        RAN._replace(ending="not started", duration_s=0.0),
    ):
        meter.ran("endpoint-1", ran)

    found = metrics.of("endpoint-1")
    assert found.runs == {"succeeded": 1, "failed": 2, "not started": 1}
    assert found.dead_letters == 1
    assert (sum(found.run_s.counts), round(found.run_s.sum, 6)) == (3, 0.9)
