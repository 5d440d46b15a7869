"""What is asked to be sent again, what is sent, and what is told of it."""

import json
import time
from types import SimpleNamespace
from urllib.parse import parse_qs, urlsplit

import pytest

from kafka_bridge.broker.loops import ThreadLoop
from kafka_bridge.clock import Clock
from kafka_bridge.dify import resend as module
from kafka_bridge.dify.apps import Apps
from kafka_bridge.dify.call import Call
from kafka_bridge.dify.hooks import compile_hook
from kafka_bridge.dify.replay import MAX_LIMIT, Replay
from kafka_bridge.dify.resend import Resend
from kafka_bridge.dify.runs import Runs
from kafka_bridge.dispatch.slots import Slots
from kafka_bridge.errors import (
    Cause,
    LogUnreadable,
    Malformed,
    NotFound,
    NotReplayable,
    SettingsInvalid,
    TokenNotConfigured,
    TooLarge,
    Unauthorized,
    Unavailable,
    Unroutable,
)
from kafka_bridge.events.log.document import document_of
from kafka_bridge.events.log.query import Filter
from kafka_bridge.events.outcome import Recorders
from kafka_bridge.events.record import Delivery
from kafka_bridge.ingress.source import compile_sources
from kafka_bridge.settings import endpoint
from tests.stand_ins import NOW, Broker, Disk, Registry, Ticking, event_log, log_of, receive_at, request, saved

TOKEN = "not-a-real-token"
FORM = "application/x-www-form-urlencoded"
SOURCES = json.dumps({"shop": {"scheme": "none", "topic": "shop.{type}"}, "git": {"scheme": "none"}})


class PickyBroker(Broker):
    """Acknowledges what goes to most topics."""

    def __init__(self, bad):
        super().__init__()
        self.bad = bad
        self.calls = []

    def __call__(self, records):
        self.calls.append([record.topic for record in records])
        if error := next((self.bad[record.topic] for record in records if record.topic in self.bad), None):
            raise error
        return super().__call__(records)


class Rig:
    """An endpoint with a log, and a workflow that answers what `results` say."""

    def __init__(self, **settings):
        self.ticking = Ticking()
        self.recorder, self.events = event_log(self.ticking.clock)
        self.registry = Registry()
        self.disk = Disk()
        self.settings = {"scheme": "none", "api_token": TOKEN, "sources": SOURCES, **settings}
        self.hook = compile_hook(saved(**self.settings))
        self.results, self.inputs, self.ran = {}, [], []
        clock, loop = Clock(time.time, time.monotonic), ThreadLoop()
        runs = Runs(
            Apps(loop, clock),
            Slots(4, loop),
            Recorders(self.recorder, SimpleNamespace(ran=lambda _endpoint, ran: self.ran.append(ran))),
            loop=loop,
            clock=clock,
            keep_up=self.recorder.keep_up,
        )
        self.published = []
        resend = Resend(
            self.events,
            self.recorder,
            self.registry,
            runs,
            clock=self.ticking.clock,
            published=lambda *told: self.published.append(told),
        )
        self.replay = Replay(self.events, resend)

    def take(self, body=b'{"id": "e-1", "type": "paid"}', source="shop", headers=None, *, error=None):
        """One request of a sender; gives its entry's id."""
        self.ticking.at += 1
        sources, _ = compile_sources(endpoint.parse(saved(**self.settings)))
        inbound = request(body, {"content-type": "application/json", **(headers or {})})
        outcome = receive_at(inbound, sources[source], Broker(error), now=self.ticking.clock.now())
        call = self.call("/events")
        self.recorder.around(lambda _: self.recorder.record("endpoint-1", outcome))(call)
        return self.rows()[0].entry.id

    def rows(self, **wanted):
        return self.events.page(self.call("/events"), Filter(**wanted), limit=2000).rows

    def call(self, path, body=b"", *, token=TOKEN, hook=None, name="", **headers):
        sent = {"authorization": f"Bearer {token}", **headers} if token else headers
        return Call(
            request(body, sent, path=path),
            hook or self.hook,
            "endpoint-1",
            name,
            apps=SimpleNamespace(
                fetch_app=lambda _app: {}, workflow=SimpleNamespace(invoke=self._invoke), chat=SimpleNamespace()
            ),
            storage=self.disk,
        )

    def _invoke(self, *, app_id, inputs, response_mode):
        self.inputs.append(inputs)
        result = self.results.get(inputs["event_id"], {"status": "succeeded", "outputs": {}})
        if isinstance(result, Exception):
            raise result
        return {"workflow_run_id": f"run-{inputs['event_id']}", "data": result}

    def one(self, entry_id, fields=None, **options):
        """The answer about one event."""
        body = b"" if fields is None else json.dumps(fields).encode()
        return self.replay.one(self.call(f"/events/{entry_id}/replay", body, name=entry_id, **options))

    def many(self, fields=None, **options):
        """The answer about a set."""
        outbound = self.replay.many(self.call("/events/replay", json.dumps(fields or {}).encode(), **options))
        return outbound.status, json.loads(outbound.body)

    @property
    def sent(self):
        return self.registry.broker.records


