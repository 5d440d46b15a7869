"""Recording changes no answer and delays none for long, whatever storage does; and what can be written is."""

import time
from contextlib import contextmanager

import gevent
import pytest

from kafka_bridge.broker.greenlets import GeventLoop
from kafka_bridge.dify import recorder as module
from kafka_bridge.dify.call import Call
from kafka_bridge.dify.hooks import compile_hook
from kafka_bridge.dify.recorder import WAIT_S, EventRecorder
from kafka_bridge.errors import Unverified
from kafka_bridge.events.log.log import DEFECT, LINGER_S, RETRY_S
from kafka_bridge.events.log.logs import EventLogs
from kafka_bridge.events.log.query import Filter
from kafka_bridge.events.log.reader import Cache, Reader
from kafka_bridge.events.run import Ran
from kafka_bridge.http import Outbound
from tests.brokers import SYSTEM_CLOCK
from tests.stand_ins import Broker, Disk, log_of, receive_at, request, saved, source_of

ANSWER = Outbound(200, b"published")
# What a busy machine adds.
NOISE_S = 0.5
FULL = "save data failed: allocated size is greater than max storage size"


class Storage(Disk):
    """The plugin's storage; each call takes a while, or is refused, or is not answered."""

    def __init__(self):
        super().__init__()
        self.calls = []
        self.pause_s = 0.0
        self.says = ""

    def act(self, operation):
        self.calls.append(operation)
        if self.pause_s:
            gevent.sleep(self.pause_s)
        if self.says:
            raise Exception(self.says)  # noqa: TRY002 - as the SDK has it


class Session:
    """The way of one request to storage. One that is `gone` has no answer to anything."""

    def __init__(self, storage, *, gone=False):
        self.storage, self.gone, self.asked = storage, gone, 0

    def _call(self, operation, *arguments):
        if self.gone:
            gevent.sleep(60)
        self.storage.act(operation)
        return getattr(Disk, operation)(self.storage, *arguments)

    def get(self, key):
        return self._call("get", key)

    def set(self, key, val):
        return self._call("set", key, val)

    def delete(self, key):
        return self._call("delete", key)

    def exist(self, key):
        return self._call("exist", key)

    def ask(self):
        self.asked += 1
        if self.gone:
            gevent.sleep(60)


class Rig:
    """A recorder on the hub, as in the plugin, and requests to its endpoints."""

    def __init__(self, **settings):
        names = iter(f"{number:08x}" for number in range(1 << 20))
        self.logs = EventLogs(SYSTEM_CLOCK, lambda: next(names))
        self.recorder = EventRecorder(self.logs, loop=GeventLoop(), clock=SYSTEM_CLOCK)
        self.storage = Storage()
        self.hook = compile_hook(saved(scheme="none", **settings))
        self.source = source_of(scheme="none")
        self.sent = 0

    def call(self, session=None, endpoint="endpoint-1"):
        session = session or Session(self.storage)
        return Call(request(), self.hook, endpoint, storage=session, ask=session.ask)

    def record(self, endpoint="endpoint-1"):
        self.sent += 1
        outcome = receive_at(request(b'{"id": "e-%d"}' % self.sent), self.source, Broker(), now=time.time())
        self.recorder.record(endpoint, outcome)

    def deliver(self, session=None, *, takes_s=0.0, endpoint="endpoint-1"):
        """One request that records one event; gives its answer and how long it took beyond what it takes."""

        def handler(call):
            gevent.sleep(takes_s)
            self.record(endpoint)
            return ANSWER

        began = time.monotonic()
        answer = self.recorder.around(handler)(self.call(session, endpoint))
        return answer, time.monotonic() - began - takes_s

    def log(self, endpoint="endpoint-1"):
        return self.recorder.log(self.call(endpoint=endpoint))

    def stored(self, endpoint="endpoint-1"):
        """The events that storage holds, as a process of tomorrow finds them."""
        self.storage.pause_s, self.storage.says = 0.0, ""
        names = iter(["ffffffff"])
        log = EventLogs(SYSTEM_CLOCK, lambda: next(names)).open(endpoint, self.hook.keeping)
        page = Reader(Cache(), SYSTEM_CLOCK).query(
            log, self.recorder.store(self.call(endpoint=endpoint)), Filter(), limit=1000
        )
        assert page.trouble == ""
        return [row.entry.event_id for row in page.rows]


