"""A real broker that freezes, dies and comes back under load: each webhook ends in a 2xx, each 2xx is in the topic."""

import asyncio
import json
import secrets
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

import httpx
import pytest

from devhost.host import BackgroundHost
from devhost.senders import SENDERS
from kafka_bridge.events.record import Record
from tests.brokers import SOAK, cluster_of, wait_until
from tests.e2e.topics import Topics
from tests.e2e.watchdog import Report, watched_plugin
from tests.real.kafka import RealKafka

pytestmark = [pytest.mark.real, pytest.mark.slow]

EVENTS = 5000 if SOAK else 1200
IN_FLIGHT = 64
TOPIC = "outage"


@pytest.fixture
def own_kafka(jars, tmp_path) -> Iterator[RealKafka]:
    """A broker of this test's own, to freeze and kill."""
    broker = RealKafka(tmp_path / "broker", jars)
    try:
        broker.start()
        broker.create_topics(TOPIC)
        yield broker
    finally:
        broker.stop()


@dataclass
class Sender:
    """Delivers signed events, 64 at a time, and delivers again as `Retry-After` says, as a good webhook sender does."""

    url: str
    secret: str
    accepted: dict[str, tuple[dict[str, object], bytes]] = field(default_factory=dict)
    refusals: list[tuple[int, str]] = field(default_factory=list)
    attempts: int = 0
    slowest_s: float = 0.0

    def run(self, count: int) -> None:
        """Deliver `count` events; returns when every one was accepted."""
        asyncio.run(self._run(count))

    async def _run(self, count: int) -> None:
        numbers = iter(range(count))
        limits = httpx.Limits(max_connections=IN_FLIGHT, max_keepalive_connections=0)
        async with httpx.AsyncClient(trust_env=False, timeout=60, limits=limits) as client:

            async def worker() -> None:
                for number in numbers:
                    await self._deliver(client, number)

            await asyncio.gather(*(worker() for _ in range(IN_FLIGHT)))

    async def _deliver(self, client: httpx.AsyncClient, number: int) -> None:
        event_id = f"e-{number}"
        body = json.dumps({"id": event_id, "type": "t", "filler": secrets.token_hex(200)}).encode()
        while True:
            self.attempts += 1
            started = time.monotonic()
            answer = await client.post(
                f"{self.url}/webhook", content=body, headers=SENDERS["hmac"](self.secret, body, time.time(), event_id)
            )
            self.slowest_s = max(self.slowest_s, time.monotonic() - started)
            if answer.status_code == 200:
                self.accepted[event_id] = (answer.json(), body)
                return
            self.refusals.append((answer.status_code, answer.json()["detail"]))
            assert answer.status_code == 503, answer.text
            await asyncio.sleep(int(answer.headers["retry-after"]))


def test_a_broker_that_freezes_twice_and_dies_once_costs_no_event(own_kafka, tmp_path, figures):
    secret = secrets.token_urlsafe(16)
    plugin, report_file = watched_plugin(tmp_path / "plugin")
    settings = {"webhook_secret": secret, "topic": TOPIC, "bootstrap_servers": own_kafka.bootstrap}
    with BackgroundHost(endpoints={"shop": settings}, plugin=plugin) as host:
        sender = Sender(host.url("shop"), secret)
        asyncio.run(_with_outages(sender, own_kafka))
        topics = Topics(own_kafka.bootstrap)
        wait_until(lambda: report_file.exists())
        report = Report(report_file)
        assert host.host.plugin.starts == 1

    records = {(m.partition(), m.offset()): m.value() for m in topics.read(TOPIC)}
    extra = len(records) - EVENTS
    figures(
        f"outages: {EVENTS} events accepted after {sender.attempts} attempts, {extra} extra copies,"
        f" slowest answer {sender.slowest_s:.1f} s, refusals {sorted({why for _, why in sender.refusals})},"
        f" ticker p99.9 {report.percentile_ms(0.999):.0f} ms, worst {report.lateness_ms[-1]:.0f} ms"
    )
    assert len(sender.accepted) == EVENTS
    for found, body in sender.accepted.values():
        assert records[found["partition"], found["offset"]] == body
    assert {json.loads(value)["id"] for value in records.values()} == set(sender.accepted)
    assert report.blamed() == []
    assert sender.slowest_s < 11, "a sender has its answer after 9 s at the latest (and the host's own time)"


async def _with_outages(sender: Sender, kafka: RealKafka) -> None:
    """Send, and let things happen at certain points of the way."""

    async def reached(share: float) -> None:
        while len(sender.accepted) < EVENTS * share:
            await asyncio.sleep(0.01)

    async def happen() -> None:
        await reached(0.1)
        kafka.freeze()
        await asyncio.sleep(2)  # shorter than the delivery timeout: nobody should notice more than a delay
        kafka.thaw()
        await reached(0.4)
        kafka.freeze()
        await asyncio.sleep(11)  # longer: outcomes are unknown
        kafka.thaw()
        await reached(0.7)
        kafka.kill()
        await asyncio.sleep(3)
        await asyncio.to_thread(kafka.start)

    await asyncio.gather(sender._run(EVENTS), happen())


def test_a_kafka_that_is_not_there_at_the_start_is_used_as_soon_as_it_is(jars, tmp_path):
    broker = RealKafka(tmp_path / "broker", jars)
    settings = {"scheme": "none", "topic": TOPIC, "bootstrap_servers": broker.bootstrap}
    try:
        with BackgroundHost(endpoints={"shop": settings}) as host, httpx.Client(trust_env=False, timeout=30) as client:
            answer = client.post(f"{host.url('shop')}/webhook", content=b"x")
            assert (answer.status_code, answer.json()["detail"]) == (503, "connection refused")

            broker.start()
            broker.create_topics(TOPIC)

            wait_until(lambda: client.post(f"{host.url('shop')}/webhook", content=b"x").status_code == 200, 20)
            assert any("Kafka connected" in line or "Kafka connection recovered" in line for _, line in host.lines)
    finally:
        broker.stop()


def test_a_broker_that_creates_topics_itself_takes_the_first_record(jars, tmp_path, connect):
    broker = RealKafka(tmp_path / "broker", jars, auto_create=True)
    try:
        broker.start()
        connection = connect(cluster_of(bootstrap_servers=broker.bootstrap))

        deliveries = [connection.send(Record(topic=f"new-{n}", value=b"first"), timeout_s=9) for n in range(3)]

        assert [delivery.offset for delivery in deliveries] == [0, 0, 0]
    finally:
        broker.stop()