def with_app(**settings):
    return Rig(app={"app_id": "app-1"}, **settings)


# One, to Kafka.


def test_an_event_is_sent_again_with_the_same_bytes_key_and_headers():
    rig = Rig(key="{id}")
    entry_id = rig.take()

    document = json.loads(rig.one(entry_id).body)
    (record,) = rig.sent

    assert document == {
        "id": rig.rows()[0].entry.id,
        "event_id": "e-1",
        "topic": "shop.paid",
        "partition": 3,
        "offset": 41,
    }
    assert (record.topic, record.value, record.key) == ("shop.paid", b'{"id": "e-1", "type": "paid"}', b"e-1")
    assert dict(record.headers)["ce_id"] == b"e-1"
    assert record.headers[-1] == ("replayed-from", entry_id.encode())
    assert rig.published == [("endpoint-1", 1, 0.0)]


def test_it_is_in_the_log_as_a_replay_of_that_entry():
    rig = Rig()
    entry_id = rig.take()
    rig.one(entry_id, {"to": "kafka"})

    newest = document_of(rig.rows()[0])

    assert (newest["outcome"], newest["replay_of"], newest["event_id"]) == ("replay", entry_id, "e-1")
    assert (newest["topic"], newest["partition"], newest["offset"]) == ("shop.paid", 3, 41)


def test_a_replay_can_be_sent_again_when_its_first_entry_is_gone():
    rig = Rig(keep_events="1")
    rig.one(rig.take())
    (newest,) = rig.rows()

    assert rig.one(newest.entry.id).status == 200
    assert rig.sent[1].value == rig.sent[0].value
    assert rig.sent[1].headers[:-1] == rig.sent[0].headers[:-1]


def test_an_event_that_kafka_did_not_take_is_sent_again():
    rig = Rig()
    entry_id = rig.take(error=Unavailable(Cause.CONNECTION_REFUSED))

    assert rig.one(entry_id).status == 200
    assert len(rig.sent) == 1


def test_without_an_acknowledgement_there_is_no_success_and_no_entry():
    rig = Rig()
    entry_id = rig.take()
    rig.registry.broker.error = Unavailable(Cause.NOT_ACKNOWLEDGED)

    with pytest.raises(Unavailable):
        rig.one(entry_id)

    assert [row.entry.id for row in rig.rows()] == [entry_id]
    assert rig.published == []


def test_nothing_that_was_not_verified_is_sent():
    rig = Rig(webhook_secret="s3cr3t-text", scheme="hmac", sources="{}")
    entry_id = rig.take(source="default")

    assert rig.rows()[0].entry.kind == "rejected"
    for to in ("kafka", "workflow"):
        with pytest.raises((NotReplayable, SettingsInvalid)):
            rig.one(entry_id, {"to": to})
    status, told = rig.many({"dry_run": False})

    assert (status, told["replayed"], told["skipped"]) == (200, 0, 1)
    assert rig.sent == []


