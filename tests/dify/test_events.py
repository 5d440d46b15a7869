"""`GET /events` and `GET /events/<id>`."""

import json
import time
from urllib.parse import parse_qs, urlencode

import orjson
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from kafka_bridge.dify.call import Call
from kafka_bridge.dify.events import DEFAULT_LIMIT, FILTERS, MAX_FILTER_CHARS, MAX_LIMIT, MAX_ROWS_BYTES, filter_of
from kafka_bridge.dify.hooks import compile_hook
from kafka_bridge.dify.http import MAX_ANSWER_BYTES
from kafka_bridge.errors import LogUnreadable, Malformed, NotFound, Unauthorized
from kafka_bridge.events.run import Ran
from kafka_bridge.http import problem
from tests.brokers import SYSTEM_CLOCK
from tests.stand_ins import NOW, Broker, Disk, Ticking, event_log, receive_at, request, saved, source_of

TOKEN = "not-a-real-token"


class Failing(Disk):
    """Storage that works, until it says something else."""

    says = ""

    def get(self, key):
        if self.says:
            raise Exception(self.says)  # noqa: TRY002 - as the SDK has it
        return super().get(key)


class Rig:
    """An endpoint with events, and looks at it."""

    def __init__(self, *, clock=None, **settings):
        self.time = Ticking()
        self.clock = clock or self.time.clock
        self.recorder, self.events = event_log(self.clock)
        self.disk = Failing()
        self.hook = compile_hook(saved(api_token=TOKEN, scheme="none", keep_events="100000", **settings))
        self.sources = {
            name: source_of(scheme="none", sources=json.dumps({"default": {"scheme": "none"}}))
            for name in ("shop", "git")
        }

    def call(self, query="", *, name="", token=TOKEN, endpoint="endpoint-1", **headers):
        given_headers = {"authorization": f"Bearer {token}", **headers}
        inbound = request(b"", given_headers, method="GET", path="/events", query=query)
        return Call(inbound, self.hook, endpoint, name, storage=self.disk)

    def record(self, number, *, source="shop", body=b"", endpoint="endpoint-1", error=None, **fields):
        document = body or orjson.dumps({"id": f"e-{number}", "type": f"t-{number % 3}", **fields})
        outcome = receive_at(
            request(document, {"content-type": "application/json"}),
            self.sources[source],
            Broker(error),
            now=NOW + self.time.at,
        )
        call = self.call(endpoint=endpoint)

        def handler(_call):
            placed = [
                taken._replace(delivery=taken.delivery._replace(offset=number)) if taken.delivery else taken
                for taken in outcome.events
            ]
            self.recorder.record(endpoint, outcome._replace(source=source, events=tuple(placed)))

        self.recorder.around(handler)(call)
        self.time.at += 1.0

    def fill(self, count, **options):
        for number in range(count):
            self.record(number, source="shop" if number % 2 else "git", **options)

    def get(self, query="", **options):
        asked = query if isinstance(query, str) else urlencode(query)
        answer = self.events.list(self.call(asked, **options))
        assert (answer.status, answer.content_type) == (200, "application/json")
        return orjson.loads(answer.body)

    def ids(self, query="", **options):
        return [event["event_id"] for event in self.get(query, **options)["events"]]

    def show(self, name, **options):
        return self.events.show(self.call(name=name, **options))

    def lines(self, query="format=ndjson", **headers):
        answer = self.events.list(self.call(query, **headers))
        assert answer.content_type == "application/x-ndjson"
        assert answer.body.endswith(b"\n") or not answer.body
        return [orjson.loads(line) for line in answer.body.splitlines()], dict(answer.headers)


@pytest.fixture
def rig():
    return Rig()


def numbers(*found):
    return [f"e-{number}" for number in found]


# Who may look.


def test_nobody_looks_without_the_token(rig):
    rig.fill(1)
    for act in (
        lambda: rig.get(token="wrong"),
        lambda: rig.show("0" * 24, token="wrong"),
        lambda: rig.get("limit=x", token="wrong"),
    ):
        with pytest.raises(Unauthorized):
            act()


# Lists.


def test_events_are_listed_newest_first_without_bodies(rig):
    rig.fill(3)

    answer = rig.get()

    assert [event["event_id"] for event in answer["events"]] == numbers(2, 1, 0)
    assert (answer["next"], "trouble" in answer) == (None, False)
    assert not {"body", "headers"} & answer["events"][0].keys()
    assert answer["events"][0]["outcome"] == "accepted"


