"""The plugin's process is killed at random while webhooks come in and its resident consumer runs them.

Every event that was accepted runs or is dead-lettered, in the order of its key, and nothing is left. After each kill
the next request has the consumer back.
"""

import json
import random
import threading
import time
from collections.abc import Iterator

import httpx
import pytest

from devhost.broker import EmbeddedBroker
from devhost.host import BackgroundHost
from devhost.timing import Timing
from tests.brokers import SOAK, wait_until
from tests.e2e.consuming import Endpoint, Flow
from tests.e2e.topics import Topics

pytestmark = pytest.mark.slow

# The time in which the process is killed again and again, at random, this long after it has come back.
SECONDS = 60.0 if SOAK else 6.0
UNTIL_KILL_S = (0.2, 4.0)
KEYS = 5
SENDERS = 4
# Nobody answers a request whose process is gone: a sender gives up after its own patience and delivers again.
PATIENCE_S = 2.0
TOPIC = "orders"
DEAD_LETTERS = f"{TOPIC}.dead-letter"


@pytest.fixture
def slow_broker() -> Iterator[EmbeddedBroker]:
    """A broker whose answers take so long that a kill finds acknowledgements and commits on their way."""
    broker = EmbeddedBroker(rtt_ms=10)
    yield broker
    broker.close()


class Shop(Flow):
    """An app that takes a moment, and fails for some events for good; what it has begun, in order, by key."""

    def __init__(self) -> None:
        super().__init__()
        self.act = self._run
        self.begun: dict[str, list[str]] = {}
        self._lock = threading.Lock()

    def _run(self, inputs):
        with self._lock:
            self.begun.setdefault(str(inputs["key"]), []).append(str(inputs["event_id"]))
        threading.Event().wait(random.Random(inputs["event_id"]).uniform(0, 0.03))
        if inputs["n"] % 10 == 7:
            raise RuntimeError("for good")
        return {}

    @property
    def runs(self) -> int:
        """How many have begun."""
        return sum(map(len, self.begun.values()))


class Senders:
    """Deliver events, each until it is accepted."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._numbers = iter(range(10**9))
        self._lock = threading.Lock()
        self._over = threading.Event()
        self.accepted: set[str] = set()
        self.repeated = 0
        self._threads = [threading.Thread(target=self._send, daemon=True) for _ in range(SENDERS)]
        for thread in self._threads:
            thread.start()

    def _send(self) -> None:
        with httpx.Client(trust_env=False, timeout=PATIENCE_S) as client:
            while not self._over.wait(0.01):
                with self._lock:
                    number = next(self._numbers)
                body = json.dumps({"id": f"e-{number}", "n": number, "k": f"k-{number % KEYS}"})
                while not self._delivered(client, body):
                    self.repeated += 1
                self.accepted.add(f"e-{number}")

    def _delivered(self, client: httpx.Client, body: str) -> bool:
        try:
            return client.post(f"{self._url}/webhook", content=body).status_code == 200
        except httpx.HTTPError:
            return False

    def end(self) -> None:
        """Begin no more, and wait for what is on its way."""
        self._over.set()
        for thread in self._threads:
            thread.join(60)
            assert not thread.is_alive()


def test_no_event_is_lost_or_out_of_order_whenever_the_process_is_killed(slow_broker, figures):
    flow, chance = Shop(), random.Random(4711)
    settings = {
        "api_token": "token",
        "scheme": "none",
        "topic": TOPIC,
        "key": "{body.k}",
        "app": {"app_id": "flow"},
        "consume_topics": TOPIC,
        "offset_reset": "earliest",
        "max_attempts": "1",
        "consumer": "enabled",
        # A member that was killed is missed after this; the broker itself waits for 3 s when a group is new.
        "client_config": json.dumps({"session.timeout.ms": 4000, "heartbeat.interval.ms": 500}),
    }
    back: list[float] = []
    with (
        httpx.Client(trust_env=False, timeout=60) as client,
        BackgroundHost(
            endpoints={"shop": settings},
            bootstrap=slow_broker.bootstrap,
            apps={"flow": flow},
            timing=Timing(restart_tick_s=0.2),
            environment={"KAFKA_BRIDGE_WINDOW_S": "2"},
        ) as host,
    ):
        shop = Endpoint(host.url("shop"), "token", client, flow, TOPIC, "kafka-bridge", slow_broker.bootstrap)
        senders = Senders(shop.url)
        wait_until(lambda: flow.runs > 0, 30)
        over = time.monotonic() + SECONDS
        while not back or time.monotonic() < over:
            threading.Event().wait(chance.uniform(*UNTIL_KILL_S))
            starts = host.host.plugin.starts
            host.kill_plugin()
            wait_until(lambda starts=starts: host.host.plugin.starts > starts)
            restarted, runs = time.monotonic(), flow.runs
            # The senders' next requests are all it needs.
            wait_until(lambda runs=runs: flow.runs > runs + KEYS, 40)
            back.append(time.monotonic() - restarted)
        senders.end()
        wait_until(lambda: shop.consumer()["lag"] == 0, 60)
        wait_until(lambda: shop.consumer()["in_flight"] == 0)
        told = shop.consumer()
        kills = host.host.plugin.starts - 1

    topics = Topics(slow_broker.bootstrap)
    written: dict[str, list[str]] = {}
    for message in topics.read(TOPIC):
        written.setdefault(message.key().decode(), []).append(json.loads(message.value())["id"])
    buried = {json.loads(message.value())["id"] for message in topics.read(DEAD_LETTERS)}
    ran = {event_id for ids in flow.begun.values() for event_id in ids}

    figures(
        f"resident consumer: {len(ran)} events, {kills} kills, {senders.repeated} deliveries repeated,"
        f" {flow.runs - len(ran)} runs repeated; back {min(back):.1f} to {max(back):.1f} s after the process"
    )
    assert kills >= 1
    assert (told["resident"]["state"], told["blocked"], told["waiting"]) == ("running", {}, 0)
    assert senders.accepted <= ran
    assert ran == {event_id for ids in written.values() for event_id in ids}
    assert buried == {event_id for event_id in ran if int(event_id[2:]) % 10 == 7}
    for key, ids in written.items():
        assert list(dict.fromkeys(flow.begun[key])) == list(dict.fromkeys(ids)), key
    assert len(written) == KEYS
