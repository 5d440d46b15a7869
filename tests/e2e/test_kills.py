"""The plugin's process is killed under load, as the platform kills it: no 2xx is lost, every sender gets through."""

import asyncio
import json
import secrets
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

import httpx
import pytest

from devhost.broker import EmbeddedBroker
from devhost.host import BackgroundHost
from devhost.senders import SENDERS
from devhost.timing import Timing
from tests.brokers import SOAK
from tests.e2e.topics import Topics

EVENTS = 5000 if SOAK else 600
KILLS = 5 if SOAK else 2
IN_FLIGHT = 32
# Nobody answers a request whose process is gone: a sender gives up after its own patience and delivers again.
PATIENCE_S = 3.0


@dataclass
class Deliveries:
    """Signed events on their way, and the answers that were a 2xx."""

    url: str
    secret: str
    accepted: dict[int, tuple[dict[str, int], bytes]] = field(default_factory=dict)
    unanswered: int = 0

    async def run(self, host: BackgroundHost) -> None:
        """Deliver all of them, with kills at even distances."""
        numbers = iter(range(EVENTS))
        limits = httpx.Limits(max_connections=IN_FLIGHT, max_keepalive_connections=0)
        async with httpx.AsyncClient(trust_env=False, timeout=PATIENCE_S, limits=limits) as client:

            async def worker() -> None:
                for number in numbers:
                    while not await self._delivered(client, number):
                        self.unanswered += 1

            await asyncio.gather(self._kill(host), *(worker() for _ in range(IN_FLIGHT)))

    async def _kill(self, host: BackgroundHost) -> None:
        for kill in range(KILLS):
            while len(self.accepted) < EVENTS * (kill + 1) / (KILLS + 1):
                await asyncio.sleep(0.001)
            host.kill_plugin()

    async def _delivered(self, client: httpx.AsyncClient, number: int) -> bool:
        body = json.dumps({"id": f"e-{number}"}).encode()
        headers = SENDERS["hmac"](self.secret, body, time.time(), f"e-{number}")
        try:
            answer = await client.post(f"{self.url}/webhook", content=body, headers=headers)
        except httpx.TimeoutException:
            return False
        if answer.status_code == 200:
            self.accepted[number] = (answer.json(), body)
        return answer.status_code == 200


@pytest.fixture
def slow_broker() -> Iterator[EmbeddedBroker]:
    """A broker whose acknowledgements take so long that a kill finds requests waiting for them."""
    broker = EmbeddedBroker(rtt_ms=50)
    yield broker
    broker.close()


def test_no_accepted_webhook_is_lost_when_the_process_is_killed(slow_broker, figures):
    secret = secrets.token_urlsafe(16)
    settings = {"webhook_secret": secret, "topic": "kills"}
    timing = Timing(restart_tick_s=0.5)
    with BackgroundHost(endpoints={"shop": settings}, bootstrap=slow_broker.bootstrap, timing=timing) as host:
        deliveries = Deliveries(host.url("shop"), secret)
        asyncio.run(deliveries.run(host))
        starts = host.host.plugin.starts

    records = {(m.partition(), m.offset()): m.value() for m in Topics(slow_broker.bootstrap).read("kills")}
    figures(
        f"kills: {EVENTS} events accepted over {starts} processes, {deliveries.unanswered} requests without"
        f" a 2xx, {len(records) - EVENTS} extra copies"
    )
    assert starts == KILLS + 1
    assert deliveries.unanswered >= KILLS, "the kills hit nobody"
    assert len(deliveries.accepted) == EVENTS
    for found, body in deliveries.accepted.values():
        assert records[found["partition"], found["offset"]] == body
