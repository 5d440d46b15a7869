import json
from contextlib import nullcontext
from types import SimpleNamespace

import pytest

from kafka_bridge.dify.call import Call
from kafka_bridge.dify.consumer import ConsumerState
from kafka_bridge.dify.health import CHECK_S, Health
from kafka_bridge.dify.hooks import compile_hook
from kafka_bridge.errors import Cause, Internal, SettingsInvalid, Unavailable
from kafka_bridge.events.log.segments import decode
from tests.stand_ins import (
    NOW,
    Broker,
    Disk,
    Registry,
    Ticking,
    clock_at,
    event_log,
    receive_at,
    request,
    residents,
    saved,
    source_of,
)

TOKEN = "not-a-real-token"
HINT = "broker.example.com:9092/bootstrap: Connect failed"


class Members:
    """In the place of the endpoints' members: at most one."""

    def __init__(self, dispatcher=None):
        self.dispatcher = dispatcher

    def find(self, endpoint):
        return self.dispatcher


def show(error=None, *, token="", registry=None, consumers=None, **settings):
    inbound = request(b"", {"authorization": f"Bearer {token}"} if token else {}, method="GET", path="/health")
    hook = compile_hook(saved(api_token=TOKEN, **settings))
    health = Health(
        registry or Registry(error), event_log(clock_at(0))[0], ConsumerState(consumers or Members(), residents())
    )
    outbound = health.show(Call(inbound, hook, "endpoint-1"))
    return outbound.status, json.loads(outbound.body)


def test_a_hook_that_can_do_its_work_is_healthy():
    assert show() == (200, {"status": "healthy", "kafka": "ok", "storage": "ok", "consumer": "unused"})


@pytest.mark.parametrize("cause", list(Cause))
def test_a_cluster_that_cannot_be_written_to_is_unhealthy_in_the_words_of_the_contract(cause):
    status, document = show(Unavailable(cause, HINT))

    assert (status, document["status"], document["kafka"]) == (503, "unhealthy", cause.value)


def test_nobody_learns_details_without_the_token():
    for token in ("", "wrong"):
        _, document = show(Unavailable(Cause.CONNECTION_REFUSED, HINT), token=token, sources='{"bad": {"scheme": "x"}}')

        assert set(document) == {"status", "kafka", "storage", "consumer"}
        assert "broker.example.com" not in json.dumps(document)


def test_the_token_shows_problems_sources_and_the_librarys_words():
    _, document = show(Unavailable(Cause.CONNECTION_REFUSED, HINT), token=TOKEN, sources='{"bad": {"scheme": "x"}}')

    detail = document["detail"]
    assert detail["kafka"] == HINT
    assert detail["sources"] == {"default": "hmac"}
    assert [text.partition(":")[0] for text in detail["problems"]] == ["Sources (JSON) (source bad)"]


def test_a_scheme_that_does_not_verify_is_seen():
    assert show(token=TOKEN, scheme="none")[1]["detail"]["sources"] == {"default": "none"}


def test_settings_that_are_wrong_are_unhealthy_and_nothing_is_connected():
    registry = Registry()

    status, document = show(registry=registry, token=TOKEN, bootstrap_servers="")

    assert (status, document["kafka"]) == (503, "settings invalid")
    assert document["detail"]["problems"] == ["Bootstrap servers: missing."]
    assert registry.leased == []


def test_properties_that_the_library_refuses_are_wrong_settings():
    refused = SettingsInvalid(["Client key (PEM): is refused by the client library."])

    status, document = show(refused, token=TOKEN)

    assert (status, document["kafka"]) == (503, "settings invalid")
    assert document["detail"]["problems"] == ["Client key (PEM): is refused by the client library."]


def test_a_problem_is_told_once():
    _, document = show(token=TOKEN, bootstrap_servers="", client_config="x")

    assert document["detail"]["problems"] == [
        "Bootstrap servers: missing.",
        "Extra client properties (JSON): is not valid JSON (line 1, column 1).",
    ]


