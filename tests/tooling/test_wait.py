"""The tool `wait_for_event`, on topics in memory: request and reply."""

import threading
import time

import pytest

from kafka_bridge.broker.loops import ThreadLoop
from kafka_bridge.errors import Cause, Malformed, NotFound, NothingCame, Unavailable
from kafka_bridge.events.record import Delivery, TopicPartition
from kafka_bridge.tooling.awaiting import CORRELATION, REPLY_TO
from kafka_bridge.tooling.call import ToolCall
from kafka_bridge.tooling.errands import Errands
from kafka_bridge.tooling.parameters import Parameters
from kafka_bridge.tooling.wait import OUTPUTS, WaitForEvent
from tests.brokers import SYSTEM_CLOCK
from tests.tooling.readers import SAVED, Shelf, ShelfReader


class Wire:
    """In the place of the registry and its connection: what is sent lies on the shelf, and may be answered."""

    def __init__(self, shelf: Shelf) -> None:
        self.shelf = shelf
        self.sent = []
        self.error: Unavailable | None = None
        self.on_sent = lambda record: None
        self.before_sending = lambda: None

    def lease(self, cluster):
        return self

    def send_all(self, records, *, timeout_s):
        self.before_sending()
        if self.error is not None:
            raise self.error
        (record,) = records
        self.sent.append(record)
        self.shelf.put(record.topic, record.value, key=record.key, headers=record.headers)
        offset = self.shelf.records[TopicPartition(record.topic, 0)][-1].offset
        self.on_sent(record)
        return (Delivery(record.topic, 0, offset, 1),)


class Bench:
    def __init__(self) -> None:
        self.shelf = Shelf(requests=1, replies=1)
        self.wire = Wire(self.shelf)
        self.readers: list[ShelfReader] = []
        self.prepare = lambda reader: None
        loop = ThreadLoop()
        self._tool = WaitForEvent(
            self._make, self.wire, Errands(loop), loop=loop, clock=SYSTEM_CLOCK, new_id=lambda: "new-id"
        )

    def _make(self, cluster, group_id):
        assert group_id == ""
        reader = ShelfReader(self.shelf, group_id)
        self.prepare(reader)
        self.readers.append(reader)
        return reader

    def messages(self, **parameters):
        return list(self._tool(ToolCall(SAVED, Parameters({"topic": "replies", "timeout": 5, **parameters}))))

    def call(self, **parameters):
        return self.messages(**parameters)[0].value

    def answer(self, record):
        """What a service does: it answers where it is asked to, with the same correlation id."""
        headers = {name.lower(): value for name, value in record.headers}
        if REPLY_TO in headers:
            correlated = ((CORRELATION, headers[CORRELATION]),)
            self.shelf.put(headers[REPLY_TO].decode(), b"re: " + record.value, headers=correlated)


@pytest.fixture
def bench():
    return Bench()


def test_a_request_is_published_and_its_reply_comes_back(bench):
    bench.wire.on_sent = bench.answer
    result = bench.call(publish_topic="requests", message="how much?", key="k")

    assert (result["status"], result["value"]) == ("success", "re: how much?")
    assert result["correlation_id"] == "new-id"
    assert (result["published"]["topic"], result["published"]["offset"]) == ("requests", 0)
    assert bench.wire.sent[0].key == b"k"


def test_the_outputs_are_fields_of_the_flat_result(bench):
    bench.wire.on_sent = bench.answer
    first, _, *variables = bench.messages(publish_topic="requests", message="x")

    assert [(one.name, one.value) for one in variables] == [(name, first.value[name]) for name in OUTPUTS]


def test_a_reply_that_is_there_before_the_call_looks_is_not_missed(bench):
    # It is written within `send_all`, before the caller even knows that its request was acknowledged.
    bench.wire.on_sent = bench.answer

    assert bench.call(publish_topic="requests", message="x")["status"] == "success"


def test_what_lay_there_before_is_no_reply(bench):
    bench.shelf.put("replies", "old", headers=((CORRELATION, b"new-id"),))

    with pytest.raises(NothingCame):
        bench.call(publish_topic="requests", message="x", timeout=0.2)


def test_others_replies_are_passed_over(bench):
    def answer(record):
        bench.shelf.put("replies", "not ours", headers=((CORRELATION, b"another"),))
        bench.answer(record)

    bench.wire.on_sent = answer

    assert bench.call(publish_topic="requests", message="x")["value"] == "re: x"


def test_in_a_topic_of_both_the_request_is_not_its_own_reply(bench):
    bench.wire.on_sent = bench.answer

    assert bench.call(topic="requests", publish_topic="requests", message="x")["value"] == "re: x"


