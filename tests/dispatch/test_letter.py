"""What a dead letter says, whoever wrote it, and the record that it gives back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kafka_bridge.dispatch.deadletter import dead_letter
from kafka_bridge.dispatch.ended import Ended, Ending
from kafka_bridge.dispatch.letter import read_letter
from kafka_bridge.dispatch.payload import read
from kafka_bridge.dispatch.redrive import destination
from kafka_bridge.errors import Unroutable
from kafka_bridge.events.record import UNREADABLE, Consumed, Record
from tests.dispatch.letters import letter_of, plan_of

LETTERS = "orders.dead-letter"
NAMES = st.sampled_from(
    [
        "a",
        "ce_id",
        "content-type",
        "__connect.errors.topic",
        "__connect.errors.exception.message",
        "kafka-bridge-attempts",
        "kafka-bridge-event-id",
        "kafka-bridge-redrives",
    ]
)
HEADERS = st.lists(st.tuples(NAMES, st.none() | st.binary(max_size=6)), max_size=6).map(tuple)
VALUES = st.none() | st.binary(max_size=12)
# What Kafka Connect appends, in its order (DeadLetterQueueReporter.populateContextHeaders).
CONNECTS = (
    ("__connect.errors.topic", b"orders"),
    ("__connect.errors.partition", b"2"),
    ("__connect.errors.offset", b"17"),
    ("__connect.errors.connector.name", b"http-sink"),
    ("__connect.errors.task.id", b"0"),
    ("__connect.errors.stage", b"VALUE_CONVERTER"),
    ("__connect.errors.class.name", b"org.apache.kafka.connect.json.JsonConverter"),
    ("__connect.errors.exception.class.name", b"org.apache.kafka.connect.errors.DataException"),
    ("__connect.errors.exception.message", b"no schema"),
    ("__connect.errors.exception.stacktrace", b"org.apache.kafka ...\n\tat x"),
)


def lying(record, partition=0, offset=5):
    """A letter as it is read."""
    return read_letter(Consumed(record._replace(timestamp_ms=1_700_000_050_000), partition, offset))


def buried(consumed, **fields):
    """The record's dead letter, read."""
    facts = {"topic": LETTERS, "group": "kafka-bridge", "attempts": 3, "first_failure": 1_700_000_000.0, **fields}
    return lying(dead_letter(consumed, Ended(Ending.FAILED, run_id="run-1", error="boom"), **facts))


@given(VALUES, VALUES, HEADERS, st.integers(0, 9), st.integers(0, 2**60))
def test_a_run_sees_the_record_as_it_was_byte_for_byte(key, value, headers, partition, offset):
    before = Consumed(Record("orders", value, key, headers, partition), partition, offset)

    after = buried(before).original("orders")

    assert after.record._replace(timestamp_ms=None) == before.record
    assert (after.partition, after.offset) == (partition, offset)
    assert read(after) == read(before)


@given(VALUES, VALUES, HEADERS, st.integers(0, 9))
def test_the_record_that_goes_back_is_the_same_but_for_what_is_counted_on(key, value, headers, partition):
    before = Consumed(Record("orders", value, key, headers, partition), partition, 41)
    letter = buried(before)

    record = letter.redriven("orders", 10)

    ours = {"kafka-bridge-attempts", "kafka-bridge-first-failure", "kafka-bridge-redrives", "kafka-bridge-event-id"}
    assert (record.topic, record.key, record.value) == ("orders", key, value)
    assert record.partition == partition
    assert tuple(pair for pair in record.headers if pair[0] not in ours) == tuple(
        pair for pair in headers if pair[0] not in ours
    )
    # Wherever it lies now, it is the same event.
    assert read(Consumed(record, 0, 999)).event_id == read(before).event_id == letter.event_id


def test_a_record_that_fails_again_counts_on():
    first = buried(Consumed(Record("orders", b"{}", headers=(("a", b"1"),)), 3, 41), last_failure=1_700_000_030.0)
    once = first.redriven("orders")

    assert once.headers == (
        ("a", b"1"),
        ("kafka-bridge-attempts", b"3"),
        ("kafka-bridge-first-failure", b"2023-11-14T22:13:20.000Z"),
        ("kafka-bridge-redrives", b"1"),
        ("kafka-bridge-event-id", b"orders-3-41"),
    )
    second = buried(Consumed(once, 3, 77), attempts=2, first_failure=1_800_000_000.0)
    assert (second.attempts, second.redrives) == (5, 1)
    assert second.first_failure == "2023-11-14T22:13:20.000Z"
    twice = second.redriven("orders")
    assert [name for name, _ in twice.headers] == [name for name, _ in once.headers], "nothing piles up"
    assert dict(twice.headers)["kafka-bridge-attempts"] == b"5"
    assert dict(twice.headers)["kafka-bridge-redrives"] == b"2"
    assert dict(twice.headers)["kafka-bridge-event-id"] == b"orders-3-41"


def test_one_that_has_an_id_of_its_own_gets_no_other():
    letter = lying(letter_of(7))

    assert letter.event_id == "e-7"
    assert "kafka-bridge-event-id" not in dict(letter.redriven("orders").headers)


def test_the_id_in_a_structured_event_is_its_own_too():
    value = b'{"specversion":"1.0","id":"s-1","source":"/x","type":"t","data":{"n":1}}'
    record = Record("orders", value, headers=(("content-type", b"application/cloudevents+json"),))
    letter = buried(Consumed(record, 3, 41))

    assert letter.event_id == "s-1"
    assert "kafka-bridge-event-id" not in dict(letter.redriven("orders").headers)


