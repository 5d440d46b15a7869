import json

import pytest

from devhost.signing import sign
from kafka_bridge.dify.call import Call
from kafka_bridge.dify.hooks import compile_hook
from kafka_bridge.dify.journal import Journal
from kafka_bridge.dify.meter import Meter
from kafka_bridge.dify.webhooks import ANSWER_WITHIN_S, Webhooks
from kafka_bridge.errors import Cause, NotFound, SettingsInvalid, Unavailable, Unverified
from kafka_bridge.ingress.dedupe import Dedupe
from kafka_bridge.metrics import Metrics
from kafka_bridge.settings.cluster import Cluster
from tests.stand_ins import NOW, SECRET, NoWaiter, Registry, clock_at, log_of, request, saved

BODY = b'{"id": "evt_1"}'


class Rig:
    """The handlers on a fake registry."""

    def __init__(self, error=None):
        self.registry = Registry(error)
        self.metrics = Metrics()
        self.webhooks = Webhooks(
            self.registry,
            Dedupe(waiter=NoWaiter),
            None,
            journal=Journal(clock_at(NOW)),
            recorder=Meter(self.metrics),
            clock=clock_at(NOW),
            metrics=self.metrics,
        )

    @property
    def counts(self):
        """Requests, by source and what became of them."""
        return self.metrics.of("endpoint-1").requests

    def deliver(self, name="", headers=None, **settings):
        signed = sign("hmac", SECRET, BODY, now=NOW, event_id="evt_1").headers
        return self.webhooks.deliver(self.call(name, signed if headers is None else headers, **settings))

    def call(self, name="", headers=None, **settings):
        return Call(request(BODY, headers or {}), compile_hook(saved(**settings)), "endpoint-1", name)


def test_a_delivery_is_published_and_answered():
    rig = Rig()

    outbound = rig.deliver()

    assert (outbound.status, json.loads(outbound.body)["offset"]) == (200, 41)
    assert [record.value for record in rig.registry.broker.records] == [BODY]
    assert rig.counts == {("default", "accepted"): 1}


def test_it_goes_to_the_cluster_of_the_settings():
    rig = Rig()
    rig.deliver(bootstrap_servers="other.example.com:1")

    assert rig.registry.leased == [Cluster(servers=("other.example.com:1",), protocol="PLAINTEXT")]


def test_what_is_not_verified_does_not_even_lease_a_connection():
    rig = Rig()

    outbound = rig.deliver(headers={})

    assert outbound.status == 401
    assert rig.registry.leased == []
    assert rig.counts == {("default", "rejected"): 1}


def test_a_sender_has_its_answer_after_nine_seconds():
    assert ANSWER_WITHIN_S == 9.0


def test_a_cluster_that_does_not_acknowledge_is_503_and_recorded():
    rig = Rig(Unavailable(Cause.NOT_ACKNOWLEDGED, "no delivery report"))

    outbound = rig.deliver()

    assert (outbound.status, json.loads(outbound.body)["detail"]) == (503, "not acknowledged in time")
    assert rig.counts == {("default", "failed"): 1}


def test_publishing_that_was_switched_off_answers_503_to_who_is_verified_and_401_to_others():
    rig = Rig()

    verified, other = rig.deliver(publishing="disabled"), rig.deliver(headers={}, publishing="disabled")

    assert (verified.status, json.loads(verified.body)["detail"]) == (503, "publishing is disabled")
    assert ("Retry-After", "60") in verified.headers
    assert other.status == 401
    assert rig.registry.leased == []


@pytest.mark.parametrize("settings", [{"bootstrap_servers": ""}, {"webhook_secret": ""}, {"sources": "{"}])
def test_settings_that_cannot_work_are_the_operators_fault_and_logged(settings):
    rig = Rig()

    with log_of("kafka_bridge.dify.journal") as lines, pytest.raises(SettingsInvalid):
        rig.deliver(**settings)

    assert len(lines) == 1
    assert rig.registry.leased == []
    assert rig.counts == {("default", "misconfigured"): 1}


def test_whoever_knows_the_url_cannot_flood_the_log_by_other_names():
    rig = Rig()

    with log_of("kafka_bridge.dify.journal") as lines:
        for number in range(200):
            with pytest.raises(SettingsInvalid):
                rig.deliver(f"name-{number}", sources="{")

    assert len(lines) <= 10


def test_whoever_knows_the_url_cannot_write_lines_of_their_own_into_the_log():
    rig = Rig()

    with log_of("kafka_bridge.dify.journal") as lines, pytest.raises(SettingsInvalid):
        rig.deliver("x\n2026-11-21 ERROR something that never happened", sources="{")

    assert "\n" not in "".join(lines)


