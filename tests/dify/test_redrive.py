"""The handlers of dead letters: who may, what they say, what they let nobody do."""

import gc
import json
import threading
import weakref
from urllib.parse import urlencode

import pytest

from kafka_bridge.broker.loops import ThreadLoop
from kafka_bridge.clock import Clock
from kafka_bridge.dify import deadletters, letters
from kafka_bridge.dify.apps import Apps
from kafka_bridge.dify.call import Call
from kafka_bridge.dify.deadletters import DeadLetters
from kafka_bridge.dify.hooks import compile_hook
from kafka_bridge.dify.letters import Letters
from kafka_bridge.dify.runs import Runs
from kafka_bridge.dispatch.slots import Slots
from kafka_bridge.errors import Busy, Cause, Malformed, NotFound, SettingsInvalid, Unauthorized, Unavailable, Unroutable
from kafka_bridge.events.record import Record, TopicPartition
from tests.brokers import SYSTEM_CLOCK
from tests.dispatch.letters import Kafka, Scanner, letter_of
from tests.stand_ins import NOW, Registry, request, saved

TOKEN = "not-a-real-token"
LETTERS = "orders.dead-letter"
HERE = TopicPartition(LETTERS, 0)
CLOCK = Clock(now=lambda: NOW, monotonic=SYSTEM_CLOCK.monotonic)


class App:
    """In the place of the session's apps: a workflow whose runs a test scripts."""

    def __init__(self):
        self.ran = []
        self.act = lambda inputs: {"data": {"status": "succeeded", "id": "run-1", "outputs": {}}}
        self.workflow = self
        self.chat = None

    def fetch_app(self, app_id):
        return {}

    def invoke(self, *, app_id, inputs, response_mode):
        self.ran.append(inputs["event_id"])
        return self.act(inputs)


class Told:
    """A recorder."""

    def __init__(self):
        self.runs = []

    def recorded(self, endpoint, outcome):
        pass

    def ran(self, endpoint, told):
        self.runs.append((endpoint, told.event_id, told.ending))


class Scene:
    """An endpoint whose dead letters lie in memory."""

    def __init__(self, **settings):
        self.kafka = Kafka()
        self.registry = Registry()
        self.registry.broker = self.registry.connection.broker = self.send
        self.sent = []
        self.refusals = {}
        self.app = App()
        self.told = Told()
        self.scanners = []
        self.asked = []
        loop = ThreadLoop(12)
        runs = Runs(Apps(loop, CLOCK), Slots(4, loop), self.told, loop=loop, clock=CLOCK, keep_up=lambda _: None)
        self.letters = Letters(
            self.scanner, self.registry, runs, self.told, loop=loop, clock=CLOCK, name=lambda: "holder"
        )
        self.handlers = DeadLetters(self.letters)
        settings = {"api_token": TOKEN, "consume_topics": "orders", "app": {"app_id": "app-1"}, **settings}
        self.hook = compile_hook(saved(**settings))

    def scanner(self, cluster, group):
        self.asked.append((cluster.servers, group))
        self.scanners.append(Scanner(self.kafka))
        return self.scanners[-1]

    def send(self, records):
        fates = []
        for record in records:
            event = dict(record.headers).get("ce_id", b"").decode()
            if event in self.refusals:
                fates.append(self.refusals[event])
            else:
                self.sent.append(record)
                fates.append(self.kafka.write(record))
        return fates

    def fill(self, count, **fields):
        for number in range(count):
            self.kafka.write(letter_of(number, **fields))

    def call(self, method, query="", body=b"", endpoint="endpoint-1", token=TOKEN, **headers):
        headers = {"authorization": f"Bearer {token}", **headers}
        inbound = request(body, headers, method=method, path="/dead-letters", query=query)
        return Call(inbound, self.hook, endpoint, apps=self.app)

    def list(self, **asked):
        outbound = self.handlers.list(self.call("GET", urlencode(asked)))
        assert outbound.status == 200
        return json.loads(outbound.body)

    def post(self, document=None, **headers):
        body = json.dumps(document).encode() if isinstance(document, dict) else document or b""
        return self.handlers.redrive(self.call("POST", body=body, **headers))

    def redrive(self, **asked):
        outbound = self.post({"dry_run": False, **asked})
        return outbound.status, json.loads(outbound.body)


def counts(told):
    return tuple(told[name] for name in ("matched", "redriven", "skipped", "failed", "remaining"))


