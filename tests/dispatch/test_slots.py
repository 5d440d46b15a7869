"""So many runs at once, whoever they are for: with greenlets and with threads."""

import random
import threading
import time
from collections import Counter

import gevent
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kafka_bridge.broker.greenlets import GeventLoop
from kafka_bridge.broker.loops import ThreadLoop
from kafka_bridge.dispatch.slots import Slots
from tests.brokers import wait_until


class Greenlets:
    make = GeventLoop

    @staticmethod
    def start(function):
        greenlet = gevent.spawn(function)
        return lambda: greenlet.get(timeout=20)

    rest = staticmethod(gevent.sleep)


class Threads:
    make = ThreadLoop

    @staticmethod
    def start(function):
        results = []
        thread = threading.Thread(target=lambda: results.append(function()), daemon=True)
        thread.start()

        def join():
            thread.join(20)
            return results[0]

        return join

    @staticmethod
    def rest(seconds):
        threading.Event().wait(seconds)


@pytest.fixture(params=[Greenlets, Threads], ids=["greenlets", "threads"])
def kind(request):
    return request.param


def until(kind, condition):
    wait_until(lambda: kind.rest(0.001) is None and condition())


def test_there_are_so_many_and_no_more(kind):
    slots = Slots(2, kind.make())

    assert [slots.acquire(0), slots.acquire(0), slots.acquire(0)] == [True, True, False]
    assert (slots.in_use, slots.limit, slots.waiting) == (2, 2, 0)
    slots.release()
    assert (slots.in_use, slots.acquire(0)) == (1, True)


def test_who_waits_longest_is_next_and_nobody_overtakes(kind):
    slots, order = Slots(1, kind.make()), []
    slots.acquire(0)

    def take(name):
        got = slots.acquire(20)
        order.append(name)
        slots.release()
        return got

    joins = []
    for number in range(5):
        joins.append(kind.start(lambda number=number: take(number)))
        until(kind, lambda number=number: slots.waiting == number + 1)
    slots.release()

    assert [join() for join in joins] == [True] * 5
    assert order == [0, 1, 2, 3, 4]
    assert (slots.in_use, slots.waiting) == (0, 0)


def test_a_slot_that_is_given_on_is_not_free_in_between(kind):
    slots = Slots(1, kind.make())
    slots.acquire(0)
    join = kind.start(lambda: slots.acquire(20))
    until(kind, lambda: slots.waiting == 1)

    slots.release()

    assert (slots.in_use, slots.acquire(0)) == (1, False)
    assert join() is True


def test_who_waits_no_longer_than_he_said_gets_none(kind):
    slots = Slots(1, kind.make())
    slots.acquire(0)
    started = time.monotonic()

    assert kind.start(lambda: slots.acquire(0.05))() is False
    assert 0.04 < time.monotonic() - started < 5
    assert (slots.in_use, slots.waiting) == (1, 0)


def test_a_slot_that_is_given_at_the_moment_when_the_time_is_over_is_not_lost(kind):
    """Many callers whose time is over just when a slot is given: in the end all slots are there again."""
    slots, chance, taken = Slots(2, kind.make()), random.Random(7), []

    def caller():
        for _ in range(60):
            if slots.acquire(chance.choice([0.0005, 0.001, 0.002])):
                assert slots.in_use <= 2
                taken.append(1)
                kind.rest(chance.choice([0, 0.0005, 0.001]))
                slots.release()

    for join in [kind.start(caller) for _ in range(8)]:
        join()

    assert taken
    assert (slots.in_use, slots.waiting) == (0, 0)
    assert [slots.acquire(0), slots.acquire(0)] == [True, True]


class Late:
    """A waiter whose time is over at the very moment when it is woken."""

    def __init__(self, slots):
        self.slots = slots

    def wait(self, timeout_s):
        self.slots.release()
        return False

    def wake(self):
        pass


def test_what_was_given_counts_and_not_what_the_waiter_says():
    loop = ThreadLoop()
    slots = Slots(1, loop)
    slots.acquire(0)
    loop.waiter = lambda: Late(slots)

    assert slots.acquire(1) is True
    assert (slots.in_use, slots.waiting) == (1, 0)


def test_a_greenlet_that_is_killed_while_it_waits_takes_no_slot_with_it():
    slots = Slots(1, GeventLoop())
    slots.acquire(0)
    waiting = gevent.spawn(slots.acquire, 20)
    gevent.sleep(0)
    waiting.kill()
    assert slots.waiting == 0

    # Given, and killed before it could go on.
    given = gevent.spawn(slots.acquire, 20)
    gevent.sleep(0)
    given.kill(block=False)
    slots.release()
    given.join(timeout=20)

    assert (slots.in_use, slots.acquire(0)) == (0, True)


