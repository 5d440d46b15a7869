"""Facts in, commands out: one test per promise, each breaking something."""

import pytest

from kafka_bridge.dispatch.ended import Ended, Ending
from kafka_bridge.dispatch.engine import Engine, Run, Write
from kafka_bridge.dispatch.policy import Policy
from kafka_bridge.dispatch.task import IllegalFact, Ordering, Reason, Writing
from tests.dispatch.words import FAILED, HALF, P0, P1, P2, Told, consumed, offsets, state_of

PAUSING = [Ending.UNAVAILABLE, Ending.MISCONFIGURED]


# Running.


def test_a_record_is_run_and_then_its_offset_may_be_committed():
    told = Told()
    told.receive(consumed(5))
    run = told.run()
    assert (told.engine.in_flight(), told.engine.buffered, told.engine.idle) == (1, 0, False)
    assert run.since == told.unix

    told.end(run, Ended(Ending.DONE, {"answer": 42}))

    assert (run.attempts, run.last.outputs) == (1, {"answer": 42})
    assert told.engine.commits() == {P0: 6}
    assert told.engine.idle
    assert told.start() == []


def test_no_more_run_than_there_are_slots():
    told = Told(concurrency=2)
    told.receive(*(consumed(number) for number in range(5)))

    running = told.runs()
    assert offsets(running) == [0, 1]
    assert told.runs() == []
    told.end(running[1])
    assert offsets(told.runs()) == [2]


@pytest.mark.parametrize(
    ("ordering", "at_once"), [(Ordering.KEY, [0, 2, 3, 4]), (Ordering.PARTITION, [0]), (Ordering.NONE, [0, 1, 2, 3, 4])]
)
def test_what_waits_for_what_is_the_operators_choice(ordering, at_once):
    told = Told(ordering=ordering)
    told.receive(consumed(0, "a"), consumed(1, "a"), consumed(2, "b"), consumed(3), consumed(4))

    assert offsets(told.runs()) == at_once


def test_the_same_key_in_another_partition_is_another_unit():
    told = Told(partitions=[P0, P1])
    told.receive(consumed(0, "a"), consumed(0, "a", partition=1))

    assert len(told.runs()) == 2


def test_nothing_is_committed_and_the_next_of_the_key_waits_until_the_result_is_acknowledged():
    told = Told(results=True)
    told.receive(consumed(0, "a"), consumed(1, "a"))
    run = told.run()
    told.end(run, Ended(Ending.DONE, {"answer": 42}))
    write = told.write()
    assert (write.task, write.kind, write.task.last.outputs) == (run, Writing.RESULT, {"answer": 42})
    assert told.start() == []
    assert told.engine.commits() == {P0: 0}

    told.engine.wrote(write.task)

    assert told.engine.commits() == {P0: 1}
    assert offsets(told.runs()) == [1]


# Trying again.


@pytest.mark.parametrize("ending", [Ending.FAILED, Ending.UNKNOWN])
def test_a_failed_record_is_tried_again_after_a_while_before_the_next_of_its_key_and_others_go_on(ending):
    told = Told(concurrency=1)
    told.receive(consumed(0, "a"), consumed(1, "a"), consumed(2, "b"))
    run = told.run()
    told.end(run, ending, error="no answer")
    failed_at = told.unix
    assert (run.attempts, run.first_failure, run.last_failure) == (1, failed_at, failed_at)
    assert told.engine.due() == told.now

    other = told.run()
    assert offsets([other]) == [2]
    told.end(other)
    assert told.engine.due() == told.now + 0.5
    assert told.start(later=0.499) == []
    assert told.run(later=0.001) is run
    told.end(run, ending)
    assert (run.attempts, run.first_failure, run.last_failure) == (2, failed_at, told.unix)
    assert told.engine.due() == told.now + 1.0
    told.end(told.run(later=1))
    assert offsets(told.runs()) == [1]


def test_the_delay_that_a_flow_asks_for_wins():
    told = Told()
    told.receive(consumed(0))
    told.end(told.run(), Ending.FAILED, retry_after_s=90.0)

    assert told.engine.due() == told.now + 90


