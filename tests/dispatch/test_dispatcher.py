"""The dispatcher with a consumer that a test holds in its hand, on threads."""

import random
import threading
import time

import pytest

from kafka_bridge.broker.loops import ThreadLoop
from kafka_bridge.broker.ports import Position
from kafka_bridge.clock import Clock
from kafka_bridge.dispatch.ended import Ended, Ending
from kafka_bridge.dispatch.plan import compile_plan
from kafka_bridge.dispatch.worker import Dispatcher
from kafka_bridge.settings import endpoint
from tests.dispatch.words import DONE, P0, consumed
from tests.stand_ins import saved


class Held:
    """One partition with some records."""

    def __init__(self, records):
        self.records = records
        self.commits = {}
        self.joined = False

    def subscribe(self, _topics, *, on_assigned, **_):
        self.on_assigned = on_assigned

    def assigned(self):
        return [P0]

    def poll(self, timeout_s, *, limit):
        if not self.joined:
            self.joined = True
            self.on_assigned({P0: Position(0)})
        given, self.records = self.records[:limit], self.records[limit:]
        if not given:
            threading.Event().wait(min(timeout_s, 0.01))
        return given

    @property
    def at_end(self):
        return self.joined and not self.records

    def pause(self, _partitions):
        pass

    resume = pause

    def commit(self, offsets):
        self.commits.update(offsets)
        return True

    def committed(self, partitions):
        return dict.fromkeys(partitions)

    def lag(self, partitions):
        return dict.fromkeys(partitions, 0)

    def close(self):
        pass


class Silent:
    def ran(self, task, ended):
        pass

    def dead_lettered(self, task):
        pass


def dispatcher_of(consumer):
    settings = endpoint.parse(saved(consume_topics="orders", concurrency="2", max_attempts="1"))
    plan, problems = compile_plan(settings.consume, name="test")
    assert not problems
    return Dispatcher(
        plan,
        make_consumer=lambda: consumer,
        send=lambda _: (),
        listener=Silent(),
        loop=ThreadLoop(6),
        clock=Clock(now=time.time, monotonic=time.monotonic),
        random=random.random,
    )


@pytest.mark.parametrize("raised", [ValueError, SystemExit, BaseException])
def test_a_run_that_is_broken_off_keeps_neither_its_slot_nor_the_window(raised):
    consumer = Held([consumed(0), consumed(1), consumed(2), consumed(3)])
    dispatcher = dispatcher_of(consumer)
    endings = []

    def runner(task):
        if task.consumed.offset < 3:
            raise raised
        return DONE

    dispatcher._listener.ran = lambda task, ended: endings.append((task.consumed.offset, ended))
    dispatcher.start()
    reports = []
    window = threading.Thread(target=lambda: reports.append(dispatcher.run(runner, max_s=10)), daemon=True)
    window.start()
    window.join(10)
    dispatcher.stop()

    assert [report.counts.succeeded for report in reports] == [1]
    assert reports[0].counts.dead_lettered == 3
    unknown = Ended(Ending.UNKNOWN, error=f"the run was broken off ({raised.__name__})")
    assert sorted(endings) == [(0, unknown), (1, unknown), (2, unknown), (3, DONE)]
    assert consumer.commits == {P0: 4}
