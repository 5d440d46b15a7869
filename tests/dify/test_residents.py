"""Resident consumers on greenlets, with a daemon that a test plays."""

import gc
import json
import logging
import time
import timeit
import tracemalloc
from types import SimpleNamespace

import gevent
import pytest
from gevent.event import Event

from kafka_bridge.broker.greenlets import GeventLoop
from kafka_bridge.clock import Clock
from kafka_bridge.dify import course as course_module
from kafka_bridge.dify import resident as resident_module
from kafka_bridge.dify import residents as module
from kafka_bridge.dify.call import Call
from kafka_bridge.dify.course import Fact
from kafka_bridge.dify.hooks import compile_hook
from kafka_bridge.dify.hosting import ALTERNATIVES, Hosting
from kafka_bridge.dify.loopback import Unanswered
from kafka_bridge.dify.residents import Residents
from kafka_bridge.dify.visits import HEADER, Answer, Visits
from kafka_bridge.errors import SettingsInvalid
from tests.stand_ins import NOW, log_of, request, saved

NOT_FOUND = Answer(404, {"code": -400, "message": "endpoint not found"})
DONE = {"consumed": 0, "ended_by": "max_seconds"}
SETTINGS = {"app": {"app_id": "a"}, "consume_topics": "orders", "consumer": "enabled", "api_token": "t"}


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """A thousandth of every pause."""
    monkeypatch.setattr(course_module, "SPACING_S", 0.001)
    pauses = {fact: (first / 1000, most / 1000) for fact, (first, most) in course_module._PAUSES.items()}
    monkeypatch.setattr(course_module, "_PAUSES", pauses)
    logger = logging.getLogger("kafka_bridge.dify")
    before, logger.level = logger.level, logging.INFO
    yield
    logger.level = before


class Daemon:
    """In the place of the loopback client, the daemon, and `/consume`: windows last until a test ends them.

    `says` answers in the place of a window: an answer, or an exception. What is `held` ends its window and is not
    answered; `on_way` requests have not arrived.
    """

    address = "127.0.0.1:5002"

    def __init__(self, visits):
        self.visits = visits
        self.says = lambda hook: None
        self.seen = lambda hook: None
        self.asked = []
        self.open = {}
        self.held = Event()
        self.held.set()
        self.on_way = Event()
        self.on_way.set()
        self.unanswered = 0

    def post(self, hook, path, document, headers, *, silence_s):
        self.asked.append((hook, path, document, headers))
        self.unanswered += 1
        try:
            return self.answer(hook, headers)
        finally:
            self.unanswered -= 1

    def answer(self, hook, headers):
        gevent.sleep(0)
        self.on_way.wait()
        said = self.says(hook)
        if isinstance(said, Exception):
            raise said
        if said is not None:
            return said
        visit = self.visits.admit(f"endpoint-{hook}", headers[HEADER])
        if visit is None:
            return Answer(401, {})
        self.seen(hook)
        over = Event()
        assert hook not in self.open, "two windows at once"
        self.open[hook] = over
        visit.opened(over.set)
        over.wait()
        del self.open[hook]
        visit.end()
        self.held.wait()
        return Answer(200, DONE)


class Rig:
    def __init__(self, hosting=None, ahead=(0.0,)):
        self.loop = GeventLoop()
        self.greenlets = []
        self.loop.spawn = lambda task: self.greenlets.append(gevent.spawn(task))
        self.left = []
        self.visits = Visits()
        self.daemon = Daemon(self.visits)
        clock = Clock(now=lambda: NOW, monotonic=lambda: time.monotonic() + ahead[0])
        self.residents = Residents(
            SimpleNamespace(leave=self.left.append),
            self.visits,
            hosting or Hosting(),
            loop=self.loop,
            clock=clock,
            random=lambda: 0.5,
            loopback=self.daemon,
        )

    def call(self, hook="a", *, compiled=None, **settings):
        compiled = compiled or compile_hook(saved(**{**SETTINGS, **settings}))
        headers = {"Dify-Hook-Id": hook} if hook else {}
        return Call(request(headers=headers), compiled, f"endpoint-{hook or 'none'}")

    def until(self, condition):
        with gevent.Timeout(10):
            while not condition():
                gevent.sleep(0.001)

    def end(self, hook="a"):
        """The open window's end."""
        self.daemon.open[hook].set()

    @property
    def windows(self):
        return len(self.daemon.asked)

    @property
    def nothing_is_left(self):
        return (
            all(each.dead for each in self.greenlets)
            and not self.residents._residents
            and not self.visits._open
            and not self.residents._places._inside
            and not self.residents._places.waiting
        )


