"""`POST /consume` through the plugin's own process: what becomes of records, and what the caller is told."""

import re
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.brokers import wait_until
from tests.e2e.conftest import Consuming
from tests.e2e.consuming import ANSWER, API_DOWN, NOT_PUBLISHED, event, headers_of
from tests.e2e.topics import Topics

NOW = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")


def boom(inputs):
    """A run that fails."""
    raise RuntimeError("boom")


class TestAnswer:
    def test_it_says_what_happened_and_that_nothing_is_left(self, consuming: Consuming):
        shop = consuming()
        shop.produce(event(n) for n in range(3))

        told = shop.consume_until(lambda totals: totals["consumed"] == 3)
        last = shop.consume()

        assert set(told) == ANSWER
        assert (told["succeeded"], told["failed"], told["retried"], told["dead_lettered"]) == (3, 0, 0, 0)
        assert (told["lag"], last["lag"]) == (0, 0)
        assert (last["consumed"], last["ended_by"]) == (0, "caught_up")
        assert shop.committed() == 3

    def test_so_many_records_and_no_more(self, consuming: Consuming):
        shop = consuming(ordering="partition")
        shop.produce(event(n) for n in range(5))

        told = shop.consume(max_records=2, wait=True)

        assert (told["consumed"], told["ended_by"], told["lag"]) == (2, "max_records", 3)
        assert shop.flow.ids() == ["e-0", "e-1"]
        assert shop.committed() == 2

    def test_so_long_and_what_was_started_ends_within_the_window(self, consuming: Consuming):
        shop = consuming(ordering="partition")
        shop.flow.act = lambda inputs: {"waited": threading.Event().wait(1.5)}
        shop.produce(event(n) for n in range(9))

        told = shop.consume_until(lambda totals: totals["consumed"] > 0, max_seconds=1)

        assert told["ended_by"] == "max_seconds"
        assert told["succeeded"] == told["consumed"] == shop.committed()
        assert told["lag"] == 9 - told["consumed"]

    def test_waiting_for_records_takes_the_whole_window_and_runs_what_comes(self, consuming: Consuming):
        shop = consuming()
        # To join the group takes as long as the broker likes.
        shop.produce([event(0)])
        assert shop.consume()["succeeded"] == 1
        with ThreadPoolExecutor() as pool:
            window = pool.submit(shop.consume, max_seconds=4, wait=True)
            shop.produce([event(1)])
            told = window.result()

        assert (told["succeeded"], told["ended_by"], told["lag"]) == (1, "max_seconds", 0)

    def test_a_second_window_at_the_same_time_is_refused(self, consuming: Consuming):
        shop, release = consuming(), threading.Event()
        shop.flow.act = lambda inputs: {"released": release.wait(20)}
        shop.produce([event(1)])
        with ThreadPoolExecutor() as pool:
            window = pool.submit(shop.consume, max_records=1, wait=True)
            wait_until(lambda: bool(shop.flow.calls))
            refused = shop.post("/consume")
            release.set()
            told = window.result()

        assert (refused.status_code, refused.headers["retry-after"]) == (429, "5")
        assert refused.json()["type"] == "urn:kafka-bridge:busy"
        assert told["succeeded"] == 1


