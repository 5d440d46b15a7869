"""A test event: made here, routed as the source's own, said to be what it is."""

import json
import re
from urllib.parse import parse_qs

import pytest

from kafka_bridge.errors import Cause, Unavailable
from tests.dify.browsing import TOKEN, Endpoint, signed_in

SOURCES = json.dumps(
    {
        "shop": {"scheme": "github", "topic": "shop.{type}", "key": "{id}"},
        "quiet": {"scheme": "none", "routes": {"kafka-bridge.*": "drop"}},
        "other": {"scheme": "none", "routes": {"kafka-bridge.test": "tests"}},
        "narrow": {"scheme": "none", "topic": "{header.x-region}"},
    }
)
SECRETS = json.dumps({"shop": "not-a-real-secret"})


def made(error=None, **settings):
    return Endpoint(error, sources=SOURCES, source_secrets=SECRETS, **settings)


def tried(endpoint, source="shop"):
    person = signed_in(endpoint)
    person.open("connect")
    answer = person.send("/test", source=source, csrf=person.csrf)
    return person, answer


def led_to(answer):
    location = dict(answer.headers)["Location"]
    assert location.startswith("./?")
    return {name: values[0] for name, values in parse_qs(location[3:]).items()}


def entry_of(endpoint, answer):
    asked = led_to(answer)
    assert asked["view"] == "event"
    shown = endpoint.ask("GET", f"/events/{asked['id']}", headers={"authorization": f"Bearer {TOKEN}"})
    return json.loads(shown.body)


def test_it_is_published_along_the_sources_route_and_leads_to_its_page():
    endpoint = made()

    person, answer = tried(endpoint)

    (record,) = endpoint.registry.broker.records
    body = json.loads(record.value)
    assert (answer.status, record.topic, record.key) == (303, "shop.kafka-bridge.test", body["id"].encode())
    entry = entry_of(endpoint, answer)
    assert (entry["outcome"], entry["source"], entry["type"]) == ("accepted", "shop", "kafka-bridge.test")
    assert (entry["event_id"], entry["offset"]) == (body["id"], 41)
    person.open(**led_to(answer))
    assert body["id"] in person.page
    assert "A test event is not sent again" in person.page


def test_nothing_in_kafka_or_in_the_log_says_that_a_sender_was_verified():
    endpoint = made()

    _, answer = tried(endpoint)

    headers = dict(endpoint.registry.broker.records[0].headers)
    assert (headers["webhook-scheme"], headers["webhook-source"], headers["ce_type"]) == (
        b"test",
        b"shop",
        b"kafka-bridge.test",
    )
    entry = entry_of(endpoint, answer)
    assert (entry["verdict"], entry["scheme"], entry["id_signed"]) == ("own", "test", False)


def test_two_of_them_are_two_events():
    endpoint = made()
    tried(endpoint)
    tried(endpoint)

    ids = {json.loads(record.value)["id"] for record in endpoint.registry.broker.records}
    assert len(ids) == 2


@pytest.mark.parametrize(("source", "topics", "outcome"), [("quiet", [], "dropped"), ("other", ["tests"], "accepted")])
def test_routes_hold_for_it(source, topics, outcome):
    endpoint = made()

    _, answer = tried(endpoint, source)

    assert [record.topic for record in endpoint.registry.broker.records] == topics
    assert entry_of(endpoint, answer)["outcome"] == outcome


def test_a_topic_that_it_has_no_value_for_is_shown_as_a_failure_with_the_reason():
    endpoint = made()

    _, answer = tried(endpoint, "narrow")

    entry = entry_of(endpoint, answer)
    assert (entry["outcome"], entry["status"]) == ("failed", 422)
    assert "header x-region" in entry["reason"]
    assert endpoint.registry.broker.records == []


@pytest.mark.parametrize("settings", [{}, {"publishing": "disabled"}])
def test_a_broker_that_does_not_take_it_is_shown_as_a_failure(settings):
    endpoint = made(Unavailable(Cause.CONNECTION_REFUSED, "nobody there"), **settings)

    _, answer = tried(endpoint)

    entry = entry_of(endpoint, answer)
    wanted = "publishing is disabled" if settings else "connection refused (nobody there)"
    assert (entry["outcome"], entry["status"], entry["reason"]) == ("failed", 503, wanted)


def test_it_is_written_to_storage_like_any_other():
    endpoint = made()
    tried(endpoint)

    assert endpoint.disk.writes > 0


def test_without_a_log_it_is_said_that_it_was_sent_and_an_error_is_told():
    person, answer = tried(made(keep_events="0"))
    assert led_to(answer) == {"view": "connect", "sent": "1"}
    person.open(**led_to(answer))
    assert "The test event was sent" in person.page

    person, answer = tried(made(Unavailable(Cause.CONNECTION_REFUSED), keep_events="0"))
    assert answer.status == 503
    assert "connection refused" in person.page


@pytest.mark.parametrize(("source", "status"), [("nobody", 404), ("broken", 500)])
def test_a_source_that_cannot_work_is_a_page_that_says_so(source, status):
    endpoint = Endpoint(sources='{"broken": {"scheme": "stripe"}}')

    person, answer = tried(endpoint, source)

    assert answer.status == status
    assert "<h1>" in person.page
    assert endpoint.registry.broker.records == []


@pytest.mark.parametrize("fields", [{}, {"csrf": "0" * 64}])
def test_only_our_own_form_sends_it(fields):
    endpoint = made()
    person = signed_in(endpoint)

    assert person.send("/test", source="shop", **fields).status == 401
    assert endpoint.registry.broker.records == []


def test_a_script_may_send_it_with_the_token():
    endpoint = made()
    answer = endpoint.post(
        "/test",
        b"source=other",
        authorization=f"Bearer {TOKEN}",
        **{"content-type": "application/x-www-form-urlencoded"},
    )

    assert re.fullmatch(r"\./\?view=event&id=[0-9a-f]{24}", dict(answer.headers)["Location"])
    assert endpoint.registry.broker.records[0].topic == "tests"