class TestList:
    def test_it_shows_the_newest_first_page_by_page(self):
        scene = Scene()
        scene.fill(5)

        first = scene.list(limit=3)
        second = scene.list(limit=3, cursor=first["next"])

        assert [letter["event_id"] for letter in first["dead_letters"]] == ["e-4", "e-3", "e-2"]
        assert [letter["event_id"] for letter in second["dead_letters"]] == ["e-1", "e-0"]
        assert (second["next"], second["topics"]) == (None, [LETTERS])

    def test_it_leaves_nothing_behind(self):
        scene = Scene()
        scene.fill(5)
        scene.list()

        assert scene.kafka.marks == {}
        assert [scanner.closed for scanner in scene.scanners] == [True]
        assert scene.asked == [(("broker.example.com:9092",), "kafka-bridge.redrive")]

    def test_it_says_what_was_sent_back_and_shows_one_or_the_other(self):
        scene = Scene()
        scene.fill(4)
        scene.redrive(filter={"event_id": "e-1"})

        assert {letter["event_id"]: letter["redriven"] for letter in scene.list()["dead_letters"]} == {
            "e-3": False,
            "e-2": False,
            "e-1": True,
            "e-0": False,
        }
        assert [letter["event_id"] for letter in scene.list(state="redriven")["dead_letters"]] == ["e-1"]
        assert [letter["event_id"] for letter in scene.list(state="pending")["dead_letters"]] == ["e-3", "e-2", "e-0"]

    def test_a_filter_is_heeded(self):
        scene = Scene()
        scene.fill(4)

        assert [letter["event_id"] for letter in scene.list(event_id="e-2")["dead_letters"]] == ["e-2"]
        assert scene.list(reason="nothing of the kind")["dead_letters"] == []

    def test_a_group_that_may_not_be_looked_at_hides_only_what_was_sent_back(self):
        scene = Scene()
        scene.fill(1)

        def refuse(self, partitions):
            raise Unavailable(Cause.NOT_AUTHORIZED)

        make = scene.letters._make_scanner
        scene.letters._make_scanner = lambda *_: _with(make(*_), "marks", refuse)

        assert [letter["redriven"] for letter in scene.list()["dead_letters"]] == [None]

    def test_it_needs_no_app_and_says_which_settings_it_needs(self):
        assert Scene(app=None).list()["dead_letters"] == []
        with pytest.raises(SettingsInvalid, match="Topics to consume: missing"):
            Scene(consume_topics="").list()

    def test_a_letter_that_can_go_nowhere_says_why(self):
        scene = Scene()
        scene.kafka.write(letter_of(topic="secrets")._replace(topic=LETTERS))

        (letter,) = scene.list()["dead_letters"]
        assert letter["why_not"] == "It came from a topic that is not consumed here."

    def test_no_answer_is_longer_than_the_platform_takes(self):
        scene = Scene()
        scene.fill(100, value=b"\x00" * 4000, headers=tuple((f"h-{n}", b"\x01" * 900) for n in range(40)))

        outbound = scene.handlers.list(scene.call("GET", "limit=100"))

        assert len(outbound.body) < 1024 * 1024
        assert [len(letter) > 5 for letter in json.loads(outbound.body)["dead_letters"]] == [True] * 100
        assert json.loads(outbound.body)["dead_letters"][-1]["left_out"] == ["value", "headers"]

    @pytest.mark.parametrize(
        "query",
        ["limit=0", "limit=101", "limit=x", "state=odd", "cursor=odd!", "since=yesterday", "nothing=1", "cursor=AAAA"],
    )
    def test_what_makes_no_sense_is_refused(self, query):
        scene = Scene()

        with pytest.raises(Malformed):
            scene.handlers.list(scene.call("GET", query))

    def test_without_the_token_there_is_nothing(self):
        scene = Scene()

        with pytest.raises(Unauthorized):
            scene.handlers.list(scene.call("GET", token="wrong"))
        assert scene.scanners == []


def _with(scanner, name, function):
    setattr(scanner, name, function.__get__(scanner))
    return scanner