@pytest.fixture
def rig():
    rig = Rig()
    yield rig
    for hook in list(rig.residents._residents):
        rig.residents._end(rig.residents._residents[hook], module.Note("the test is over"))
    for event in (rig.daemon.held, rig.daemon.on_way, *rig.daemon.open.values()):
        event.set()
    gevent.joinall(rig.greenlets, timeout=10)
    assert all(greenlet.dead for greenlet in rig.greenlets)


# Beginning, going on, ending.


def test_the_first_request_starts_it_and_no_other_does(rig):
    for _ in range(3):
        rig.residents.see(rig.call())
    rig.until(lambda: rig.daemon.open)
    rig.residents.see(rig.call())
    gevent.sleep(0.02)

    assert rig.windows == 1
    hook, path, asked, headers = rig.daemon.asked[0]
    assert (hook, path) == ("a", "/consume")
    assert asked == {"max_records": 100_000, "max_seconds": 54.0, "wait": True}
    assert list(headers) == [HEADER]
    assert rig.residents.told(rig.call()) == {
        "state": "running",
        "since": "2023-11-14T22:13:20.000Z",
        "windows": 1,
        "failures": 0,
    }


@pytest.mark.parametrize("consumer", ["disabled", "", None, "Enabled", 1])
def test_without_the_setting_nothing_starts(rig, consumer):
    call = rig.call(consumer=consumer)
    rig.residents.see(call)
    gevent.sleep(0.01)

    assert rig.windows == 0
    assert rig.residents.told(call) == {"state": "disabled"}
    with pytest.raises(SettingsInvalid, match="Resident consumer: disabled"):
        rig.residents.start(call)


def test_one_window_follows_the_other_each_with_a_token_of_its_own(rig):
    rig.residents.see(rig.call())
    for number in range(1, 6):
        rig.until(lambda number=number: rig.windows == number and rig.daemon.open)
        rig.end()
    rig.until(lambda: rig.windows == 6)

    assert len({headers[HEADER] for *_, headers in rig.daemon.asked}) == 6
    assert rig.residents.told(rig.call())["last_window"] == DONE
    assert rig.left == []


def test_who_stops_it_finds_it_stopped_until_it_is_started(rig):
    call = rig.call()
    rig.residents.see(call)
    rig.until(lambda: rig.daemon.open)

    rig.residents.stop(call)
    rig.until(lambda: rig.nothing_is_left)
    rig.residents.see(call)
    gevent.sleep(0.01)
    assert (rig.windows, rig.left) == (1, ["endpoint-a"])
    assert rig.residents.state(call)[0] == "stopped"

    rig.residents.start(call)
    rig.until(lambda: rig.daemon.open)
    assert rig.residents.state(call) == ("running", "")


def test_what_was_sent_before_the_end_and_comes_after_it_opens_nothing(rig):
    rig.daemon.on_way.clear()
    rig.residents.see(rig.call())
    rig.until(lambda: rig.windows == 1)

    rig.residents.stop(rig.call())
    rig.daemon.on_way.set()
    rig.until(lambda: rig.nothing_is_left)

    assert rig.daemon.open == {}


def test_a_request_that_brings_the_setting_disabled_ends_it(rig):
    rig.residents.see(rig.call())
    rig.until(lambda: rig.daemon.open)

    rig.residents.see(rig.call(consumer="disabled"))
    rig.until(lambda: rig.nothing_is_left)
    assert rig.left == ["endpoint-a"]

    rig.residents.see(rig.call())
    rig.until(lambda: rig.daemon.open)
    assert rig.windows == 2


def test_other_settings_end_the_window_and_the_next_one_brings_them(rig):
    rig.residents.see(rig.call())
    rig.until(lambda: rig.daemon.open)

    rig.residents.see(rig.call(app={"app_id": "another"}))
    rig.until(lambda: rig.windows == 2 and rig.daemon.open)

    assert rig.left == []
    # The same settings, compiled anew because others had taken their place, change nothing.
    rig.residents.see(rig.call(app={"app_id": "another"}))
    gevent.sleep(0.02)
    assert rig.windows == 2