@pytest.mark.parametrize("ending", [Ending.FAILED, Ending.UNKNOWN])
def test_after_its_last_attempt_it_is_dead_lettered_and_done_only_when_that_is_acknowledged(ending):
    told = Told(max_attempts=2)
    told.receive(consumed(0, "a"), consumed(1, "a"))
    told.end(told.run(), ending)
    run = told.run(later=1)
    told.end(run, ending, error="again", run_id="r-2")

    write = told.write()
    assert (write.task, write.kind) == (run, Writing.DEAD_LETTER)
    assert (run.reason, run.attempts, run.last.run_id) == (Reason.ATTEMPTS, 2, "r-2")
    assert (told.start(later=100), told.engine.commits()) == ([], {P0: 0})
    told.engine.wrote(run)
    assert told.engine.commits() == {P0: 1}
    assert offsets(told.runs()) == [1]


def test_a_refused_record_is_dead_lettered_at_once():
    told = Told(results=True)
    told.receive(consumed(0))
    told.end(told.run(), Ending.REFUSED, error="message is required")

    write = told.write()
    assert (write.kind, write.task.reason, write.task.attempts) == (Writing.DEAD_LETTER, Reason.REFUSED, 1)


@pytest.mark.parametrize("ending", [*PAUSING, Ending.NOT_STARTED])
def test_what_did_not_run_goes_back_to_its_place_however_often_and_nothing_is_counted(ending):
    told = Told(concurrency=1, max_attempts=1)
    told.receive(consumed(0, "a"), consumed(1, "a"), consumed(2, "b"))
    for _ in range(5):
        run = told.run(later=60)
        assert offsets([run]) == [0]
        told.end(run, ending)

    assert (run.attempts, run.first_failure, run.reason) == (0, None, None)
    assert told.engine.buffered == 3
    assert told.engine.commits() == {P0: 0}


def test_the_last_words_of_a_record_are_those_of_a_run_and_not_of_one_that_never_started():
    told = Told()
    told.receive(consumed(0))
    run = told.run()
    told.end(run, FAILED)
    told.end(told.run(later=1), Ending.NOT_STARTED)

    assert run.last is FAILED


# Age.


def test_a_record_that_is_too_old_is_dead_lettered_instead_of_run():
    told = Told(max_age_s=60, concurrency=1)
    told.receive(consumed(0, "a"), consumed(1, "a"))
    first = told.run()
    told.end(first, later=60)

    write = told.write()
    assert (write.kind, write.task.reason, write.task.attempts) == (Writing.DEAD_LETTER, Reason.EXPIRED, 0)
    told.engine.wrote(write.task)
    assert told.engine.commits() == {P0: 2}


def test_what_is_too_old_takes_no_slot_from_what_is_not():
    told = Told(max_age_s=60, concurrency=1)
    old = [consumed(number, timestamp_ms=int(told.unix - 100) * 1000) for number in range(3)]
    told.receive(*old, consumed(3))

    commands = told.start()
    assert [type(command) for command in commands] == [Run, Write, Write, Write]
    assert offsets([commands[0].task]) == [3]


def test_a_retry_that_would_come_too_late_is_given_up_when_its_age_ends():
    told = Told(max_age_s=10)
    told.receive(consumed(0))
    told.end(told.run(), Ending.FAILED, retry_after_s=3600.0)

    assert told.engine.due() == told.now + 10
    assert told.write(later=10).task.reason is Reason.EXPIRED


def test_a_run_that_fails_when_it_is_too_old_is_not_tried_again():
    told = Told(max_age_s=10)
    told.receive(consumed(0))
    told.end(told.run(), FAILED, later=10)

    assert told.write().task.reason is Reason.EXPIRED


def test_an_outage_dead_letters_nothing_of_its_own():
    told = Told(max_age_s=10)
    told.receive(consumed(0), consumed(1))
    first, _ = told.runs()
    told.end(first, Ending.UNAVAILABLE)

    # A probe is run, however old it is; what is too old is known once the circuit is closed.
    probe = told.run(later=1000)
    assert probe is first
    told.end(probe, Ending.UNAVAILABLE)
    told.end(told.run(later=1000))
    assert told.engine.circuit is None