@pytest.fixture
def rig():
    return Rig()


def together(*calls):
    tasks = [gevent.spawn(call) for call in calls]
    gevent.joinall(tasks, raise_error=True)
    return [task.get() for task in tasks]


# What a sender notices: nothing.


@pytest.mark.parametrize(
    ("pause_s", "says"), [(0, ""), (0.1, ""), (0.5, ""), (60, ""), (0, "save data failed: disk"), (0, FULL), (0, "?")]
)
def test_the_answer_is_the_same_and_there_in_time_whatever_storage_does(rig, pause_s, says):
    rig.storage.pause_s, rig.storage.says = pause_s, says

    waited_s = []
    for _ in range(5):
        answer, extra_s = rig.deliver()
        assert answer is ANSWER
        waited_s.append(extra_s)
    # Whoever else is at work on the machine makes one of them late, and not most.
    assert sorted(waited_s)[2] < WAIT_S + NOISE_S


@pytest.mark.parametrize("pause_s", [0.0, 60.0])
def test_what_a_handler_raises_is_raised(rig, pause_s):
    rig.storage.pause_s = pause_s

    def handler(_call):
        rig.record()
        raise Unverified("wrong")

    with pytest.raises(Unverified):
        rig.recorder.around(handler)(rig.call())


def test_while_storage_hangs_few_requests_wait_for_it(rig):
    rig.storage.pause_s = 60.0
    began, slow = time.monotonic(), 0
    for _ in range(200):
        _, extra_s = rig.deliver()
        slow += extra_s > WAIT_S * 0.9
    took_s = time.monotonic() - began

    assert slow <= 2 + took_s / RETRY_S[0]
    assert len(rig.log().pending) == 200


def test_at_once_many_requests_wait_no_longer_than_one(rig):
    rig.storage.pause_s = 60.0
    found = together(*[rig.deliver for _ in range(50)])

    assert {answer for answer, _ in found} == {ANSWER}
    assert max(extra_s for _, extra_s in found) < WAIT_S + NOISE_S


@contextmanager
def broken(monkeypatch, target):
    """A defect, for as long as the block lasts."""

    hidden = "NEVERSHOWN"

    def raising(*_arguments, **_named):
        raise TypeError(hidden)

    with monkeypatch.context() as patch, log_of("kafka_bridge.dify.recorder") as lines:
        patch.setattr(target, raising)
        yield lines


@pytest.mark.parametrize(
    "target",
    [
        "kafka_bridge.events.log.logs.EventLogs.open",
        "kafka_bridge.events.log.logs.entries_of",
        "kafka_bridge.events.log.log.EventLog.add",
        "kafka_bridge.events.log.log.EventLog.flush",
        "kafka_bridge.events.log.log.EventLog.needs",
        "kafka_bridge.events.log.shelf.Shelf.commit",
        "kafka_bridge.events.log.writers.Writers.enter",
        "kafka_bridge.dify.recorder.SessionStore",
        "kafka_bridge.dify.recorder.answers",
    ],
)
def test_a_defect_in_recording_changes_no_answer_and_fills_no_log(monkeypatch, target):
    rig = Rig()
    # Also what is done for requests that were open for long.
    monkeypatch.setattr(module, "FRESH_S", -1.0)
    with broken(monkeypatch, target) as lines:
        for _ in range(20):
            assert rig.deliver()[0] is ANSWER
        rig.recorder.keep_up(rig.call())

    assert 1 <= len(lines) <= 3
    assert lines[0].startswith("incident ")
    assert "NEVERSHOWN" not in "".join(lines)


def test_a_defect_of_the_log_is_a_trouble_like_any_other(monkeypatch):
    rig = Rig()
    with broken(monkeypatch, "kafka_bridge.events.log.shelf.Shelf.commit"):
        for _ in range(20):
            rig.deliver()
        assert rig.log().trouble == DEFECT
        assert rig.log().counters.failures == 1

    assert len(rig.log().pending) == 20


# What is written.


def test_what_a_request_records_is_stored_when_it_is_answered(rig):
    rig.deliver()

    assert rig.stored() == ["e-1"]


