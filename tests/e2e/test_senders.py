"""Senders, handshakes, batches, routes and duplicates, through the plugin's own process."""

import base64
import hashlib
import hmac
import json
import secrets
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from devhost.senders import SENDERS
from kafka_bridge.ingress.dedupe import MAX_WAITERS_OF_ONE
from tests.e2e.topics import Topics

SECRET = secrets.token_urlsafe(16)


@pytest.fixture
def topic() -> str:
    """A topic of the test's own."""
    return f"senders-{secrets.token_hex(4)}"


@pytest.fixture
def shop(endpoint, topic):
    """An endpoint with one sender, `shop`, described by its entry in `sources`; gives its URL."""

    def make(*, secret: Any = SECRET, **entry: Any) -> str:
        described = {"shop": {"topic": topic, **entry}}
        settings = {"sources": json.dumps(described), "source_secrets": json.dumps({"shop": secret})}
        return f"{endpoint(**settings)}/webhook/shop"

    return make


def post(client: httpx.Client, url: str, body: bytes, content_type: str = "application/json", **headers: str):
    signed = SENDERS["hmac"](SECRET, body, time.time(), "")
    return client.post(url, content=body, headers={**signed, "Content-Type": content_type, **headers})


def test_lines_of_json_become_records_that_are_answered_together(client, shop, topic, topics: Topics):
    lines = [json.dumps({"id": f"e-{n}", "type": "t"}).encode() for n in range(50)]

    answer = post(client, shop(key="{id}"), b"\n".join(lines), "application/x-ndjson")

    document = answer.json()
    assert (answer.status_code, document["count"]) == (200, 50)
    assert [record["id"] for record in document["records"]] == [f"e-{n}" for n in range(50)]
    assert sorted(message.value() for message in topics.read(topic)) == sorted(lines)
    first = document["records"][0]
    assert topics.at(topic, first["partition"], first["offset"]).key() == b"e-0"


def test_a_cloudevent_keeps_its_attributes(client, shop, topic, topics: Topics):
    event = {"specversion": "1.0", "id": "ce-1", "source": "/mine", "type": "my.type", "tenant": "7", "data": {"n": 1}}

    found = post(client, shop(), json.dumps(event).encode(), "application/cloudevents+json").json()

    message = topics.at(topic, found["partition"], found["offset"])
    headers = dict(message.headers())
    assert message.value() == b'{"n":1}'
    assert (headers["ce_id"], headers["ce_source"], headers["ce_tenant"]) == (b"ce-1", b"/mine", b"7")


def test_a_route_drops_what_nobody_wants_and_says_so(client, shop, topic, topics: Topics):
    url = shop(routes={"ping": "drop", "order.*": f"{topic}-orders"})

    dropped = post(client, url, b'{"type": "ping", "id": "1"}')
    routed = post(client, url, b'{"type": "order.paid", "id": "2"}')

    assert (dropped.status_code, dropped.json()) == (200, {"id": "1", "dropped": True})
    assert routed.json()["topic"] == f"{topic}-orders"
    assert topics.count(topic) == 0


def test_an_event_that_comes_again_is_answered_and_not_written_again(client, shop, topic, topics: Topics):
    url, body = shop(dedupe_seconds=60), b'{"id": "once"}'

    first, second = (post(client, url, body).json() for _ in range(2))

    assert (first["duplicate"], second["duplicate"]) == (False, True)
    assert {**first, "duplicate": True} == second
    assert topics.count(topic) == 1


def test_the_same_event_from_many_at_once_is_written_once(client, shop, topic, topics: Topics):
    url, body = shop(dedupe_seconds=60), b'{"id": "once"}'

    # No more at once than may wait for one event.
    with ThreadPoolExecutor(MAX_WAITERS_OF_ONE) as pool:
        answers = list(pool.map(lambda _: post(client, url, body), range(64)))

    assert {answer.status_code for answer in answers} == {200}
    assert sum(not answer.json()["duplicate"] for answer in answers) == 1
    assert topics.count(topic) == 1


def test_slacks_challenge_is_answered_to_slack_alone(client, shop, topic, topics: Topics):
    url, body, now = shop(scheme="slack"), b'{"type": "url_verification", "challenge": "c-1"}', str(int(time.time()))
    digest = hmac.new(SECRET.encode(), b"v0:" + now.encode() + b":" + body, hashlib.sha256).hexdigest()
    headers = {"X-Slack-Request-Timestamp": now, "X-Slack-Signature": f"v0={digest}"}

    answer = client.post(url, content=body, headers=headers)
    forged = client.post(url, content=body, headers={**headers, "X-Slack-Signature": "v0=" + "0" * 64})

    assert (answer.status_code, answer.text, forged.status_code) == (200, "c-1", 401)
    assert answer.headers["content-type"].startswith("text/plain")
    assert topics.count(topic) == 0


def test_metas_verify_token_opens_the_webhook(client, shop):
    url = shop(scheme="meta", secret={"secret": SECRET, "token": "chosen"})
    asked = {"hub.mode": "subscribe", "hub.verify_token": "chosen", "hub.challenge": "1158201444"}

    right = client.get(url, params=asked)
    wrong = client.get(url, params={**asked, "hub.verify_token": "guess"})

    assert (right.status_code, right.text, wrong.status_code) == (200, "1158201444", 401)


def test_a_sender_that_signs_the_url_is_verified_by_the_public_one(client, endpoint, topic):
    url = endpoint(scheme="twilio", webhook_secret=SECRET, topic=topic, public_url="https://hooks.example.com/e/x")
    fields = {"SmsStatus": "received", "Body": "hello there", "From": "+1555"}
    signed = "https://hooks.example.com/e/x/webhook" + "".join(f"{name}{fields[name]}" for name in sorted(fields))
    signature = base64.b64encode(hmac.digest(SECRET.encode(), signed.encode(), "sha1")).decode()

    answer = client.post(f"{url}/webhook", data=fields, headers={"X-Twilio-Signature": signature})

    assert (answer.status_code, answer.json()["topic"]) == (200, topic)


def test_a_cloudevents_sender_gets_its_consent(client, shop):
    answer = client.options(shop(), headers={"WebHook-Request-Origin": "sender.example.com"})

    assert answer.headers["webhook-allowed-origin"] == "sender.example.com"
    assert answer.headers["webhook-allowed-rate"] == "*"
    assert "POST" in answer.headers["allow"]


def test_one_source_that_cannot_work_leaves_the_others_alone(client, endpoint, topic):
    described = {"good": {"topic": topic}, "bad": {"topic": topic, "record_format": "avro"}}
    url = endpoint(sources=json.dumps(described), source_secrets=json.dumps({"good": SECRET, "bad": SECRET}))

    good, bad = (post(client, f"{url}/webhook/{name}", b"{}") for name in ("good", "bad"))

    assert (good.status_code, bad.status_code) == (200, 500)
    assert "record_format" in bad.json()["detail"]
