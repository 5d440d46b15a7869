import pytest
from hypothesis import given
from hypothesis import strategies as st

from kafka_bridge.events.record import Consumed, Record, TopicPartition, is_topic_name


@pytest.mark.parametrize("name", ["a", "A.b_c-9", "...", "a" * 249, "-", "_"])
def test_a_legal_topic_name(name):
    assert is_topic_name(name)


@pytest.mark.parametrize("name", ["", ".", "..", "a" * 250, "a b", "a/b", "a\n", "é", "\u0661", "a\x00", "{id}", "a,b"])
def test_a_topic_name_that_kafka_refuses(name):
    assert not is_topic_name(name)


@given(st.text(st.characters(exclude_categories=[])))
def test_a_topic_name_is_plain_ascii(name):
    if is_topic_name(name):
        assert name.isascii()
        assert name.isprintable()


@given(st.integers(0, 2**62))
def test_the_next_offset_is_one_further(offset):
    assert Consumed(Record(topic="t", value=b""), 0, offset).next_offset == offset + 1


def test_a_consumed_record_knows_its_partition():
    assert Consumed(Record(topic="t", value=b""), 3, 7).position == TopicPartition("t", 3)


def test_an_empty_value_is_not_a_tombstone():
    assert Record(topic="t", value=b"") != Record(topic="t", value=None)
