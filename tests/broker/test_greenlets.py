"""The bridge on the gevent hub: whatever Kafka does, no greenlet waits for anybody else's record."""

import socket
import subprocess
import sys
import time
from collections.abc import Iterator

import gevent
import pytest

from devhost.broker import EmbeddedBroker
from kafka_bridge.broker.greenlets import GeventLoop
from kafka_bridge.broker.loops import Interrupted, ThreadLoop
from kafka_bridge.errors import BridgeError, Cause, Unavailable
from kafka_bridge.events.record import Record
from tests.brokers import REPOSITORY, Broker, Connect, cluster_of, wait_until

TICK_S = 0.01


class Ticker:
    """Counts how often the hub got round; use it as a context manager around what might stall it."""

    def __enter__(self) -> "Ticker":
        self.ticks, self.worst_s, self._started = 0, 0.0, time.monotonic()
        self._greenlet = gevent.spawn(self._run)
        gevent.sleep(0)
        return self

    def __exit__(self, *_: object) -> None:
        self.seconds = time.monotonic() - self._started
        self._greenlet.kill()

    def _run(self) -> None:
        while True:
            before = time.monotonic()
            gevent.sleep(TICK_S)
            self.worst_s = max(self.worst_s, time.monotonic() - before - TICK_S)
            self.ticks += 1


@pytest.fixture
def loop() -> GeventLoop:
    return GeventLoop()


@pytest.fixture
def black_hole() -> Iterator[str]:
    """An address that takes connections and never says a word."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(64)
        yield f"127.0.0.1:{listener.getsockname()[1]}"


def test_many_greenlets_publish_at_once_over_one_connection(embedded: Broker, connect: Connect, loop):
    connection = connect(cluster_of(bootstrap_servers=embedded.bootstrap), loop=loop)
    record = Record(topic="greenlets", value=b"x")

    greenlets = [gevent.spawn(connection.send, record, timeout_s=20) for _ in range(100)]
    gevent.joinall(greenlets, raise_error=True)

    assert len({(g.value.partition, g.value.offset) for g in greenlets}) == 100


@pytest.mark.parametrize("servers", ["127.0.0.1:1", "no-such-host.invalid:9092", "black hole"])
def test_the_hub_goes_round_while_a_cluster_is_away(connect: Connect, loop, black_hole, servers):
    connection = connect(cluster_of(bootstrap_servers=black_hole if servers == "black hole" else servers), loop=loop)

    with Ticker() as ticker:
        sending = gevent.spawn(outcome, connection, timeout_s=2)
        sending.join()

    assert isinstance(sending.value, Unavailable)
    # A stalled hub would have gone round once or twice; a busy machine takes its share of the ticks.
    assert ticker.ticks > ticker.seconds / TICK_S / 4


def test_the_hub_goes_round_while_a_producer_asks_its_issuer_for_a_token(connect: Connect, loop, black_hole):
    connection = connect(
        cluster_of(
            bootstrap_servers=black_hole,
            security_protocol="SASL_PLAINTEXT",
            sasl_mechanism="OAUTHBEARER",
            sasl_username="client",
            sasl_password="secret",
            oauth_token_url=f"http://{black_hole}/token",
        ),
        loop=loop,
    )

    with Ticker() as ticker:
        sending = gevent.spawn(outcome, connection, timeout_s=2)
        sending.join()

    assert isinstance(sending.value, Unavailable)
    assert ticker.ticks > ticker.seconds / TICK_S / 4


def test_a_caller_that_waits_no_longer_than_it_said(connect: Connect, loop, black_hole):
    connection = connect(cluster_of(bootstrap_servers=black_hole), loop=loop)
    started = time.monotonic()

    error = outcome(connection, timeout_s=0.5)

    assert error.cause is Cause.NOT_ACKNOWLEDGED
    assert 0.4 < time.monotonic() - started < 2


def test_a_caller_that_was_killed_harms_nobody(embedded: Broker, connect: Connect, loop):
    connection = connect(cluster_of(bootstrap_servers=embedded.bootstrap), loop=loop)
    connection.send(Record(topic="greenlets", value=b"x"), timeout_s=20)

    for _ in range(20):
        killed = gevent.spawn(connection.send, Record(topic="greenlets", value=b"x"), timeout_s=20)
        gevent.sleep(0)
        killed.kill()

    assert connection.send(Record(topic="greenlets", value=b"x"), timeout_s=20).offset is not None
    wait_until(lambda: gevent.sleep(0) is None and connection.waiting == 0)


def test_tasks_from_native_threads_all_run_and_in_order(loop):
    seen: list[int] = []
    for thread in range(4):
        loop.start_thread(
            lambda thread=thread: [
                loop.post(lambda n=n: seen.append(n)) for n in range(thread * 1000, thread * 1000 + 1000)
            ]
        )

    deadline = time.monotonic() + 10
    while len(seen) < 4000 and time.monotonic() < deadline:
        gevent.sleep(0.01)

    assert len(seen) == 4000
    for thread in range(4):
        mine = [n for n in seen if n // 1000 == thread]
        assert mine == sorted(mine)


def test_a_caller_may_be_woken_by_another_one(loop):
    waiter = loop.waiter()
    waiting = gevent.spawn(waiter.wait, 5)
    gevent.sleep(0)

    waiter.wake()
    waiting.join(timeout=5)

    assert waiting.value is True


def test_a_cluster_that_is_closed_under_its_callers_lets_them_go(connect: Connect, loop, black_hole):
    connection = connect(cluster_of(bootstrap_servers=black_hole), loop=loop)
    sending = [gevent.spawn(outcome, connection, timeout_s=20) for _ in range(3)]
    gevent.sleep(0.05)

    connection.close()
    gevent.joinall(sending, timeout=5)

    assert [greenlet.value.cause for greenlet in sending] == [Cause.NOT_ACKNOWLEDGED] * 3


def test_a_broker_that_is_slow_to_answer_is_used(connect: Connect, loop):
    broker = EmbeddedBroker(rtt_ms=500)
    try:
        connection = connect(cluster_of(bootstrap_servers=broker.bootstrap), loop=loop)

        assert outcome(connection, timeout_s=9) is None
    finally:
        broker.close()


FORK = """
import os, sys, time, warnings
from gevent import monkey; monkey.patch_all(sys=True)
sys.path.insert(0, {repository!r})
from kafka_bridge.broker import config
from kafka_bridge.broker.bridge import Connection
from devhost.broker import EmbeddedBroker
from kafka_bridge.broker.greenlets import GeventLoop
from kafka_bridge.broker.kafka.producer import KafkaProducer
from kafka_bridge.broker.registry import ProducerRegistry
from kafka_bridge.clock import Clock
from kafka_bridge.events.record import Record
from kafka_bridge.settings.cluster import Cluster