def test_settings_that_come_with_the_window_itself_are_taken_too(rig):
    rig.daemon.seen = lambda hook: rig.residents.see(rig.call(max_attempts="7"))
    rig.residents.see(rig.call())
    rig.until(lambda: rig.daemon.open)
    gevent.sleep(0.02)

    assert rig.windows == 1
    assert rig.residents._residents["endpoint-a"].hook.settings.consume.max_attempts == 7


# What runs on after a window.


def test_the_next_window_opens_while_runs_of_the_last_one_have_not_ended(rig):
    rig.daemon.held.clear()
    rig.residents.see(rig.call())
    for number in range(1, resident_module.MOST_OPEN + 1):
        rig.until(lambda number=number: rig.windows == number and rig.daemon.open)
        rig.end()
    gevent.sleep(0.02)

    # So many and no more.
    assert rig.windows == rig.daemon.unanswered == resident_module.MOST_OPEN
    rig.daemon.held.set()
    rig.until(lambda: rig.windows == resident_module.MOST_OPEN + 1 and rig.daemon.unanswered == 1)
    assert rig.residents.state(rig.call()) == ("running", "")


def test_how_an_old_window_ends_says_nothing_of_the_new_one(rig):
    rig.daemon.held.clear()
    rig.residents.see(rig.call())
    rig.until(lambda: rig.daemon.open)
    rig.daemon.says = lambda hook: Unanswered("nobody", connected=False)
    rig.end()
    rig.until(lambda: rig.residents.state(rig.call())[0] == "failing")
    rig.daemon.held.set()
    rig.until(lambda: rig.residents.told(rig.call()).get("last_window"))

    assert rig.residents.state(rig.call()) == ("failing", "nobody")


# Failures.


def test_an_endpoint_that_was_deleted_leaves_nothing_behind(rig):
    rig.residents.see(rig.call())
    rig.until(lambda: rig.daemon.open)
    rig.daemon.says = lambda hook: NOT_FOUND
    rig.end()
    rig.until(lambda: rig.nothing_is_left)

    assert (rig.windows, rig.left) == (3, ["endpoint-a"])
    assert rig.residents.state(rig.call())[0] == "off"
    assert "deleted or disabled" in rig.residents.state(rig.call())[1]
    # Enabled again: the next request is answered, so it is there.
    rig.daemon.says = lambda hook: None
    rig.residents.see(rig.call())
    rig.until(lambda: rig.daemon.open)


def test_one_404_is_no_end(rig):
    rig.residents.see(rig.call())
    rig.until(lambda: rig.daemon.open)
    answers = [NOT_FOUND]
    rig.daemon.says = lambda hook: answers.pop() if answers else None
    rig.end()
    rig.until(lambda: rig.windows == 3 and rig.daemon.open)

    assert rig.left == []


def test_where_the_plugin_has_never_reached_itself_not_every_request_tries_again():
    ahead = [0.0]
    rig = Rig(ahead=ahead)
    rig.daemon.says = lambda hook: NOT_FOUND
    rig.residents.see(rig.call())
    rig.until(lambda: rig.nothing_is_left)
    for _ in range(5):
        rig.residents.see(rig.call())
        gevent.sleep(0)
    assert rig.windows == 2
    assert rig.nothing_is_left

    ahead[0] += module.AGAIN_S + 1
    rig.residents.see(rig.call())
    rig.until(lambda: rig.windows == 4 and rig.nothing_is_left)


@pytest.mark.parametrize(
    ("said", "fact", "leaves"),
    [
        (Unanswered("nobody answers", connected=False), Fact.UNREACHABLE, False),
        (Unanswered("broke off", connected=True), Fact.TROUBLE, False),
        (Answer(500, {"code": -500}), Fact.TROUBLE, False),
        (Answer(403, {}), Fact.STRANGER, True),
        (ValueError("a secret of somebody's"), Fact.TROUBLE, False),
    ],
)
def test_what_fails_is_told_and_tried_again(rig, said, fact, leaves):
    rig.daemon.says = lambda hook: said
    with log_of("kafka_bridge.dify.resident") as lines:
        rig.residents.see(rig.call())
        rig.until(lambda: rig.windows >= 4)
        told = rig.residents.told(rig.call())

        assert told["state"] == "failing"
        assert told["failures"] >= 3
        assert told["next_try_s"] >= 0
        assert told["alternatives"] == ALTERNATIVES
        assert told["address"] == "127.0.0.1:5002"
        assert rig.residents._residents["endpoint-a"].course.fact is fact
        assert bool(rig.left) == leaves

        rig.daemon.says = lambda hook: None
        rig.until(lambda: rig.daemon.open)
        assert rig.residents.state(rig.call()) == ("running", "")
        rig.end()
        rig.until(lambda: "goes on" in lines[-1])
    assert "secret" not in "".join(lines) + json.dumps(told)
    # One line for many failures of the same kind.
    assert len([line for line in lines if "incident" not in line]) <= 3


