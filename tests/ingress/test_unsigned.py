"""What stands beside the signature can be changed by whoever has seen one request; it must change nothing of weight."""

import json

import orjson
import pytest

from kafka_bridge.dify.http import MAX_ANSWER_BYTES
from kafka_bridge.errors import Cause, TooLarge, Unavailable
from kafka_bridge.events.outcome import Verdict
from kafka_bridge.ingress.dedupe import MAX_WAITERS_OF_ONE, Dedupe
from kafka_bridge.ingress.receive import MAX_TOLD_BYTES, answer, receive
from tests.ingress.signer import delivery, source_for
from tests.stand_ins import NOW, Broker, NoWaiter, clock_at, publisher_to, receive_at, source_of

FORM = "application/x-www-form-urlencoded"


def with_headers(inbound, **headers):
    named = {name.replace("_", "-"): text for name, text in headers.items()}
    return inbound._replace(headers={**inbound.headers, **named})


def test_a_content_type_does_not_change_what_a_json_body_says():
    inbound = delivery("stripe", b'{"id": "evt_1", "type": "ping"}')

    outcomes = [
        receive_at(with_headers(inbound, content_type=kind), source_for("stripe"), Broker(), now=NOW)
        for kind in ("application/json", FORM)
    ]

    assert [(outcome.event.type, outcome.event.id) for outcome in outcomes] == [("ping", "evt_1")] * 2


def test_an_event_of_feishus_is_never_a_form():
    outcome = receive_at(with_headers(delivery("feishu"), content_type=FORM), source_for("feishu"), Broker(), now=NOW)

    assert outcome.verdict is Verdict.REJECTED


def test_an_id_that_nobody_signed_does_not_make_another_event_a_copy():
    source, broker = source_of(sources='{"default": {"dedupe_seconds": 300}}', topic="t"), Broker()
    dedupe = Dedupe(waiter=NoWaiter)

    def received(inbound):
        publisher = publisher_to(broker, dedupe=dedupe)
        return receive(inbound, source, publisher=publisher, clock=clock_at(NOW), limit_bytes=1_000_000)

    true = delivery("hmac", b'{"id": "order-2"}', secret="not-a-real-secret")
    attributes = {"ce_specversion": "1.0", "ce_id": "order-2", "ce_source": "/x", "ce_type": "t"}
    received(with_headers(delivery("hmac", b'{"id": "order-1"}', secret="not-a-real-secret"), **attributes))

    assert json.loads(answer(received(true)).body)["duplicate"] is False
    assert json.loads(answer(received(true)).body)["duplicate"] is True
    assert len(broker.records) == 2


def test_headers_give_a_cloudevent_no_data():
    broker = Broker()
    attributes = {"ce_specversion": "1.0", "ce_id": "1", "ce_source": "/x", "ce_type": "t", "ce_data": "{}"}

    outcome = receive_at(with_headers(delivery("hmac"), **attributes), source_for("hmac"), broker, now=NOW)

    assert (answer(outcome).status, broker.records) == (400, [])


def test_a_batch_whose_answer_would_be_too_long_is_refused_before_it_is_published():
    lines = b"\n".join(json.dumps({"id": f"{n:0>400}"}).encode() for n in range(MAX_TOLD_BYTES // 500 + 1))
    broker = Broker()

    inbound = with_headers(delivery("hmac", lines), content_type="application/x-ndjson")
    outcome = receive_at(inbound, source_for("hmac"), broker, now=NOW)

    assert isinstance(outcome.error, TooLarge)
    assert broker.records == []


@pytest.mark.parametrize("character", ["\x01", "\U0001f511", '"', "x"])
def test_the_answer_to_a_batch_is_bounded_as_it_is_written(character):
    lines = b"\n".join(orjson.dumps({"id": f"{n}{character * 400}"}) for n in range(2000))
    inbound = with_headers(delivery("hmac", lines), content_type="application/x-ndjson")

    outcome = receive_at(inbound, source_for("hmac"), broker := Broker(), now=NOW)

    assert isinstance(outcome.error, TooLarge) is (broker.records == [])
    assert len(answer(outcome).body) < MAX_ANSWER_BYTES


def test_few_wait_for_the_same_event():
    dedupe, key = Dedupe(waiter=NoWaiter), ("endpoint-1", "shop", "1")
    dedupe.claim(key, 0.0)
    for _ in range(MAX_WAITERS_OF_ONE):
        dedupe.join(dedupe.claim(key, 0.0))

    with pytest.raises(Unavailable) as caught:
        dedupe.join(dedupe.claim(key, 0.0))
    assert caught.value.cause is Cause.QUEUE_FULL

    dedupe.settle(key, None, 0.0)
    assert dedupe.claim(key, 0.0) is None