@pytest.mark.parametrize("path", ["one", "many"])
def test_where_publishing_is_switched_off_nothing_is_sent(path):
    rig = Rig()
    entry_id = rig.take()
    off = compile_hook(saved(**rig.settings, publishing="disabled"))

    with pytest.raises(Unavailable) as caught:
        rig.one(entry_id, hook=off) if path == "one" else rig.many(hook=off)

    assert str(caught.value) == "publishing is disabled"
    assert rig.registry.leased == []


@pytest.mark.parametrize("allowed", ["orders", "shop", "*.refunded"])
def test_a_topic_that_is_not_allowed_any_more_gets_nothing(allowed):
    rig = Rig()
    entry_id = rig.take()
    strict = compile_hook(saved(**rig.settings, topic_allow=allowed))

    with pytest.raises(Unroutable, match="not among the allowed topics"):
        rig.one(entry_id, hook=strict)
    _, told = rig.many({"dry_run": False}, hook=strict)

    assert told["records"][0]["skipped"] == "The topic of the event is not among the allowed topics."
    assert rig.sent == []


@pytest.mark.parametrize("settings", [{"topic_allow": ","}, {"publishing": "perhaps"}])
def test_settings_that_fail_closed_for_senders_do_here(settings):
    rig = Rig()
    entry_id = rig.take()
    broken = compile_hook(saved(**rig.settings, **settings))

    with pytest.raises(SettingsInvalid):
        rig.one(entry_id, hook=broken)
    with pytest.raises(SettingsInvalid):
        rig.many({"dry_run": False}, hook=broken)

    assert rig.sent == []


def test_an_event_of_a_sender_that_is_no_longer_there_is_sent_again():
    rig = Rig()
    entry_id = rig.take()
    without = compile_hook(saved(**{**rig.settings, "sources": "{}"}))

    assert rig.one(entry_id, hook=without).status == 200


@pytest.mark.parametrize("entry_id", ["e-1", "f" * 24, "replay", ""])
def test_what_is_not_in_the_log_is_not_found(entry_id):
    with pytest.raises(NotFound):
        Rig().one(entry_id)


def test_another_endpoints_event_is_not_found():
    rig = Rig()
    entry_id = rig.take()
    call = rig.call(f"/events/{entry_id}/replay", name=entry_id)._replace(endpoint="endpoint-2")

    with pytest.raises(NotFound):
        rig.replay.one(call)


def test_what_is_in_kafka_is_told_whatever_becomes_of_its_entry():
    rig = Rig()
    entry_id = rig.take()
    rig.recorder._logs.add = lambda *_: 1 / 0

    with log_of("kafka_bridge.dify.recorder") as lines:
        document = json.loads(rig.one(entry_id).body)

    assert (document["offset"], len(rig.sent), len(lines)) == (41, 1, 1)


# One, to the workflow.


def test_the_workflow_gets_what_it_would_have_got_of_the_record():
    rig = with_app()
    entry_id = rig.take()

    document = json.loads(rig.one(entry_id, {"to": "workflow"}).body)

    assert document == {"id": "e-1", "run": "succeeded", "run_id": "run-e-1", "outputs": {}}
    assert (rig.inputs[0]["topic"], rig.inputs[0]["offset"], rig.inputs[0]["type"]) == ("shop.paid", 41, "paid")
    assert "replayed-from" not in rig.inputs[0]["headers"]
    assert (rig.sent, rig.registry.leased) == ([], [])


def test_the_run_is_in_the_log_beside_the_event():
    rig = with_app()
    entry_id = rig.take()
    rig.one(entry_id, {"to": "workflow"})

    (row,) = rig.rows()

    assert (row.entry.id, [run.run_id for run in row.runs]) == (entry_id, ["run-e-1"])


def test_a_run_that_failed_is_no_success():
    rig = with_app()
    rig.results["e-1"] = {"status": "failed", "error": "boom"}
    outbound = rig.one(rig.take(), {"to": "workflow"})

    assert (outbound.status, json.loads(outbound.body)["detail"]) == (502, "boom")


def test_without_an_app_there_is_no_run():
    rig = Rig()

    with pytest.raises(SettingsInvalid, match="App to run: missing"):
        rig.one(rig.take(), {"to": "workflow"})


