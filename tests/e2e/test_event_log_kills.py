"""The plugin's process is killed at any moment: what storage holds is listed afterwards, once, and stays bounded."""

import asyncio
import json
import random
import secrets
import time
from collections import Counter
from dataclasses import dataclass, field

import httpx
import pytest

from devhost.host import BackgroundHost
from devhost.storage import Accounting
from devhost.timing import Timing
from tests.brokers import SOAK, Broker, wait_until
from tests.e2e.consuming import fresh
from tests.e2e.storing import Faults, Shop, stored_events

pytestmark = pytest.mark.slow

KILLS = 25 if SOAK else 4
EVENTS = 100_000 if SOAK else 2_500
BATCH = 50
IN_FLIGHT = 16
# Nobody answers a request whose process is gone.
PATIENCE_S = 3.0
# While requests come what was accepted is stored within a second; a busy machine takes its time.
STORED_S = 3.0
TIMING = Timing(restart_tick_s=0.2, write_pause_s=0.05)


@dataclass
class Load:
    """Senders that go on until they are stopped, whatever becomes of their requests."""

    shop: Shop
    batches: bool = False
    stopped: bool = False
    accepted: list[tuple[float, tuple[int, int]]] = field(default_factory=list)
    """When the sender had its answer, and where the record lies."""
    unanswered: int = 0
    sent: int = 0

    async def run(self) -> None:
        limits = httpx.Limits(max_keepalive_connections=0)
        async with httpx.AsyncClient(trust_env=False, timeout=PATIENCE_S, limits=limits) as client:
            await asyncio.gather(*(self._sender(client) for _ in range(IN_FLIGHT)))

    async def _sender(self, client: httpx.AsyncClient) -> None:
        while not self.stopped:
            await self._deliver(client)

    async def _deliver(self, client: httpx.AsyncClient) -> None:
        count = BATCH if self.batches and self.sent % 3 else 1
        first, self.sent = self.sent, self.sent + count
        lines = [json.dumps({"id": f"e-{first + n}", "filler": "x" * 300}) for n in range(count)]
        content_type = "application/x-ndjson" if count > 1 else "application/json"
        try:
            answer = await client.post(
                f"{self.shop.url}/webhook", content="\n".join(lines), headers={"content-type": content_type}
            )
        except httpx.HTTPError:
            self.unanswered += 1
            return
        if answer.status_code == 200:
            told = answer.json()
            records = told.get("records", [told])
            self.accepted += [(time.monotonic(), (one["partition"], one["offset"])) for one in records]
        else:
            self.unanswered += 1


def kill(host: BackgroundHost) -> None:
    """SIGKILL, and wait until nothing that the process has said is on its way any more."""
    pid = host.pid
    host.kill_plugin()
    wait_until(lambda: host.pid != pid)


async def while_under_load(load: Load, act) -> None:
    """Something on a thread of its own, meanwhile; then the load ends."""
    running = asyncio.create_task(load.run())
    try:
        await asyncio.to_thread(act)
    finally:
        load.stopped = True
        await running


def alive(shop: Shop) -> bool:
    try:
        return shop.client.get(f"{shop.url}/webhook", timeout=PATIENCE_S).status_code == 200
    except httpx.HTTPError:
        return False


