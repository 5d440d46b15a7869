"""What is counted, and what is said of it."""

import pytest

from kafka_bridge.dispatch.ended import Ended, Ending
from kafka_bridge.dispatch.task import Reason
from kafka_bridge.standalone.tally import BUCKETS_S, BURST, Tally
from tests.dispatch.words import task


@pytest.fixture
def tally():
    return Tally(max_attempts=3, monotonic=lambda: 100.0)


def lines(caplog):
    return [record.getMessage() for record in caplog.records]


def test_runs_are_counted_by_how_they_ended(tally):
    for ending in Ending:
        tally.ran(task(attempts=1), Ended(ending, duration_s=0.2))
    tally.ran(task(attempts=2), Ended(Ending.DONE))

    assert tally.runs == {ending: 1 + (ending is Ending.DONE) for ending in Ending}
    assert (tally.succeeded, tally.failed, tally.retried) == (2, 3, 1)


def test_a_duration_counts_where_its_bound_is(tally):
    for duration_s in (0.0, BUCKETS_S[0], BUCKETS_S[0] + 0.001, BUCKETS_S[-1] + 1):
        tally.ran(task(attempts=1), Ended(Ending.DONE, duration_s=duration_s))

    assert (tally.durations.counts[:2], tally.durations.counts[-1]) == ([2, 1], 1)
    assert sum(tally.durations.counts) == 4


def test_a_failed_run_is_said_with_its_place_and_nothing_of_the_record(tally, caplog):
    tally.ran(task(7, "a secret key", attempts=2), Ended(Ending.FAILED, error="no", run_id="r-1"))
    tally.ran(task(8, attempts=1), Ended(Ending.UNKNOWN))

    assert lines(caplog) == [
        "run r-1 of orders[0], offset 7, attempt 2 of 3 failed: no",
        "the run of orders[0], offset 8, attempt 1 of 3 ended in an unknown way: no reason is known",
    ]


@pytest.mark.parametrize("ending", [Ending.DONE, Ending.UNAVAILABLE, Ending.MISCONFIGURED, Ending.NOT_STARTED])
def test_what_is_not_the_records_fault_is_not_said_for_each(tally, caplog, ending):
    tally.ran(task(attempts=1), Ended(ending, error="down"))

    assert lines(caplog) == []


def test_a_dead_letter_is_said_with_its_reason(tally, caplog):
    tally.dead_lettered(task(7, reason=Reason.REFUSED, attempts=1))

    assert tally.dead_letters == 1
    assert lines(caplog) == ["dead-lettered orders[0], offset 7: input refused after 1 attempts"]


def test_a_flood_of_failures_is_no_flood_of_lines(caplog):
    now = [100.0]
    tally = Tally(max_attempts=1, monotonic=lambda: now[0])
    for offset in range(1000):
        tally.ran(task(offset, attempts=1), Ended(Ending.FAILED, error="no"))
    now[0] += 60
    tally.ran(task(1000, attempts=1), Ended(Ending.FAILED, error="no"))

    assert len(lines(caplog)) == BURST + 1
    assert lines(caplog)[-1].endswith(f"(and {1000 - BURST} more like this)")
