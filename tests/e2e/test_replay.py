"""Events that are sent again, and what then lies in Kafka: through HTTP, host and the plugin's process."""

import hashlib
import hmac
import json
from typing import Any
from urllib.parse import urljoin

import httpx
import pytest

from tests.brokers import wait_until
from tests.e2e.consuming import Endpoint, fresh

FORMATS = ("binary", "structured", "raw")
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
BODIES = [b"", b"\x00\xff\xfe not utf-8 \x80", b'{"id": "e-1", "type": "order.paid", "n": 1e2}', b"\r\n", b"x" * 16_000]


class Shop:
    """An endpoint that senders write to, and somebody with the token looks at."""

    def __init__(self, url: str, token: str, secret: str, client: httpx.Client) -> None:
        self.url = url
        self._token = token
        self._secret = secret
        self._client = client

    def send(self, body: bytes, **headers: str) -> dict[str, Any]:
        """One request of a sender, which must be accepted."""
        signed = hmac.new(self._secret.encode(), body, hashlib.sha256).hexdigest()
        answer = self._client.post(
            f"{self.url}/webhook", content=body, headers={"X-Webhook-Signature": signed, **headers}
        )
        assert answer.status_code == 200, answer.text
        return answer.json()

    def post(self, path: str, fields: object = None, **options: Any) -> httpx.Response:
        """With the token, and a body of JSON."""
        headers = {"Authorization": f"Bearer {self._token}", **options.pop("headers", {})}
        content = options.pop("content", b"" if fields is None else json.dumps(fields).encode())
        return self._client.post(f"{self.url}{path}", content=content, headers=headers, **options)

    def events(self, query: str = "") -> list[dict[str, Any]]:
        """The list, newest first."""
        answer = self._client.get(f"{self.url}/events{query}", headers={"Authorization": f"Bearer {self._token}"})
        assert answer.status_code == 200, answer.text
        return answer.json()["events"]

    def event(self, entry_id: str) -> dict[str, Any]:
        """One event whole."""
        return self._client.get(
            f"{self.url}/events/{entry_id}", headers={"Authorization": f"Bearer {self._token}"}
        ).json()


@pytest.fixture
def open_shop(endpoint, token, secret, client):
    def make(**settings: Any) -> Shop:
        # One key for all: they lie in one partition, one after the other.
        saved = {"api_token": token, "webhook_secret": secret, "topic": fresh("replay"), "key": "{source}", **settings}
        return Shop(endpoint(**saved), token, secret, client)

    return make


@pytest.mark.parametrize("record_format", FORMATS)
@pytest.mark.parametrize("body", BODIES, ids=lambda body: repr(body[:12]))
def test_what_is_sent_again_lies_there_byte_for_byte(open_shop, topics, record_format, body):
    shop = open_shop(sources=json.dumps({"default": {"record_format": record_format}}), key="{id}")
    first = shop.send(body, **{"Content-Type": "text/plain; charset=latin-1", "ce-id": "nothing"})
    entry_id = shop.events()[0]["id"]
    assert shop.event(entry_id)["replayable"] is True

    answer = shop.post(f"/events/{entry_id}/replay", {"to": "kafka"})

    assert answer.status_code == 200, answer.text
    told = answer.json()
    assert (told["event_id"], told["topic"], told["partition"]) == (first["id"], first["topic"], first["partition"])
    assert told["offset"] == first["offset"] + 1
    before, after = topics.read(first["topic"])
    assert (after.value(), after.key()) == (before.value(), before.key())
    assert after.headers() == [*before.headers(), ("replayed-from", entry_id.encode())]
    newest = shop.events()[0]
    assert (newest["id"], newest["outcome"], newest["replay_of"]) == (told["id"], "replay", entry_id)


def test_a_cloudevent_with_attributes_of_its_own_too_and_its_replay_again(open_shop, topics):
    shop = open_shop()
    attributes = {"ce-specversion": "1.0", "ce-id": "1", "ce-source": "/a", "ce-type": "t", "ce-traceparent": "00-1"}
    first = shop.send(b"\xff", **attributes)
    for _ in range(2):
        assert shop.post(f"/events/{shop.events()[0]['id']}/replay").status_code == 200

    records = topics.read(first["topic"])
    assert len(records) == 3
    assert all(record.headers()[:-1] == records[0].headers() for record in records[1:])
    assert ("ce_traceparent", b"00-1") in records[2].headers()


def test_it_passes_no_deduplication(open_shop, topics):
    shop = open_shop(sources=json.dumps({"default": {"dedupe_seconds": 300}}))
    first = shop.send(b'{"id": "e-1"}')
    assert shop.send(b'{"id": "e-1"}')["duplicate"] is True

    entry_id = shop.events("?outcome=accepted")[0]["id"]
    assert shop.post(f"/events/{entry_id}/replay").json()["offset"] == 1
    assert shop.send(b'{"id": "e-1"}')["offset"] == first["offset"]
    assert topics.count(first["topic"]) == 2


def test_what_was_not_verified_reaches_kafka_by_no_way(open_shop, topics, client):
    shop = open_shop()
    before = topics.counts()
    client.post(f"{shop.url}/webhook", content=b'{"id": "forged"}', headers={"X-Webhook-Signature": "00" * 32})
    (entry,) = shop.events()

    one = shop.post(f"/events/{entry['id']}/replay")
    many = shop.post("/events/replay", {"dry_run": False})
    form = shop.post(f"/events/{entry['id']}/replay", content=b"to=kafka", headers=FORM, follow_redirects=False)

    assert (entry["outcome"], one.status_code, form.status_code) == ("rejected", 422, 422)
    assert one.json()["type"] == "urn:kafka-bridge:not-replayable"
    assert (many.status_code, many.json()["replayed"], many.json()["skipped"]) == (200, 0, 1)
    assert shop.event(entry["id"])["replayable"] is False
    assert topics.counts() == before