class TestRedrive:
    @pytest.mark.parametrize("body", [b"", b"{}", b'{"dry_run": true}', b'{"to": "workflow"}'])
    def test_it_is_a_dry_run_unless_it_is_told_otherwise(self, body):
        scene = Scene()
        scene.fill(3)

        outbound = scene.post(body)

        told = json.loads(outbound.body)
        assert (outbound.status, told["dry_run"], counts(told)) == (200, True, (3, 0, 0, 0, 3))
        assert (scene.sent, scene.kafka.marks, scene.app.ran) == ([], {}, [])

    def test_all_go_back_and_each_says_where_it_lies_now(self):
        scene = Scene()
        scene.fill(3)

        status, told = scene.redrive()

        assert (status, counts(told), told["next"]) == (200, (3, 3, 0, 0, 0), None)
        assert told["records"][1] == {
            "topic": LETTERS,
            "partition": 0,
            "offset": 1,
            "event_id": "e-1",
            "outcome": "redriven",
            "to": {"topic": "orders", "partition": 0, "offset": 1},
        }
        assert counts(scene.redrive()[1]) == (0, 0, 0, 0, 0)

    def test_one_that_fails_makes_it_no_success_and_the_counts_are_true(self):
        scene = Scene()
        scene.fill(3)
        scene.refusals["e-1"] = Unroutable("the topic refuses it")

        status, told = scene.redrive()

        assert (status, told["type"], counts(told)) == (422, "urn:kafka-bridge:unroutable", (3, 2, 0, 1, 0))
        assert [record["outcome"] for record in told["records"]] == ["redriven", "failed", "redriven"]
        assert told["records"][1]["detail"] == "the topic refuses it"

    def test_a_cluster_that_is_away_is_503_and_nothing_is_remembered(self):
        scene = Scene()
        scene.fill(3)
        scene.refusals = dict.fromkeys(["e-0", "e-1", "e-2"], Unavailable(Cause.NOT_ACKNOWLEDGED))

        outbound = scene.post({"dry_run": False})

        assert outbound.status == 503
        assert ("Retry-After", "2") in outbound.headers
        assert json.loads(outbound.body)["redriven"] == 0
        assert scene.kafka.marks[HERE].offset == 0

    @pytest.mark.parametrize(
        "record", [{"topic": LETTERS, "partition": 0, "offset": 1}, f"{LETTERS}/0/1", f"{LETTERS}[0] 1"]
    )
    def test_one_record_is_named_by_its_place(self, record):
        scene = Scene()
        scene.fill(3)

        assert counts(scene.redrive(record=record)[1]) == (1, 1, 0, 0, 0)
        assert [dict(sent.headers)["ce_id"] for sent in scene.sent] == [b"e-1"]

    def test_a_record_of_somebody_elses_topic_is_not_found(self):
        scene = Scene()
        scene.kafka.write(Record("secrets", b"{}"))

        with pytest.raises(NotFound):
            scene.redrive(record="secrets/0/0")

    def test_a_form_says_the_same(self):
        scene = Scene()
        scene.fill(5)
        form = urlencode({"dry_run": "false", "count": "2", "reason": "boom", "csrf": "x", "since": ""}).encode()

        outbound = scene.post(form, **{"content-type": "application/x-www-form-urlencoded"})

        assert outbound.status == 303
        assert outbound.headers == (("Location", "../?view=dead-letters&redriven=2&skipped=0&remaining=3"),)
        assert len(scene.sent) == 2

    def test_curl_says_of_json_that_it_is_a_form(self):
        scene = Scene()
        scene.fill(5)

        outbound = scene.post({"count": 2}, **{"content-type": "application/x-www-form-urlencoded"})

        assert counts(json.loads(outbound.body)) == (5, 0, 0, 0, 5)

    @pytest.mark.parametrize(
        "document",
        [
            {"to": "nowhere"},
            {"to": ["topic"]},
            {"dry_run": "false"},
            {"count": 0},
            {"count": 10_001},
            {"count": True},
            {"count": "5"},
            {"max_seconds": 301},
            {"filter": "reason"},
            {"filter": {"odd": "x"}},
            {"filter": {"reason": ["x"]}},
            {"filter": {"since": "yesterday"}},
            {"record": {"topic": LETTERS}},
            {"record": {"topic": LETTERS, "partition": -1, "offset": 0}},
            {"record": "x/0/0", "filter": {"reason": "x"}},
            {"record": 5},
            {"again": True},
            {"cursor": "odd!"},
            {"cursor": 5},
            {"odd": 1},
        ],
    )
    def test_what_makes_no_sense_is_refused_and_nothing_is_read(self, document):
        scene = Scene()

        with pytest.raises(Malformed):
            scene.post(document)
        assert scene.scanners == []

    @pytest.mark.parametrize("body", [b"x", b"[]", b'"x"', b"{"])
    def test_what_is_no_object_is_refused(self, body):
        with pytest.raises(Malformed):
            Scene().post(body)

    def test_where_publishing_is_switched_off_nothing_is_written(self):
        scene = Scene(publishing="disabled")
        scene.fill(1)

        with pytest.raises(Unavailable, match="publishing is disabled"):
            scene.redrive()

    def test_more_letters_than_are_told_are_counted(self, monkeypatch):
        monkeypatch.setattr(deadletters, "MOST_TOLD", 3)
        scene = Scene()
        scene.fill(10)

        _, told = scene.redrive()

        assert (counts(told), len(told["records"]), told["left_out"]) == ((10, 10, 0, 0, 0), 3, 7)

    def test_one_request_at_a_time_sends_an_endpoints_letters_back(self):
        scene = Scene()
        scene.fill(3)
        waits, go, answers = threading.Event(), threading.Event(), []
        send = scene.registry.connection.broker

        def hold(records):
            waits.set()
            assert go.wait(20)
            return send(records)

        scene.registry.connection.broker = hold
        first = threading.Thread(target=lambda: answers.append(scene.redrive()))
        first.start()
        assert waits.wait(20)
        with pytest.raises(Busy):
            scene.redrive()
        # Who only looks is in nobody's way.
        assert json.loads(scene.post({}).body)["dry_run"] is True
        go.set()
        first.join(20)

        assert counts(answers[0][1]) == (3, 3, 0, 0, 0)
        assert counts(scene.redrive()[1]) == (0, 0, 0, 0, 0)

    def test_so_many_at_once_and_no_more(self, monkeypatch):
        monkeypatch.setattr(letters, "MAX_AT_ONCE", 0)
        scene = Scene()

        for _ in range(2):
            with pytest.raises(Busy, match="look at dead letters"):
                scene.redrive()
            with pytest.raises(Busy, match="look at dead letters"):
                scene.list()

    def test_the_client_is_closed_also_when_something_goes_wrong(self):
        scene = Scene()
        scene.fill(3)
        scene.kafka.refuse = Unavailable(Cause.NOT_AUTHORIZED)

        for _ in range(2):
            with pytest.raises(Unavailable, match="not authorized") as raised:
                scene.redrive()
            assert raised.value.slug == "unreadable"
        assert all(scanner.closed for scanner in scene.scanners)
        assert scene.sent == []


