"""What is said in a stream and when, with a clock that only the stream itself moves."""

import itertools
import json
from collections import Counter
from contextlib import contextmanager, nullcontext

import pytest

from kafka_bridge.broker.loops import Interrupted
from kafka_bridge.dify import stream as module
from kafka_bridge.dify.call import Call
from kafka_bridge.dify.hooks import compile_hook
from kafka_bridge.dify.recorder import EventRecorder
from kafka_bridge.dify.stream import BEAT_S, CALM_S, GAP_S, MAX_OF_ENDPOINT, MAX_OF_PROCESS, Stream, lasts_s
from kafka_bridge.errors import Busy, Malformed, TokenNotConfigured, Unauthorized
from kafka_bridge.events.log.entry import Entry
from kafka_bridge.events.log.feed import MAX_ENTRIES
from kafka_bridge.events.log.logs import EventLogs
from kafka_bridge.events.log.masking import Keeping
from kafka_bridge.http import Outbound, Streamed
from tests.stand_ins import NOW, Disk, Ticking, log_of, request, saved

TOKEN = "not-a-real-token"
FIRST = NOW * 1_000_000
LASTS_S = 100.0


class Loop:
    """Time passes only where somebody waits; what is planned happens then, and may wake him."""

    def __init__(self, ticking):
        self.ticking = ticking
        self.lock = nullcontext()
        self.plan = []
        self.gone_at = None

    def waiter(self):
        return Waiter(self)

    def spawn(self, task):
        """Whoever looks whether the client is there does nothing here; `gone_at` says when it has gone."""

    @contextmanager
    def deadline(self, seconds):
        yield

    @contextmanager
    def interruptible(self):
        yield lambda: None


class Waiter:
    def __init__(self, loop):
        self._loop = loop
        self._woken = False

    def wait(self, timeout_s):
        ticking, plan, until = self._loop.ticking, self._loop.plan, self._loop.ticking.at + timeout_s
        while plan and plan[0][0] <= until and not self._woken:
            at, act = plan.pop(0)
            ticking.at = max(ticking.at, at)
            act()
        if not self._woken:
            ticking.at = until
        if self._loop.gone_at is not None and ticking.at >= self._loop.gone_at:
            raise Interrupted
        return self._woken

    def wake(self):
        self._woken = True


class Rig:
    def __init__(self, **settings):
        self.ticking = Ticking()
        self.loop = Loop(self.ticking)
        self.logs = EventLogs(self.ticking.clock, lambda: "0a0b0c0d")
        self.recorder = EventRecorder(self.logs, loop=self.loop, clock=self.ticking.clock)
        self.stream = Stream(self.recorder, loop=self.loop, clock=self.ticking.clock, lasts_s=LASTS_S)
        self.hook = compile_hook(saved(api_token=TOKEN, **settings))
        self.logs.open("endpoint-1", Keeping(1000))
        self.made = 0

    def call(self, query="", *, token=TOKEN, endpoint="endpoint-1", method="GET", **headers):
        sent = {"authorization": f"Bearer {token}", **headers}
        inbound = request(b"", sent, method=method, path="/stream", query=query)
        return Call(inbound, self.hook, endpoint, storage=Disk())

    def open(self, query="", **options):
        answer = self.stream.show(self.call(query, **options))
        assert isinstance(answer, Streamed)
        return answer.chunks

    def add(self, count=1, **fields):
        for _ in range(count):
            self.made += 1
            entry = Entry(**{"id": f"{self.made:024x}", "kind": "accepted", "time": NOW, **fields})
            self.logs.add("endpoint-1", entry)

    def at(self, second, act):
        self.loop.plan.append((second, act))

    def heard(self, chunks):
        """All parts of a stream, each with the time at which it was said."""
        return [(self.ticking.at, messages(chunk)) for chunk in chunks]


def messages(chunk):
    found = []
    for block in chunk.decode().split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.splitlines())
        if "event" in fields:
            found.append((fields["event"], json.loads(fields["data"]), int(fields["id"]) if "id" in fields else None))
    return found


def events(heard):
    return [(number, data["id"]) for _, part in heard for event, data, number in part if event == "event"]