# The circuit.


@pytest.mark.parametrize("ending", PAUSING)
def test_an_outage_stops_all_runs_but_one_probe_at_a_time(ending):
    told = Told(concurrency=3)
    told.receive(*(consumed(number) for number in range(9)))
    first, second, third = told.runs()
    told.end(first, ending, error="connection refused")
    told.end(second, ending, error="connection refused")
    assert (told.engine.circuit.reason, told.engine.circuit.ending) == ("connection refused", ending)
    assert told.start() == []
    assert told.engine.due() == told.engine.circuit.next_probe

    probe = told.run(later=10)
    assert told.engine.due() is None
    assert told.start(later=1000) == []
    told.end(third, FAILED)
    assert told.engine.circuit is not None
    told.end(probe)
    assert told.engine.circuit is None
    assert len(told.runs()) == 3


def test_writes_go_on_while_the_circuit_is_open():
    told = Told(results=True)
    told.receive(consumed(0), consumed(1), consumed(2))
    first, second, third = told.runs()
    told.end(first)
    told.end(second, Ending.REFUSED)
    told.end(third, Ending.UNAVAILABLE)

    assert [command.kind for command in told.start()] == [Writing.RESULT, Writing.DEAD_LETTER]


def test_retries_wait_for_the_circuit_too():
    told = Told()
    told.receive(consumed(0), consumed(1))
    first, second = told.runs()
    told.end(first, FAILED)
    told.end(second, Ending.UNAVAILABLE)

    told.run(later=10)
    assert told.start(later=100) == []


def test_a_probe_whose_partition_is_forgotten_makes_way_for_another():
    told = Told(partitions=[P0, P1])
    told.receive(consumed(0), consumed(0, partition=1))
    first, second = told.runs()
    told.end(first, Ending.UNAVAILABLE)
    told.end(second, Ending.UNAVAILABLE)
    probe = told.run(later=1)
    told.engine.forget([probe.position])

    assert told.run() is not probe
    told.end(probe)
    assert told.engine.circuit is not None


# What cannot be written.


def refused(told, *records):
    """Records that are refused; the commands that follow."""
    told.receive(*records)
    for run in told.runs():
        told.end(run, Ending.REFUSED)
    return [command.task for command in told.start()]


def test_a_dead_letter_that_cannot_be_written_blocks_its_partition_and_says_why():
    told = Told(partitions=[P0, P1])
    (letter,) = refused(told, consumed(0))
    told.receive(consumed(1), consumed(0, partition=1))
    told.not_written(letter, "topic does not exist")

    assert told.engine.blocked == {P0: "topic does not exist"}
    assert [run.position for run in told.runs()] == [P1]
    assert told.engine.commits() == {P0: 0, P1: 0}


def test_it_is_written_again_for_ever_and_then_the_partition_goes_on():
    told = Told()
    (letter,) = refused(told, consumed(0))
    told.receive(consumed(1))
    waits = []
    for number in range(40):
        told.not_written(letter, f"error {number}")
        waits.append(told.engine.due() - told.now)
        assert told.engine.in_flight() == 1
        assert told.write(later=waits[-1]).task is letter
    assert waits[:8] == [0.5, 1, 2, 4, 8, 16, 30, 30]
    assert told.engine.blocked == {P0: "error 39"}

    told.engine.wrote(letter)
    assert told.engine.blocked == {}
    assert told.engine.commits() == {P0: 1}
    assert offsets(told.runs()) == [1]


