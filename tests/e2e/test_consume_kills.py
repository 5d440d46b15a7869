"""The plugin's process is killed between any two steps of a record: every record ends as a result or a dead letter.

The steps are seen from outside: the app itself kills before it does anything or after it has, and a watcher of the
result topic kills when the first result of a batch lies there, or the last one, which is before the commit.
"""

import json
import threading
from collections import Counter
from collections.abc import Iterator
from enum import StrEnum

import httpx
import pytest
from confluent_kafka import Consumer, TopicPartition

from devhost.broker import EmbeddedBroker
from devhost.host import BackgroundHost
from devhost.timing import Timing
from tests.brokers import SOAK, wait_until
from tests.e2e.consuming import Endpoint, Flow, event

pytestmark = pytest.mark.slow

ROUNDS = 4 if SOAK else 1
BATCH = 12
KEYS = 3
PARTITIONS = 2
RESULTS = "results"


class Step(StrEnum):
    """Where the process is killed."""

    BEFORE_RUN = "before the run"
    AFTER_RUN = "after the run"
    AFTER_RESULT = "after the result"
    BEFORE_COMMIT = "before the commit"


class Killing(Flow):
    """An app that logs what it does, fails for some records for good, and kills at the armed step."""

    def __init__(self) -> None:
        super().__init__()
        self.act = self._run
        self.host: BackgroundHost
        self.effects: list[int] = []
        self._armed: Step | None = None
        self._lock = threading.Lock()

    def arm(self, step: Step) -> None:
        """Kill at the next occasion."""
        self._armed = step

    @property
    def armed(self) -> bool:
        """Whether the kill is still to come."""
        return self._armed is not None

    def kill_at(self, step: Step) -> bool:
        """Kill if this is the step, and return when the process is gone."""
        with self._lock:
            if self._armed is not step:
                return False
            pid = self.host.pid
            self.host.kill_plugin()
            wait_until(lambda: self.host.pid != pid)
            self._armed = None
            return True

    def _run(self, inputs):
        if self.kill_at(Step.BEFORE_RUN):
            return {}
        self.effects.append(inputs["n"])
        self.kill_at(Step.AFTER_RUN)
        if inputs["n"] % 10 == 7:
            raise RuntimeError("for good")
        return {"n": inputs["n"]}


@pytest.fixture
def slow_broker() -> Iterator[EmbeddedBroker]:
    """A broker whose answers take so long that a kill finds acknowledgements on their way."""
    broker = EmbeddedBroker(rtt_ms=30)
    yield broker
    broker.close()


class Scene:
    """One endpoint, what was sent to it, and what has come of it."""

    def __init__(self, shop: Endpoint, flow: Killing) -> None:
        self.shop = shop
        self.flow = flow
        self.sent = 0
        self._outcomes: list[int] = []
        self._reader = Consumer(
            {"bootstrap.servers": shop.bootstrap, "group.id": "tests", "fetch.wait.max.ms": 10, "log_level": 0}
        )
        topics = (RESULTS, f"{shop.topic}.dead-letter")
        # The embedded broker gives every topic four.
        self._reader.assign([TopicPartition(topic, number, 0) for topic in topics for number in range(4)])

    def send(self) -> None:
        """One more batch."""
        numbers = range(self.sent, self.sent + BATCH)
        self.sent += BATCH
        self.shop.produce(event(n, key=f"k-{n % KEYS}") | {"partition": n % KEYS % PARTITIONS} for n in numbers)

    def outcomes(self) -> list[int]:
        """The numbers of all results and dead letters, copies included."""
        for message in self._reader.consume(1000, 0.005):
            assert message.error() is None, message.error()
            key, value = message.key() or b"", message.value() or b""
            self._outcomes.append(int(key[2:]) if message.topic() == RESULTS else json.loads(value)["n"])
        return self._outcomes

    def close(self) -> None:
        """Read no more."""
        self._reader.close()

    def committed(self) -> list[int]:
        """Committed offsets; 0 where there is none."""
        return [max(0, self.shop.committed(number)) for number in range(PARTITIONS)]

    def offsets(self, partition: int) -> list[int]:
        """The numbers that lie in a partition, by their offsets."""
        return [n for n in range(self.sent) if n % KEYS % PARTITIONS == partition]

    def check(self) -> None:
        """Nothing that is not done lies below a committed offset."""
        below = [n for at, offset in enumerate(self.committed()) for n in self.offsets(at)[:offset]]
        # What is done and not read yet was done before it was committed.
        wait_until(lambda: set(below) <= set(self.outcomes()))

    def drive(self, until) -> None:
        """Windows, one after the other, until a condition; one whose process is gone is not waited for."""
        plugin = self.flow.host.host.plugin
        while not until():
            self._drive(plugin, plugin.starts, until)

    def _drive(self, plugin, starts: int, until) -> None:
        window = threading.Thread(target=self._window, daemon=True)
        window.start()
        wait_until(lambda: not window.is_alive() or plugin.starts != starts or until(), 60)

    def _window(self) -> None:
        try:
            self.shop.post("/consume", b'{"max_seconds": 2, "wait": true}')
        except httpx.HTTPError:
            # It went with its process.
            return


def test_no_record_is_lost_whenever_the_process_is_killed(slow_broker, figures):
    flow = Killing()
    settings = {
        "api_token": "token",
        "app": {"app_id": "flow"},
        "consume_topics": "orders",
        "offset_reset": "earliest",
        "result_topic": RESULTS,
        "max_attempts": "1",
        # A member that was killed is missed after this; the broker itself waits for 3 s when a group is new.
        "client_config": json.dumps({"session.timeout.ms": 4000, "heartbeat.interval.ms": 500}),
    }
    with (
        httpx.Client(trust_env=False, timeout=60) as client,
        BackgroundHost(
            endpoints={"shop": settings},
            bootstrap=slow_broker.bootstrap,
            apps={"flow": flow},
            timing=Timing(restart_tick_s=0.2),
        ) as host,
    ):
        flow.host = host
        shop = Endpoint(host.url("shop"), "token", client, flow, "orders", "kafka-bridge", slow_broker.bootstrap)
        scene = Scene(shop, flow)
        for step in [*Step] * ROUNDS:
            before = len(set(scene.outcomes()))
            scene.send()
            flow.arm(step)

            def watch(step=step, before=before) -> bool:
                wanted = {Step.AFTER_RESULT: 1, Step.BEFORE_COMMIT: BATCH}.get(step)
                if wanted is not None and flow.armed and len(set(scene.outcomes())) - before >= wanted:
                    flow.kill_at(step)
                return not flow.armed

            scene.drive(watch)
            scene.check()
        ends = [len(scene.offsets(number)) for number in range(PARTITIONS)]
        scene.drive(lambda: scene.committed() == ends)
        starts = host.host.plugin.starts
        scene.outcomes()
        scene.close()

    outcomes, runs = Counter(scene._outcomes), Counter(flow.effects)
    figures(
        f"kills: {scene.sent} records over {starts} processes, {runs.total() - len(runs)} runs and"
        f" {outcomes.total() - len(outcomes)} results or dead letters were repeated"
    )
    assert starts > len(Step) * ROUNDS
    assert set(outcomes) == set(runs) == set(range(scene.sent))
    first = list(dict.fromkeys(flow.effects))
    for key in range(KEYS):
        of_key = [n for n in first if n % KEYS == key]
        assert of_key == sorted(of_key)
