"""The brokers that tests run on, and connections to them."""

import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from devhost.broker import EmbeddedBroker
from kafka_bridge.broker import config
from kafka_bridge.broker.bridge import Connection
from kafka_bridge.broker.kafka.producer import KafkaProducer
from kafka_bridge.broker.loops import Loop, ThreadLoop
from kafka_bridge.broker.trust import default_ca_file
from kafka_bridge.clock import Clock
from kafka_bridge.dify.hooks import compile_hook
from kafka_bridge.settings.cluster import Cluster
from tests.real.kafka import RealKafka, fetch_jars, missing_part

REPOSITORY = Path(__file__).resolve().parent.parent
SYSTEM_CLOCK = Clock(now=time.time, monotonic=time.monotonic)
SOAK = bool(os.environ.get("SOAK"))

type Connect = Callable[..., Connection]


@dataclass(frozen=True)
class Broker:
    """A broker that speaks plaintext; `real` is False for the embedded one."""

    bootstrap: str
    real: bool


def cluster_of(**saved: object) -> Cluster:
    """The cluster of saved settings, by the way that an endpoint's settings take."""
    return compile_hook(saved).target()


def wait_until(condition: Callable[[], bool], timeout_s: float = 15.0) -> None:
    """Wait for a condition; fail the test when it does not come true."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "the condition did not come true in time"
        time.sleep(0.01)  # noqa: TID251 - between two looks at the condition


@pytest.fixture(scope="session")
def embedded() -> Iterator[Broker]:
    """Librdkafka's mock cluster."""
    broker = EmbeddedBroker()
    yield Broker(broker.bootstrap, real=False)
    broker.close()


@pytest.fixture(scope="session")
def jars() -> Path:
    """The jars of Apache Kafka. Without Java or Maven the test is skipped, or fails where CI=true."""
    if missing := missing_part():
        reason = f"no real Kafka: {missing}"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    return fetch_jars(REPOSITORY / ".cache")


@pytest.fixture(scope="session")
def kafka(jars: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealKafka]:
    """A real broker with users, rights and topics; nobody stops or freezes it."""
    broker = RealKafka(tmp_path_factory.mktemp("kafka") / "broker", jars)
    try:
        broker.start()
        broker.prepare()
        yield broker
    finally:
        broker.stop()


@pytest.fixture(params=["embedded", pytest.param("real", marks=pytest.mark.real)])
def broker(request: pytest.FixtureRequest) -> Broker:
    """Both brokers, one after the other. TEST_KAFKA=HOST:PORT takes the place of the real one."""
    if request.param == "embedded":
        return request.getfixturevalue("embedded")
    if named := os.environ.get("TEST_KAFKA"):
        return Broker(named, real=True)
    return Broker(request.getfixturevalue("kafka").bootstrap, real=True)


@pytest.fixture
def connect() -> Iterator[Connect]:
    """Connections to a cluster, closed at the end of the test."""
    opened: list[Connection] = []

    def make(cluster: Cluster, *, loop: Loop | None = None, on_idle: Callable[[], bool] = lambda: True) -> Connection:
        properties = config.producer_properties(cluster, ca_file=default_ca_file())
        connection = Connection(
            lambda on_trouble: KafkaProducer(properties, on_trouble),
            name=",".join(cluster.servers),
            loop=loop or ThreadLoop(),
            clock=SYSTEM_CLOCK,
            on_idle=on_idle,
        )
        opened.append(connection)
        return connection

    yield make
    for connection in opened:
        connection.close()
