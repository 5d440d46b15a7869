"""Workflows of 200 ms through the plugin behind the local host: how close `/consume` comes to what 32 at once allow."""

import asyncio
import statistics
import time

import httpx
from confluent_kafka import Producer

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
    if told.get("succeeded") != RECORDS or workflow.count != RECORDS or workflow.peak > AT_ONCE or told["lag"]:
        raise RuntimeError(f"{workflow.count} of {RECORDS} were run, {workflow.peak} at once: {told}")
    return RECORDS / (workflow.last - workflow.first)


def runs_row(rounds: int) -> tuple[str, str, str]:
    """The row."""
    broker = EmbeddedBroker()
    try:
        found = statistics.median(rate(broker.bootstrap, number) for number in range(rounds))
    finally:
        broker.close()
    return (
        f"workflows of {RUN_S * 1000:.0f} ms, {AT_ONCE} at once, through the plugin",
        f"{found:.1f}/s",
        f"ideal {IDEAL:.0f}/s: **{found / IDEAL:.3f}** (bar 0.95)",
    )
