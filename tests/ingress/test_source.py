import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kafka_bridge.ingress.patterns import Pattern
from kafka_bridge.ingress.schemes import SCHEMES
from kafka_bridge.ingress.source import compile_sources
from kafka_bridge.settings.endpoint import parse
from tests.stand_ins import saved, source_of


def compiled(**settings):
    texts = {name: value if isinstance(value, str) else json.dumps(value) for name, value in settings.items()}
    sources, problems = compile_sources(parse(saved(**texts)))
    return sources, [str(problem) for problem in problems]


def test_a_source_is_compiled_from_its_settings():
    source = source_of(scheme="github", topic="github.{type}", key="{id}", topic_allow="github.*")

    assert (source.name, source.scheme_id, source.scheme) == ("default", "github", SCHEMES["github"])
    assert source.routing.topic.constant is None
    assert source.routing.key.constant is None
    assert (source.routing.allows("github.push"), source.routing.allows("gitlab.push")) == (True, False)
    assert source.verifier is not None


def test_the_name_of_the_source_is_put_into_its_templates_at_once():
    sources, _ = compiled(topic="t.{source}", key="{source}", sources={"shop": {}}, source_secrets={"shop": "made-up"})

    assert {name: source.routing.topic.constant for name, source in sources.items()} == {
        "default": "t.default",
        "shop": "t.shop",
    }
    assert sources["shop"].routing.key.constant == "shop"


def test_no_key_is_no_template():
    assert source_of(key="").routing.key is None


def test_only_the_scheme_none_has_no_verifier_and_only_by_name():
    assert source_of(scheme="none").verifier is None
    for scheme in SCHEMES:
        sources, problems = compiled(scheme=scheme, webhook_secret="")
        assert (scheme == "none") is ("default" in sources)
        assert (scheme == "none") is (problems == [])


@pytest.mark.parametrize("scheme", ["None", "NONE", "noop", "hmacs", "no", "sha256", "null"])
def test_an_unknown_scheme_is_a_problem_and_no_source(scheme):
    sources, problems = compiled(sources={"shop": {"scheme": scheme}}, source_secrets={"shop": "made-up"})

    assert list(sources) == ["default"]
    assert problems == [
        f"Sources (JSON) (source shop): the scheme must be one of {', '.join(SCHEMES)}.",
    ]


def test_one_bad_source_leaves_the_others_alone():
    sources, problems = compiled(
        sources={
            "a-scheme": {"scheme": "x"},
            "an-option": {"scheme_options": {"x": 1}},
            "a-secret": {},
            "a-topic": {"scheme": "none", "topic": "{x}"},
            "a-key": {"scheme": "none", "key": "{x}"},
            "a-name": {"scheme": "none", "topic": "not legal"},
            "good": {"scheme": "none"},
        }
    )

    assert set(sources) == {"default", "good"}
    assert [problem.partition("(source ")[2].partition(")")[0] for problem in problems] == [
        "a-scheme",
        "an-option",
        "a-secret",
        "a-topic",
        "a-key",
        "a-name",
    ]


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"webhook_secret": ""}, "Webhook secret (source default): missing."),
        ({"webhook_secret": '{"token": "x"}'}, "Webhook secret (source default): must be one text, an array"),
        ({"scheme": "standard-webhooks", "webhook_secret": "???"}, "Webhook secret (source default): is not base64."),
        ({"scheme": "standard-webhooks", "webhook_secret": "v1,AAAA"}, "Webhook secret (source default): starts with"),
        ({"topic": "{x}"}, "Topic (source default): knows {source}, {type}"),
        ({"topic": "{"}, "Topic (source default): has a brace without its partner."),
        ({"topic": "a b"}, "Topic (source default): is not a legal topic name"),
        ({"topic": "x" * 1001}, "Topic (source default): is longer than 1000 characters."),
        ({"key": "x" * 1001}, "Record key (source default): is longer than 1000 characters."),
        ({"key": "{x}"}, "Record key (source default): knows {source}, {type}"),
        ({"topic_allow": "orders.*"}, "Allowed topics (source default): does not allow the topic of this source."),
        ({"sources": {"shop": {}}}, "Source secrets (JSON) (source shop): missing."),
        ({"sources": {"shop": {"scheme": "none", "topic": "{x}"}}}, "Sources (JSON) (source shop): knows {source}"),
        ({"sources": {"shop": {"scheme": "none", "topic": "é"}}}, "Sources (JSON) (source shop): is not a legal topic"),
        ({"sources": {"shop": {"scheme": "none", "key": "}"}}}, "Sources (JSON) (source shop): has a brace without"),
        ({"sources": {"default": {"scheme_options": {"header": ""}}}}, "Sources (JSON) (source default): header"),
        ({"sources": {"default": {"split": True}}}, "Sources (JSON) (source default): split must be the path of an"),
        ({"sources": {"default": {"routes": {"a": "{x}"}}}}, "Sources (JSON) (source default): knows {source}, {type}"),
        ({"sources": {"default": {"routes": {"a": {"key": "{"}}}}}, "Sources (JSON) (source default): has a brace"),
        ({"sources": {"default": {"routes": {"a": "a b"}}}}, "Sources (JSON) (source default): a route's topic is not"),
        (
            {"topic_allow": "webhooks.*", "sources": {"default": {"routes": {"a": "other"}}}},
            "Allowed topics (source default): does not allow the topic of this source.",
        ),
    ],
)  # fmt: skip
def test_a_problem_names_the_field_where_it_can_be_mended(settings, told):
    sources, problems = compiled(**settings)

    assert len(problems) == 1
    assert problems[0].startswith(told)
    assert problems[0].partition("(source ")[2].partition(")")[0] not in sources