def test_however_many_wait_for_one_the_others_are_next_in_turn(kind):
    slots, order = Slots(1, kind.make()), []
    assert slots.acquire(0)

    def wait(name, whose):
        assert slots.acquire(10, whose)
        order.append(name)
        slots.release(whose)

    joins = []
    for number, (name, whose) in enumerate([("a1", "a"), ("a2", "a"), ("a3", "a"), ("b1", "b"), ("c1", "c")], start=1):
        joins.append(kind.start(lambda name=name, whose=whose: wait(name, whose)))
        until(kind, lambda number=number: slots.waiting == number)
    slots.release()
    for join in joins:
        join()

    assert order == ["a1", "b1", "c1", "a2", "a3"]
    assert (slots.in_use, slots.waiting) == (0, 0)


@pytest.mark.parametrize(
    ("limit", "first", "second", "third"),
    [(1, 1, 0, 0), (2, 1, 1, 0), (3, 2, 1, 0), (4, 3, 1, 0), (8, 6, 2, 0), (12, 9, 3, 0), (30, 23, 7, 0)],
)
def test_nobody_takes_what_the_others_need_to_go_on(limit, first, second, third):
    slots = Slots(limit, ThreadLoop())

    with slots.present("a"), slots.present("b"), slots.present("c"):
        taken = [sum(slots.acquire(0, whose) for _ in range(limit)) for whose in "abc"]

    assert taken == [first, second, third]


def test_who_is_alone_may_have_them_all_until_somebody_comes(kind):
    slots = Slots(4, kind.make())

    with slots.present("a"):
        with slots.present("a"):
            assert [slots.acquire(0, "a") for _ in range(5)] == [True] * 4 + [False]
        with slots.present("b"):
            for _ in range(2):
                slots.release("a")
            # Two are free, and it has its share: one more, but not the last one.
            assert [slots.acquire(0, "a"), slots.acquire(0, "a")] == [True, False]
            join = kind.start(lambda: slots.acquire(20, "a"))
            until(kind, lambda: slots.waiting == 1)
            assert slots.acquire(0, "b")
            slots.release("b")
            assert (slots.in_use, slots.waiting) == (3, 1)
        # Nobody else is there any more.
        assert join()
    assert (slots.in_use, slots.waiting) == (4, 0)


def test_one_whose_runs_never_end_stops_nobody_else(kind):
    slots, ran = Slots(4, kind.make()), []

    def work(whose):
        for _ in range(5):
            assert slots.acquire(10, whose)
            kind.rest(0)
            ran.append(whose)
            slots.release(whose)

    with slots.present("stuck"), slots.present("b"), slots.present("c"):
        for _ in range(4):
            slots.acquire(0, "stuck")
        for join in [kind.start(lambda whose=whose: work(whose)) for whose in "bbcc"]:
            join()

    assert (ran.count("b"), ran.count("c")) == (10, 10)


def test_where_all_want_some_none_is_left():
    slots = Slots(30, ThreadLoop())

    with slots.present("a"), slots.present("b"):
        taken = [sum(slots.acquire(0, whose) for _ in range(20)) for whose in "ab"]

    assert taken == [20, 10]


@given(st.integers(1, 6), st.lists(st.tuples(st.sampled_from("tgxlr"), st.sampled_from("abc")), max_size=80))
def test_whatever_happens_no_slot_is_lost_and_no_slot_lies_there_that_somebody_who_waits_may_have(limit, steps):
    loop = ThreadLoop()
    loop.waiter = Nobody
    slots, here, held, waiting = Slots(limit, loop), Counter(), Counter(), {}
    enters = {whose: [] for whose in "abc"}
    for step, whose in steps:
        if step == "t":
            held[whose] += slots.acquire(0, whose)
        elif step == "g" and held[whose]:
            held[whose] -= 1
            slots.release(whose)
        elif step == "x":
            enters[whose].append(entered := slots.present(whose))
            entered.__enter__()
            here[whose] += 1
        elif step == "l" and here[whose]:
            here[whose] -= 1
            enters[whose].pop().__exit__(None, None, None)
        elif step == "r":
            # Somebody waits: what is given to him meanwhile is his.
            waiter = Nobody()
            waiting[waiter] = whose
            slots._waiting.setdefault(whose, {})[waiter] = None
            slots._give()
        for waiter in [each for each in waiting if each.woken]:
            held[waiting.pop(waiter)] += 1

        assert slots.in_use == held.total() <= limit
        assert slots.waiting == len(waiting)
        assert not [each for each in waiting.values() if slots._may_have_one(each)]


class Nobody:
    """A waiter that nobody waits with."""

    def __init__(self):
        self.woken = False

    def wait(self, timeout_s):
        return False

    def wake(self):
        self.woken = True