def test_what_is_masked_is_not_given_to_the_workflow():
    rig = with_app(mask_paths="card")
    entry_id = rig.take(b'{"id": "e-1", "type": "paid", "card": 4242}')

    with pytest.raises(NotReplayable):
        rig.one(entry_id, {"to": "workflow"})

    assert rig.inputs == []


# A set.


def test_first_one_looks_and_nothing_is_sent():
    rig = with_app()
    ids = [rig.take(b'{"id": "e-%d", "type": "paid"}' % n) for n in range(3)]

    for to in ("kafka", "workflow"):
        status, told = rig.many({"to": to})

        assert (status, told["dry_run"], told["matched"], told["replayed"]) == (200, True, 3, 0)
        assert [record["id"] for record in told["records"]] == ids
    assert (rig.sent, rig.inputs) == ([], [])


def test_a_set_goes_out_in_the_order_in_which_it_came():
    rig = Rig()
    ids = [rig.take(b'{"id": "e-%d", "type": "paid"}' % n) for n in range(5)]

    status, told = rig.many({"dry_run": False})

    assert (status, told["matched"], told["replayed"], told["failed"], told["skipped"]) == (200, 5, 5, 0, 0)
    assert [json.loads(record.value)["id"] for record in rig.sent] == [f"e-{n}" for n in range(5)]
    assert [record["id"] for record in told["records"]] == ids
    assert [row.entry.replay_of for row in rig.rows(outcome="replay")] == ids[::-1]
    assert {record["replay_id"] for record in told["records"]} == {row.entry.id for row in rig.rows(outcome="replay")}


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ({}, {"e-0", "e-1", "e-2", "e-3"}),
        ({"source": "git"}, {"e-3"}),
        ({"type": "paid"}, {"e-0", "e-2", "e-3"}),
        ({"text": "E-2"}, {"e-2"}),
        ({"since": NOW + 2}, {"e-1", "e-2", "e-3"}),
        ({"until": "2023-11-14T22:13:22Z"}, {"e-0"}),
        ({"outcome": "failed"}, {"e-2"}),
        ({"limit": 2}, {"e-2", "e-3"}),
        ({"limit": 1, "cursor": "next"}, {"e-2"}),
    ],
)
def test_the_filters_are_those_of_the_list(wanted, expected):
    rig = Rig()
    rig.take(b'{"id": "e-0", "type": "paid"}')
    rig.take(b'{"id": "e-1", "type": "open"}')
    rig.take(b'{"id": "e-2", "type": "paid"}', error=Unavailable(Cause.QUEUE_FULL))
    rig.take(b'{"id": "e-3", "type": "paid"}', "git")
    if wanted.get("cursor"):
        wanted = {**wanted, "cursor": rig.many({"limit": 1})[1]["next"]}

    _, told = rig.many({**wanted, "dry_run": False})

    assert {dict(record.headers)["ce_id"].decode() for record in rig.sent} == expected
    assert told["replayed"] == told["matched"] == len(expected)


def test_copies_are_sent_only_where_somebody_asks_for_them():
    rig = Rig()
    rig.one(rig.take())

    _, told = rig.many({"dry_run": False})
    _, copies = rig.many({"dry_run": False, "outcome": "replay", "limit": 1})

    assert (told["replayed"], told["skipped"]) == (1, 1)
    assert "A copy (replay): only originals are sent" in str(told["records"])
    assert copies["replayed"] == 1


def test_what_cannot_be_sent_is_skipped_with_its_reason_and_the_others_go_out():
    rig = Rig()
    rig.take(b"x" * 20_000, "git")
    rig.take()

    status, told = rig.many({"dry_run": False})

    assert (status, told["replayed"], told["skipped"]) == (200, 1, 1)
    assert told["records"][0]["skipped"] == "The log does not hold the event's body as it came: cut."