@pytest.mark.parametrize("number", ["", "x", "-1", "1e3", "٣", "99999999999999999999"])
def test_numbers_that_make_no_sense_are_none(number):
    record = Record(
        LETTERS,
        b"{}",
        headers=(
            ("__connect.errors.topic", b"orders"),
            ("__connect.errors.partition", number.encode()),
            ("__connect.errors.offset", b"1"),
            ("kafka-bridge-attempts", number.encode()),
        ),
    )
    letter = lying(record)

    assert (letter.place, letter.attempts) == (None, 0)
    assert letter.redriven("orders", 10).partition is None


def test_a_partition_that_the_topic_has_no_longer_is_left_to_the_key():
    letter = lying(letter_of(2))

    assert letter.redriven("orders", 3).partition == 2
    assert letter.redriven("orders", 2).partition is None
    assert letter.redriven("orders", 0).partition is None


class TestConnect:
    def test_its_letters_are_read_like_ours(self):
        letter = lying(Record(LETTERS, b"\xff", key=b"k", headers=(("a", b"1"), *CONNECTS)))

        assert (letter.topic, letter.place, letter.group) == ("orders", (2, 17), "http-sink")
        assert (letter.kind, letter.error) == ("org.apache.kafka.connect.errors.DataException", "no schema")
        assert (letter.attempts, letter.redrives, letter.is_ours) == (0, 0, False)
        assert letter.failed_at == 1_700_000_050.0
        assert letter.event_id == "orders-2-17"
        assert letter.redriven("orders", 3).headers == (
            ("a", b"1"),
            ("kafka-bridge-redrives", b"1"),
            ("kafka-bridge-event-id", b"orders-2-17"),
        )

    def test_one_without_a_place_is_known_by_its_own(self):
        letter = lying(Record(LETTERS, b"{}", headers=(("a", b"1"), *CONNECTS[3:])), partition=1, offset=8)

        assert (letter.topic, letter.place, letter.headers) == ("", None, (("a", b"1"),))
        assert letter.event_id == f"{LETTERS}-1-8"
        assert read(letter.original("orders")).event_id == f"{LETTERS}-1-8"
        assert destination(letter, plan_of()) == "orders"


class TestOthers:
    def test_all_headers_stay_with_the_record(self):
        headers = (("kafka_dlt-original-topic", b"orders"), ("x", None), ("x", b"2"))
        letter = lying(Record(LETTERS, None, key=b"", headers=headers))

        assert letter.headers == headers
        assert letter.redriven("orders", 1)[:4] == (
            "orders",
            None,
            b"",
            (*headers, ("kafka-bridge-redrives", b"1"), ("kafka-bridge-event-id", f"{LETTERS}-0-5".encode())),
        )

    def test_one_that_a_tool_added_something_to_keeps_that(self):
        letter = lying(letter_of(1)._replace(headers=(*letter_of(1).headers, ("seen-by", b"tool"))))

        assert letter.headers == (("ce_id", b"e-1"), ("seen-by", b"tool"))
        assert letter.error == "attempts used up: boom"


class TestDestination:
    def test_it_is_the_topic_that_the_letter_names_where_its_letters_lie_here(self):
        plan = plan_of(consume_topics="orders, payments", dead_letter_topic="letters")

        assert destination(lying(letter_of(topic="payments")._replace(topic="letters")), plan) == "payments"

    @pytest.mark.parametrize("forged", ["secrets", "payments", "", "no topic", "../x"])
    def test_no_letter_leads_to_a_topic_whose_letters_do_not_lie_here(self, forged):
        plan = plan_of(consume_topics="orders, payments")
        letter = letter_of()
        headers = tuple(
            (name, forged.encode()) if name == "__connect.errors.topic" else (name, value)
            for name, value in letter.headers
        )
        read_back = lying(letter._replace(headers=headers))

        if forged:
            with pytest.raises(Unroutable, match="not consumed here"):
                destination(read_back, plan)
        else:
            assert destination(read_back, plan) == "orders"

    def test_where_several_topics_share_the_letters_one_that_says_nothing_goes_nowhere(self):
        plan = plan_of(consume_topics="orders, payments", dead_letter_topic="letters")

        with pytest.raises(Unroutable, match="does not say"):
            destination(lying(Record("letters", b"{}")), plan)

    def test_one_whose_headers_cannot_be_read_goes_nowhere(self):
        with pytest.raises(Unroutable, match="cannot be read"):
            destination(lying(Record(LETTERS, b"{}", headers=UNREADABLE)), plan_of())

    def test_one_of_ours_whose_record_had_such_headers_goes_back(self):
        letter = buried(Consumed(Record("orders", b"{}", headers=UNREADABLE), 0, 1))

        assert destination(letter, plan_of()) == "orders"
        assert letter.redriven("orders").headers[:1] == UNREADABLE


@given(HEADERS, VALUES, VALUES)
def test_whatever_lies_there_reading_it_is_no_defect(headers, key, value):
    letter = lying(Record(LETTERS, value, key, headers))

    record = letter.redriven("orders", 1)
    assert (record.key, record.value) == (key, value)
    assert read(letter.original("orders")).event_id == letter.event_id == read(Consumed(record, 4, 4)).event_id