def test_a_source_that_is_not_there_is_not_found_and_not_logged():
    rig = Rig()

    with log_of("kafka_bridge.dify.journal") as lines, pytest.raises(NotFound):
        rig.deliver("nobody")

    assert lines == []


def test_a_probe_says_that_the_source_is_there():
    rig = Rig()

    outbound = rig.webhooks.probe(rig.call("shop", sources='{"shop": {"scheme": "none"}}'))

    assert (outbound.status, json.loads(outbound.body)) == (
        200,
        {"status": "healthy", "service": "kafka_bridge", "source": "shop"},
    )
    assert rig.registry.leased == []


@pytest.mark.parametrize("handler", ["probe", "options"])
def test_a_probe_of_a_source_that_is_not_there_or_cannot_work_is_no_success(handler):
    rig = Rig()

    with pytest.raises(NotFound):
        getattr(rig.webhooks, handler)(rig.call("nobody"))
    with pytest.raises(SettingsInvalid):
        getattr(rig.webhooks, handler)(rig.call(webhook_secret=""))


def test_options_names_the_methods():
    rig = Rig()

    outbound = rig.webhooks.options(rig.call())

    assert (outbound.status, outbound.body) == (204, b"")
    assert outbound.headers == (("Allow", "GET, HEAD, OPTIONS, POST"),)


# Handshakes.

META = {"scheme": "meta", "webhook_secret": '{"secret": "made-up", "token": "right"}'}


def asked(rig, query, method="GET", **settings):
    call = rig.call(**settings)
    return rig.webhooks.probe(call._replace(inbound=call.inbound._replace(method=method, query=query, body=b"")))


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_a_handshake_is_answered_in_place_of_the_probe(method):
    rig = Rig()

    outbound = asked(rig, "hub.mode=subscribe&hub.challenge=c&hub.verify_token=right", method, **META)

    assert (outbound.status, outbound.body, outbound.content_type) == (200, b"c", "text/plain; charset=utf-8")
    assert outbound.headers == (("X-Content-Type-Options", "nosniff"),)
    assert (rig.registry.leased, rig.counts) == ([], {})


def test_without_a_question_it_is_a_probe():
    assert json.loads(asked(Rig(), "", **META).body)["status"] == "healthy"


def test_a_handshake_that_is_refused_is_told_to_the_operator_alone():
    rig = Rig()

    with log_of("kafka_bridge.dify.journal") as lines, pytest.raises(Unverified) as caught:
        asked(rig, "hub.mode=subscribe&hub.challenge=c&hub.verify_token=wrong", **META)

    assert lines == [
        "handshake answered 401: endpoint endpoint-1, source default: the verify token is not the one of the settings",
    ]
    assert "token" not in str(caught.value)
    assert rig.registry.leased == []


def test_a_handshake_by_post_is_answered_and_publishes_nothing():
    rig = Rig()
    call = rig.call(scheme="microsoft-graph")

    outbound = rig.webhooks.deliver(call._replace(inbound=call.inbound._replace(query="validationToken=t", body=b"")))

    assert (outbound.status, outbound.body) == (200, b"t")
    assert rig.registry.leased == []
    assert rig.counts == {("default", "handshake"): 1}


@pytest.mark.parametrize("origin", ["eventemitter.example.com", "*", "a,b"])
def test_options_gives_a_cloudevents_sender_its_consent(origin):
    rig = Rig()

    outbound = rig.webhooks.options(rig.call("", {"WebHook-Request-Origin": origin, "WebHook-Request-Rate": "120"}))

    assert outbound.status == 204
    assert outbound.headers == (
        ("Allow", "GET, HEAD, OPTIONS, POST"),
        ("WebHook-Allowed-Origin", origin),
        ("WebHook-Allowed-Rate", "*"),
    )


# Events that come again.


def test_an_event_that_comes_again_is_published_once_per_endpoint():
    rig = Rig()
    sources = '{"default": {"dedupe_seconds": 60}}'

    answers = [json.loads(rig.deliver(sources=sources).body) for _ in range(2)]

    assert [found["duplicate"] for found in answers] == [False, True]
    assert answers[0]["offset"] == answers[1]["offset"]
    assert len(rig.registry.broker.records) == 1
    signed = sign("hmac", SECRET, BODY, now=NOW, event_id="evt_1").headers
    rig.webhooks.deliver(rig.call("", signed, sources=sources)._replace(endpoint="endpoint-2"))
    assert len(rig.registry.broker.records) == 2


def test_a_batch_is_published_together_and_answered_as_one():
    rig = Rig()
    call = rig.call("", {"content-type": "application/x-ndjson"}, scheme="none")

    outbound = rig.webhooks.deliver(call._replace(inbound=call.inbound._replace(body=b"1\n2\n3\n")))

    assert json.loads(outbound.body)["count"] == 3
    assert [record.value for record in rig.registry.broker.records] == [b"1", b"2", b"3"]