def test_somebody_else_s_window_is_waited_for(rig):
    busy = Answer(429, {"type": "urn:kafka-bridge:busy", "detail": "at work already"})

    def says(hook):
        rig.visits.of("endpoint-a")[-1].arrived = True
        return busy

    rig.daemon.says = says
    rig.residents.see(rig.call())
    rig.until(lambda: rig.windows >= 3)

    assert rig.residents.state(rig.call()) == ("waiting", "at work already")


def test_a_defect_ends_it_with_an_incident_and_a_later_request_starts_it_again(rig, monkeypatch):
    monkeypatch.setattr(module, "AGAIN_S", 0.01)
    with log_of("kafka_bridge.dify.resident") as lines, monkeypatch.context() as broken:
        broken.setattr(resident_module.Resident, "_take_turns", lambda self: 1 / 0)
        rig.residents.see(rig.call())
        rig.until(lambda: rig.daemon.open)
        rig.end()
        rig.until(lambda: rig.nothing_is_left)
    assert any(line.startswith("incident") for line in lines)
    assert "under incident" in rig.residents.state(rig.call())[1]

    gevent.sleep(0.02)
    rig.residents.see(rig.call())
    rig.until(lambda: rig.daemon.open)


def test_a_request_is_served_whatever_becomes_of_the_consumer(rig, monkeypatch):
    monkeypatch.setattr(rig.residents, "_begin", lambda call: 1 / 0)
    with log_of("kafka_bridge.dify.residents") as lines:
        answered = rig.residents.around(lambda call: "answered")(rig.call())

    assert answered == "answered"
    assert "ZeroDivisionError" in lines[0]


# Where it cannot be.


def test_a_runtime_that_cannot_host_it_is_said_with_what_else_there_is():
    rig = Rig(Hosting(obstacle="remote debugging"))
    call = rig.call()
    rig.residents.see(call)
    gevent.sleep(0.01)

    assert rig.windows == 0
    assert rig.residents.told(call) == {
        "state": "unavailable",
        "reason": "remote debugging",
        "address": "127.0.0.1:5002",
        "alternatives": ALTERNATIVES,
    }
    with pytest.raises(SettingsInvalid, match="remote debugging"):
        rig.residents.start(call)


def test_a_platform_that_does_not_say_where_the_endpoint_is_cannot_host_it(rig):
    rig.residents.see(rig.call(hook=""))
    gevent.sleep(0.01)

    assert rig.windows == 0
    assert "Dify-Hook-Id" in rig.residents.state(rig.call(hook=""))[1]
    with pytest.raises(SettingsInvalid, match="Dify-Hook-Id"):
        rig.residents.start(rig.call(hook=""))


@pytest.mark.parametrize("wrong", [{"app": None}, {"consume_topics": ""}, {"bootstrap_servers": ""}])
def test_settings_that_cannot_work_are_named_when_it_is_started(rig, wrong):
    with pytest.raises(SettingsInvalid):
        rig.residents.start(rig.call(**wrong))
    assert rig.windows == 0


def test_there_are_so_many_and_no_more(rig, monkeypatch):
    monkeypatch.setattr(module, "MAX_RESIDENTS", 2)
    for hook in "abc":
        rig.residents.see(rig.call(hook))
    rig.until(lambda: len(rig.daemon.open) == 2)

    assert rig.residents.state(rig.call("c"))[0] == "off"
    with pytest.raises(SettingsInvalid):
        rig.residents.start(rig.call("c"))


