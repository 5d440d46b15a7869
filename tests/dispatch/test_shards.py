"""Order: who waits for whom, and who does not."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kafka_bridge.dispatch.shards import Shards
from kafka_bridge.dispatch.task import Ordering
from tests.dispatch.words import offsets, task


def test_the_second_of_a_key_waits_for_the_first_and_another_key_does_not():
    shards = Shards(Ordering.KEY)
    first, second, third = task(0, "a"), task(1, "a"), task(2, "a")

    assert [shards.add(each) for each in (first, second, third, task(3, "b"))] == [True, False, False, True]
    assert shards.finish(first) is second
    assert shards.finish(second) is third
    assert shards.finish(third) is None


def test_a_record_without_a_key_waits_for_none():
    shards = Shards(Ordering.KEY)
    first, second = task(0), task(1)

    assert shards.add(first)
    assert shards.add(second)
    assert shards.finish(first) is None


def test_an_empty_key_is_a_key():
    shards = Shards(Ordering.KEY)

    assert shards.add(task(0, b""))
    assert not shards.add(task(1, b""))


def test_a_partition_in_order_runs_one_whatever_the_key():
    shards = Shards(Ordering.PARTITION)
    first, second = task(0, "a"), task(1)

    assert shards.add(first)
    assert not shards.add(second)
    assert not shards.add(task(2, "b"))
    assert shards.finish(first) is second


def test_without_order_the_same_key_waits_for_none():
    shards = Shards(Ordering.NONE)

    assert shards.add(task(0, "a"))
    assert shards.add(task(1, "a"))


@pytest.mark.parametrize("ordering", Ordering)
@given(keys=st.lists(st.sampled_from([None, "a", "b"])))
def test_every_task_comes_once_in_its_order_and_nothing_is_left_behind(ordering, keys):
    shards = Shards(ordering)
    added = [task(number, key) for number, key in enumerate(keys)]
    ready, order = [each for each in added if shards.add(each)], []
    while ready:
        order.append(done := ready.pop())
        following = shards.finish(done)
        ready += [following] if following else []

    assert sorted(offsets(order)) == list(range(len(keys)))
    for key in ("a", "b") if ordering is Ordering.KEY else ():
        ordered = [each for each in offsets(order) if keys[each] == key]
        assert ordered == sorted(ordered)
    if ordering is Ordering.PARTITION:
        assert offsets(order) == list(range(len(keys)))
    assert len(shards) == 0


def test_what_waits_is_dropped_and_what_is_on_its_way_may_still_end():
    shards = Shards(Ordering.KEY)
    first = task(0, "a")
    shards.add(first)
    shards.add(task(1, "a"))

    shards.clear()

    assert shards.finish(first) is None
    assert len(shards) == 0
