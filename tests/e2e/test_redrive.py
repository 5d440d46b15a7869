"""Dead letters through the plugin's own process: seen, sent back, run again; also when the process is killed."""

import json
import threading
import time
from collections import Counter
from contextlib import suppress

import httpx
import pytest
from confluent_kafka import Consumer, TopicPartition

from devhost.broker import EmbeddedBroker
from devhost.host import BackgroundHost
from devhost.timing import Timing
from kafka_bridge.dispatch.deadletter import dead_letter
from kafka_bridge.events.record import Consumed, Record
from tests.brokers import wait_until
from tests.e2e.conftest import Consuming
from tests.e2e.consuming import Endpoint, Flow, event, fresh
from tests.e2e.topics import Topics

SLOW_MS = 100
LETTERS = 1000
# One part of the letters; runs at once, and those of the time until they are remembered.
IN_FLIGHT = {"topic": 200, "workflow": 8 + 150}


def boom(_):
    """A run that fails."""
    raise RuntimeError("no stock for köln")


def bury(shop: Endpoint, records) -> None:
    """Have them dead-lettered, and the app mended."""
    records = list(records)
    shop.flow.act = boom
    shop.produce(records)
    before = shop.totals["dead_lettered"]
    shop.consume_until(lambda totals: totals["dead_lettered"] == before + len(records))
    shop.flow.act = lambda inputs: {"seen": inputs["event_id"]}
    shop.flow.calls.clear()


def letters(shop: Endpoint, query: str = "") -> dict:
    """What the list says."""
    answer = shop.client.get(f"{shop.url}/dead-letters{query}", headers={"Authorization": f"Bearer {shop.token}"})
    assert answer.status_code == 200, answer.text
    return answer.json()


def redrive(shop: Endpoint, **asked) -> dict:
    """Counts of an order that succeeds."""
    answer = shop.post("/dead-letters/redrive", json.dumps({"dry_run": False, **asked}).encode())
    assert answer.status_code == 200, answer.text
    return answer.json()


def counts(told: dict) -> tuple:
    return tuple(told[name] for name in ("matched", "redriven", "skipped", "failed", "remaining"))


def test_what_failed_is_seen_and_goes_back_and_runs(consuming: Consuming, topics: Topics):
    shop = consuming(max_attempts="2")
    bury(shop, [event(n, key=f"k-{n % 2}", amount=n) for n in range(5)])

    found = letters(shop, "?limit=2")
    dry = redrive(shop, dry_run=True)
    told = redrive(shop)
    shop.consume_until(lambda totals: totals["succeeded"] == 5)

    assert len(found["dead_letters"]) == 2
    assert found["next"]
    newest = found["dead_letters"][0]
    assert newest["original"]["topic"] == shop.topic
    assert (newest["reason"], newest["attempts"], newest["kind"]) == ("attempts used up", 2, "failed")
    assert "no stock for köln" in newest["error"]
    assert json.loads(newest["value"])["n"] == newest["original"]["offset"]
    assert counts(dry) == (5, 0, 0, 0, 5)
    assert counts(told) == (5, 5, 0, 0, 0)
    assert sorted(shop.flow.ids()) == [f"e-{n}" for n in range(5)]
    assert counts(redrive(shop)) == (0, 0, 0, 0, 0)
    assert topics.count(shop.topic) == 10
    assert [letter["redriven"] for letter in letters(shop)["dead_letters"]] == [True] * 5


def test_a_record_that_fails_again_counts_on_and_stays_the_same_event(consuming: Consuming):
    shop = consuming(max_attempts="2")
    bury(shop, [{"value": b"no json", "key": b"\xff", "headers": [("a", b"1"), ("a", None)]}])
    redrive(shop)
    bury(shop, [])
    shop.flow.act = boom
    shop.consume_until(lambda totals: totals["dead_lettered"] == 2)

    newest, oldest = letters(shop)["dead_letters"]

    assert (newest["attempts"], newest["redrives"], oldest["attempts"]) == (4, 1, 2)
    assert newest["event_id"] == oldest["event_id"] == f"{shop.topic}-0-0"
    assert newest["first_failure"] == oldest["first_failure"]
    assert {call["event_id"] for call in shop.flow.calls} == {f"{shop.topic}-0-0"}