cluster, loop = Cluster(servers=({bootstrap!r},), protocol="PLAINTEXT"), GeventLoop()
def connect(cluster, on_idle):
    properties = config.producer_properties(cluster, ca_file="")
    return Connection(lambda on_trouble: KafkaProducer(properties, on_trouble), name="x", loop=loop,
                      clock=Clock(time.time, time.monotonic), on_idle=on_idle)
registry = ProducerRegistry(connect)
def send(who):
    registry.lease(cluster).send(Record(topic="fork", value=who), timeout_s=20)
    print(who.decode(), "acknowledged", flush=True)
send(b"parent before")
child = os.fork()
if child == 0:
    send(b"child")
    os._exit(0)
os.waitpid(child, 0)
send(b"parent after")
os._exit(0)
"""


def test_a_child_process_makes_connections_of_its_own(embedded: Broker):
    script = FORK.format(repository=str(REPOSITORY), bootstrap=embedded.bootstrap)

    done = subprocess.run([sys.executable, "-W", "ignore", "-c", script], capture_output=True, text=True, timeout=60)

    assert done.stdout.splitlines() == [
        "parent before acknowledged",
        "child acknowledged",
        "parent after acknowledged",
    ], done.stderr


class TestDeadline:
    def test_what_waits_too_long_is_left(self, loop):
        started = time.monotonic()

        with pytest.raises(TimeoutError), loop.deadline(0.05):
            gevent.sleep(60)

        assert 0.04 < time.monotonic() - started < 10

    @pytest.mark.parametrize("seconds", [0, -1])
    def test_no_time_at_all_is_over_with_the_first_wait(self, loop, seconds):
        with pytest.raises(TimeoutError), loop.deadline(seconds):
            gevent.sleep(60)

    def test_what_is_over_in_time_is_not_touched(self, loop):
        with loop.deadline(0.05):
            pass
        gevent.sleep(0.1)

    def test_each_ends_its_own_block(self, loop):
        ended = []

        def nested():
            try:
                with loop.deadline(60):
                    gevent.sleep(60)
            except TimeoutError:
                ended.append("inner")

        with pytest.raises(TimeoutError), loop.deadline(0.05):
            nested()
        with loop.deadline(60), pytest.raises(TimeoutError), loop.deadline(0.05):
            gevent.sleep(60)

        assert ended == []

    def test_in_threads_nothing_is_interrupted(self):
        with ThreadLoop().deadline(0):
            time.monotonic()


class TestInterruptible:
    def test_what_waits_is_left_when_somebody_else_says_so(self, loop):
        with pytest.raises(Interrupted):
            interrupted(loop, lambda: gevent.sleep(60))

    def test_twice_is_once(self, loop):
        with pytest.raises(Interrupted):
            interrupted(loop, lambda: gevent.sleep(60), times=2)
        gevent.sleep(0.05)

    def test_blocks_inside_it_are_left_too(self, loop):
        def nested():
            with loop.deadline(60), loop.interruptible():
                gevent.sleep(60)

        with pytest.raises(Interrupted):
            interrupted(loop, nested)

    def test_what_is_over_is_not_touched(self, loop):
        with loop.interruptible() as interrupt:
            pass
        interrupt()
        gevent.sleep(0.05)

    def test_in_threads_nothing_is_interrupted(self):
        with ThreadLoop().interruptible() as interrupt:
            interrupt()


def interrupted(loop, task, times=1):
    with loop.interruptible() as interrupt:
        for _ in range(times):
            gevent.spawn(interrupt)
        task()


def outcome(connection, *, timeout_s: float) -> BridgeError | None:
    try:
        connection.send(Record(topic="greenlets", value=b"x"), timeout_s=timeout_s)
    except BridgeError as error:
        return error
    return None