class TestWorkflow:
    def test_each_is_run_and_recorded(self):
        scene = Scene()
        scene.fill(3)

        status, told = scene.redrive(to="workflow")

        assert (status, counts(told)) == (200, (3, 3, 0, 0, 0))
        assert sorted(scene.app.ran) == ["e-0", "e-1", "e-2"]
        assert {record["run_id"] for record in told["records"]} == {"run-1"}
        assert sorted(scene.told.runs) == [("endpoint-1", f"e-{n}", "succeeded") for n in range(3)]
        assert scene.sent == []

    def test_a_run_that_fails_is_502_and_its_letter_stays(self):
        scene = Scene(concurrency="1")
        scene.fill(3)
        failed = {"data": {"status": "failed", "error": "no köln \ud800", "id": "run-2", "outputs": {}}}
        scene.app.act = lambda inputs: failed if inputs["event_id"] == "e-1" else {"data": {"status": "succeeded"}}

        status, told = scene.redrive(to="workflow")

        assert (status, told["type"], counts(told)) == (502, "urn:kafka-bridge:run-failed", (3, 2, 0, 1, 0))
        assert told["records"][1]["detail"].startswith("no köln")
        scene.app.act = lambda _: {"data": {"status": "succeeded"}}
        assert counts(scene.redrive(to="workflow")[1]) == (1, 1, 0, 0, 0)

    def test_without_an_app_nothing_is_read(self):
        scene = Scene(app=None)

        with pytest.raises(SettingsInvalid, match="App to run: missing"):
            scene.redrive(to="workflow")
        assert scene.scanners == []

    def test_when_the_time_is_over_the_rest_remains(self):
        scene = Scene(concurrency="1")
        scene.fill(10)
        began = threading.Event()

        def act(inputs):
            began.wait(0.4)
            return {"data": {"status": "succeeded"}}

        scene.app.act = act
        status, told = scene.redrive(to="workflow", max_seconds=1)

        assert (status, told["failed"], told["remaining"]) == (200, 0, None)
        assert 0 < told["redriven"] < 10
        assert told["next"]


def test_of_a_letter_that_was_told_of_nothing_is_kept_but_what_is_told(monkeypatch):
    scene = Scene()
    scene.fill(5)
    letters_told, alive = [], []
    line_of, answer_of = deadletters._line, deadletters._answer

    def line(line):
        letters_told.append(weakref.ref(line.letter))
        return line_of(line)

    def answer(told, lines):
        gc.collect()
        alive.append((len(letters_told), sum(letter() is not None for letter in letters_told)))
        return answer_of(told, lines)

    monkeypatch.setattr(deadletters, "_line", line)
    monkeypatch.setattr(deadletters, "_answer", answer)
    scene.redrive()

    assert alive == [(5, 0)]