def test_a_set_is_looked_at_first_and_then_sent(open_shop, topics):
    shop = open_shop()
    for n in range(5):
        shop.send(b'{"id": "e-%d", "type": "%s"}' % (n, b"even" if n % 2 == 0 else b"odd"))
    topic = shop.events()[0]["topic"]

    look = shop.post("/events/replay", {"type": "even"}).json()
    assert (look["dry_run"], look["matched"], look["replayed"], topics.count(topic)) == (True, 3, 0, 5)
    done = shop.post("/events/replay", {"type": "even", "dry_run": False}).json()

    assert (done["matched"], done["replayed"], done["failed"], done["skipped"]) == (3, 3, 0, 0)
    assert [record["id"] for record in done["records"]] == [record["id"] for record in look["records"]]
    assert [json.loads(record.value())["id"] for record in topics.read(topic)[5:]] == ["e-0", "e-2", "e-4"]
    assert [event["event_id"] for event in shop.events("?outcome=replay")] == ["e-4", "e-2", "e-0"]


def test_after_the_process_was_killed_what_is_in_storage_can_be_sent_again(open_shop, topics, host):
    shop = open_shop()
    first = shop.send(b"\xff\x00 bytes")
    (entry,) = shop.events()
    pid = host.pid
    host.kill_plugin()
    wait_until(lambda: host.pid not in {pid, None})

    assert shop.post(f"/events/{entry['id']}/replay").status_code == 200
    assert [record.value() for record in topics.read(first["topic"])] == [b"\xff\x00 bytes"] * 2


def test_a_browsers_form_is_answered_with_the_page_that_follows(open_shop):
    shop = open_shop()
    shop.send(b"{}")
    (entry,) = shop.events()

    one = shop.post(f"/events/{entry['id']}/replay", content=b"to=kafka", headers=FORM, follow_redirects=False)
    many = shop.post("/events/replay", content=b"to=kafka&dry_run=true", headers=FORM, follow_redirects=False)

    newest = shop.events()[0]["id"]
    base = str(one.url)
    assert (one.status_code, many.status_code) == (303, 303)
    assert urljoin(base, one.headers["location"]) == f"{shop.url}/?view=event&id={newest}&done=replayed"
    assert urljoin(str(many.url), many.headers["location"]).startswith(f"{shop.url}/?view=events&done=dry-run&")


def test_a_cluster_that_is_away_is_no_success_and_leaves_no_entry(open_shop, host, token, secret):
    shop = open_shop()
    shop.send(b"{}")
    (entry,) = shop.events()
    hook = shop.url.rpartition("/")[2]
    away = {"webhook_secret": secret, "api_token": token, "topic": entry["topic"], "bootstrap_servers": "127.0.0.1:1"}
    host.configure(hook, away)

    one, many = shop.post(f"/events/{entry['id']}/replay"), shop.post("/events/replay", {"dry_run": False})
    host.configure(hook, {**away, "publishing": "disabled"})
    disabled = shop.post(f"/events/{entry['id']}/replay")

    assert (one.status_code, one.json()["detail"]) == (503, "connection refused")
    assert (many.status_code, many.json()["failed"], many.json()["replayed"]) == (503, 1, 0)
    assert (disabled.status_code, disabled.json()["detail"]) == (503, "publishing is disabled")
    assert disabled.headers["retry-after"] == "60"
    assert [event["id"] for event in shop.events()] == [entry["id"]]


# The workflow.


@pytest.fixture
def running(consuming) -> Endpoint:
    """An endpoint with an app, whose default sender proves nothing."""
    return consuming(scheme="none", topic=fresh("events"))


def test_the_workflow_runs_again_for_what_lies_in_kafka(running):
    first = running.client.post(f"{running.url}/webhook", content=b'{"id": "e-1", "type": "paid"}').json()
    entry_id = listed(running)[0]["id"]

    answer = running.post(f"/events/{entry_id}/replay", b'{"to": "workflow"}')

    assert (answer.status_code, answer.json()["run"], answer.json()["outputs"]) == (200, "succeeded", {"seen": "e-1"})
    (inputs,) = running.flow.calls
    assert (inputs["topic"], inputs["partition"], inputs["offset"]) == (
        first["topic"],
        first["partition"],
        first["offset"],
    )
    (event,) = listed(running)
    assert [run["outcome"] for run in event["runs"]] == ["run"]


def listed(endpoint: Endpoint) -> list[dict[str, Any]]:
    answer = endpoint.client.get(f"{endpoint.url}/events", headers={"Authorization": f"Bearer {endpoint.token}"})
    return answer.json()["events"]


def test_those_that_failed_are_run_again_together(running):
    failing = {"e-1", "e-3"}

    def act(inputs: dict[str, Any]) -> dict[str, object]:
        if inputs["event_id"] in failing:
            raise ValueError("boom")
        return {}

    running.flow.act = act
    for n in range(4):
        running.client.post(f"{running.url}/webhook", content=b'{"id": "e-%d"}' % n)
    first = running.post("/events/replay", b'{"to": "workflow", "dry_run": false}')
    failing.clear()
    second = running.post("/events/replay", b'{"to": "workflow", "dry_run": false, "outcome": "failed"}')

    assert (first.status_code, first.json()["replayed"], first.json()["failed"]) == (502, 2, 2)
    assert (second.status_code, second.json()["matched"], second.json()["replayed"]) == (200, 2, 2)
    assert [record["event_id"] for record in second.json()["records"]] == ["e-1", "e-3"]
