"""Whose intake is paused, and when it goes on."""

import pytest

from kafka_bridge.dispatch.ended import Ending
from kafka_bridge.dispatch.flow import MOST, Flow
from tests.dispatch.words import DONE, P0, P1, P2, Told, consumed

ONE_PAUSED, ONE_RESUMED = Flow(pause=(P0,)), Flow(resume=(P0,))


def test_nothing_is_paused_that_is_not_and_nothing_twice():
    told = Told(buffer_records=2)

    assert told.engine.flow() == Flow()
    told.receive(consumed(0), consumed(1))
    assert told.engine.flow() == ONE_PAUSED
    assert told.engine.flow() == Flow()


@pytest.mark.parametrize("limit", [1, 2, 3, 10])
def test_the_buffer_pauses_at_its_limit_and_resumes_at_half_of_it(limit):
    told = Told(buffer_records=limit, concurrency=1)
    told.receive(*(consumed(number) for number in range(limit - 1)))
    assert told.engine.flow() == Flow()
    told.receive(consumed(limit - 1))
    assert told.engine.flow() == ONE_PAUSED

    while told.engine.buffered > limit // 2:
        assert told.engine.flow() == Flow()
        running = told.run()
        told.end(running)
    assert told.engine.flow() == ONE_RESUMED


def test_large_records_pause_it_too():
    told = Told(buffer_bytes=10, concurrency=1)
    told.receive(consumed(0, value=b"1234"), consumed(1, value=b"12345"))
    assert told.engine.flow() == Flow()
    told.receive(consumed(2, value=b"1"))
    assert told.engine.flow() == ONE_PAUSED

    told.end(told.run())
    assert told.engine.flow() == Flow()
    told.end(told.run())
    assert told.engine.flow() == ONE_RESUMED


def test_a_record_that_is_larger_than_the_buffer_gets_through():
    told = Told(buffer_bytes=10)
    told.receive(consumed(0, value=b"x" * 1000))
    assert told.engine.flow() == ONE_PAUSED
    told.run()

    assert told.engine.flow() == ONE_RESUMED


def test_results_that_cannot_be_written_fast_enough_fill_the_buffer():
    told = Told(buffer_records=2, concurrency=1, results=True)
    for number in range(2):
        told.receive(consumed(number))
        told.end(told.run())
        told.write()
    assert told.engine.flow() == ONE_PAUSED


def test_large_results_that_are_not_written_yet_fill_it_too():
    told = Told(buffer_bytes=10, results=True)
    told.receive(consumed(0, value=b"x" * 10))
    run = told.run()
    assert told.engine.flow() == Flow()
    told.end(run)
    assert told.engine.flow() == ONE_PAUSED
    told.engine.wrote(told.write().task)
    assert told.engine.flow() == ONE_RESUMED


def test_a_partition_that_is_far_ahead_of_its_commit_point_is_paused_alone_and_resumed_at_half():
    told = Told(ahead=4, partitions=[P0, P1])
    told.receive(*(consumed(number) for number in (0, 10, 20)), consumed(0, partition=1))
    first, second, third, _ = told.runs()
    told.end(second)
    assert told.engine.flow() == Flow()
    told.receive(consumed(30))
    told.end(told.run())
    assert told.engine.flow() == ONE_PAUSED

    told.end(third)
    assert told.engine.flow() == Flow()
    told.end(first)
    assert told.engine.flow() == ONE_RESUMED


def test_while_the_circuit_is_open_nothing_comes_in():
    told = Told(partitions=[P0, P1])
    told.receive(consumed(0))
    told.end(told.run(), Ending.UNAVAILABLE)
    assert set(told.engine.flow().pause) == {P0, P1}
    told.engine.assign([P2])
    assert told.engine.flow() == Flow(pause=(P2,))

    told.end(told.run(later=1))
    assert set(told.engine.flow().resume) == {P0, P1, P2}


