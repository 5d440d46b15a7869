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
from kafka_bridge.dispatch.window import Window
from kafka_bridge.dispatch.worker import Dispatcher
from kafka_bridge.errors import Busy
from kafka_bridge.settings import endpoint
from tests.brokers import wait_until
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


def open_window(dispatcher, window, *, max_s=None):
    """A driver of its own; what it is told goes to the list."""
    told = []
    driver = threading.Thread(target=lambda: told.append(dispatcher.serve(window, max_s=max_s)), daemon=True)
    driver.start()
    return driver, told


def test_what_still_runs_in_a_window_that_is_over_keeps_nobody_from_opening_the_next():
    consumer = Held([consumed(0), consumed(1)])
    dispatcher = dispatcher_of(consumer)
    held, over = threading.Event(), threading.Event()
    ran = []

    def slow(task):
        ran.append(("first", task.consumed.offset))
        if task.consumed.offset == 0:
            held.wait(20)
        return DONE

    def quick(task):
        ran.append(("second", task.consumed.offset))
        return DONE

    dispatcher.start()
    first = Window(slow, patient=True, on_over=over.set)
    driver, told = open_window(dispatcher, first)
    wait_until(lambda: len(ran) == 2)
    with pytest.raises(Busy):
        dispatcher.serve(Window(quick))
    dispatcher.close(first)
    assert over.wait(10)
    second, told_second = open_window(dispatcher, Window(quick, left=3))
    consumer.records = [consumed(2), consumed(3)]
    wait_until(lambda: ("second", 3) in ran)
    # The one that hangs belongs to the first window still; what its greenlet or thread does next, to the second.
    assert (told, consumer.commits.get(P0), dispatcher.busy) == ([], None, True)
    consumer.records = [consumed(4)]
    held.set()
    for each in (driver, second):
        each.join(10)
    dispatcher.stop()

    assert (told[0].counts.consumed, told[0].counts.succeeded) == (2, 2)
    assert (told_second[0].counts.consumed, told_second[0].counts.succeeded) == (3, 3)
    assert {name for name, offset in ran if offset > 1} == {"second"}
    assert consumer.commits == {P0: 5}
    assert not dispatcher.busy


def test_a_run_of_a_window_that_is_over_hands_its_slot_to_the_window_that_is_open():
    consumer = Held([consumed(0, "k"), consumed(1, "k"), consumed(2, "k")])
    dispatcher = dispatcher_of(consumer)
    held = threading.Event()
    ran = []

    def runner(name):
        def run(task):
            ran.append((name, task.consumed.offset))
            held.wait(20)
            return DONE

        return run

    dispatcher.start()
    first = Window(runner("first"), patient=True)
    driver, told = open_window(dispatcher, first)
    wait_until(lambda: ran == [("first", 0)])
    dispatcher.close(first)
    wait_until(lambda: not dispatcher.is_open)
    second, told_second = open_window(dispatcher, Window(runner("second"), left=2, patient=True))
    wait_until(lambda: dispatcher.is_open)
    held.set()
    for each in (driver, second):
        each.join(10)
    dispatcher.stop()

    assert ran == [("first", 0), ("second", 1), ("second", 2)]
    assert [told[0].counts.succeeded, told_second[0].counts.succeeded] == [1, 2]
