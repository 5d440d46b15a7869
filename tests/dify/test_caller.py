"""Whoever has gone is noticed, and what was under way for him is not waited for."""

import time

import gevent
import pytest

from kafka_bridge.broker.greenlets import GeventLoop
from kafka_bridge.broker.loops import Interrupted
from kafka_bridge.dify import caller as module
from kafka_bridge.dify.caller import Caller


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    monkeypatch.setattr(module, "LOOK_S", 0.02)
    monkeypatch.setattr(module, "ANSWER_S", 0.05)


class Session:
    """In the place of a session: answers the first so many questions, then nobody does."""

    def __init__(self, answers, error=None):
        self.asked = 0
        self._answers = answers
        self._error = error

    def ask(self):
        self.asked += 1
        if self._answers is not None and self.asked > self._answers:
            gevent.sleep(60)
        if self._error:
            raise self._error


def test_who_has_gone_is_noticed_and_what_runs_for_him_is_left():
    session, told = Session(answers=1), []
    caller = Caller(session.ask, GeventLoop(), lambda: told.append("gone"))

    with caller.watched(), pytest.raises(Interrupted):
        caller.call(lambda: gevent.sleep(60))

    assert (session.asked, told) == (1 + module.MISSES, ["gone"])


def test_everything_that_is_under_way_ends_and_nothing_begins_any_more():
    caller, ended = Caller(Session(answers=0).ask, GeventLoop()), []

    def run():
        try:
            caller.call(lambda: gevent.sleep(60))
        except Interrupted:
            ended.append("interrupted")

    with caller.watched():
        gevent.joinall([gevent.spawn(run) for _ in range(3)], raise_error=True)
        with pytest.raises(Interrupted):
            caller.call(lambda: ended.append("begun"))

    assert ended == ["interrupted"] * 3


@pytest.mark.parametrize("error", [None, Exception("validation failed")])
def test_any_answer_will_do(error):
    session, told = Session(answers=None, error=error), []

    with Caller(session.ask, GeventLoop(), lambda: told.append("gone")).watched():
        gevent.sleep(0.2)

    assert session.asked > module.MISSES
    assert told == []


def test_one_question_may_be_lost():
    answers = iter([60, 0, 60, 0, 60])
    told = []

    with Caller(lambda: gevent.sleep(next(answers, 0)), GeventLoop(), lambda: told.append("gone")).watched():
        gevent.sleep(0.4)

    assert (told, list(answers)) == ([], [])


def test_nobody_is_asked_when_it_is_over():
    session, told = Session(answers=0), []
    caller = Caller(session.ask, GeventLoop(), lambda: told.append("gone"))

    with caller.watched():
        assert caller.call(lambda: 42) == 42
    gevent.sleep(0.2)

    assert (session.asked, told) == (0, [])


@pytest.mark.parametrize(("answers", "told"), [(0, ["gone"]), (None, [])])
def test_who_cannot_wait_for_the_next_look_asks_at_once(monkeypatch, answers, told):
    monkeypatch.setattr(module, "LOOK_S", 60)
    heard = []
    caller = Caller(Session(answers).ask, GeventLoop(), lambda: heard.append("gone"))

    with caller.watched():
        gevent.joinall([gevent.spawn(caller.check) for _ in range(2)], raise_error=True)

        assert heard == told


def test_while_nothing_is_under_way_nobody_is_asked_so_often_and_at_once_again_when_something_is():
    session, looked = Session(answers=None), []
    caller = Caller(session.ask, GeventLoop(), on_look=lambda: looked.append(session.asked), rest_s=60)

    with caller.watched():
        gevent.sleep(0.2)
        assert session.asked == 0
        caller.call(lambda: gevent.sleep(0.2))
        assert (during := session.asked) > module.MISSES
        gevent.sleep(0.2)
        # Once more after the end: what it has left behind is looked after.
        assert during <= session.asked <= during + 1
        assert looked == list(range(1, session.asked + 1))
        rested = session.asked
        caller.call(lambda: gevent.sleep(0.2))
        assert session.asked > rested + module.MISSES


def test_who_goes_while_nothing_is_under_way_is_noticed_by_what_comes_next():
    told = []
    caller = Caller(Session(answers=0).ask, GeventLoop(), lambda: told.append("gone"), rest_s=60)

    with caller.watched():
        gevent.sleep(0.1)
        with pytest.raises(Interrupted):
            caller.call(lambda: gevent.sleep(60))

    assert told == ["gone"]


def test_what_is_done_at_each_look_is_done_while_the_caller_is_there_and_no_longer():
    session, looks = Session(answers=3), []
    caller = Caller(session.ask, GeventLoop(), on_look=lambda: looks.append(session.asked))

    with caller.watched(), pytest.raises(Interrupted):
        caller.call(lambda: gevent.sleep(60))
    gevent.sleep(0.1)

    assert looks == [1, 2, 3]


def test_nothing_is_begun_at_a_look_when_it_is_over():
    looks = []

    with Caller(lambda: gevent.sleep(0.04), GeventLoop(), on_look=lambda: looks.append("look")).watched():
        # In the middle of the question.
        gevent.sleep(0.03)
    gevent.sleep(0.1)

    assert looks == []


def test_what_takes_its_time_at_a_look_delays_the_next_one_by_no_more_than_that():
    session, told = Session(answers=1), []
    caller = Caller(session.ask, GeventLoop(), lambda: told.append("gone"), on_look=lambda: gevent.sleep(0.2))
    began = time.monotonic()

    with caller.watched(), pytest.raises(Interrupted):
        caller.call(lambda: gevent.sleep(60))

    assert told == ["gone"]
    assert time.monotonic() - began < 0.2 + module.MISSES * module.ANSWER_S + 0.5
