"""What is told of an endpoint's consumer, also where there is none."""

import json
from contextlib import nullcontext
from types import SimpleNamespace

import pytest

from kafka_bridge.dify.call import Call
from kafka_bridge.dify.consumer import LAG_S, MAX_TOLD, ConsumerState
from kafka_bridge.dify.hooks import compile_hook
from kafka_bridge.dispatch.breaker import Circuit
from kafka_bridge.dispatch.desk import Inquiry
from kafka_bridge.dispatch.ended import Ending
from kafka_bridge.errors import Cause, TokenNotConfigured, Unauthorized, Unavailable
from kafka_bridge.events.record import TopicPartition
from tests.stand_ins import request, residents, saved

TOKEN = "not-a-real-token"
APP = {"app": {"app_id": "a"}}
P0, P1 = TopicPartition("orders", 0), TopicPartition("orders", 1)


class Member:
    """In the place of a dispatcher, at work or not."""

    def __init__(self, *, busy=False, joined=True, lags=None, positions=None, **engine):
        self.busy = busy
        self.loop = SimpleNamespace(lock=nullcontext())
        self.trouble = SimpleNamespace(error=None)
        self.asked = []
        self.member = SimpleNamespace(joined=joined, inquire=self._inquire)
        self._lags = lags
        self.engine = SimpleNamespace(
            positions=positions or {},
            in_flight=lambda: engine.get("running", 0),
            buffered=engine.get("buffered", 0),
            blocked=engine.get("blocked", {}),
            circuit=engine.get("circuit"),
        )

    def _inquire(self, timeout_s):
        self.asked.append(timeout_s)
        return Inquiry(None, self._lags)


def call(*, token=TOKEN, **settings):
    hook = compile_hook(saved(api_token=TOKEN, **settings))
    return Call(request(b"", {"authorization": f"Bearer {token}"}, method="GET"), hook, "endpoint-1")


def state_of(member=None, **settings):
    state = ConsumerState(SimpleNamespace(find=lambda _endpoint: member), residents())
    return json.loads(state.show(call(**settings)).body)


def word_of(member=None, **settings):
    return ConsumerState(SimpleNamespace(find=lambda _endpoint: member), residents()).word(call(**settings))


def circuit(ending):
    return Circuit("the app says s3cr3t", ending, 0.0, 0.0)


def test_without_settings_there_is_nothing_and_it_says_which_are_missing():
    assert state_of() == {
        "state": "not configured",
        "resident": {"state": "disabled"},
        "group_id": "kafka-bridge",
        "topics": [],
        "assigned": [],
        "lag": None,
        "in_flight": 0,
        "waiting": 0,
        "blocked": {},
        "circuit": None,
        "trouble": None,
        "dead_letter_topic": "{topic}.dead-letter",
        "result_topic": "",
        "problems": ["App to run: missing.", "Topics to consume: missing."],
    }


@pytest.mark.parametrize(
    "settings",
    [
        {"consume_topics": "orders"},
        APP,
        {**APP, "consume_topics": "a b"},
        {**APP, "consume_topics": "orders", "concurrency": "many"},
        {**APP, "consume_topics": "orders", "bootstrap_servers": ""},
    ],
)
def test_settings_that_cannot_work_are_told(settings):
    found = state_of(Member(), **settings)

    assert found["state"] == "not configured"
    assert found["problems"]


def test_nobody_consumes_now():
    found = state_of(**APP, consume_topics="orders, refunds", consumer="enabled", result_topic="done")

    assert (found["state"], found["resident"]["state"], found["topics"], found["problems"]) == (
        "idle",
        "unavailable",
        ["orders", "refunds"],
        [],
    )
    assert (found["lag"], found["assigned"], found["result_topic"]) == (None, [], "done")


@pytest.mark.parametrize(
    ("member", "state"),
    [
        (Member(), "joined"),
        (Member(busy=True), "running"),
        (Member(busy=True, joined=False), "running"),
        (Member(joined=False), "idle"),
    ],
)
def test_a_member_is_told_by_what_it_does(member, state):
    assert state_of(member, **APP, consume_topics="orders")["state"] == state


def test_of_a_member_everything_is_told():
    member = Member(
        lags={P0: 3, P1: 4},
        positions={P1: None, P0: 17},
        running=2,
        buffered=9,
        blocked={P1: "topic does not exist"},
        circuit=circuit(Ending.UNAVAILABLE),
    )
    member.trouble.error = Unavailable(Cause.NOT_AUTHORIZED)

    found = state_of(member, **APP, consume_topics="orders")

    assert found["assigned"] == [
        {"topic": "orders", "partition": 0, "position": 17, "lag": 3},
        {"topic": "orders", "partition": 1, "position": None, "lag": 4},
    ]
    assert (found["lag"], found["in_flight"], found["waiting"]) == (7, 2, 9)
    assert found["blocked"] == {"orders[1]": "topic does not exist"}
    assert (found["circuit"], found["trouble"]) == ("the app says s3cr3t", "not authorized for topic")
    assert member.asked == [LAG_S]


