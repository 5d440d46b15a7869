"""`GET /stream` through host and plugin: what comes, when, in how many parts, and when it ends."""

import hashlib
import hmac
import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from devhost.host import BackgroundHost
from devhost.timing import Timing
from tests.brokers import Broker, wait_until
from tests.e2e.consuming import fresh
from tests.e2e.listener import Listener, Message

BURST = 500
# The platform's limit for an answer, of a host that has less patience.
LIMIT_S = 4
# A client's clock sees what the plugin's saw, and what the way has added.
JITTER_S = 0.15


class Shop:
    """An endpoint that senders write to."""

    def __init__(self, url: str, token: str, secret: str, client: httpx.Client) -> None:
        self.url = url
        self.token = token
        self._secret = secret
        self._client = client

    def send(self, **fields: Any) -> dict[str, Any]:
        """One event."""
        body = json.dumps({"id": fresh("e"), **fields}).encode()
        signed = hmac.new(self._secret.encode(), body, hashlib.sha256).hexdigest()
        answer = self._client.post(f"{self.url}/webhook", content=body, headers={"X-Webhook-Signature": signed})
        assert answer.status_code == 200, answer.text
        return answer.json()

    def listen(self, path: str = "/stream", **headers: str) -> Listener:
        """A new stream."""
        return Listener(self.url, self.token, path, **headers)


@pytest.fixture
def shop(endpoint, token, secret, client) -> Shop:
    return Shop(endpoint(api_token=token, webhook_secret=secret, topic=fresh("stream")), token, secret, client)


@pytest.fixture
def hurried(embedded: Broker, token: str, secret: str, client: httpx.Client) -> Iterator[tuple[BackgroundHost, Shop]]:
    """A host that ends answers early, and its only endpoint."""
    settings = {"webhook_secret": secret, "api_token": token, "topic": "e2e.stream"}
    with BackgroundHost(
        endpoints={"shop": settings},
        bootstrap=embedded.bootstrap,
        timing=Timing(execution_s=LIMIT_S, restart_tick_s=0.2),
        environment={"PLUGIN_MAX_EXECUTION_TIMEOUT": str(LIMIT_S)},
    ) as host:
        yield host, Shop(host.url("shop"), token, secret, client)


def numbers(messages: list[Message]) -> list[int]:
    return [message.number for message in messages]


def test_an_event_is_seen_within_a_second_by_everybody_who_looks(shop):
    with shop.listen() as one, shop.listen() as other:
        hello = one.wait_for("hello")[0]
        other.wait_for("hello")
        sent_at = time.monotonic()
        told = shop.send(type="paid")

        for listener in (one, other):
            (message,) = listener.wait_for("event")
            assert message.at - sent_at < 1.0
            assert message.number == hello.data["last"] + 1
            assert (message.data["event_id"], message.data["type"]) == (told["id"], "paid")
            assert (message.data["topic"], message.data["offset"]) == (told["topic"], told["offset"])
        assert one.headers["content-type"] == "text/event-stream"
        assert (one.headers["cache-control"], one.headers["x-accel-buffering"]) == ("no-store", "no")
        assert one.parts[0][1].startswith(b"retry: 1000\n")


def test_what_is_sent_again_and_what_is_refused_is_seen_too(shop, client):
    shop.send()
    with shop.listen() as listener:
        listener.wait_for("hello")
        client.post(f"{shop.url}/webhook", content=b"{}")
        (refused,) = listener.wait_for("event")
        entry_id = client.get(f"{shop.url}/events?outcome=accepted", headers=bearer(shop)).json()["events"][0]["id"]
        client.post(f"{shop.url}/events/{entry_id}/replay", headers=bearer(shop))
        again = listener.wait_for("event", 2)[1]

    assert (refused.data["outcome"], refused.data["verdict"]) == ("rejected", "rejected")
    assert (again.data["outcome"], again.data["replay_of"]) == ("replay", entry_id)


def bearer(shop: Shop) -> dict[str, str]:
    return {"Authorization": f"Bearer {shop.token}"}


def test_a_burst_comes_whole_in_few_parts(shop):
    with shop.listen() as listener:
        hello = listener.wait_for("hello")[0]
        with ThreadPoolExecutor(16) as senders:
            sent = {told["id"] for told in senders.map(lambda n: shop.send(n=n), range(BURST))}
        wait_until(lambda: numbers(listener.of("event"))[-1:] == [hello.data["last"] + BURST], 30)
        events, times = listener.of("event"), [at for at, _ in listener.parts]

    assert {message.data["event_id"] for message in events} == sent
    assert numbers(events) == list(range(hello.data["last"] + 1, hello.data["last"] + BURST + 1))
    # Four in a second, so five take one.
    spans = [later - earlier for earlier, later in zip(times, times[4:], strict=False)]
    assert all(span > 1.0 - JITTER_S for span in spans), spans
    assert len(listener.parts) < BURST / 5