def test_where_no_events_are_kept_storage_is_never_called():
    rig = Rig(keep_events="0")
    for _ in range(5):
        assert rig.deliver()[0] is ANSWER
    rig.recorder.keep_up(rig.call())

    assert rig.storage.calls == []


def test_of_many_requests_at_once_few_write():
    rig = Rig()
    rig.deliver()
    writes = rig.storage.writes
    together(*[lambda n=n: rig.deliver(takes_s=0.001 * (n % 7)) for n in range(64)])

    assert rig.storage.writes - writes <= 6
    assert len(rig.stored()) == 65


def arriving(rig, count, *, takes_s, after_s=(0.001,)):
    """Requests that begin one after the other, whether those before have ended or not."""
    tasks = []
    for number in range(count):
        tasks.append(gevent.spawn(rig.deliver, takes_s=takes_s))
        gevent.sleep(after_s[number % len(after_s)])
    gevent.joinall(tasks, raise_error=True)
    return [task.value[1] for task in tasks]


def test_where_requests_come_and_go_all_the_time_few_of_them_write(rig):
    arriving(rig, 20, takes_s=0.006)
    writes = rig.storage.writes
    # After every fourth nobody is there for a moment.
    arriving(rig, 200, takes_s=0.004, after_s=(0.001, 0.001, 0.001, 0.012))

    assert rig.storage.writes - writes <= 0.1 * 200
    assert len(rig.stored()) == 220


def test_who_sends_one_after_the_other_is_not_kept_waiting_for_others(rig):
    arriving(rig, 50, takes_s=0.005)
    waits = [rig.deliver()[1] for _ in range(60)]

    assert sum(extra_s >= LINGER_S for extra_s in waits) <= 10
    assert len(rig.log().pending) == 0


def test_the_last_of_many_is_written_too(rig):
    for _ in range(5):
        waits = arriving(rig, 30, takes_s=0.004)
        assert len(rig.log().pending) == 0
        assert max(waits) < LINGER_S + NOISE_S
    assert len(rig.stored()) == 150


def test_requests_that_wait_long_for_their_acknowledgement_are_no_reason_to_write_at_once():
    rig = Rig()
    rig.deliver()
    writes = rig.storage.writes
    for number in range(100):
        # All of them began two seconds ago, and others have begun since.
        outcome = receive_at(request(b"{}"), rig.source, Broker(), now=time.time() - 2)
        log = rig.log()
        log.began()
        log.began()
        rig.recorder.record("endpoint-1", outcome._replace(source=f"s-{number}"))
        log.ended()
        log.flush(rig.recorder.store(rig.call()), until=time.monotonic() + 0.25)

    assert rig.storage.writes - writes <= 3


def test_the_last_request_of_a_burst_sees_to_it_that_all_is_written_also_when_another_one_writes(rig):
    rig.deliver()
    rig.storage.pause_s = 0.06

    # The first one's write takes its time; the others end meanwhile.
    together(*[lambda n=n: rig.deliver(takes_s=0.02 * n) for n in range(4)])

    assert len(rig.log().pending) == 0
    assert len(rig.stored()) == 5


def test_what_comes_while_the_writer_tidies_up_is_written_too(rig):
    for _ in range(80):
        rig.deliver()
    rig.storage.pause_s = 0.01
    for _ in range(40):
        together(rig.deliver, lambda: rig.deliver(takes_s=0.015), lambda: rig.deliver(takes_s=0.025))
        assert len(rig.log().pending) == 0


def test_a_writer_whose_client_has_gone_hands_on_to_who_is_there(rig):
    rig.deliver()
    found = together(
        lambda: rig.deliver(Session(rig.storage, gone=True)),
        lambda: rig.deliver(takes_s=WAIT_S * 0.4),
    )

    assert [found[0][0], found[1][0]] == [ANSWER, ANSWER]
    assert found[1][1] < WAIT_S + NOISE_S
    assert len(rig.log().pending) == 0
    assert len(rig.stored()) == 3


def test_a_request_that_was_open_for_long_writes_only_if_its_client_is_there(rig):
    rig.deliver()
    calls = len(rig.storage.calls)
    gone, there = Session(rig.storage, gone=True), Session(rig.storage)

    _, extra_s = rig.deliver(gone, takes_s=0.6)
    assert gone.asked == 1
    assert extra_s < module.ASK_S + NOISE_S
    assert (len(rig.storage.calls), rig.log().trouble) == (calls, "")

    rig.deliver(there, takes_s=0.6)
    assert there.asked == 1
    assert len(rig.stored()) == 3