def test_a_silent_stream_says_hello_beats_and_ends():
    rig = Rig()

    heard = rig.heard(rig.open())

    last = {"last": FIRST - 1}
    assert heard[0] == (0.0, [("hello", last, FIRST - 1)])
    assert [(at, part) for at, part in heard[1:-1]] == [(n * BEAT_S, [("beat", last, None)]) for n in range(1, 7)]
    assert heard[-1] == (LASTS_S + CALM_S, [("end", last, None)])
    assert rig.ticking.at == pytest.approx(LASTS_S + 2 * CALM_S)


def test_an_event_is_said_at_once_when_nothing_was_said_before():
    rig = Rig()
    rig.at(5.0, rig.add)

    heard = rig.heard(rig.open())

    assert heard[1][0] == 5.0
    assert events(heard) == [(FIRST, f"{1:024x}")]


def test_events_that_come_fast_share_parts_which_keep_their_distance():
    rig = Rig()
    for n in range(200):
        rig.at(5.0 + n / 100, rig.add)

    heard = rig.heard(rig.open())
    times = [at for at, _ in heard]

    assert [number for number, _ in events(heard)] == [FIRST + n for n in range(200)]
    assert all(later - earlier >= GAP_S for earlier, later in itertools.pairwise(times))
    assert len(heard) < 20


def test_what_comes_right_after_the_greeting_waits_for_a_moment():
    rig = Rig()
    chunks = rig.open()
    next(chunks)
    rig.add()

    heard = rig.heard(chunks)

    assert heard[0][0] == CALM_S


def test_beats_come_also_while_there_are_events_and_tell_the_last_number():
    rig = Rig()
    for n in range(1, 95):
        rig.at(float(n), rig.add)

    heard = rig.heard(rig.open())
    beats = [data["last"] for _, part in heard for event, data, _ in part if event == "beat"]

    assert len(beats) == 6
    assert beats == [FIRST + n * int(BEAT_S) - 1 for n in range(1, 7)]


def test_a_part_has_a_bound_and_nothing_is_lost_by_that(monkeypatch):
    monkeypatch.setattr(module, "PART_BYTES", 2000)
    rig = Rig()
    rig.at(5.0, lambda: rig.add(50, reason="x" * 300))

    chunks = list(rig.open())

    assert max(map(len, chunks)) < 2000 + 1000
    assert [number for number, _ in events([(0, messages(chunk)) for chunk in chunks])] == [
        FIRST + n for n in range(50)
    ]


def test_what_came_too_fast_shows_as_a_gap():
    rig = Rig()
    rig.at(5.0, lambda: rig.add(MAX_ENTRIES + 10))

    heard = rig.heard(rig.open())

    assert [number for number, _ in events(heard)] == [FIRST + n for n in range(10, MAX_ENTRIES + 10)]


def test_a_run_is_said_with_how_it_ended():
    rig = Rig()
    rig.at(5.0, lambda: rig.add(kind="run", ending="failed", run_id="r", topic="t", partition=0, offset=4))

    ((_, document, _),) = rig.heard(rig.open())[1][1]

    assert (document["outcome"], document["runs"][0]["ending"], document["runs"][0]["run_id"]) == ("run", "failed", "r")


def test_half_a_character_ends_no_stream():
    rig = Rig()
    rig.at(5.0, lambda: rig.add(event_id="\ud83d"))
    rig.at(6.0, lambda: rig.add(kind="run", reason="\ud83d"))

    heard = rig.heard(rig.open())

    assert [number for number, _ in events(heard)] == [FIRST, FIRST + 1]


# Coming again.


@pytest.fixture
def known():
    """A rig at which somebody has looked, and has seen two events of five."""
    rig = Rig()
    chunks = rig.open()
    next(chunks)
    rig.add(5)
    chunks.close()
    return rig


def greeting(rig, query="", **headers):
    chunks = rig.open(query, **headers)
    first, second = messages(next(chunks)), messages(next(chunks))
    chunks.close()
    return first, second


def test_whoever_comes_again_gets_what_he_has_missed(known):
    first, second = greeting(known, **{"last-event-id": str(FIRST + 1)})

    assert first == [("hello", {"last": FIRST + 4}, None)]
    assert [number for _, _, number in second] == [FIRST + 2, FIRST + 3, FIRST + 4]


def test_the_number_may_stand_in_the_query_and_the_header_counts_more(known):
    _, by_query = greeting(known, f"last_event_id={FIRST + 1}")
    _, by_both = greeting(known, f"last_event_id={FIRST + 1}", **{"last-event-id": str(FIRST + 3)})

    assert [number for _, _, number in by_query] == [FIRST + 2, FIRST + 3, FIRST + 4]
    assert [number for _, _, number in by_both] == [FIRST + 4]