def test_an_endpoint_without_events_has_an_empty_list(rig):
    assert rig.get() == {"events": [], "next": None}


def test_what_waits_for_being_written_is_listed_too(rig):
    rig.fill(2)
    outcome = receive_at(request(b'{"id": "e-2"}'), rig.sources["shop"], Broker(), now=NOW)
    rig.recorder.record("endpoint-1", outcome)

    assert rig.ids() == numbers(2, 1, 0)


@pytest.mark.parametrize("limit", [1, 3, 7, 20, 500])
def test_pages_follow_one_another_by_their_cursors(rig, limit):
    rig.fill(20)
    found, cursor, pages = [], "", 0
    while cursor is not None:
        answer = rig.get({"limit": limit, **({"cursor": cursor} if cursor else {})})
        found += [event["event_id"] for event in answer["events"]]
        cursor = answer["next"]
        pages += 1

    assert found == numbers(*reversed(range(20)))
    assert pages == -(-20 // limit)


def test_the_next_page_is_linked(rig):
    rig.fill(5)
    answer = rig.events.list(rig.call("limit=2&source=shop&text=%C3%A9%3E%0d%0aX:"))
    assert answer.headers == ()

    answer = rig.events.list(rig.call("limit=1&source=shop&outcome=accepted"))
    ((name, link),) = answer.headers
    target = link.removeprefix("<?").removesuffix('>; rel="next"')

    assert name == "Link"
    assert parse_qs(target) == {
        "limit": ["1"],
        "source": ["shop"],
        "outcome": ["accepted"],
        "cursor": [orjson.loads(answer.body)["next"]],
    }
    assert rig.ids(target) == numbers(1)


def test_without_a_limit_there_is_one():
    rig = Rig()
    rig.fill(DEFAULT_LIMIT + 5)

    assert len(rig.get()["events"]) == DEFAULT_LIMIT


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ({"source": "shop"}, [9, 7, 5, 3, 1]),
        ({"type": "t-0"}, [9, 6, 3, 0]),
        ({"outcome": "accepted", "type": "t-1"}, [7, 4, 1]),
        ({"outcome": "rejected"}, []),
        ({"text": "E-3"}, [3]),
        ({"text": "t-2"}, [8, 5, 2]),
        ({"since": NOW + 7}, [9, 8, 7]),
        ({"since": "2023-11-14T22:13:27Z"}, [9, 8, 7]),
        ({"since": "2023-11-14T23:13:27+01:00"}, [9, 8, 7]),
        ({"since": "2023-11-14 22:13:27"}, [9, 8, 7]),
        ({"until": NOW + 2.0}, [1, 0]),
        ({"since": NOW + 3, "until": "2023-11-14T22:13:25.000Z"}, [4, 3]),
        ({"source": "git", "since": NOW + 5, "text": "e-8"}, [8]),
        ({"source": "nobody"}, []),
        ({"source": "", "since": "", "cursor": "", "limit": "", "format": ""}, [*reversed(range(10))]),
        ({"format": "json"}, [*reversed(range(10))]),
    ],
)
def test_events_are_filtered(rig, asked, found):
    rig.fill(10)

    assert rig.ids(asked) == numbers(*found)


def test_of_a_parameter_that_comes_twice_the_last_counts(rig):
    rig.fill(4)

    assert rig.ids("source=git&source=shop") == numbers(3, 1)


def test_an_event_is_found_by_how_its_runs_ended(rig):
    rig.fill(4)
    run = Ran("e-2", "t", "webhooks.default", 3, 2, 1, "failed", "run-7", "boom", 1.5, NOW)
    rig.recorder.ran("endpoint-1", run)

    for asked in ({"outcome": "failed"}, {"outcome": "run"}, {"text": "BOOM"}, {"text": "run-7"}):
        (event,) = rig.get(asked)["events"]
        assert (event["event_id"], event["runs"][0]["error"]) == ("e-2", "boom")


def test_of_an_endpoint_nothing_is_seen_at_another_one(rig):
    rig.fill(3)
    rig.record(99, endpoint="endpoint-2")
    (other,) = rig.get(endpoint="endpoint-2")["events"]

    assert rig.ids() == numbers(2, 1, 0)
    assert other["event_id"] == "e-99"
    with pytest.raises(NotFound):
        rig.show(other["id"])


