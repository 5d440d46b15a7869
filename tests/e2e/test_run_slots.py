"""Runs in flight are bounded for the whole process, so that webhooks stay fast while runs are long."""

import asyncio
import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import httpx
import pytest

from devhost.host import BackgroundHost
from tests.brokers import Broker, wait_until
from tests.e2e.consuming import Endpoint, Flow, event, fresh

TOKEN = "token"
# A default Dify: one worker of its api with ten connections.
CONNECTIONS = 10
# Without KAFKA_BRIDGE_MAX_RUNS.
DEFAULT_RUNS = 4


class Counting:
    """An app whose runs wait until they are let go; knows how many there were at once, over all apps."""

    def __init__(self) -> None:
        self.running = self.most = 0
        self.released = asyncio.Event()
        self.connections: asyncio.Semaphore | None = None

    def app(self):
        """It, as the host wants it."""

        async def run(inputs):
            self.running += 1
            self.most = max(self.most, self.running)
            try:
                if self.connections is None:
                    await self.released.wait()
                else:
                    async with self.connections:
                        await self.released.wait()
            finally:
                self.running -= 1
            return {}

        return run


@contextmanager
def two_endpoints(
    broker: Broker, counting: Counting, **environment: str
) -> Iterator[tuple[BackgroundHost, Endpoint, Endpoint]]:
    """A host with two endpoints that consume with 20 runs at once each."""
    names = [fresh("hook") for _ in range(2)]
    settings = {
        name: {
            "api_token": TOKEN,
            "app": {"app_id": "long"},
            "consume_topics": fresh("orders"),
            "group_id": fresh("group"),
            "offset_reset": "earliest",
            "concurrency": "20",
            "client_config": '{"group.protocol": "consumer"}',
            "scheme": "none",
            "topic": fresh("webhooks"),
        }
        for name in names
    }
    options = {"bootstrap": broker.bootstrap, "environment": environment, "apps": {"long": counting.app()}}
    with (
        httpx.Client(trust_env=False, timeout=60) as client,
        BackgroundHost(endpoints=settings, **options) as host,
    ):
        first, second = (
            Endpoint(
                host.url(name),
                TOKEN,
                client,
                Flow(),
                str(settings[name]["consume_topics"]),
                str(settings[name]["group_id"]),
                broker.bootstrap,
            )
            for name in names
        )
        for shop in (first, second):
            shop.produce(event(n) for n in range(20))
        yield host, first, second


@pytest.mark.parametrize("bound", [None, 3, 30])
def test_no_more_runs_at_once_than_the_daemons_environment_says(embedded: Broker, bound):
    counting = Counting()
    environment = {} if bound is None else {"KAFKA_BRIDGE_MAX_RUNS": str(bound)}
    with two_endpoints(embedded, counting, **environment) as (host, *shops), ThreadPoolExecutor() as pool:
        windows = [pool.submit(shop.consume, max_records=20, max_seconds=30, wait=True) for shop in shops]
        wait_until(lambda: counting.running == (bound or DEFAULT_RUNS))
        # A record that somebody brings waits for a slot like all others, and is not pushed past them.
        brought = pool.submit(shops[0].post, "/dispatch", b"{}")
        host._loop.call_soon_threadsafe(counting.released.set)
        told = [window.result() for window in windows]

    assert counting.most == (bound or DEFAULT_RUNS)
    assert [each["succeeded"] for each in told] == [20, 20]
    assert brought.result().status_code == 200


def test_a_window_that_ends_while_another_endpoint_has_all_slots_stops_nothing(embedded: Broker):
    counting = Counting()
    with two_endpoints(embedded, counting, KAFKA_BRIDGE_MAX_RUNS="1") as (host, *shops), ThreadPoolExecutor() as pool:
        first = pool.submit(shops[0].consume, max_records=20, max_seconds=30, wait=True)
        wait_until(lambda: counting.running == 1)
        told = shops[1].consume(max_seconds=1, wait=True)
        host._loop.call_soon_threadsafe(counting.released.set)

        assert (told["consumed"], told["failed"], told["ended_by"]) == (20, 0, "max_seconds")
        assert first.result()["succeeded"] == 20
        assert shops[1].consume_until(lambda totals: totals["succeeded"] == 20)["lag"] == 0


class TenConnections:
    """In the place of Dify's api: a request's settings are decrypted over a connection, and a run holds one."""

    def __init__(self, host: BackgroundHost, connections: asyncio.Semaphore) -> None:
        self._gateway = host.host.gateway
        self._connections = connections
        self.endpoints = self._gateway.endpoints
        host.host.gateway = self  # type: ignore[assignment]

    async def __call__(self, scope, receive, send) -> None:
        async with self._connections:
            await asyncio.sleep(0)
        await self._gateway(scope, receive, send)


def webhooks_s(shop: Endpoint, count: int = 300, at_once: int = 8) -> float:
    """The median of how long a webhook takes."""
    times: list[float] = []

    def deliver(number: int) -> None:
        began = time.perf_counter()
        answer = shop.client.post(f"{shop.url}/webhook", content=json.dumps({"id": number}))
        times.append(time.perf_counter() - began)
        assert answer.status_code == 200, answer.text

    with ThreadPoolExecutor(at_once) as pool:
        list(pool.map(deliver, range(count)))
    return sorted(times)[count // 2]


def test_with_a_default_dify_webhooks_stay_fast_while_all_runs_are_long(embedded: Broker, figures):
    counting = Counting()
    with two_endpoints(embedded, counting) as (host, *shops), ThreadPoolExecutor() as pool:
        counting.connections = asyncio.Semaphore(CONNECTIONS)
        TenConnections(host, counting.connections)
        webhooks_s(shops[0], 50)
        before = webhooks_s(shops[0])
        windows = [pool.submit(shop.consume, max_records=20, max_seconds=30, wait=True) for shop in shops]
        wait_until(lambda: counting.running == DEFAULT_RUNS)
        meanwhile = webhooks_s(shops[0])
        running = counting.running
        host._loop.call_soon_threadsafe(counting.released.set)
        told = [window.result() for window in windows]

    figures(f"a webhook: {before * 1000:.1f} ms, with {running} long runs {meanwhile * 1000:.1f} ms")
    assert running == DEFAULT_RUNS
    assert meanwhile < 3 * before
    assert [each["succeeded"] for each in told] == [20, 20]