class TestFailures:
    def test_a_record_that_fails_again_and_again_is_dead_lettered_as_it_was(self, consuming: Consuming, topics: Topics):
        shop = consuming(max_attempts="2")
        shop.flow.act = boom
        headers = [("ce_id", b"e-1"), ("x", b"\xff\x00"), ("x", None), ("", b"")]
        shop.produce([{"key": b"\xfe\x00key", "value": b'\xff{"a": 1} ', "headers": headers}])

        told = shop.consume_until(lambda totals: totals["dead_lettered"] == 1)
        (letter,) = topics.read(f"{shop.topic}.dead-letter")

        assert dict(shop.totals) == {"consumed": 1, "succeeded": 0, "failed": 2, "retried": 1, "dead_lettered": 1}
        assert told["lag"] == 0
        assert (letter.key(), letter.value()) == (b"\xfe\x00key", b'\xff{"a": 1} ')
        assert letter.headers()[:4] == headers
        added = {name: value.decode() for name, value in letter.headers()[4:]}
        assert {name.removeprefix("__connect.errors."): text for name, text in added.items() if "connect" in name} == {
            "topic": shop.topic,
            "partition": "0",
            "offset": "0",
            "connector.name": shop.group,
            "stage": "TASK_PUT",
            "class.name": "kafka_bridge.dispatch",
            "exception.class.name": "failed",
            "exception.message": "attempts used up: boom",
        }
        assert added["kafka-bridge-attempts"] == "2"
        assert added["kafka-bridge-run-id"]
        first, last = added["kafka-bridge-first-failure"], added["kafka-bridge-last-failure"]
        assert NOW.fullmatch(first)
        assert NOW.fullmatch(last)
        assert first < last

    def test_what_succeeds_in_the_end_is_not_dead_lettered(self, consuming: Consuming, topics: Topics):
        shop = consuming()
        shop.flow.act = lambda inputs: {"ok": 1} if len(shop.flow.calls) > 1 else boom(inputs)
        shop.produce([event(1)])

        shop.consume_until(lambda totals: totals["succeeded"] == 1)

        assert dict(shop.totals) == {"consumed": 1, "succeeded": 1, "failed": 1, "retried": 1, "dead_lettered": 0}
        assert topics.count(f"{shop.topic}.dead-letter") == 0

    def test_a_refused_input_is_dead_lettered_at_once_with_dify_s_words(self, consuming: Consuming, topics: Topics):
        shop = consuming()
        shop.flow.form = [{"json_object": {"variable": "order", "required": True}}]
        shop.produce([event(1, order=[1, 2]), event(2, order={"id": 7}), event(3)])

        shop.consume_until(lambda totals: totals["dead_lettered"] == 2)
        letters = topics.read(f"{shop.topic}.dead-letter")

        assert dict(shop.totals) == {"consumed": 3, "succeeded": 1, "failed": 2, "retried": 0, "dead_lettered": 2}
        assert shop.flow.calls == [{"order": {"id": 7}}]
        assert sorted(headers_of(letter)["__connect.errors.exception.message"] for letter in letters) == [
            b"input refused: order in input form must be a dict",
            b"input refused: order is required in input form",
        ]

    def test_a_poison_record_of_one_key_does_not_hold_up_the_others(self, consuming: Consuming):
        shop = consuming(max_attempts="4")
        shop.flow.act = lambda inputs: boom(inputs) if inputs["event_id"] == "e-0" else {}
        shop.produce(event(n, key="hot" if n % 2 == 0 else f"k-{n}") for n in range(20))

        shop.consume_until(lambda totals: totals["dead_lettered"] == 1)
        shop.consume_until(lambda totals: totals["succeeded"] == 19)
        order = shop.flow.ids()

        retries = [place for place, event_id in enumerate(order) if event_id == "e-0"]
        assert len(retries) == 4
        assert {f"e-{n}" for n in range(1, 20, 2)} <= set(order[: retries[2]]), "the other keys waited"
        assert [event_id for event_id in order[retries[-1] + 1 :] if int(event_id[2:]) % 2 == 0] == [
            f"e-{n}" for n in range(2, 20, 2)
        ]

    def test_order_holds_per_key_although_runs_fail_and_overlap(self, consuming: Consuming):
        shop = consuming(concurrency="4", max_attempts="9")
        failed, lock, done = set(), threading.Lock(), []

        def act(inputs):
            with lock:
                if inputs["n"] % 5 == 0 and inputs["n"] not in failed:
                    failed.add(inputs["n"])
                    boom(inputs)
            threading.Event().wait(0.005 * (inputs["n"] % 3))
            with lock:
                done.append((inputs["key"], inputs["n"]))
            return {}

        shop.flow.act = act
        shop.produce(event(n, key=f"k-{n % 3}") for n in range(30))

        shop.consume_until(lambda totals: totals["succeeded"] == 30)

        assert shop.totals["failed"] == 6
        for key in ("k-0", "k-1", "k-2"):
            assert [n for found, n in done if found == key] == list(range(int(key[2:]), 30, 3))


