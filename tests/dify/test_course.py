"""When a resident consumer goes on, whatever it is told."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kafka_bridge.dify.course import SPACING_S, WINDOW_JITTER, Course, Fact

LONGEST_S = 60.0
FAILURES = [fact for fact in Fact if fact not in {Fact.WINDOW, Fact.GONE}]


def course(random=0.5, window_s=60.0):
    return Course(random=lambda: random, window_s=window_s)


def test_a_window_that_was_one_is_followed_by_the_next_at_once():
    one = course()

    assert one.next_at < 0
    seconds = one.open(100.0)
    one.tell(Fact.WINDOW, "")

    assert seconds == 60.0 * (1 - WINDOW_JITTER / 2)
    assert one.next_at == 100.0 + SPACING_S
    assert not one.failing
    assert not one.ended


@pytest.mark.parametrize("fact", FAILURES)
def test_what_fails_again_and_again_is_tried_ever_more_rarely_but_never_given_up(fact):
    one, now, pauses = course(), 0.0, []

    for _ in range(50):
        one.open(now)
        one.tell(fact, "why")
        pauses.append(one.next_at - now)
        now = one.next_at

    assert pauses == sorted(pauses)
    assert pauses[0] < pauses[-1] <= LONGEST_S
    assert (one.failures, one.reason, one.ended) == (50, "why", False)


@pytest.mark.parametrize("fact", FAILURES)
def test_a_failure_that_took_as_long_as_its_pause_is_followed_at_once(fact):
    one = course()
    for n in range(20):
        one.open(1000.0 * n)
        one.tell(fact, "why")

    assert one.next_at <= 1000.0 * 19 + LONGEST_S


def test_an_endpoint_that_is_gone_is_asked_for_once_more():
    one = course()

    for fact in (Fact.GONE, Fact.WINDOW, Fact.GONE, Fact.TROUBLE, Fact.GONE):
        one.open(0.0)
        one.tell(fact, "")
        assert not one.ended
    one.open(0.0)
    one.tell(Fact.GONE, "")

    assert one.ended


def test_whoever_changes_something_need_not_wait():
    one = course()
    for n in range(10):
        one.open(100.0 * n)
        one.tell(Fact.INVALID, "")
    later = one.next_at

    one.hurry(900.1)
    assert one.next_at == 900.0 + SPACING_S < later
    one.hurry(903.0)
    assert one.next_at == 903.0
    # And what still fails is not asked for less often than before because of that.
    one.open(903.0)
    one.tell(Fact.INVALID, "")
    assert one.next_at < 903.0 + 5


@given(
    st.lists(st.tuples(st.sampled_from([*Fact, "hurry"]), st.floats(0, 100), st.floats(0, 1)), max_size=60),
    st.floats(1, 240),
)
def test_no_two_windows_begin_within_a_second_and_none_is_further_away_than_a_minute(steps, window_s):
    """Every answer after any time, with whoever changes settings in between."""
    chance, now, began = [0.0], 0.0, []
    one = Course(random=lambda: chance[0], window_s=window_s)
    last = None
    for step, passed, chance[0] in steps:
        if step == "hurry":
            now += passed
            one.hurry(now)
            continue
        now = max(now, one.next_at)
        began.append(now)
        assert window_s * (1 - WINDOW_JITTER) <= one.open(now) <= window_s
        now += passed
        one.tell(step, "")
        assert one.next_at <= began[-1] + LONGEST_S
        assert one.ended == (step is Fact.GONE and last is Fact.GONE)
        assert one.failing == (step is not Fact.WINDOW)
        if one.ended:
            break
        last = step

    assert all(after - before >= SPACING_S for before, after in pairwise(began))
    assert one.windows == len(began)