@pytest.mark.parametrize("failures", [0, 2])
def test_a_result_that_can_never_be_written_becomes_a_dead_letter_and_a_dead_letter_stays_one(failures):
    told = Told(results=True)
    told.receive(consumed(0), consumed(1))
    first, _ = told.runs()
    told.end(first)
    for _ in range(failures):
        told.not_written(told.write(later=60).task, "queue full")

    told.not_written(told.write(later=60).task, "above the limit", final=True)
    assert told.engine.blocked == {}
    letter = told.write()
    assert (letter.kind, letter.task, first.reason) == (Writing.DEAD_LETTER, first, Reason.RESULT)
    told.not_written(letter.task, "above the limit", final=True)
    assert told.engine.blocked == {P0: "above the limit"}
    assert told.write(later=60) == letter
    told.engine.wrote(first)
    assert told.engine.commits() == {P0: 1}


def test_a_partition_is_blocked_until_all_that_failed_is_written():
    told = Told()
    first, second = refused(told, consumed(0), consumed(1))
    told.receive(consumed(2))
    told.not_written(first, "queue full")
    told.not_written(second, "queue full")
    commands = told.start(later=1)
    assert [type(command) for command in commands] == [Write, Write]

    told.engine.wrote(first)
    assert (told.engine.blocked, told.start()) == ({P0: "queue full"}, [])
    told.engine.wrote(second)
    assert told.engine.blocked == {}
    assert offsets(told.runs()) == [2]


def test_a_run_that_ends_while_its_partition_is_blocked_is_written_all_the_same():
    told = Told(results=True)
    told.receive(consumed(0), consumed(1))
    first, second = told.runs()
    told.end(first)
    told.not_written(told.write().task)
    told.end(second)

    assert told.write().task is second
    told.engine.wrote(second)
    assert told.engine.blocked
    assert told.engine.commits() == {P0: 0}


def test_a_retry_whose_time_comes_while_its_partition_is_blocked_waits():
    told = Told()
    told.receive(consumed(0), consumed(1))
    first, second = told.runs()
    told.end(first, Ending.REFUSED)
    told.end(second, FAILED, later=0.25)
    letter = told.write()
    told.not_written(letter.task)

    assert told.write(later=0.5).task is first
    told.engine.wrote(first)
    assert told.run() is second


# Partitions that come and go.


def test_what_is_revoked_is_not_run_but_what_runs_may_end_and_be_committed():
    told = Told(concurrency=1, partitions=[P0, P1])
    told.receive(consumed(0, "a"), consumed(1, "a"), consumed(2), consumed(0, partition=1))
    run = told.run()
    told.engine.revoke([P0])
    assert (told.engine.in_flight([P0]), told.engine.buffered, told.engine.assigned) == (1, 1, [P1])

    told.end(run)
    assert told.engine.in_flight([P0]) == 0
    assert told.engine.commits() == {P0: 1, P1: 0}
    told.engine.committed({P0: 1})
    told.engine.forget([P0])
    assert [each.position for each in told.runs()] == [P1]


def test_results_and_dead_letters_of_revoked_partitions_are_still_written_and_tried_again():
    told = Told(results=True, max_attempts=1)
    told.receive(consumed(0), consumed(1))
    first, second = told.runs()
    told.engine.revoke([P0])
    told.end(first)
    told.end(second, FAILED)
    assert told.engine.in_flight([P0]) == 2
    assert [command.kind for command in told.start()] == [Writing.RESULT, Writing.DEAD_LETTER]

    told.not_written(first)
    told.engine.wrote(second)
    assert told.engine.commits() == {P0: 0}
    told.engine.wrote(told.write(later=1).task)
    assert told.engine.commits() == {P0: 2}
    assert told.engine.idle


@pytest.mark.parametrize("ending", [Ending.FAILED, Ending.UNKNOWN, Ending.NOT_STARTED, *PAUSING])
def test_a_run_of_a_revoked_partition_that_would_have_to_go_again_is_left_to_the_next_owner(ending):
    told = Told()
    told.receive(consumed(0, "a"), consumed(1, "a"))
    run = told.run()
    told.engine.revoke([P0])
    told.end(run, ending)

    assert told.engine.idle
    assert (told.start(later=1000), told.engine.due()) == ([], None)
    assert told.engine.commits() == {P0: 0}


def test_retries_of_a_revoked_partition_are_dropped():
    told = Told(partitions=[P0, P1])
    told.receive(consumed(0), consumed(0, partition=1))
    for run in told.runs():
        told.end(run, FAILED)
    told.engine.revoke([P0])

    assert [run.position for run in told.runs(later=100)] == [P1]