def test_the_event_id_or_a_header_of_the_caller_correlates(bench):
    bench.wire.on_sent = bench.answer

    assert bench.call(publish_topic="requests", message="x", event_id="e-1")["correlation_id"] == "e-1"
    theirs = bench.call(publish_topic="requests", message="x", headers={"Correlation-Id": "theirs"})
    assert theirs["correlation_id"] == "theirs"


def test_with_a_filter_the_request_is_published_as_it_is(bench):
    bench.wire.on_sent = lambda record: bench.shelf.put("replies", '{"order": 6}', '{"order": 7}')
    result = bench.call(publish_topic="requests", message="x", filter="$.order=7")

    assert (result["value"], result["correlation_id"]) == ('{"order": 7}', "")
    assert bench.wire.sent[0].headers == ()


@pytest.mark.parametrize("wanted", ["key=k", "header.h=v", "$.id=7"])
def test_without_a_request_it_waits_for_the_record_that_is_meant(bench, wanted):
    def come(reader):
        put = bench.shelf.put
        reader.happens += [
            lambda: put("replies", '{"id": 6}', key=b"x"),
            lambda: put("replies", '{"id": 7}', key=b"k", headers=(("h", b"v"),)),
        ]

    bench.prepare = come
    result = bench.call(filter=wanted)

    assert (result["parsed"], result["published"]) == ({"id": 7}, {})
    assert bench.wire.sent == []


def test_without_a_filter_it_is_the_next_record(bench):
    bench.shelf.put("replies", "old")
    bench.prepare = lambda reader: reader.happens.append(lambda: bench.shelf.put("replies", "next"))

    assert bench.call()["value"] == "next"


def test_nothing_in_time_is_a_failure_that_says_for_what_it_has_waited(bench):
    with pytest.raises(NothingCame, match=r"No record that passes the filter came to replies within 0.2 s"):
        bench.call(filter="key=k", timeout=0.2)


def test_or_a_result_for_whoever_prefers_that(bench):
    result = bench.call(timeout=0.2, on_timeout="return")

    assert (result["status"], result["value"], result["topic"]) == ("timeout", None, "replies")


def test_a_request_that_cannot_be_published_ends_the_waiting_at_once(bench):
    bench.wire.error = Unavailable(Cause.TOPIC_DOES_NOT_EXIST)
    began = time.monotonic()

    with pytest.raises(Unavailable):
        bench.call(publish_topic="requests", message="x", timeout=60)

    assert time.monotonic() - began < 5
    deadline = time.monotonic() + 10
    while not bench.readers[0].closed:
        assert time.monotonic() < deadline


def test_where_nothing_can_be_read_nothing_is_published(bench):
    with pytest.raises(NotFound, match="absent"):
        bench.call(topic="absent", publish_topic="requests", message="x")
    assert bench.wire.sent == []


def test_the_position_is_taken_before_the_request_is_published(bench):
    published, too_early = threading.Event(), []

    def prepare(reader):
        offsets = reader.offsets

        def slowly(*args, **more):
            too_early.append(published.wait(0.2))
            return offsets(*args, **more)

        reader.offsets = slowly

    bench.prepare = prepare
    bench.wire.before_sending = published.set
    bench.wire.on_sent = bench.answer
    bench.call(publish_topic="requests", message="x")

    assert too_early
    assert not any(too_early)
    assert published.is_set()


@pytest.mark.parametrize(
    ("parameters", "told"),
    [
        ({"topic": ""}, "topic: missing"),
        ({"message": "x"}, "publish_topic: missing"),
        ({"publish_topic": "requests"}, "message: missing"),
        ({"publish_topic": "requests", "message": "[1]", "format": "batch"}, "format: must be one of text, json"),
        ({"timeout": 241}, "timeout:"),
        ({"on_timeout": "perhaps"}, "on_timeout:"),
        ({"filter": "nonsense"}, "filter:"),
    ],
)
def test_parameters_that_make_no_sense_are_refused_before_anybody_connects(bench, parameters, told):
    with pytest.raises(Malformed, match=told):
        bench.call(**parameters)
    assert bench.readers == []


@pytest.mark.parametrize("given", [{"event_id": "\x01" * 400}, {"headers": {CORRELATION: "\x01" * 400}}])
def test_what_ties_request_and_reply_together_is_bounded_as_the_answer_repeats_it(bench, given):
    with pytest.raises(Malformed, match="is longer than 512 bytes"):
        bench.call(publish_topic="requests", message="x", **given)

    assert bench.wire.sent == []