def test_who_was_cut_off_goes_on_where_he_was(shop):
    with shop.listen() as listener:
        listener.wait_for("hello")
        shop.send()
        (seen,) = listener.wait_for("event")
    missed = [shop.send()["id"] for _ in range(3)]

    for listener in (
        shop.listen(**{"Last-Event-ID": str(seen.number)}),
        shop.listen(f"/stream?last_event_id={seen.number}"),
        # A browser asks with the URL of the first time.
        shop.listen("/stream?last_event_id=1", **{"Last-Event-ID": str(seen.number)}),
    ):
        with listener:
            events = listener.wait_for("event", 3)
            assert [message.data["event_id"] for message in events] == missed
            assert numbers(events) == [seen.number + n for n in (1, 2, 3)]
            assert listener.of("reset") == []


@pytest.mark.parametrize("number", ["1", "9007199254740991", "x", "-5", "99999999999999999999999"])
def test_a_number_that_nobody_knows_is_answered_with_a_reset(shop, number):
    with shop.listen() as first, shop.listen(**{"Last-Event-ID": number}) as listener:
        first.wait_for("hello")
        (reset,) = listener.wait_for("reset")
        shop.send()
        (event,) = listener.wait_for("event")

    assert event.number == reset.data["last"] + 1


def test_after_a_kill_there_is_a_reset_and_numbers_have_grown(hurried):
    host, shop = hurried
    with shop.listen() as listener:
        listener.wait_for("hello")
        shop.send()
        (seen,) = listener.wait_for("event")
        pid = host.pid
        host.kill_plugin()
        wait_until(lambda: host.pid not in {pid, None})
    shop.send()

    with shop.listen(**{"Last-Event-ID": str(seen.number)}) as listener:
        (reset,) = listener.wait_for("reset")
        assert reset.data["last"] > seen.number
        assert reset.data["last"] < 2**53


def test_a_stream_ends_before_the_platform_ends_it_and_says_so(hurried):
    _, shop = hurried
    with shop.listen() as listener:
        began = listener.wait_for("hello")[0].at
        shop.send()
        (event,) = listener.wait_for("event")
        (end,) = listener.wait_for("end")
        wait_until(lambda: listener.ended)

        assert 0.7 * LIMIT_S < end.at - began < LIMIT_S
        assert end.data == {"last": event.number}
        assert b"killed by timeout" not in b"".join(part for _, part in listener.parts)

    with shop.listen(**{"Last-Event-ID": str(event.number)}) as listener:
        assert listener.wait_for("hello")[0].data == end.data
        assert listener.of("reset") == []


def test_whoever_hangs_up_makes_room_for_another_one(shop):
    listeners = [shop.listen() for _ in range(8)]
    for listener in listeners:
        listener.wait_for("hello")
    with shop.listen() as refused:
        assert (refused.status, refused.headers["retry-after"]) == (429, "5")
    for listener in listeners:
        listener.close()

    # The session is asked every two seconds, and given up after two answers of four that did not come.
    wait_until(lambda: opens(shop), 15)


def opens(shop: Shop) -> bool:
    with shop.listen() as listener:
        return listener.status == 200


def test_of_another_endpoint_nothing_is_seen(shop, endpoint, token, secret, client):
    other = Shop(endpoint(api_token=token, webhook_secret=secret, topic=fresh("stream")), token, secret, client)
    with shop.listen() as listener, other.listen() as others:
        listener.wait_for("hello")
        others.wait_for("hello")
        other.send()
        others.wait_for("event")
        shop.send(mine=True)
        (event,) = listener.wait_for("event")

    assert event.number == listener.of("hello")[0].data["last"] + 1


@pytest.mark.parametrize(
    ("query", "seen"), [("type=paid", ["paid"]), ("text=PAI", ["paid"]), ("outcome=rejected", []), ("source=x", [])]
)
def test_the_filters_are_those_of_the_list(shop, query, seen):
    with shop.listen(f"/stream?{query}") as listener, shop.listen() as everything:
        listener.wait_for("hello")
        everything.wait_for("hello")
        for event_type in ("open", "paid", "shut"):
            shop.send(type=event_type)
        last = everything.wait_for("event", 3)[-1]
        # Those that are not wanted are passed over: what comes after them is not kept waiting.
        wait_until(lambda: len(listener.of("event")) == len(seen), 5)

        assert [message.data["type"] for message in listener.of("event")] == seen
        assert last.data["type"] == "shut"


def test_nobody_looks_without_the_token_and_nothing_else_is_a_stream(shop, client):
    assert client.get(f"{shop.url}/stream").status_code == 401
    assert client.get(f"{shop.url}/stream?since=1", headers=bearer(shop)).status_code == 400
    assert client.post(f"{shop.url}/stream", headers=bearer(shop)).status_code == 405
    head = client.head(f"{shop.url}/stream", headers=bearer(shop))

    assert (head.status_code, head.content, head.headers["content-type"]) == (200, b"", "text/event-stream")


def test_while_somebody_looks_what_waits_is_written(host, shop, client):
    # Deliveries that come together leave the write to the last of them, and none of them may have time for it.
    with shop.listen() as listener:
        listener.wait_for("hello")
        for _ in range(3):
            shop.send()
        listener.wait_for("event", 3)

        def written() -> float:
            text = client.get(f"{shop.url}/metrics", headers=bearer(shop)).text
            lines = [line for line in text.splitlines() if line.startswith("kafka_bridge_event_log_written_total")]
            return float(lines[0].rpartition(" ")[2])

        wait_until(lambda: written() == 3.0, 10)