def test_straight_to_the_workflow_nothing_is_written(consuming: Consuming, topics: Topics):
    shop = consuming(max_attempts="1")
    bury(shop, [event(n) for n in range(6)])

    told = redrive(shop, to="workflow", filter={"event_id": "e-3"})
    rest = redrive(shop, to="workflow")

    assert (counts(told), counts(rest)) == ((1, 1, 0, 0, 0), (5, 5, 0, 0, 0))
    assert shop.flow.ids()[0] == "e-3"
    assert {(call["topic"], call["partition"], call["offset"]) for call in shop.flow.calls} == {
        (shop.topic, 0, n) for n in range(6)
    }
    assert topics.count(shop.topic) == 6


def test_a_run_that_fails_again_is_told_and_stays(consuming: Consuming):
    shop = consuming(max_attempts="1")
    bury(shop, [event(1)])
    shop.flow.act = boom

    answer = shop.post("/dead-letters/redrive", b'{"to": "workflow", "dry_run": false}')

    assert answer.status_code == 502
    assert counts(answer.json()) == (1, 0, 0, 1, 0)
    shop.flow.act = lambda _: {}
    assert counts(redrive(shop, to="workflow")) == (1, 1, 0, 0, 0)


def test_a_tombstone_and_an_empty_value_go_back_as_they_were(consuming: Consuming, topics: Topics):
    shop = consuming(max_attempts="1")
    bury(shop, [{"value": None, "key": b"k"}, {"value": b"", "key": b""}])
    redrive(shop)

    records = [(message.key(), message.value()) for message in topics.read(shop.topic)]

    assert sorted(records, key=repr) == sorted([(b"k", None), (b"", b"")] * 2, key=repr)


def test_where_nothing_was_dead_lettered_there_is_nothing(consuming: Consuming):
    shop = consuming()

    assert letters(shop)["dead_letters"] == []
    assert counts(redrive(shop)) == (0, 0, 0, 0, 0)


def test_a_broker_that_is_away_is_503_with_its_cause(consuming: Consuming):
    shop = consuming(bootstrap_servers="127.0.0.1:1")

    for answer in (
        shop.client.get(f"{shop.url}/dead-letters", headers={"Authorization": f"Bearer {shop.token}"}),
        shop.post("/dead-letters/redrive", b'{"dry_run": false}'),
    ):
        assert (answer.status_code, answer.json()["detail"]) == (503, "connection refused")
        assert answer.json()["type"] == "urn:kafka-bridge:unreadable"


@pytest.fixture
def slow_broker():
    """A broker that takes its time with every answer."""
    broker = EmbeddedBroker(rtt_ms=SLOW_MS)
    yield broker
    broker.close()


class Scene:
    """An endpoint at the slow broker, with letters; its plugin is killed."""

    def __init__(self, shop: Endpoint, to: str) -> None:
        self.shop = shop
        self.to = to
        self._reader = Consumer({"bootstrap.servers": shop.bootstrap, "group.id": "tests", "log_level": 0})
        self._reader.assign([TopicPartition(shop.topic, number, 0) for number in range(4)])
        self._ids: list[str] = []
        letters = [
            dead_letter(
                Consumed(Record(shop.topic, b"{}", f"k-{n % 7}".encode(), (("ce_id", f"e-{n}".encode()),)), n % 4, n),
                None,
                topic=f"{shop.topic}.dead-letter",
                group=shop.group,
                attempts=1,
                reason="too old",
            )
            for n in range(LETTERS)
        ]
        shop.produce(
            (
                {"value": one.value, "key": one.key, "headers": list(one.headers), "partition": n % 4}
                for n, one in enumerate(letters)
            ),
            topic=f"{shop.topic}.dead-letter",
        )

    def arrived(self) -> list[str]:
        """The ids of what was sent back, or run; copies included."""
        if self.to == "workflow":
            return list(self.shop.flow.ids())
        for message in self._reader.consume(1000, 0.01):
            assert message.error() is None, message.error()
            self._ids.append(dict(message.headers() or [])["ce_id"].decode())
        return self._ids

    def settled(self) -> list[str]:
        """The same, once it has not changed for a while."""
        found = [len(self.arrived())]

        def is_quiet() -> bool:
            found.append(len(self.arrived()))
            return len(found) > 100 and len(set(found[-60:])) == 1

        wait_until(is_quiet, 60)
        return self.arrived()

    def begin(self) -> None:
        """Send all back, and do not wait for it."""

        def post() -> None:
            with suppress(httpx.HTTPError):
                self.shop.post(
                    "/dead-letters/redrive", json.dumps({"dry_run": False, "to": self.to, "count": LETTERS}).encode()
                )

        threading.Thread(target=post, daemon=True).start()

    def close(self) -> None:
        self._reader.close()