def test_a_lag_that_the_brokers_do_not_tell_is_not_known():
    found = state_of(Member(positions={P0: 17}), **APP, consume_topics="orders")

    assert (found["lag"], found["assigned"][0]["lag"]) == (None, None)


def test_one_that_has_not_joined_is_not_asked():
    member = Member(joined=False)
    state_of(member, **APP, consume_topics="orders")

    assert member.asked == []


def test_of_very_many_partitions_the_first_are_told_and_all_are_summed():
    many = [TopicPartition("orders", number) for number in range(MAX_TOLD + 7)]
    member = Member(lags=dict.fromkeys(many, 1), positions=dict.fromkeys(many, 0))

    found = state_of(member, **APP, consume_topics="orders")

    assert (len(found["assigned"]), found["more_assigned"], found["lag"]) == (MAX_TOLD, 7, MAX_TOLD + 7)


def test_the_lag_per_topic_is_a_sum():
    member = Member(lags={P0: 3, P1: 4, TopicPartition("refunds", 0): 0})
    state = ConsumerState(SimpleNamespace(find=lambda _endpoint: member), residents())

    assert state.lags(call()) == {"orders": 7, "refunds": 0}
    assert ConsumerState(SimpleNamespace(find=lambda _endpoint: None), residents()).lags(call()) == {}


def test_nobody_looks_without_the_token():
    state = ConsumerState(SimpleNamespace(find=lambda _endpoint: None), residents())
    with pytest.raises(Unauthorized):
        state.show(call(token="wrong"))
    with pytest.raises(TokenNotConfigured):
        state.show(call()._replace(hook=compile_hook(saved())))


# The resident consumer.


class Resident:
    """In the place of all of them: notes what it is asked for."""

    def __init__(self, state="running", reason=""):
        self.asked = []
        self.state = lambda _call: (state, reason)
        self.told = lambda _call: {"state": state, "reason": reason}
        self.start = lambda _call: self.asked.append("start")
        self.stop = lambda _call: self.asked.append("stop")


@pytest.mark.parametrize("action", ["start", "stop"])
def test_who_has_the_token_starts_and_stops_it_and_is_told_how_it_is_then(action):
    resident = Resident(reason="because")
    state = ConsumerState(SimpleNamespace(find=lambda _endpoint: None), resident)
    handler = getattr(state, action)

    with pytest.raises(Unauthorized):
        handler(call(token="wrong"))
    assert resident.asked == []
    told = json.loads(handler(call(**APP, consume_topics="orders", consumer="enabled")).body)

    assert resident.asked == [action]
    assert told["resident"] == {"state": "running", "reason": "because"}


@pytest.mark.parametrize(
    ("state", "word"),
    [
        ("running", "ok"),
        ("starting", "ok"),
        ("waiting", "ok"),
        ("stopped", "ok"),
        ("disabled", "ok"),
        ("failing", "the resident consumer is failing"),
        ("queued", "the resident consumer waits for its turn"),
        ("unavailable", "this runtime cannot host a resident consumer"),
    ],
)
def test_a_probe_is_told_of_a_resident_consumer_that_does_not_do_its_work_but_not_why(state, word):
    looks = ConsumerState(SimpleNamespace(find=lambda _endpoint: None), Resident(state, "s3cr3t"))

    assert looks.word(call(**APP, consume_topics="orders", consumer="enabled")) == word


def test_what_the_member_says_is_told_first():
    member = Member()
    member.trouble.error = Unavailable(Cause.AUTHENTICATION_FAILED)
    looks = ConsumerState(SimpleNamespace(find=lambda _endpoint: member), Resident("failing"))

    assert looks.word(call(**APP, consume_topics="orders", consumer="enabled")) == "authentication failed"


# In one word, for probes.


@pytest.mark.parametrize("settings", [{}, APP, {"consume_topics": "orders"}])
def test_where_nothing_is_to_be_consumed_the_consumer_is_unused(settings):
    assert word_of(**settings) == "unused"


def in_trouble():
    member = Member()
    member.trouble.error = Unavailable(Cause.AUTHENTICATION_FAILED, "broker.example.com says no")
    return member


@pytest.mark.parametrize(
    ("member", "word"),
    [
        (None, "ok"),
        (Member(), "ok"),
        (in_trouble(), "authentication failed"),
        (Member(circuit=circuit(Ending.MISCONFIGURED)), "the app cannot be run"),
        (Member(circuit=circuit(Ending.UNAVAILABLE)), "Dify is not available"),
        (Member(blocked={P0: "x"}), "results or dead letters cannot be written"),
    ],
)
def test_what_stands_in_the_way_is_told_in_words_that_are_for_everybody(member, word):
    assert word_of(member, **APP, consume_topics="orders") == word
    assert member is None or member.asked == []


def test_settings_that_are_wrong_are_told_too():
    assert word_of(**APP, consume_topics="a b") == "settings invalid"