def test_after_a_kill_at_any_moment_all_that_storage_holds_is_listed_once(embedded: Broker, client, figures):
    seed = secrets.randbits(32)
    chance, faults = random.Random(seed), Faults(pause_s=0.004)
    settings = {"scheme": "none", "api_token": "token", "topic": fresh("t"), "keep_events": "100000"}
    with BackgroundHost(
        endpoints={"shop": settings},
        bootstrap=embedded.bootstrap,
        timing=TIMING,
        around_storage=faults,
        accounting=Accounting(overwrites_count_in_full=True),
    ) as host:
        shop = Shop(host.url("shop"), "", "token", client)
        load, held, checked = Load(shop), [0], 0

        def kills() -> None:
            nonlocal checked
            began_at = 0.0
            for number in range(KILLS):
                wait_until(lambda: alive(shop), 30)
                # Now in the middle of being entered, of a commit, of tidying, and now when some have come together.
                calls = faults.calls.total() + chance.choice([1, 2, 3, 5, 8, 20])
                events = len(load.accepted) + (0 if number % 2 else chance.randrange(800 if SOAK else 300))
                wait_until(lambda: faults.calls.total() >= calls and len(load.accepted) >= events, 60)  # noqa: B023
                killed_at = time.monotonic()
                kill(host)
                stored = stored_events(host.host.storage)
                places = {(entry.partition, entry.offset) for entry in stored.values()}
                # What the process before had answered may have been on its way to its sender until now.
                old = {place for at, place in load.accepted if began_at + 1.0 < at < killed_at - STORED_S}
                assert old <= places, f"seed {seed}: {old - places}"
                checked += len(old)
                wait_until(lambda: alive(shop), 30)
                began_at = time.monotonic()
                listed = Counter(event["id"] for event in shop.events())
                assert stored.keys() <= listed.keys(), f"seed {seed}"
                assert set(listed.values()) <= {1}, f"seed {seed}"
                assert len(stored) >= held[-1]
                held.append(len(stored))

        asyncio.run(while_under_load(load, kills))
        events = shop.events()
        starts = host.host.plugin.starts
        writers = host.host.storage.values

    figures(
        f"kills of the log: {len(load.accepted)} events accepted over {starts} processes, {len(events)} listed,"
        f" {checked} of them had been answered seconds before a kill; {load.unanswered} requests had no answer"
    )
    assert starts == KILLS + 1
    assert held[-1] > 0
    # Each record of Kafka's in one row.
    places = Counter((event["partition"], event["offset"]) for event in events)
    assert set(places.values()) == {1}
    assert len(writers) < 60 + 40 * starts


@pytest.mark.parametrize("in_full", [True, False], ids=["overwrites count in full", "differences count"])
def test_storage_stays_within_its_bounds_over_many_events_and_kills(embedded: Broker, client, figures, in_full):
    seed, keep = secrets.randbits(32), 1000
    chance = random.Random(seed)
    settings = {"scheme": "none", "api_token": "token", "topic": fresh("t"), "keep_events": str(keep)}
    accounting = Accounting(overwrites_count_in_full=in_full)
    with BackgroundHost(
        endpoints={"shop": settings}, bootstrap=embedded.bootstrap, timing=TIMING, accounting=accounting
    ) as host:
        shop, storage = Shop(host.url("shop"), "", "token", client), host.host.storage
        load = Load(shop, batches=True)
        sizes: list[tuple[int, int, int]] = []

        def watch() -> None:
            next_kill = EVENTS // 4
            while len(load.accepted) < EVENTS:
                values = storage.values
                sizes.append((len(values), sum(map(len, values.values())), storage.used_bytes))
                if len(load.accepted) >= next_kill:
                    next_kill += EVENTS // 4 + chance.randrange(100)
                    kill(host)
                wait_until(lambda: alive(shop), 30)

        asyncio.run(while_under_load(load, watch))
        for number in range(20):
            assert shop.deliver({"id": f"last-{number}"}, scheme="none").status_code == 200
        events, health = shop.events(), shop.health()[1]
        starts = host.host.plugin.starts

    keys, real, used = (max(column) for column in zip(*sizes, strict=True))
    figures(
        f"bounds of the log: {len(load.accepted)} events, {keep} kept, {starts} processes: at the most {keys} keys,"
        f" {real / 1024:.0f} KiB, of which the quota counts {used / 1024:.0f}"
    )
    assert starts >= 4
    assert [event["event_id"] for event in events[:20]] == [f"last-{number}" for number in range(19, -1, -1)]
    assert len(events) == keep
    assert health["storage"] == "ok"
    # Each process that was killed leaves what it had until it is taken over, ten minutes later.
    assert keys < 150 * starts
    assert real < 1_000_000 * starts
    assert used - real < 50_000 * starts


def test_a_process_is_killed_while_it_takes_over_from_others(embedded: Broker, client):
    """Many short lives, one after the other, each killed soon after its first events."""
    settings = {"scheme": "none", "api_token": "token", "topic": fresh("t"), "keep_events": "100000"}
    lives = 12 if SOAK else 5
    with BackgroundHost(endpoints={"shop": settings}, bootstrap=embedded.bootstrap, timing=TIMING) as host:
        shop = Shop(host.url("shop"), "", "token", client)
        answered = []
        for life in range(lives):
            wait_until(lambda: alive(shop), 30)
            for number in range(3):
                assert shop.deliver({"id": f"e-{life}-{number}"}, scheme="none").status_code == 200
                answered.append(f"e-{life}-{number}")
            kill(host)
        wait_until(lambda: alive(shop), 30)
        began = time.monotonic()
        listed = [event["event_id"] for event in shop.events()]

    # Alone, each request writes what it has recorded before it is answered.
    assert listed == answered[::-1]
    assert time.monotonic() - began < 10