@pytest.mark.parametrize("since", [str(FIRST - 2), str(FIRST + 5), "0", "abc", "-1", "9" * 30, "\u0661", "1.0"])
def test_a_number_that_is_not_known_means_a_reset(known, since):
    first, _ = greeting(known, **{"last-event-id": since})

    assert [event for event, _, _ in first] == ["hello", "reset"]
    # From here on the client knows a number that is good.
    assert first[1] == ("reset", {"last": FIRST + 4}, FIRST + 4)


# How many.


def test_of_one_endpoint_so_many_are_open_and_others_wait_for_nobody():
    rig = Rig()
    open_now = [rig.open() for _ in range(MAX_OF_ENDPOINT)]
    for chunks in open_now:
        next(chunks)

    with pytest.raises(Busy):
        rig.open()
    assert rig.stream.open_at("endpoint-1") == MAX_OF_ENDPOINT
    next(rig.open(endpoint="endpoint-2"))

    open_now[0].close()
    next(rig.open())


def test_of_all_endpoints_there_is_a_bound_too():
    rig = Rig()
    open_now = [rig.open(endpoint=f"endpoint-{n}") for n in range(MAX_OF_PROCESS)]
    for chunks in open_now:
        next(chunks)

    with pytest.raises(Busy):
        rig.open(endpoint="another")


def test_a_stream_that_nobody_has_begun_to_read_takes_no_place():
    rig = Rig()
    for _ in range(100):
        rig.open()

    assert rig.stream.open_at("endpoint-1") == 0


@pytest.mark.parametrize("end", ["gone", "closed", "over", "defect"])
def test_however_a_stream_ends_its_place_is_free_again_and_nothing_is_raised(end, monkeypatch):
    rig = Rig()
    chunks = rig.open()
    next(chunks)
    if end == "closed":
        chunks.close()
    elif end == "gone":
        rig.loop.gone_at = 7.0
    elif end == "defect":
        monkeypatch.setattr(module, "_document", lambda _row: {"secret": 1 / 0})
        rig.add()
    with log_of("kafka_bridge.dify.stream") as lines:
        said = b"".join(chunks)

    assert rig.stream.open_at("endpoint-1") == 0
    assert rig.stream._open == Counter()
    assert (b"event: end" in said) == (end == "over")
    assert len(lines) == (end == "defect")
    assert all("ZeroDivisionError" in line for line in lines)
    assert rig.ticking.at < {"gone": 20, "closed": 1, "over": 200, "defect": 1}[end]


# How it is asked for.


def test_a_question_for_the_head_alone_is_answered_and_opens_nothing():
    answer = Rig().stream.show(Rig().call(method="HEAD"))

    assert isinstance(answer, Outbound)
    assert (answer.status, answer.body, answer.content_type) == (200, b"", "text/event-stream")
    assert dict(answer.headers) == {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}


def test_nobody_looks_without_the_token():
    rig = Rig()
    with pytest.raises(Unauthorized):
        rig.open(token="wrong")
    rig.hook = compile_hook(saved())
    with pytest.raises(TokenNotConfigured):
        rig.open()


@pytest.mark.parametrize("query", ["since=1", "limit=3", "x=1"])
def test_what_is_not_known_is_refused(query):
    with pytest.raises(Malformed):
        Rig().open(query)


def test_events_that_are_not_wanted_are_passed_over():
    rig = Rig()
    rig.at(5.0, lambda: (rig.add(event_type="open"), rig.add(event_type="paid"), rig.add(event_type="open")))

    heard = rig.heard(rig.open("type=paid"))

    assert events(heard) == [(FIRST + 1, f"{2:024x}")]
    assert heard[-1][1] == [("end", {"last": FIRST + 2}, None)]


@pytest.mark.parametrize(
    ("value", "seconds"),
    [("", 240), ("600", 240), ("300", 240), ("100", 80), ("10", 8), ("0", 240), ("-5", 240), ("x", 240), ("٣", 240)],
)
def test_it_ends_before_the_platforms_limit(value, seconds):
    assert lasts_s({"PLUGIN_MAX_EXECUTION_TIMEOUT": value}) == seconds


def test_without_a_limit_of_the_operators_it_is_the_usual():
    assert lasts_s({}) == 240
