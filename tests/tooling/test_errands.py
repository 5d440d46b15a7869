"""What blocks, on a thread of its own."""

import gc
import threading
import weakref

import pytest

from kafka_bridge.broker.loops import ThreadLoop
from kafka_bridge.errors import Busy, Cause, Fenced, Internal, Unavailable, Unreadable
from kafka_bridge.tooling.errands import MAX_ERRANDS, Errands
from tests.brokers import wait_until
from tests.stand_ins import log_of


@pytest.fixture
def errands():
    return Errands(ThreadLoop())


def raising(error):
    def task(_):
        raise error

    return task


def test_the_task_runs_on_another_thread_and_its_result_comes_back(errands):
    assert errands.run(lambda _: threading.get_ident(), timeout_s=5) != threading.get_ident()


def test_kafkas_refusals_are_those_of_reading(errands):
    with pytest.raises(Unreadable, match="connection refused"):
        errands.run(raising(Unavailable(Cause.CONNECTION_REFUSED, "hint")), timeout_s=5)


def test_every_other_error_of_ours_is_what_it_was(errands):
    with pytest.raises(Fenced):
        errands.run(raising(Fenced()), timeout_s=5)


def test_a_defect_is_an_incident_whose_text_reaches_nobody(errands):
    with log_of("kafka_bridge.tooling.errands") as lines, pytest.raises(Internal) as caught:
        errands.run(raising(RuntimeError("hunter2")), timeout_s=5)

    assert caught.value.incident in lines[0]
    assert "hunter2" not in lines[0] + str(caught.value)


class Client:
    """Something that must die on the thread that has made it."""


@pytest.mark.parametrize("kind", [lambda: Unavailable(Cause.CONNECTION_REFUSED), Fenced])
def test_an_error_keeps_nothing_alive_that_the_thread_has_made(errands, kind):
    dead = []

    def task(_):
        client = Client()
        weakref.finalize(client, lambda: dead.append(threading.get_ident()))
        try:
            raise RuntimeError("of the library")
        except RuntimeError as error:
            raise kind() from error

    with pytest.raises((Unreadable, Fenced)) as caught:
        errands.run(task, timeout_s=5)
    gc.collect()

    assert dead
    assert dead[0] != threading.get_ident()
    assert caught.value.__cause__ is None


def test_whoever_waits_in_vain_is_told_and_the_task_should_stop(errands):
    ended = threading.Event()

    def task(errand):
        while not errand.stopped:
            ended.wait(0.01)
        ended.set()

    with pytest.raises(Unreadable, match="not acknowledged in time"):
        errands.run(task, timeout_s=0.05)
    assert ended.wait(5)


def test_a_task_lets_its_caller_go_on_before_it_is_done(errands):
    go_on = threading.Event()

    def task(errand):
        errand.begin()
        return go_on.wait(5)

    with errands.running(task) as errand:
        errand.begun(5)
        go_on.set()
        assert errand.result(5)


def test_a_task_that_fails_before_it_begins_fails_whoever_waits_for_that(errands):
    with errands.running(raising(Fenced())) as errand, pytest.raises(Fenced):
        errand.begun(5)


def test_there_are_not_too_many_at_once_and_room_again_afterwards(errands):
    enough = threading.Event()
    waiting = [errands.running(lambda _: enough.wait(10)) for _ in range(MAX_ERRANDS)]
    running = [one.__enter__() for one in waiting]

    with pytest.raises(Busy, match=str(MAX_ERRANDS)):
        errands.run(lambda _: None, timeout_s=5)
    enough.set()
    for one, errand in zip(waiting, running, strict=True):
        assert errand.result(5)
        one.__exit__(None, None, None)

    assert errands.run(lambda _: "room", timeout_s=5) == "room"


def test_one_whose_caller_has_gone_counts_until_its_thread_has_ended(errands):
    enough, ended = threading.Event(), []

    def task(errand):
        enough.wait(10)
        ended.append(errand)

    for _ in range(MAX_ERRANDS):
        with pytest.raises(Unreadable):
            errands.run(task, timeout_s=0)

    with pytest.raises(Busy):
        errands.run(task, timeout_s=0)
    enough.set()
    wait_until(lambda: len(ended) == MAX_ERRANDS)