def _is_up(client: httpx.Client, shop: Endpoint) -> bool:
    with suppress(httpx.HTTPError):
        return client.get(f"{shop.url}/health", timeout=2).status_code in {200, 503}
    return False


@pytest.mark.slow
@pytest.mark.parametrize("to", ["topic", "workflow"])
def test_killed_in_the_middle_and_repeated_every_letter_arrives_and_few_do_twice(
    slow_broker: EmbeddedBroker, token: str, to: str, figures
):
    flow = Flow()
    flow.act = lambda _: {"ok": threading.Event().wait(0.005)}
    topic, group = fresh("orders"), fresh("group")
    settings = {
        "api_token": token,
        "app": {"app_id": "flow"},
        "consume_topics": topic,
        "group_id": group,
        "concurrency": "8",
    }
    with (
        httpx.Client(trust_env=False, timeout=200) as client,
        BackgroundHost(
            endpoints={"shop": settings},
            bootstrap=slow_broker.bootstrap,
            apps={"flow": flow},
            timing=Timing(restart_tick_s=0.2),
        ) as host,
    ):
        shop = Endpoint(host.url("shop"), token, client, flow, topic, group, slow_broker.bootstrap)
        scene = Scene(shop, to)
        for part in (4, 2):
            wait_until(lambda: _is_up(client, shop))
            scene.begin()
            wait_until(lambda wanted=LETTERS // part: len(scene.arrived()) >= wanted, 90)
            starts = host.host.plugin.starts
            host.kill_plugin()
            wait_until(lambda starts=starts: host.host.plugin.starts != starts)
        before = len(scene.settled())
        told, again = redrive(shop, to=to, max_seconds=120), redrive(shop, to=to)
        ids = Counter(scene.settled())
        scene.close()

    figures(
        f"redrive to the {to}, killed twice: {LETTERS} letters, {ids.total() - LETTERS} arrived twice;"
        f" {told['redriven']} of them after the last kill"
    )
    assert set(ids) == {f"e-{n}" for n in range(LETTERS)}
    assert counts(told) == (told["redriven"], told["redriven"], 0, 0, 0)
    assert counts(again) == (0, 0, 0, 0, 0)
    # Every one that was told is there, and nothing else came.
    assert ids.total() == before + told["redriven"]
    # Of each kill what was on its way, and what ended while the commit before was.
    assert ids.total() - LETTERS <= 2 * IN_FLIGHT[to]


@pytest.mark.slow
def test_nobody_waits_for_somebody_elses_dead_letters(consuming: Consuming):
    shop, other = consuming(max_attempts="1"), consuming()
    shop.produce(
        [{"value": b"x" * 300, "headers": [("__connect.errors.topic", shop.topic.encode())]} for _ in range(5000)],
        topic=f"{shop.topic}.dead-letter",
    )
    waits, stop = [], threading.Event()

    def ask():
        while not stop.is_set():
            began = time.monotonic()
            assert other.client.get(f"{other.url}/health").status_code in {200, 503}
            waits.append(time.monotonic() - began)

    asking = threading.Thread(target=ask)
    asking.start()
    wait_until(lambda: len(waits) >= 50, 60)
    alone = sorted(waits)
    waits.clear()
    told = redrive(shop, count=5000, max_seconds=60)
    letters(shop)
    stop.set()
    asking.join(20)
    beside = sorted(waits)

    assert counts(told) == (5000, 5000, 0, 0, 0)
    # A call of the client library on the hub would be a tenth of a second for everybody, again and again.
    assert len(beside) >= 20
    assert beside[len(beside) // 2] < max(0.1, 5 * alone[len(alone) // 2]), (alone[-3:], beside[-3:])
    assert shop.committed() == -1001, "the endpoint's own group is nobody's business here"


def test_only_the_group_of_its_own_remembers(consuming: Consuming):
    shop = consuming(max_attempts="1")
    bury(shop, [event(n) for n in range(3)])
    redrive(shop)

    mine = Endpoint(**{**vars(shop), "group": f"{shop.group}.redrive", "topic": f"{shop.topic}.dead-letter"})
    ends = {number: mine.committed(number) for number in range(4)}

    assert sum(max(0, offset) for offset in ends.values()) == 3
    assert shop.committed() == 3
