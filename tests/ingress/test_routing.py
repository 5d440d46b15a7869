"""Where an event goes, and for how long it counts as the same."""

import json

import pytest

from kafka_bridge.errors import Unroutable
from kafka_bridge.events.envelope import Event
from kafka_bridge.ingress.content import Content
from kafka_bridge.ingress.dedupe import Dedupe
from kafka_bridge.ingress.receive import answer, receive
from kafka_bridge.ingress.routing import MAX_KEY_CHARS, Target
from kafka_bridge.ingress.schemes import SCHEMES
from tests.ingress.signer import compiled, delivery
from tests.stand_ins import NOW, Broker, NoWaiter, clock_at, publisher_to, request


def source(routes, *, scheme="none", **settings):
    return compiled(scheme, sources=json.dumps({"default": {"routes": routes}}), **settings)


def target(routes, event_type, body=b"{}", **settings):
    event = Event(
        id="evt_1", type=event_type, source="default", scheme="none", time=0, id_signed=False, content_type=""
    )
    return source(routes, **{"topic": "rest", **settings}).routing.target(Content(request(body)), event)


@pytest.mark.parametrize(
    ("event_type", "topic"),
    [
        ("order.created", "orders"),
        ("order.", "orders"),
        ("order", "rest"),
        ("my.order.created", "rest"),
        ("invoice.paid.eu", "paid"),
        ("push", "pushes"),
        ("pushed", "rest"),
        ("Push", "rest"),
        (None, "rest"),
    ],
)
def test_a_route_is_a_name_or_a_pattern(event_type, topic):
    routes = {"order.*": "orders", "invoice.*.eu": "paid", "push": "pushes"}

    assert target(routes, event_type) == Target(topic, None)


def test_the_first_route_that_matches_wins():
    assert target({"a.*": "one", "a.b": "two", "*": "three"}, "a.b").topic == "one"
    assert target({"a.b": "two", "a.*": "one"}, "a.b").topic == "two"
    assert target({"*": "all", "a.b": "two"}, "a.b").topic == "all"


@pytest.mark.parametrize("drop", ["drop", {"drop": True}])
def test_a_route_may_drop_what_it_matches(drop):
    assert target({"ping": drop, "*": "t"}, "ping") is None
    assert target({"ping": drop}, "pong") == Target("rest", None)


def test_an_event_without_a_type_is_never_dropped_by_its_type():
    assert target({"*": "drop"}, None) == Target("rest", None)


def test_a_route_has_a_key_and_a_topic_of_its_own_or_the_sources():
    body = b'{"a": "x"}'

    assert target({"*": {"key": "{body.a}"}}, "t", body) == Target("rest", "x")
    assert target({"*": {"topic": "{type}.{body.a}"}}, "t", body, key="{id}") == Target("t.x", "evt_1")
    assert target({"*": {"topic": "own", "key": "{type}"}}, "t", body, key="{id}") == Target("own", "t")
    assert target({"*": {"key": "{body.none}"}}, "t", body, key="{id}") == Target("rest", None)


def test_a_route_leads_to_allowed_topics_alone():
    routes = {"*": "{type}"}

    assert target(routes, "ok.x", topic="ok.rest", topic_allow="ok.*").topic == "ok.x"
    with pytest.raises(Unroutable, match="not among the allowed topics"):
        target(routes, "other", topic="ok.rest", topic_allow="ok.*")


def test_what_is_dropped_is_answered_as_such_and_not_published():
    broker = Broker()
    outcome = receive(
        request(b'{"type": "ping", "id": "e"}'),
        source({"ping": "drop"}),
        publisher=publisher_to(broker),
        clock=clock_at(NOW),
        limit_bytes=1000,
    )

    assert json.loads(answer(outcome).body) == {"id": "e", "dropped": True}
    assert (answer(outcome).status, broker.records) == (200, [])


# For how long.


def twice(inbound, source, other=None):
    """What the second of two answers; `other` is the second where it is not the same."""
    broker, dedupe = Broker(), Dedupe(waiter=NoWaiter)
    for each in (inbound, other or inbound):
        publisher = publisher_to(broker, dedupe=dedupe)
        outcome = receive(each, source, publisher=publisher, clock=clock_at(NOW), limit_bytes=10_000)
    return outcome.events[0].duplicate, len(broker.records), answer(outcome)


def with_dedupe(scheme, seconds):
    return compiled(scheme, sources=json.dumps({"default": {"dedupe_seconds": seconds}}))


@pytest.mark.parametrize("scheme", [name for name, row in SCHEMES.items() if row.dedupe_s])
def test_a_vendors_id_that_is_one_events_alone_counts_once(scheme):
    duplicate, published, _ = twice(delivery(scheme), compiled(scheme))
    assert (duplicate, published) == (True, 1)


def test_the_second_is_answered_with_the_first_ones_place():
    _, _, outbound = twice(delivery("stripe"), compiled("stripe"))

    assert json.loads(outbound.body) == {"id": "evt_1", "topic": "t", "partition": 3, "offset": 41, "duplicate": True}


@pytest.mark.parametrize("scheme", [name for name, row in SCHEMES.items() if not row.dedupe_s])
def test_another_id_counts_once_only_where_the_operator_says_so(scheme):
    assert twice(delivery(scheme), compiled(scheme))[:2] == (False, 2)
    assert twice(delivery(scheme), with_dedupe(scheme, 60))[:2] == (True, 1)


@pytest.mark.parametrize("scheme", [name for name, row in SCHEMES.items() if row.dedupe_s])
def test_no_id_counts_where_the_operator_switches_it_off(scheme):
    assert twice(delivery(scheme), with_dedupe(scheme, 0))[:2] == (False, 2)


def test_a_digest_counts_only_where_the_operator_says_so():
    inbound = delivery("stripe", b"{}")

    assert twice(inbound, compiled("stripe"))[:2] == (False, 2)
    assert twice(inbound, with_dedupe("stripe", 60))[:2] == (True, 1)


def test_an_id_that_is_too_long_to_keep_is_a_digest():
    inbound = delivery("stripe", json.dumps({"id": "x" * 513}).encode())

    assert twice(inbound, compiled("stripe"))[:2] == (False, 2)


def test_an_id_counts_whatever_the_rest_of_the_event_is():
    one, other = (delivery("stripe", json.dumps({"id": "e", "n": n}).encode()) for n in (1, 2))

    assert twice(one, compiled("stripe"), other)[:2] == (True, 1)


def test_a_key_that_holds_a_document_is_refused():
    body = b'{"k": "%s"}'

    assert target({}, "t", body % (b"x" * MAX_KEY_CHARS), key="{body.k}").key == "x" * MAX_KEY_CHARS
    with pytest.raises(Unroutable, match="record key"):
        target({}, "t", body % (b"x" * (MAX_KEY_CHARS + 1)), key="{body.k}")