# Parameters that are none.


@pytest.mark.parametrize(
    "query",
    [
        "limit=0",
        "limit=-1",
        f"limit={MAX_LIMIT + 1}",
        "limit=1.5",
        "limit=x",
        "limit=%D9%A3",
        f"limit={'9' * 5000}",
        "cursor=x",
        "cursor=%00",
        "cursor=" + "0" * 41,
        "cursor=../d0",
        "since=yesterday",
        "since=1e400",
        "since=" + "9" * 500,
        "until=.",
        "until=2026-13-01",
        "until=nan",
        "since=%F0%9F%98%80",
        "format=xml",
        "format=NDJSON",
        "colour=red",
        "source=shop&%22%3E%00%F0=1",
        "text=" + "x" * (MAX_FILTER_CHARS + 1),
        "&".join(f"a{n}=1" for n in range(200)),
    ],
)
def test_parameters_that_are_none_are_malformed(rig, query):
    with pytest.raises(Malformed) as caught:
        rig.events.list(rig.call(query))

    answer = problem(caught.value)
    assert (answer.status, len(answer.body) < 500) == (400, True)


@given(
    st.dictionaries(st.sampled_from([*FILTERS, "cursor", "limit", "format"]), st.text(max_size=30))
    | st.dictionaries(st.text(max_size=8), st.text(max_size=8), max_size=3)
)
@example({"since": "0001-01-01T00:00:00+23:59"})
@example({"until": "9999-12-31T23:59:59-23:59"})
@example({"since": "253402300799"})
@example({"cursor": "~"})
@example({"cursor": "0", "since": "1"})
def test_whatever_is_asked_has_an_answer_or_is_malformed(asked):
    rig = Rig()
    rig.fill(3)
    try:
        answer = rig.events.list(rig.call(urlencode(asked, errors="replace")))
    except Malformed:
        return
    assert answer.status == 200
    assert all(value.isascii() and "\n" not in value for _, value in answer.headers)


@given(st.text(max_size=40))
@example("2026-01-31T12:00:00Z")
@example("0001-01-01T00:00:00+23:59")
@example("9999-12-31T23:59:59.999999-23:59")
@example("-1")
def test_a_time_is_a_number_or_malformed(text):
    try:
        since = filter_of({"since": text}).since
    except Malformed:
        return
    assert since is None or isinstance(since, float)


# Lines.


@pytest.mark.parametrize(
    ("query", "accept"),
    [("format=ndjson", ""), ("", "application/x-ndjson"), ("", "text/html, application/x-ndjson;q=0.9")],
)
def test_lines_are_whole_events(rig, query, accept):
    rig.fill(3)
    found, headers = rig.lines(query, accept=accept)

    assert [event["event_id"] for event in found] == numbers(2, 1, 0)
    assert json.loads(found[0]["body"]) == {"id": "e-2", "type": "t-2"}
    assert found[0]["headers"] == {"content-type": "application/json"}
    assert headers == {}


def test_the_parameter_counts_before_the_header(rig):
    assert rig.get("format=json", accept="application/x-ndjson") == {"events": [], "next": None}


def test_an_export_follows_the_links_to_the_end(rig):
    rig.fill(25)
    found, query = [], "format=ndjson&limit=10&source=shop"
    while query:
        lines, headers = rig.lines(query)
        found += [event["event_id"] for event in lines]
        query = headers.get("Link", "").removeprefix("<?").partition(">")[0]

    assert found == numbers(*range(23, 0, -2))


def test_what_waits_has_its_body_in_lines_too(rig):
    outcome = receive_at(request(b'{"id": "e-1"}'), rig.sources["shop"], Broker(), now=NOW)
    rig.recorder._logs.open("endpoint-1", rig.hook.keeping)
    rig.recorder.record("endpoint-1", outcome)

    assert [event["body"] for event in rig.lines()[0]] == ['{"id": "e-1"}']


def test_lines_that_would_lack_some_events_are_refused():
    rig = Rig()
    rig.fill(3)
    other = Rig(clock=rig.clock)
    other.disk = rig.disk
    rig.disk.says = "load data failed, please check"
    rig.disk.exist = lambda _key: True

    with pytest.raises(LogUnreadable, match="cannot be read"):
        other.lines()
    answer = other.get()
    assert (answer["events"], answer["next"]) == ([], None)
    assert answer["trouble"] == "the log cannot be read: storage has failed"