def test_what_is_remembered_of_endpoints_has_a_bound(rig, monkeypatch):
    monkeypatch.setattr(module, "MAX_REMEMBERED", 10)
    compiled = compile_hook(saved(**SETTINGS))
    for number in range(50):
        rig.residents.stop(rig.call(f"h{number}", compiled=compiled))

    assert len(rig.residents._stopped) == 10


# Many.


def test_more_than_there_are_places_for_take_turns_once_nothing_runs_any_more():
    module_limit, module.MAX_AT_WORK = module.MAX_AT_WORK, 1
    try:
        rig = Rig()
    finally:
        module.MAX_AT_WORK = module_limit
    for hook in "ab":
        rig.residents.see(rig.call(hook))
    rig.until(lambda: set(rig.daemon.open) == {"a"})
    assert rig.residents.state(rig.call("b"))[0] == "queued"

    rig.daemon.held.clear()
    rig.end("a")
    gevent.sleep(0.02)
    assert (rig.daemon.open, rig.windows, rig.left) == ({}, 1, [])
    rig.daemon.held.set()
    rig.until(lambda: set(rig.daemon.open) == {"b"})
    assert rig.left == ["endpoint-a"]
    assert rig.residents.state(rig.call("a"))[0] == "queued"

    rig.residents.stop(rig.call("b"))
    rig.until(lambda: set(rig.daemon.open) == {"a"})
    rig.residents.stop(rig.call("a"))
    rig.until(lambda: rig.nothing_is_left)


def test_one_whose_calls_hang_holds_up_no_other(rig):
    rig.daemon.says = lambda hook: Event().wait() if hook == "stuck" else None
    for hook in ["stuck", *"abcdefghi"]:
        rig.residents.see(rig.call(hook))
    for number in range(1, 4):
        rig.until(lambda: set(rig.daemon.open) == set("abcdefghi"))
        for hook in "abcdefghi":
            rig.end(hook)
        rig.until(lambda number=number: rig.windows >= 1 + 9 * (number + 1))

    gevent.killall([greenlet for greenlet in rig.greenlets if not greenlet.dead])


def test_an_hour_of_windows_leaves_nothing_in_memory(rig, monkeypatch, figures):
    """Twenty hours of windows of a minute, with an endpoint that is set up anew every so often."""
    monkeypatch.setattr(course_module, "SPACING_S", 0.0)
    compiled = [compile_hook(saved(**SETTINGS, group_id=f"g{number}")) for number in range(2)]

    def windows(count):
        for number in range(count):
            call = rig.call(compiled=compiled[number // 100 % 2])
            rig.residents.see(call)
            rig.until(lambda: rig.daemon.open)
            rig.daemon.asked.clear()
            rig.end()
            if number % 50 == 49:
                rig.residents.stop(call)
                rig.residents.start(call)
            gevent.sleep(0)
            rig.greenlets[:] = [greenlet for greenlet in rig.greenlets if not greenlet.dead]

    windows(200)
    gc.collect()
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    objects = len(gc.get_objects())
    windows(1200)
    gc.collect()
    grown, more = tracemalloc.get_traced_memory()[0] - before, len(gc.get_objects()) - objects
    tracemalloc.stop()

    figures(f"1,200 windows of a resident consumer: {grown:+,} bytes, {more:+} objects")
    assert grown < 100_000
    assert more < 200


def test_what_a_webhook_pays_for_it(rig, figures):
    plain, enabled = rig.call(consumer="disabled"), rig.call()
    rig.residents.see(enabled)
    stopped = rig.call("stopped")
    rig.residents.stop(stopped)
    costs = {}
    for name, call in {"disabled": plain, "running": enabled, "stopped": stopped}.items():
        costs[name] = min(timeit.repeat(lambda call=call: rig.residents.see(call), number=2000, repeat=5)) / 2000

    figures("see: " + ", ".join(f"{name} {cost * 1e6:.2f} µs" for name, cost in costs.items()))
    # A slow machine included; a microsecond is what it takes.
    assert max(costs.values()) < 20e-6


def test_the_token_is_told_nowhere(rig):
    with log_of("kafka_bridge") as lines:
        rig.residents.see(rig.call())
        rig.until(lambda: rig.daemon.open)
        token = rig.daemon.asked[0][3][HEADER]
        told = json.dumps(rig.residents.told(rig.call()))
        rig.residents.stop(rig.call())
        rig.until(lambda: rig.nothing_is_left)

    assert token not in told + "".join(lines)
