"""What is known of a record on its way."""

import pytest

from kafka_bridge.dispatch.task import Place, expiry, size_bytes
from kafka_bridge.events.record import Record
from tests.dispatch.words import task

NOW, UNIX = 50.0, 1_700_000_000.0


def record(timestamp_ms=None):
    return Record("t", b"", timestamp_ms=timestamp_ms)


@pytest.mark.parametrize(
    ("timestamp_ms", "expires"),
    [
        (None, NOW + 60),
        (1_700_000_000_000, NOW + 60),
        (1_699_999_980_500, NOW + 40.5),
        (1_699_999_000_000, NOW - 940),
        (1_700_000_500_000, NOW + 60),
        (0, NOW + 60 - UNIX),
    ],
    ids=["no timestamp", "just written", "19.5 s old", "too old already", "from the future", "from 1970"],
)
def test_the_age_of_a_record_counts_from_its_timestamp(timestamp_ms, expires):
    assert expiry(record(timestamp_ms), 60, now=NOW, unix=UNIX) == expires


def test_without_a_limit_it_never_expires():
    assert expiry(record(0), None, now=NOW, unix=UNIX) is None


@pytest.mark.parametrize(
    ("weighed", "size"),
    [
        (Record("t", None), 0),
        (Record("t", b"1234", b"56"), 6),
        (Record("t", b"1", None, (("name", b"12"), ("none", None), ("name", b""))), 1 + 6 + 4 + 4),
    ],
    ids=["tombstone", "key and value", "headers"],
)
def test_what_a_record_weighs(weighed, size):
    assert size_bytes(weighed) == size


def test_its_repr_says_where_it_lies_and_not_what_is_in_it():
    assert repr(task(7, "secret", place=Place.RUNNING)) == "Task(orders[0]@7, RUNNING)"
