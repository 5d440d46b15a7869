"""Writing results and dead letters."""

from kafka_bridge.broker.loops import ThreadLoop
from kafka_bridge.dispatch.engine import Write
from kafka_bridge.dispatch.task import Writing
from kafka_bridge.dispatch.writer import Writer
from kafka_bridge.errors import Internal
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
