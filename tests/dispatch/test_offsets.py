"""The commit point: it never passes what is unfinished, and it does not stay behind either."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kafka_bridge.dispatch.offsets import Offsets
from kafka_bridge.dispatch.task import IllegalFact
from tests.dispatch.words import consumed, state_of


def received(*numbers):
    offsets = Offsets()
    for number in numbers:
        offsets.receive(consumed(number))
    return offsets


@st.composite
def orders_of_completion(draw):
    """Ascending offsets with gaps, and the order in which they are finished."""
    numbers = sorted(draw(st.sets(st.integers(0, 40), min_size=1, max_size=12)))
    return numbers, draw(st.permutations(numbers))


@given(orders_of_completion())
def test_whatever_the_order_of_completion_nothing_unfinished_is_passed_and_all_that_is_finished_is(given_):
    numbers, order = given_
    offsets, unfinished = received(*numbers), set(numbers)
    for number in order:
        before = offsets.committable
        unfinished.remove(number)
        moved = offsets.finish(number)
        assert offsets.committable == min(unfinished, default=numbers[-1] + 1)
        assert moved is (offsets.committable != before)
        assert offsets.span == len([each for each in numbers if each >= offsets.committable])
    assert offsets.span == 0


@given(orders_of_completion(), st.data())
def test_it_holds_for_records_that_come_in_between_too(given_, data):
    numbers, _ = given_
    offsets, left, unfinished = Offsets(), list(numbers), set()
    while left or unfinished:
        if left and (not unfinished or data.draw(st.booleans())):
            unfinished.add(left[0])
            offsets.receive(consumed(left.pop(0)))
        else:
            number = data.draw(st.sampled_from(sorted(unfinished)))
            unfinished.remove(number)
            offsets.finish(number)
        assert offsets.committable == min(unfinished, default=offsets.next)


def test_before_the_first_record_there_is_nothing_to_commit():
    assert (Offsets().committable, Offsets().to_commit, Offsets().next, Offsets().span) == (None, None, None, 0)


def test_where_the_first_record_lies_is_committed_before_it_is_done_so_that_a_crash_does_not_skip_it():
    offsets = received(7)

    assert offsets.to_commit == 7
    offsets.commit(7)
    assert offsets.to_commit is None


def test_a_gap_behind_the_last_finished_record_is_passed_once_the_next_one_is_known():
    offsets = received(3)
    offsets.finish(3)
    assert offsets.committable == 4
    offsets.receive(consumed(9))
    assert offsets.committable == 9


def test_what_is_committed_is_not_to_be_committed_again():
    offsets = received(0, 1, 2)
    offsets.finish(0)
    assert offsets.to_commit == 1
    offsets.commit(1)
    assert offsets.to_commit is None
    offsets.finish(2)
    assert offsets.to_commit is None
    offsets.finish(1)
    assert offsets.to_commit == 3


def test_a_commit_that_was_overtaken_changes_nothing():
    offsets = received(0, 1, 2)
    offsets.finish(0)
    offsets.finish(1)
    offsets.commit(2)
    offsets.commit(1)

    assert offsets.committed == 2


@pytest.mark.parametrize(
    "fact",
    [
        lambda offsets: offsets.receive(consumed(9)),
        lambda offsets: offsets.receive(consumed(4)),
        lambda offsets: offsets.finish(3),
        lambda offsets: offsets.finish(7),
        lambda offsets: offsets.finish(10),
        lambda offsets: offsets.commit(6),
        lambda offsets: offsets.commit(10),
    ],
    ids=["twice", "backwards", "never received", "between two", "not yet received", "unfinished", "past the end"],
)
def test_what_cannot_be_is_refused_and_changes_nothing(fact):
    offsets = received(5, 8, 9)
    before = state_of(offsets)

    with pytest.raises(IllegalFact):
        fact(offsets)
    assert state_of(offsets) == before


def test_a_record_is_finished_once():
    offsets = received(5, 6)
    offsets.finish(6)
    with pytest.raises(IllegalFact):
        offsets.finish(6)
    offsets.finish(5)
    with pytest.raises(IllegalFact):
        offsets.finish(5)


def test_nothing_is_committed_where_nothing_came():
    with pytest.raises(IllegalFact):
        Offsets().commit(0)


def test_a_long_wait_for_one_record_costs_nothing_afterwards():
    offsets = received(*range(10_000))
    for number in range(9_999, 0, -1):
        offsets.finish(number)
    assert (offsets.committable, offsets.span) == (0, 10_000)
    offsets.finish(0)

    assert (offsets.committable, offsets.span) == (10_000, 0)
    assert not offsets._pending