def test_a_hook_that_can_take_no_webhook_is_unhealthy_although_kafka_is_there():
    status, document = show(webhook_secret="")

    assert (status, document["status"], document["kafka"]) == (503, "unhealthy", "ok")


def test_publishing_that_was_switched_off_is_unhealthy_and_asks_no_broker():
    registry = Registry()

    status, document = show(registry=registry, publishing="disabled")

    assert (status, document["kafka"]) == (503, "publishing is disabled")
    assert registry.leased == []


def test_the_cluster_is_asked_about_the_topic_that_is_written_to_and_not_for_long():
    registry = Registry()
    show(registry=registry, topic="orders")

    assert registry.connection.checked == [("orders", CHECK_S)]
    assert CHECK_S <= 5


def test_without_a_fixed_topic_the_cluster_is_asked_about_all():
    registry = Registry()
    show(registry=registry, topic="{type}")

    assert registry.connection.checked == [("", CHECK_S)]


def test_a_defect_of_the_connection_is_unhealthy_too():
    # The contract knows 200 and 503 for this path.
    status, document = show(Internal("kafka-pump"))

    assert (status, document["status"]) == (503, "unhealthy")


def test_secrets_are_in_no_detail():
    _, document = show(
        token=TOKEN, sasl_username="alice", sasl_password="NEVERSHOWN", source_secrets='{"shop": "NEVERSHOWN"}',
        webhook_secret="NEVERSHOWN", sources='{"shop": {"scheme": "x"}}', ssl_key_pem="NEVERSHOWN",
    )  # fmt: skip

    assert "NEVERSHOWN" not in json.dumps(document)
    assert TOKEN not in json.dumps(document)


def test_a_sender_that_cannot_work_is_seen_without_a_token():
    assert show(sources='{"bad": {"scheme": "x"}}')[1]["status"] == "degraded"


def test_the_first_problems_of_many_are_told_and_how_many_more_there_are():
    many = json.dumps({f"s{number}": {"scheme": "x"} for number in range(100)})
    _, document = show(token=TOKEN, sources=many)

    told = document["detail"]["problems"]
    assert len(told) == 11
    assert told[0].startswith("Sources (JSON) (source s0): ")
    assert told[10] == "and 90 more."


def test_what_the_library_refuses_is_told_before_everything_else():
    refused = SettingsInvalid(["Client key (PEM): is refused by the client library."])
    _, document = show(
        refused, token=TOKEN, sources=json.dumps({f"s{number}": {"scheme": "x"} for number in range(100)})
    )

    told = document["detail"]["problems"]
    assert (told[0], told[10]) == ("Client key (PEM): is refused by the client library.", "and 91 more.")


# What works, and may surprise.


@pytest.mark.parametrize(
    ("settings", "warnings"),
    [
        ({}, []),
        ({"topic": "{body.b}", "key": "{body.a}"}, []),
        # A CloudEvent in binary mode has them in headers.
        ({"topic": "{type}", "key": "{id}"}, ["{id}", "{type}"]),
        ({"topic": "t.{header.X-A}", "key": "{header.x-a}"}, ["header x-a"]),
        ({"scheme": "github", "key": "{id}", "topic": "{type}"}, ["{id}", "{type}"]),
        ({"scheme": "github", "sources": '{"default": {"routes": {"push": "drop"}}}'}, ["{type}"]),
        ({"scheme": "stripe", "key": "{id}", "topic": "{type}"}, []),
        ({"scheme": "bearer", "key": "{body.a}"}, ["body a"]),
        ({"scheme": "none", "topic": "{type}", "key": "{header.x}"}, []),
        (
            {"sources": '{"default": {"routes": {"a": {"topic": "{header.x-b}", "key": "{header.x-a}"}}}}'},
            ["header x-a", "header x-b", "{type}"],
        ),
    ],
)
def test_whoever_has_the_token_sees_which_values_of_the_routing_nobody_signs(settings, warnings):
    assert show(token=TOKEN, **settings)[1]["detail"]["warnings"] == [
        f"default: routing uses {value}, which the sender does not sign." for value in warnings
    ]