def test_an_open_circuit_without_anything_to_probe_with_lets_records_in():
    told = Told()
    told.receive(consumed(0))
    told.end(told.run(), Ending.UNAVAILABLE)
    told.engine.flow()
    told.engine.revoke([P0])
    told.engine.forget([P0])
    told.engine.assign([P1])
    assert told.engine.flow() == Flow()

    told.receive(consumed(0, partition=1))
    assert told.engine.flow() == Flow(pause=(P1,))
    told.end(told.run(later=1))
    assert (told.engine.circuit, told.engine.flow()) == (None, Flow(resume=(P1,)))


def blocked(told, *, offset=0, partition=0):
    """Let a partition be blocked by a dead letter that cannot be written."""
    told.receive(consumed(offset, "poison", partition=partition))
    (run,) = [each for each in told.runs() if each.consumed.record.key == b"poison"]
    told.end(run, Ending.REFUSED)
    told.not_written(told.write().task)


def test_a_blocked_partition_is_paused_and_the_others_go_on():
    told = Told(partitions=[P0, P1])
    blocked(told)

    assert told.engine.flow() == ONE_PAUSED
    told.engine.wrote(told.write(later=1).task)
    assert told.engine.flow() == ONE_RESUMED


def test_what_a_blocked_partition_holds_is_no_reason_to_pause_the_others():
    told = Told(partitions=[P0, P1], buffer_records=4, concurrency=1)
    blocked(told)
    told.receive(*(consumed(number) for number in range(1, 4)))

    assert told.engine.flow() == ONE_PAUSED
    told.receive(*(consumed(number, partition=1) for number in range(4)))
    assert told.engine.flow() == Flow(pause=(P1,))


def test_but_what_many_blocked_partitions_hold_is():
    told = Told(partitions=[P0, P1], buffer_records=4)
    blocked(told)
    told.receive(*(consumed(number) for number in range(1, 4 * MOST - 1)))
    assert told.engine.flow() == ONE_PAUSED
    told.receive(consumed(0, partition=1))

    assert told.engine.flow() == Flow(pause=(P1,))


def test_half_of_what_many_blocked_partitions_may_hold_does_not_keep_the_others_paused():
    told = Told(partitions=[P0, P1], buffer_records=4, concurrency=1)
    blocked(told)
    told.receive(*(consumed(number) for number in range(1, 11)))
    told.engine.flow()
    told.receive(*(consumed(number, partition=1) for number in range(4)))
    assert told.engine.flow() == Flow(pause=(P1,))

    told.end(told.run())
    told.end(told.run())
    assert told.engine.flow() == Flow(resume=(P1,))


@pytest.mark.parametrize("how", ["revoke", "forget"])
def test_a_partition_that_went_is_neither_paused_nor_resumed_and_comes_back_unpaused(how):
    told = Told(partitions=[P0, P1], buffer_records=2)
    told.receive(consumed(0), consumed(1))
    told.engine.flow()
    getattr(told.engine, how)([P0])
    assert told.engine.flow() == Flow(resume=(P1,))

    told.engine.forget([P0])
    told.engine.assign([P0])
    told.receive(consumed(0), consumed(1))
    assert set(told.engine.flow().pause) == {P0, P1}


def test_a_revoked_partition_that_is_blocked_or_far_ahead_is_not_paused():
    told = Told(partitions=[P0, P1], ahead=1)
    told.receive(consumed(0), consumed(0, partition=1))
    first, second = told.runs()
    told.engine.revoke([P0, P1])
    assert told.engine.flow() == Flow()

    told.end(first, Ending.REFUSED)
    told.not_written(told.write().task)
    told.end(second, DONE)
    assert told.engine.flow() == Flow()


def test_a_partition_that_was_far_ahead_comes_back_as_if_it_had_not_been():
    told = Told(ahead=3)
    told.receive(*(consumed(number) for number in range(5)))
    first, *_ = told.runs()
    told.engine.revoke([P0])
    told.end(first)
    told.engine.forget([P0])
    told.engine.assign([P0])

    assert told.engine.flow() == Flow()