def test_clients_that_leave_keep_nobody_elses_events_from_being_stored(rig):
    rig.deliver()
    for _ in range(12):
        rig.deliver(Session(rig.storage, gone=True))
        gevent.sleep(0.02)
    gevent.sleep(RETRY_S[0])
    for _ in range(10):
        rig.deliver(Session(rig.storage, gone=True))
    rig.deliver()

    assert len(rig.log().pending) == 0
    assert len(rig.stored()) == 24


def test_storage_that_was_away_for_a_while_is_written_to_soon_after(rig):
    rig.deliver()
    rig.storage.pause_s = 60.0
    began = time.monotonic()
    while time.monotonic() - began < 4.0:
        rig.deliver()
        gevent.sleep(0.05)
    rig.storage.pause_s = 0.0
    gevent.sleep(RETRY_S[3])
    rig.deliver()

    assert rig.log().trouble == ""
    assert len(rig.log().pending) == 0
    assert len(rig.stored()) == rig.sent


def test_what_could_not_be_written_goes_with_the_next_request(rig):
    rig.storage.says = "save data failed: disk"
    rig.deliver()
    rig.storage.says = ""
    gevent.sleep(RETRY_S[0])
    rig.deliver()

    assert rig.stored() == ["e-2", "e-1"]
    assert rig.log().trouble == ""


# Requests that are open for long.


def test_what_comes_together_while_a_request_is_open_for_long_is_written_meanwhile(rig):
    seen = []

    def handler(call):
        for _ in range(3):
            rig.record()
            gevent.sleep(0.6)
            rig.recorder.keep_up(call)
            seen.append(len(rig.log().pending))
        return ANSWER

    rig.recorder.around(handler)(rig.call())

    assert seen == [0, 0, 0]
    assert len(rig.stored()) == 3


def test_a_request_does_not_end_in_the_middle_of_what_its_own_look_writes(rig):
    rig.deliver()
    rig.storage.pause_s = 0.15
    ended = []

    def handler(call):
        rig.record()
        gevent.sleep(0.6)
        gevent.spawn(lambda: (rig.recorder.keep_up(call), ended.append("written")))
        gevent.sleep(0.01)
        return ANSWER

    rig.recorder.around(handler)(rig.call())
    ended.append("answered")
    gevent.sleep(0.3)

    assert ended == ["written", "answered"]


def test_runs_are_recorded_with_their_event(rig):
    rig.deliver()
    run = Ran("e-1", "order.paid", "webhooks.default", 3, 41, 1, "failed", "run-1", "boom", 1.5, time.time())

    def handler(_call):
        rig.recorder.ran("endpoint-1", run)
        rig.recorder.ran("endpoint-1", run._replace(attempt=2, dead_lettered=True))
        return ANSWER

    rig.recorder.around(handler)(rig.call())

    (row,) = Reader(Cache(), SYSTEM_CLOCK).query(rig.log(), rig.recorder.store(rig.call()), Filter()).rows
    assert [(each.kind, each.attempt, each.reason) for each in row.runs] == [
        ("run", 1, "boom"),
        ("dead-lettered", 2, "boom"),
    ]


def test_a_run_of_an_endpoint_that_nobody_knows_is_no_defect(rig):
    with log_of("kafka_bridge.dify.recorder") as lines:
        rig.recorder.ran("unknown", Ran("e", None, "t", 0, 0, 1, "done", "", "", 0.1, 0.0))

    assert lines == []


# Endpoints share the process.


def test_endpoints_are_kept_apart_and_one_whose_storage_hangs_holds_up_no_other(rig):
    dead = Storage()
    dead.pause_s = 60.0

    def other():
        return rig.deliver(Session(rig.storage), endpoint="endpoint-2")

    first, second = together(lambda: rig.deliver(Session(dead)), other)

    assert first[0] is second[0] is ANSWER
    assert second[1] < WAIT_S * 0.8
    assert rig.stored("endpoint-2") == ["e-2"]
    assert rig.stored("endpoint-1") == []
    assert rig.log("endpoint-2").trouble == ""
