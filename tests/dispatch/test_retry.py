"""When a record is tried again, and when no more."""

from math import inf, nan

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kafka_bridge.dispatch.ended import Ended, Ending
from kafka_bridge.dispatch.retry import BASE_S, CAP_S, MAX_RETRY_AFTER_S, Delayed, delay_s, give_up, is_expired
from kafka_bridge.dispatch.task import Reason
from tests.dispatch.words import FAILED, offsets, task


@pytest.mark.parametrize(
    ("failures", "longest"), [(1, 1), (2, 2), (3, 4), (6, 32), (7, 60), (8, 60), (5000, 60), (10**9, 60)]
)
def test_the_delay_doubles_up_to_a_cap(failures, longest):
    assert delay_s(failures, random=lambda: 1.0) == longest
    assert delay_s(failures, random=lambda: 0.25) == longest / 4


@given(st.integers(1, 10**6), st.floats(0, 1))
def test_the_jitter_is_full(failures, drawn):
    assert 0 <= delay_s(failures, random=lambda: drawn) <= CAP_S
    assert delay_s(failures, random=lambda: drawn) <= BASE_S * 2 ** min(failures - 1, 60)


@pytest.mark.parametrize("asked", [0.0, 0.5, 90.0, 3600.0])
def test_what_the_flow_asks_for_wins(asked):
    assert delay_s(1, random=lambda: 1.0, retry_after_s=asked) == asked


@pytest.mark.parametrize(
    ("asked", "given_"), [(-1.0, 0), (-inf, 0), (nan, 0), (inf, MAX_RETRY_AFTER_S), (3_600_000.0, MAX_RETRY_AFTER_S)]
)
def test_a_delay_that_a_flow_cannot_mean_does_not_hold_its_key_for_ever(asked, given_):
    assert delay_s(1, random=lambda: 1.0, retry_after_s=asked) == given_


@pytest.mark.parametrize("ending", [Ending.FAILED, Ending.UNKNOWN])
@pytest.mark.parametrize(("attempts", "reason"), [(1, None), (2, None), (3, Reason.ATTEMPTS), (4, Reason.ATTEMPTS)])
def test_a_record_is_given_up_when_its_attempts_are_used_up(ending, attempts, reason):
    assert give_up(task(attempts=attempts), Ended(ending), max_attempts=3, now=0) is reason


def test_a_refused_record_is_given_up_at_once():
    assert give_up(task(attempts=1), Ended(Ending.REFUSED), max_attempts=3, now=0) is Reason.REFUSED


@pytest.mark.parametrize(("now", "reason"), [(9.999, None), (10.0, Reason.EXPIRED), (11.0, Reason.EXPIRED)])
def test_a_record_that_is_too_old_is_given_up(now, reason):
    assert give_up(task(attempts=1, expires=10.0), FAILED, max_attempts=3, now=now) is reason
    assert is_expired(task(expires=10.0), now) is (reason is not None)


def test_a_record_without_a_limit_never_gets_too_old():
    assert not is_expired(task(), 1e12)


def test_the_earliest_comes_first_and_those_of_the_same_time_in_their_order():
    delayed = Delayed()
    for number, due in enumerate([5.0, 3.0, 5.0, 1.0]):
        delayed.push(task(number), due)

    assert delayed.due == 1.0
    assert offsets(delayed.pop(4.999)) == [3, 1]
    assert delayed.due == 5.0
    assert offsets(delayed.pop(5.0)) == [0, 2]
    assert (delayed.due, len(delayed)) == (None, 0)


@given(st.lists(st.integers(0, 9)), st.sets(st.integers(0, 20)))
def test_what_is_dropped_leaves_the_others_in_their_order(dues, dropped):
    delayed = Delayed()
    for number, due in enumerate(dues):
        delayed.push(task(number), due)
    delayed.keep(lambda each: each.consumed.offset not in dropped)

    kept = [(due, number) for number, due in enumerate(dues) if number not in dropped]
    assert delayed.due == min((due for due, _ in kept), default=None)
    assert offsets(delayed.pop(inf)) == [number for _, number in sorted(kept)]
