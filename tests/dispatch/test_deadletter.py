"""What is written when a record could not be done, and where."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kafka_bridge.dispatch.deadletter import DeadLetterTopic, dead_letter
from kafka_bridge.dispatch.ended import Ended, Ending
from kafka_bridge.errors import Unroutable
from kafka_bridge.events.record import Consumed, Record
from kafka_bridge.placeholders import BadTemplate
from tests.dispatch.records import consumed


def test_a_dead_letter_says_what_kafka_connect_says_and_more():
    record = dead_letter(
        consumed(b"v", key=b"k", headers=(("a", b"1"), ("a", None))),
        Ended(Ending.FAILED, run_id="run-1", error="no köln"),
        topic="orders.dead-letter",
        group="kafka-bridge",
        attempts=3,
        first_failure=1_700_000_000.5,
        last_failure=1_700_000_060.0,
        reason="attempts used up",
    )

    assert record == Record(
        topic="orders.dead-letter",
        key=b"k",
        value=b"v",
        headers=(
            ("a", b"1"),
            ("a", None),
            ("__connect.errors.topic", b"orders"),
            ("__connect.errors.partition", b"3"),
            ("__connect.errors.offset", b"41"),
            ("__connect.errors.connector.name", b"kafka-bridge"),
            ("__connect.errors.stage", b"TASK_PUT"),
            ("__connect.errors.class.name", b"kafka_bridge.dispatch"),
            ("__connect.errors.exception.class.name", b"failed"),
            ("__connect.errors.exception.message", "attempts used up: no köln".encode()),
            ("kafka-bridge-attempts", b"3"),
            ("kafka-bridge-first-failure", b"2023-11-14T22:13:20.500Z"),
            ("kafka-bridge-last-failure", b"2023-11-14T22:14:20.000Z"),
            ("kafka-bridge-run-id", b"run-1"),
        ),
    )


def test_one_that_was_never_run_has_neither_a_run_nor_times():
    record = dead_letter(consumed(), None, topic="t", group="g", attempts=0, reason="too old")
    headers = dict(record.headers)

    assert headers["__connect.errors.exception.class.name"] == b"too old"
    assert headers["__connect.errors.exception.message"] == b"too old"
    assert headers["kafka-bridge-attempts"] == b"0"
    assert [name for name in headers if name.endswith(("failure", "run-id"))] == []


@given(
    st.none() | st.binary(),
    st.none() | st.binary(),
    st.lists(st.tuples(st.text(), st.none() | st.binary())).map(tuple),
    st.text(st.characters()),
)
def test_what_the_record_was_is_there_byte_for_byte(key, value, headers, error):
    before = Consumed(Record("t", value, key, headers, timestamp_ms=5), 0, 0)

    record = dead_letter(before, Ended(Ending.REFUSED, error=error), topic="d", group="g", attempts=1)

    assert (record.key, record.value, record.headers[: len(headers)]) == (key, value, headers)
    assert (record.partition, record.timestamp_ms) == (None, None)


class TestTopic:
    @pytest.mark.parametrize(
        ("text", "topic"),
        [
            ("{topic}.dead-letter", "orders.dead-letter"),
            ("graveyard", "graveyard"),
            ("a-{topic}-{topic}", "a-orders-orders"),
        ],
    )
    def test_it_may_hold_the_topic_of_the_record(self, text, topic):
        assert DeadLetterTopic.compile(text).of("orders") == topic
        assert DeadLetterTopic.compile(text, topics=["orders", "^a.*"]).of("orders") == topic

    @pytest.mark.parametrize(
        ("text", "said"),
        [
            ("", "is not a legal topic name"),
            ("a b", "is not a legal topic name"),
            ("{topic}/dead", "is not a legal topic name"),
            ("x" * 250, "is not a legal topic name"),
            ("{topic}" + "x" * 245, "is not a legal topic name"),
            ("{type}", "knows {topic} only"),
            ("{topic", "has a brace"),
            ("{topic}", "is a topic that is consumed"),
            ("invoices", "is a topic that is consumed"),
            ("{topic}s", "is a topic that is consumed"),
        ],
    )
    def test_what_cannot_be_one_is_refused_with_the_settings(self, text, said):
        with pytest.raises(BadTemplate, match=said):
            DeadLetterTopic.compile(text, topics=["orders", "orderss", "invoices"])

    def test_a_topic_that_is_too_long_for_it_or_the_very_same_is_refused_when_it_comes(self):
        with pytest.raises(Unroutable):
            DeadLetterTopic.compile("{topic}.dead-letter").of("x" * 240)
        with pytest.raises(Unroutable):
            DeadLetterTopic.compile("graveyard").of("graveyard")