def test_what_is_wrong_with_one_topic_keeps_no_other_from_its_events():
    rig = Rig()
    rig.registry.connection.broker = broker = PickyBroker({"shop.bad": Unavailable(Cause.TOPIC_DOES_NOT_EXIST)})
    for event_type in ("bad", "paid", "bad", "open"):
        rig.take(b'{"id": "e", "type": "%s"}' % event_type.encode())

    status, told = rig.many({"dry_run": False})

    assert (status, told["detail"]) == (503, "topic does not exist")
    assert (told["matched"], told["replayed"], told["failed"]) == (4, 2, 2)
    assert sorted(record.topic for record in broker.records) == ["shop.open", "shop.paid"]


def test_when_the_cluster_is_away_the_rest_is_not_tried(monkeypatch):
    monkeypatch.setattr(module, "PART", 2)
    rig = Rig()
    rig.registry.connection.broker = broker = PickyBroker({"shop.c": Unavailable(Cause.NOT_ACKNOWLEDGED)})
    for event_type in "aacccd":
        rig.take(b'{"id": "e", "type": "%s"}' % event_type.encode())

    status, told = rig.many({"dry_run": False})

    assert (status, told["type"]) == (503, "urn:kafka-bridge:unavailable")
    assert (told["matched"], told["replayed"], told["failed"]) == (6, 2, 4)
    assert broker.calls == [["shop.a", "shop.a"], ["shop.c", "shop.c"]]


def test_an_event_that_is_too_large_for_its_topic_is_told_as_such():
    rig = Rig()
    rig.registry.connection.broker = PickyBroker({"shop.big": TooLarge("Above the topic's limit.")})
    rig.take(b'{"id": "e", "type": "big"}')

    status, told = rig.many({"dry_run": False})

    assert (status, told["failed"], told["records"][0]["failed"]) == (413, 1, "Above the topic's limit.")


def test_of_a_set_of_runs_each_is_told(monkeypatch):
    rig = with_app(ordering="none")
    rig.results["e-1"] = {"status": "failed", "error": "boom"}
    for n in range(3):
        rig.take(b'{"id": "e-%d", "type": "paid"}' % n)

    status, told = rig.many({"to": "workflow", "dry_run": False})

    assert (status, told["title"], told["replayed"], told["failed"]) == (502, "The run failed", 2, 1)
    assert [record["run"] for record in told["records"]] == ["succeeded", "failed", "succeeded"]
    assert len(rig.ran) == 3
    assert rig.sent == []


def test_events_whose_run_has_failed_can_be_chosen():
    rig = with_app()
    rig.results["e-1"] = {"status": "failed", "error": "boom"}
    for n in range(2):
        rig.take(b'{"id": "e-%d", "type": "paid"}' % n)
    rig.many({"to": "workflow", "dry_run": False})
    rig.results.clear()

    status, told = rig.many({"to": "workflow", "dry_run": False, "outcome": "failed"})

    assert (status, told["matched"], told["records"][0]["event_id"]) == (200, 1, "e-1")


def test_a_log_that_cannot_be_read_sends_nothing():
    rig = Rig()
    rig.take()
    # Another process writes too, and storage does not say what.
    rig.recorder.log(rig.call("/events")).others.again()
    rig.disk.get = rig.disk.exist = lambda _key: (_ for _ in ()).throw(Exception("no"))

    with pytest.raises(LogUnreadable):
        rig.many({"dry_run": False})

    assert rig.sent == []


def test_an_answer_that_would_be_too_long_has_all_counts_and_says_what_is_left_out(monkeypatch):
    monkeypatch.setattr("kafka_bridge.dify.replay.MAX_ROWS_BYTES", 400)
    rig = Rig()
    for _ in range(9):
        rig.take()

    _, told = rig.many({"dry_run": False})

    assert (told["replayed"], len(told["records"]) + told["left_out"]) == (9, 9)
    assert 0 < len(told["records"]) < 9


# How it is asked for.