class TestOutages:
    def test_while_the_app_is_down_nothing_is_dead_lettered_and_then_it_goes_on(
        self, consuming: Consuming, topics: Topics
    ):
        shop = consuming(max_attempts="1", max_age_seconds="60")
        shop.flow.down = API_DOWN
        shop.produce(event(n) for n in range(20))

        down = shop.consume_until(lambda _: shop.flow.asked >= 3, max_seconds=3)
        asked = shop.flow.asked
        shop.flow.down = ""
        shop.consume_until(lambda totals: totals["succeeded"] == 20, max_seconds=5)

        assert down["ended_by"] == "paused"
        assert "connection refused" in down["reason"]
        assert down["lag"] == 20
        # One probe at a time: an outage costs no storm of requests.
        assert asked < 10
        assert shop.totals["dead_lettered"] == 0
        assert topics.count(f"{shop.topic}.dead-letter") == 0
        assert sorted(shop.flow.ids()) == sorted(f"e-{n}" for n in range(20))

    def test_an_outage_in_the_middle_of_a_window_is_sat_out_in_it(self, consuming: Consuming):
        shop = consuming(ordering="partition", max_attempts="1")
        shop.produce(event(n) for n in range(6))

        def act(inputs):
            if len(shop.flow.calls) == 3:
                shop.flow.down = API_DOWN
                threading.Timer(1.0, setattr, (shop.flow, "down", "")).start()
            return {}

        shop.flow.act = act
        shop.consume_until(lambda totals: totals["succeeded"] == 6)

        assert shop.flow.ids() == [f"e-{n}" for n in range(6)]
        assert shop.totals["dead_lettered"] == 0

    @pytest.mark.parametrize("words", [NOT_PUBLISHED, "fetch app failed: data is nil"])
    def test_a_wrong_app_ends_the_window_and_nothing_is_dead_lettered(self, consuming: Consuming, topics, words):
        shop = consuming(max_attempts="1")
        shop.flow.down = words
        shop.produce(event(n) for n in range(3))

        told = shop.consume_until(lambda _: shop.flow.asked > 0)

        assert told["ended_by"] == "paused"
        assert told["reason"]
        assert (told["lag"], shop.committed()) == (3, 0)
        assert topics.count(f"{shop.topic}.dead-letter") == 0

    def test_a_member_that_comes_later_loses_nothing_of_a_group_that_starts_at_the_latest_record(
        self, consuming: Consuming, consuming_host
    ):
        shop = consuming(offset_reset="latest")
        shop.produce([event(0)])
        shop.consume()
        hook = shop.url.rpartition("/")[2]
        # Other settings make another member.
        saved = dict(consuming_host.host.gateway.endpoints[hook].settings)
        shop.produce([event(1)])
        consuming_host.configure(hook, {**saved, "max_attempts": "7"})

        shop.consume_until(lambda totals: totals["succeeded"] == 1)

        assert shop.flow.ids() == ["e-1"]


class TestResults:
    def test_a_result_is_written_before_its_record_counts_as_done(self, consuming: Consuming, topics: Topics):
        shop = consuming(result_topic=(results := f"{__name__.rpartition('.')[2]}-results"))
        shop.flow.act = lambda inputs: {"answer": inputs["n"] * 2, "deep": {"ü": [None]}}
        shop.produce([event(21)])

        shop.consume_until(lambda totals: totals["succeeded"] == 1)
        (result,) = topics.read(results)

        found = headers_of(result)
        assert (result.key(), result.value()) == (b"e-21", '{"answer":42,"deep":{"ü":[null]}}'.encode())
        assert found["ce_type"] == b"dify.workflow.succeeded"
        assert found["ce_causationid"] == b"e-21"
        assert found["ce_source"] == f"/consumer/{shop.group}".encode()
        assert found["ce_runid"]