def test_a_bad_secret_among_good_ones_is_not_passed_over():
    sources, problems = compiled(scheme="standard-webhooks", webhook_secret=["whsec_AAAB", "???"])

    assert sources == {}
    assert problems == ["Webhook secret (source default): is not base64."]


@pytest.mark.parametrize("topic", [".", "..", "a/b", "é", "a" * 250, "a b", "webhooks.{source}" + "x" * 240])
def test_a_topic_that_kafka_refuses_is_told_before_the_first_event(topic):
    sources, problems = compiled(topic=topic)

    assert sources == {}
    assert "is not a legal topic name" in problems[0]


@pytest.mark.parametrize("topic", ["a", "a" * 249, "a.b_c-D9", "..."])
def test_a_topic_that_kafka_takes_is_taken(topic):
    assert source_of(topic=topic).routing.topic.constant == topic


@pytest.mark.parametrize(
    ("allowed", "topic", "permitted"),
    [
        ("", "anything", True),
        ("orders", "orders", True),
        ("orders", "orders2", False),
        ("orders", "my.orders", False),
        ("orders.*", "orders.eu", True),
        ("orders.*", "orders", False),
        ("orders.*", "ordersxeu", False),
        ("*", "anything", True),
        ("*.eu", "orders.eu", True),
        ("a,b.*", "b.c", True),
        ("a,b.*", "c", False),
        ("Orders", "orders", False),
        ("o*s", "orders", True),
        ("[a-z]+", "orders", False),
        ("orders|payments", "payments", False),
    ],
)
def test_topic_allow_holds_names_and_patterns(allowed, topic, permitted):
    source = source_of(topic="{type}", topic_allow=allowed)

    assert source.routing.allows(topic) is permitted


@pytest.mark.parametrize("allowed", ["*a*a*a*b", "a*a*a*a*b", "***b"])
def test_a_topic_is_compared_with_any_pattern_in_no_time(allowed):
    # The topic may come from the body: a sender must not be able to stop the process for everybody.
    source, started = source_of(topic="{type}", topic_allow=allowed), time.process_time()

    assert not source.routing.allows("a" * 249)
    assert time.process_time() - started < 0.1


@given(st.from_regex(r"[a-zA-Z0-9._-]{1,20}", fullmatch=True), st.from_regex(r"[a-zA-Z0-9._-]{1,20}", fullmatch=True))
def test_a_name_allows_itself_alone(name, other):
    source = source_of(topic="{type}", topic_allow=name)

    assert source.routing.allows(name)
    assert source.routing.allows(other) is (name == other)


def test_a_topic_that_many_sources_share_is_compared_with_the_allowed_ones_once(monkeypatch):
    asked = []
    matches = Pattern.matches
    monkeypatch.setattr(Pattern, "matches", lambda self, text: asked.append(text) or matches(self, text))
    sources, problems = compiled(
        topic="events",
        topic_allow="events,other",
        sources={f"s{number}": {"scheme": "none"} for number in range(50)}
        | {"own": {"scheme": "none", "topic": "own"}},
    )

    assert asked == ["events", "own", "own"]
    assert len(sources) == 51
    assert problems == ["Allowed topics (source own): does not allow the topic of this source."]


def test_stars_in_a_row_are_one():
    pattern = Pattern("a" + "*" * 250 + "b")

    assert pattern._middle == ()
    assert [pattern.matches(text) for text in ("ab", "a.b", "a", "b", "ba")] == [True, True, False, False, False]