@pytest.mark.parametrize("ending", Ending)
def test_a_run_of_a_forgotten_partition_keeps_its_slot_and_tells_nothing(ending):
    told = Told(concurrency=1, partitions=[P0, P1], max_attempts=1)
    told.receive(consumed(0), consumed(0, partition=1))
    run = told.run()
    told.engine.forget([P0])
    assert (told.engine.in_flight(), told.engine.in_flight([P0]), told.engine.commits()) == (1, 0, {P1: 0})
    assert told.start() == []

    told.end(run, ending)
    assert told.engine.circuit is None
    assert [each.position for each in told.runs()] == [P1]


@pytest.mark.parametrize("fact", ["wrote", "not_written"])
def test_a_write_of_a_forgotten_partition_tells_nothing(fact):
    told = Told()
    (letter,) = refused(told, consumed(0))
    told.engine.forget([P0])
    told.engine.assign([P0])
    assert told.engine.idle

    getattr(told if fact == "not_written" else told.engine, fact)(letter)
    assert (told.engine.blocked, told.engine.commits(), told.start(later=1000)) == ({}, {}, [])


def test_a_blocked_partition_that_is_forgotten_comes_back_free():
    told = Told()
    (letter,) = refused(told, consumed(0))
    told.not_written(letter)
    told.engine.forget([P0])
    told.engine.assign([P0])
    told.receive(consumed(0))

    assert told.engine.blocked == {}
    assert len(told.runs(later=1000)) == 1


def test_a_partition_that_comes_back_begins_anew_and_its_old_runs_are_not_mistaken_for_the_new_ones():
    told = Told()
    told.receive(consumed(0), consumed(1))
    old, _ = told.runs()
    told.engine.forget([P0])
    told.engine.assign([P0])
    told.receive(consumed(0), consumed(1))
    new, _ = told.runs()

    told.end(old)
    assert told.engine.commits() == {P0: 0}
    told.end(new)
    assert told.engine.commits() == {P0: 1}


def test_records_that_are_not_ours_are_dropped():
    told = Told(partitions=[P0, P1])
    told.engine.revoke([P1])
    told.receive(consumed(5, partition=1), consumed(5, partition=2), consumed(5))

    assert [run.position for run in told.runs()] == [P0]
    assert told.engine.commits() == {P0: 5}


def test_to_revoke_or_forget_what_is_not_ours_is_nothing():
    told = Told()
    told.receive(consumed(0))
    told.engine.revoke([P1])
    told.engine.forget([P1, P2])

    assert told.engine.assigned == [P0]
    assert len(told.runs()) == 1


def test_who_is_told_twice_that_a_partition_goes_counts_once():
    told = Told()
    told.receive(consumed(0), consumed(1))
    told.engine.revoke([P0, P0])
    told.engine.revoke([P0])
    told.engine.forget([P0, P0])

    assert (told.engine.buffered, told.engine.idle) == (0, True)


# Committing.


def test_what_is_committed_is_not_offered_again_and_nothing_past_what_is_unfinished():
    told = Told()
    told.receive(*(consumed(number) for number in (3, 4, 8)))
    first, second, third = told.runs()
    told.engine.committed({P0: 3})
    assert told.engine.commits() == {}
    told.end(third)
    told.end(second)
    assert told.engine.commits() == {}
    told.end(first)
    assert told.engine.commits() == {P0: 9}
    told.engine.committed({P0: 9})
    assert told.engine.commits() == {}


def test_a_commit_that_is_answered_after_its_partition_went_means_nothing():
    told = Told()
    told.engine.committed({P1: 7})

    assert told.engine.commits() == {}


# When to look again.


def test_there_is_nothing_to_wait_for_when_nothing_can_happen():
    told = Told(concurrency=1)
    assert told.engine.due() is None
    told.receive(consumed(0), consumed(1))
    assert told.engine.due() == told.now
    told.run()
    assert told.engine.due() is None


