"""What blocks beside whoever waits for it, and what waits on behalf of a thread: on threads and on the hub."""

import threading

import gevent
import pytest

from kafka_bridge.broker import greenlets
from kafka_bridge.broker.aside import Aside, on_loop
from kafka_bridge.broker.loops import ThreadLoop
from kafka_bridge.errors import Busy, Cause, Internal, TooLarge, Unavailable, Unreadable
from tests.stand_ins import log_of


@pytest.fixture(params=["threads", "the hub"])
def loop(request):
    return ThreadLoop() if request.param == "threads" else greenlets.GeventLoop()


def result(loop, task, *, timeout_s=20, then=lambda: None):
    aside = Aside(task, loop)
    aside.start(then)
    return aside.result(timeout_s)


def test_whoever_waits_gets_what_the_task_gives_and_its_end_is_told(loop):
    ended = []

    assert result(loop, lambda _: threading.current_thread().name, then=lambda: ended.append(1))
    assert ended == [1]


def test_what_the_task_raises_is_raised_without_what_it_holds(loop):
    def fail(_):
        try:
            raise ValueError("of the client's")
        except ValueError as error:
            raise TooLarge("above the limit") from error

    with pytest.raises(TooLarge, match="above the limit") as raised:
        result(loop, fail)
    assert raised.value.__cause__ is None


def test_a_broker_that_is_away_means_that_nothing_can_be_read(loop):
    def fail(_):
        raise Unavailable(Cause.CONNECTION_REFUSED, "port 1")

    with pytest.raises(Unreadable, match="connection refused") as raised:
        result(loop, fail)
    assert raised.value.hint == "port 1"


def test_a_defect_is_an_incident_and_not_a_caller_that_waits_for_ever(loop):
    told = "a secret"

    def fail(_):
        raise ZeroDivisionError(told)

    with log_of("kafka_bridge.broker.aside") as lines:
        with pytest.raises(Internal):
            result(loop, fail)
        # On the hub lines are written by a greenlet of its own.
        for _ in range(1000):
            if not lines:
                gevent.sleep(0.001)
    assert len(lines) == 1
    assert "ZeroDivisionError" in lines[0]
    assert "a secret" not in lines[0]


def test_a_task_that_does_not_come_back_is_told_to_stop(loop):
    stopped = threading.Event()
    ended = threading.Event()

    def hang(aside):
        while not aside.stopped:
            loop.rest(0.005)
        stopped.set()

    with pytest.raises(Unreadable, match="not acknowledged in time"):
        result(loop, hang, timeout_s=0.05, then=ended.set)
    assert stopped.wait(20)
    for _ in range(1000):
        if ended.wait(0.001):
            break
        gevent.sleep(0.001)
    assert ended.is_set()


def test_a_process_without_threads_says_so(loop, monkeypatch):
    def refuse(_):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(loop, "start_thread", refuse)

    with pytest.raises(Busy, match="no thread left"):
        Aside(lambda _: 1, loop).start(lambda: None)


def test_a_thread_has_tasks_done_on_the_loop_and_looks_around_meanwhile(loop):
    seen, looks = [], []

    def task():
        waiter = loop.waiter()
        waiter.wait(0.05)
        seen.append(len(seen))

    def whole(_):
        on_loop(loop, [task] * 4, meanwhile=lambda: looks.append(len(seen)))
        return "done"

    assert result(loop, whole) == "done"
    assert seen == [0, 1, 2, 3]
    assert len(looks) > 1


def test_one_task_that_fails_leaves_nobody_waiting(loop):
    seen = []

    def fail():
        raise ZeroDivisionError

    def whole(_):
        on_loop(loop, [fail, lambda: seen.append(1)], meanwhile=lambda: None)
        return "done"

    with log_of("kafka_bridge.broker.aside"):
        assert result(loop, whole) == "done"
        gevent.sleep(0)
    assert seen == [1]
