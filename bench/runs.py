"""Workflows of 200 ms through the plugin behind the local host: how close `/consume` comes to what 32 at once allow."""

import asyncio
import statistics
import tempfile
import time
from pathlib import Path

import httpx
from confluent_kafka import Producer

from bench.plugins import peer_folder
from devhost.broker import EmbeddedBroker
from devhost.host import BackgroundHost

AT_ONCE = 32
RUN_S = 0.2
RECORDS = 1600
IDEAL = AT_ONCE / RUN_S
TOKEN = "bench"


class Workflow:
    """Takes its time, and notes how many ran at once, from when to when."""

    def __init__(self) -> None:
        self.active = self.peak = self.count = 0
        self.first = self.last = 0.0

    def app(self):
        """As the host wants it."""

        async def run(_inputs):
            self.first = self.first or time.perf_counter()
            self.active += 1
            self.peak = max(self.peak, self.active)
            await asyncio.sleep(RUN_S)
            self.active -= 1
            self.count += 1
            self.last = time.perf_counter()
            return {}

        return run

    def rate(self) -> float:
        """Runs per second, from the first start to the last end. Raises RuntimeError unless all were."""
        if self.count != RECORDS or self.peak > AT_ONCE:
            raise RuntimeError(f"{self.count} of {RECORDS} were run, {self.peak} at once")
        return RECORDS / (self.last - self.first)


def rate(bootstrap: str, number: int) -> float:
    """Runs per second of one window, from the first start to the last end."""
    topic, workflow = f"runs-{number}", Workflow()
    producer = Producer({"bootstrap.servers": bootstrap})
    for record in range(RECORDS):
        producer.produce(topic, b'{"n": 1}', f"k-{record}")
    producer.flush(30)
    settings = {
        "api_token": TOKEN,
        "app": {"app_id": "workflow"},
        "consume_topics": topic,
        "offset_reset": "earliest",
        "concurrency": str(AT_ONCE),
        "group_id": topic,
    }
    with BackgroundHost(
        endpoints={"bench": settings},
        bootstrap=bootstrap,
        apps={"workflow": workflow.app()},
        environment={"KAFKA_BRIDGE_MAX_RUNS": str(AT_ONCE)},
    ) as host:
        answer = httpx.post(
            f"{host.url('bench')}/consume",
            json={"max_records": RECORDS, "max_seconds": 120, "wait": True},
            headers={"Authorization": f"Bearer {TOKEN}"},
            timeout=180,
            trust_env=False,
        )
    told = answer.json()
    if told.get("succeeded") != RECORDS or told["lag"]:
        raise RuntimeError(f"the window did not do its work: {told}")
    return workflow.rate()


def bare_rate(folder: Path) -> float:
    """The same of a plugin that only runs the app."""
    workflow = Workflow()
    with BackgroundHost(endpoints={"bench": {}}, plugin=folder, apps={"workflow": workflow.app()}) as host:
        asked = {"runs": RECORDS, "at_once": AT_ONCE}
        httpx.post(f"{host.url('bench')}/webhook", params=asked, timeout=180, trust_env=False).raise_for_status()
    return workflow.rate()


def runs_row(rounds: int) -> tuple[str, str, str]:
    """The row; in turns, so that the machine's moods meet both."""
    broker = EmbeddedBroker()
    ours, bare = list[float](), list[float]()
    try:
        with tempfile.TemporaryDirectory() as scratch:
            folder = peer_folder(Path(scratch), "invoke")
            for number in range(rounds):
                bare.append(bare_rate(folder))
                ours.append(rate(broker.bootstrap, number))
    finally:
        broker.close()
    found, floor = statistics.median(ours), statistics.median(bare)
    share = statistics.median(a / b for a, b in zip(ours, bare, strict=True))
    beside = f"a plugin that only runs the app {floor:.1f}/s: {share:.3f} of it"
    return (
        f"workflows of {RUN_S * 1000:.0f} ms, {AT_ONCE} at once, through the plugin",
        f"{found:.1f}/s",
        f"ideal {IDEAL:.0f}/s: **{found / IDEAL:.3f}** (bar 0.95); {beside}",
    )