# Answers have a length.


@pytest.mark.parametrize("query", ["limit=500&format=ndjson", "limit=500"])
def test_an_answer_is_never_longer_than_one_may_be_and_the_next_page_goes_on(query):
    rig = Rig()
    large = "\x01" * 4000 + "ü" * 3000
    for number in range(120):
        rig.record(number, filler=large)
    for number in range(120):
        # What a list shows may be long as well.
        for attempt in range(20):
            error = f"{attempt} " + "\x01" * 1000
            ran = Ran("e", "t", "webhooks.default", 3, number, attempt, "failed", "", error, 1.0, NOW)
            rig.recorder.ran("endpoint-1", ran)
    found, pages = [], 0
    cursor: dict[str, str] = {}
    while cursor is not None:
        answer = rig.events.list(rig.call(f"{query}&{urlencode(cursor)}"))
        assert len(answer.body) <= min(MAX_ROWS_BYTES + 1000, MAX_ANSWER_BYTES)
        link = dict(answer.headers).get("Link", "")
        told = answer.body.splitlines() if "ndjson" in query else orjson.loads(answer.body)["events"]
        found += [orjson.loads(row)["event_id"] if isinstance(row, bytes) else row["event_id"] for row in told]
        cursor = {"cursor": parse_qs(link.partition("?")[2].partition(">")[0])["cursor"][0]} if link else None
        pages += 1

    assert found == numbers(*reversed(range(120)))
    assert pages > 1


def test_a_long_log_is_looked_through_quickly():
    rig = Rig(clock=SYSTEM_CLOCK)
    for number in range(5000):
        log = rig.recorder.log(rig.call())
        body = b'{"id": "e-%d"}' % number
        rig.recorder.record("endpoint-1", receive_at(request(body), rig.sources["shop"], Broker(), now=time.time()))
        if number % 500 == 0:
            rig.recorder.keep_up(rig.call())
    assert log.pending.dropped == 0
    assert rig.ids({"text": "e-77", "limit": 500})[-1] == "e-77"

    began = time.monotonic()
    rig.get({"text": "nothing at all"})
    assert time.monotonic() - began < 1.0


# One event.


def test_one_event_is_shown_whole(rig):
    rig.fill(3)
    (event,) = rig.get({"text": "e-1"})["events"]

    answer = rig.show(event["id"])
    told = orjson.loads(answer.body)

    assert (answer.status, answer.content_type) == (200, "application/json")
    assert told == {
        **event,
        "method": "POST",
        "path": "/webhook",
        "headers": {"content-type": "application/json"},
        "content_type": "application/json",
        "body": '{"id":"e-1","type":"t-1"}',
        "body_encoding": "text",
        "body_bytes": 25,
        "body_note": "",
        "replayable": True,
        "not_replayable_because": "",
    }


@pytest.mark.parametrize(
    "name", ["", "x", "0" * 24, "0" * 23, "0" * 25, "Z" * 24, "../kb1", "\ud800", "e-1", "0" * 100_000]
)
def test_an_event_that_is_not_there_is_not_found(rig, name):
    rig.fill(3)
    with pytest.raises(NotFound, match="no such event"):
        rig.show(name)


def test_an_event_that_cannot_be_read_is_not_said_to_be_missing(rig):
    rig.fill(3)
    (event,) = rig.get({"text": "e-1"})["events"]
    rig.disk.says = "dial tcp 10.0.0.5:6379: connect: connection refused NEVERSHOWN"
    rig.time.at += 10

    for name in (event["id"], "0" * 24):
        with pytest.raises(LogUnreadable) as caught:
            rig.show(name)
        answer = problem(caught.value)
        assert answer.status == 503
        assert b"NEVERSHOWN" not in answer.body


def test_half_a_character_hides_no_event(rig):
    rig.fill(1)
    rig.recorder.ran(
        "endpoint-1", Ran("\ud800", "t", "webhooks.default", 3, 0, 1, "failed", "\udfff", "\ud800", 1.0, NOW)
    )

    (event,) = rig.get()["events"]
    assert event["runs"][0]["error"] == "?"
    assert orjson.loads(rig.show(event["id"]).body)["runs"] == event["runs"]