def test_a_write_is_to_be_started_at_once():
    told = Told(results=True)
    told.receive(consumed(0))
    told.end(told.run())

    assert told.engine.due() == told.now
    told.write()
    assert told.engine.due() is None


# What cannot be.


def everywhere():
    """An engine with tasks everywhere: waiting, delayed, running, being written, to be written, written again, done."""
    told = Told(concurrency=7, results=True, partitions=[P0, P1])
    told.receive(*(consumed(number) for number in range(7)), consumed(7, "a"), consumed(3, partition=1))
    done, writing, again, delayed, running, to_write, gone = told.runs()
    for task in (done, writing, again):
        told.end(task)
    told.engine.committed({P0: 0})
    told.start()
    told.engine.wrote(done)
    told.not_written(again)
    told.end(delayed, FAILED)
    told.end(to_write, Ending.REFUSED)
    told.end(gone)
    return told, {
        "done": done,
        "being written": writing,
        "to be written again": again,
        "to be tried again": delayed,
        "running": running,
        "to be written": to_write,
    }


@pytest.mark.parametrize(
    "place", ["done", "being written", "to be written again", "to be tried again", "to be written"]
)
@pytest.mark.parametrize("ending", Ending)
def test_what_does_not_run_cannot_end(place, ending):
    told, tasks = everywhere()
    before = state_of((told.engine, tasks))

    with pytest.raises(IllegalFact):
        told.end(tasks[place], ending, later=1)
    assert state_of((told.engine, tasks)) == before


@pytest.mark.parametrize("place", ["done", "to be written again", "to be tried again", "running", "to be written"])
def test_what_is_not_being_written_cannot_have_been(place):
    told, tasks = everywhere()
    before = state_of((told.engine, tasks))

    with pytest.raises(IllegalFact):
        told.engine.wrote(tasks[place])
    with pytest.raises(IllegalFact):
        told.not_written(tasks[place])
    assert state_of((told.engine, tasks)) == before


@pytest.mark.parametrize(
    "records",
    [
        [consumed(7)],
        [consumed(6)],
        [consumed(8), consumed(9), consumed(9)],
        [consumed(8), consumed(4, partition=1), consumed(3, partition=1)],
        [consumed(0, partition=2), consumed(8), consumed(0)],
    ],
    ids=["again", "backwards", "twice in one batch", "in the second partition", "after others"],
)
def test_records_that_come_again_or_backwards_are_refused_with_all_that_came_with_them(records):
    told, _ = everywhere()
    before = state_of(told.engine)
    told.now += 1

    with pytest.raises(IllegalFact):
        told.receive(*records)
    assert state_of(told.engine) == before


@pytest.mark.parametrize("positions", [[P0], [P2, P1], [P2, P0, P2]])
def test_a_partition_is_assigned_once(positions):
    told, _ = everywhere()
    before = state_of(told.engine)

    with pytest.raises(IllegalFact):
        told.engine.assign(positions)
    assert state_of(told.engine) == before


def test_a_revoked_partition_is_not_assigned_before_it_is_forgotten():
    told = Told()
    told.engine.revoke([P0])

    with pytest.raises(IllegalFact):
        told.engine.assign([P0])
    told.engine.forget([P0])
    told.engine.assign([P0])


@pytest.mark.parametrize("offsets_", [{P0: 2}, {P0: 1, P1: 4}, {P1: 3, P0: 8}, {P2: 1, P0: 9}])
def test_nothing_can_be_committed_past_what_is_unfinished(offsets_):
    told, _ = everywhere()
    before = state_of(told.engine)

    with pytest.raises(IllegalFact):
        told.engine.committed(offsets_)
    assert state_of(told.engine) == before


def test_bounds_that_would_stand_still_are_refused():
    for bound in ("concurrency", "max_attempts", "buffer_records", "buffer_bytes", "ahead"):
        with pytest.raises(ValueError, match="at least one"):
            Engine(Policy(**{"ordering": Ordering.KEY, "concurrency": 1, "max_attempts": 1, bound: 0}), random=HALF)