@pytest.mark.parametrize(
    "body",
    [
        b"[]",
        b"{",
        b"1",
        b'"kafka"',
        b"\xff",
        b'{"to": "elsewhere"}',
        b'{"to": ["kafka"]}',
        b'{"dry_run": "perhaps"}',
        b'{"limit": 0}',
        b'{"limit": %d}' % (MAX_LIMIT + 1),
        b'{"limit": "000001000999999"}',
        b'{"limit": "000000001%s"}' % (b"0" * 5000),
        b'{"limit": 1e99}',
        b'{"limit": "\xd9\xa1"}',
        b'{"since": "yesterday"}',
        b'{"cursor": "<script>"}',
        b'{"unknown": 1}',
    ],
)
def test_what_is_malformed_sends_nothing(body):
    rig = Rig()
    entry_id = rig.take()

    with pytest.raises(Malformed):
        rig.replay.many(rig.call("/events/replay", body))
    if body != b'{"dry_run": "perhaps"}':
        with pytest.raises(Malformed):
            rig.replay.one(rig.call("/x", body, name=entry_id))

    assert rig.sent == []


@pytest.mark.parametrize("fields", [{"dry_run": False}, {"source": "shop"}])
def test_one_event_has_nothing_to_choose_from(fields):
    rig = Rig()

    with pytest.raises(Malformed):
        rig.one(rig.take(), fields)


def test_json_is_json_whatever_a_tool_says_of_it():
    rig = Rig()
    rig.take()
    call = rig.call("/events/replay", b' {"dry_run": false}', **{"content-type": FORM})

    assert json.loads(rig.replay.many(call).body)["replayed"] == 1


def test_nobody_sends_anything_without_the_token():
    rig = Rig()
    entry_id = rig.take()
    for handler in (rig.replay.one, rig.replay.many):
        with pytest.raises(Unauthorized):
            handler(rig.call("/x", b'{"dry_run": false}', token="", name=entry_id))
        with pytest.raises(TokenNotConfigured):
            handler(rig.call("/x", token="", name=entry_id, hook=compile_hook(saved())))

    assert rig.sent == []


# What a browser gets.


def form(rig, handler, fields, **options):
    call = rig.call("/x", fields, **options, **{"content-type": f"{FORM}; charset=utf-8"})
    outbound = handler(call)
    location = urlsplit(dict(outbound.headers).get("Location", ""))
    return outbound, location.path, {name: values[0] for name, values in parse_qs(location.query).items()}


def test_a_form_is_answered_with_the_page_of_the_new_entry():
    rig = Rig()
    entry_id = rig.take()

    outbound, path, query = form(rig, rig.replay.one, b"to=kafka&csrf=c", name=entry_id)

    assert (outbound.status, outbound.body, path) == (303, b"", "../../")
    assert query == {"view": "event", "id": rig.rows()[0].entry.id, "done": "replayed"}
    assert query["id"] != entry_id


def test_of_a_run_it_is_the_page_of_the_event():
    rig = with_app()
    entry_id = rig.take()

    _, path, query = form(rig, rig.replay.one, b"to=workflow", name=entry_id)

    assert (path, query) == ("../../", {"view": "event", "id": entry_id, "done": "run"})


def test_of_a_set_it_is_the_list():
    rig = Rig()
    rig.take()

    _, path, dry = form(rig, rig.replay.many, b"to=kafka&source=shop&limit=&csrf=c")
    _, _, done = form(rig, rig.replay.many, b"dry_run=false")

    assert (path, dry["view"], dry["done"], dry["matched"], dry["replayed"]) == ("../", "events", "dry-run", "1", "0")
    assert (done["done"], done["replayed"]) == ("replayed", "1")


def test_an_error_is_a_problem_document_for_a_browser_too():
    rig = with_app()
    rig.results["e-1"] = {"status": "failed", "error": "boom"}
    entry_id = rig.take()

    outbound, _, query = form(rig, rig.replay.one, b"to=workflow", name=entry_id)
    many, _, _ = form(rig, rig.replay.many, b"to=workflow&dry_run=false")

    assert (outbound.status, query, many.status) == (502, {}, 502)


def test_an_offset_that_the_broker_does_not_tell_is_null():
    rig = Rig()
    entry_id = rig.take()
    rig.registry.connection.broker = lambda records: [Delivery(record.topic, 1, None, None) for record in records]

    assert json.loads(rig.one(entry_id).body)["offset"] is None
