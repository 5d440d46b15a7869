"""Writing results and dead letters."""

from kafka_bridge.broker.loops import ThreadLoop
from kafka_bridge.dispatch.engine import Write
from kafka_bridge.dispatch.task import Writing
from kafka_bridge.dispatch.writer import GROUPS, Writer
from kafka_bridge.errors import Cause, Internal, TooLarge, Unavailable
from tests.brokers import wait_until
from tests.dispatch.words import task


def test_a_defect_is_told_like_any_other_failure():
    told = []

    def record_of(_write):
        raise OverflowError("NEVERSHOWN")

    loop = ThreadLoop()
    writer = Writer(lambda _: (), record_of, told=lambda writes, error: told.append((list(writes), error)), loop=loop)
    write = Write(task(), Writing.RESULT)
    with loop.lock:
        writer.put(write)

    wait_until(lambda: len(told) == 2)
    assert told[0][0] == [write]
    assert isinstance(told[0][1], Internal)
    assert not writer.busy


class Outside:
    """In the place of the producer: keeps what each call was about, and fails as the test says."""

    def __init__(self, failure):
        self.failure = failure
        self.calls = []

    def __call__(self, records):
        self.calls.append(list(records))
        if error := self.failure(records):
            raise error
        return []


def written(failure, *kinds):
    """What became of a group of one result and dead letters, by kind; and the calls that it took."""
    told, outside, loop = [], Outside(failure), ThreadLoop()
    writer = Writer(
        outside, lambda write: write.kind, told=lambda writes, error: told.append((writes, error)), loop=loop
    )
    with loop.lock:
        for kind in kinds:
            writer.put(Write(task(), kind))
    wait_until(lambda: not writer.busy and any(not writes for writes, _ in told))
    return {write.kind: error for writes, error in told for write in writes}, outside.calls


def test_a_dead_letter_topic_that_is_not_there_keeps_no_result_from_being_written():
    absent = Unavailable(Cause.TOPIC_DOES_NOT_EXIST)

    told, calls = written(
        lambda kinds: absent if Writing.DEAD_LETTER in kinds else None, Writing.RESULT, *[Writing.DEAD_LETTER] * 50
    )

    assert told == {Writing.RESULT: None, Writing.DEAD_LETTER: absent}
    # Nobody asks fifty times for what is true of the topic.
    assert len(calls) <= 2 * GROUPS + 1


def test_one_that_is_too_large_keeps_no_other_from_being_written():
    told, calls = written(lambda kinds: TooLarge("x") if len(kinds) > 1 else None, *[Writing.RESULT] * 5)

    assert told == {Writing.RESULT: None}
    assert sum(len(call) == 1 for call in calls) == 5