def test_a_warning_is_no_problem():
    assert show(key="{header.x-a}")[1]["status"] == "healthy"
    assert "detail" not in show(key="{header.x-a}")[1]


# Consuming.

CONSUMES = {"app": {"app_id": "a"}, "consume_topics": "orders"}


def test_a_consumer_that_can_do_its_work_is_ok():
    assert show(**CONSUMES)[1]["consumer"] == "ok"
    assert show(**CONSUMES)[1]["status"] == "healthy"


def test_one_that_cannot_degrades_the_hook_and_keeps_nobody_from_writing():
    trouble = SimpleNamespace(error=Unavailable(Cause.NOT_AUTHORIZED, HINT))
    member = SimpleNamespace(loop=SimpleNamespace(lock=nullcontext()), trouble=trouble, engine=None)

    status, document = show(consumers=Members(member), **CONSUMES)

    assert (status, document["status"], document["consumer"]) == (200, "degraded", "not authorized for topic")
    assert HINT not in json.dumps(document)


def test_topics_without_an_app_are_a_warning_for_whoever_has_the_token():
    _, document = show(token=TOKEN, consume_topics="orders")

    assert (document["status"], document["consumer"]) == ("healthy", "unused")
    assert document["detail"]["warnings"] == ["Topics to consume: nothing is consumed, as “App to run” is empty."]


# Storage.


class TestStorage:
    def call(self, disk, **settings):
        inbound = request(b"", method="GET", path="/health")
        return Call(inbound, compile_hook(saved(scheme="none", **settings)), "endpoint-1", storage=disk)

    def waiting(self, disk, time, **settings):
        """A health check of an endpoint of which an event waits for being written."""
        recorder, _ = event_log(time.clock)
        health, call = Health(Registry(), recorder, ConsumerState(Members(), residents())), self.call(disk, **settings)
        recorder.log(call)
        outcome = receive_at(request(b'{"id": "e-1"}'), source_of(scheme="none"), Broker(), now=NOW)
        recorder.record("endpoint-1", outcome)

        def show():
            outbound = health.show(call)
            document = json.loads(outbound.body)
            return outbound.status, document["status"], document["storage"]

        return show

    def test_where_no_events_are_kept_it_is_not_used(self):
        show = self.waiting(disk := Disk(), Ticking(), keep_events="0")

        assert show() == (200, "healthy", "unused")
        assert disk.writes == 0

    def test_a_probe_writes_what_waits(self):
        show = self.waiting(disk := Disk(), Ticking())

        assert show() == (200, "healthy", "ok")
        assert any(b"e-1" in row for value in disk.values.values() for row in decode(value).rows)

    def test_events_that_cannot_be_recorded_are_no_reason_not_to_take_webhooks_and_are_told_until_they_are(self):
        class Broken(Disk):
            says = "save data failed: allocated size is greater than max storage size"

            def set(self, key, val):
                if self.says:
                    raise Exception(self.says)  # noqa: TRY002 - as the SDK has it
                super().set(key, val)

        disk, time = Broken(), Ticking()
        show = self.waiting(disk, time)
        for _ in range(5):
            assert show() == (200, "degraded", "the plugin's storage is full")
            time.at += 10.0

        disk.says = ""
        assert show() == (200, "healthy", "ok")

    def test_probes_in_a_row_do_not_ask_a_broken_storage_each_time(self):
        disk, time = Disk(), Ticking()
        calls = []
        disk.set = disk.get = lambda *_: calls.append(1) or (_ for _ in ()).throw(Exception("no"))
        show = self.waiting(disk, time)
        for _ in range(50):
            assert show()[2] == "storage has failed"
            time.at += 0.02

        assert len(calls) <= 4
