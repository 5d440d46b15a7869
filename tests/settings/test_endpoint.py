import json
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kafka_bridge.settings.endpoint import parse
from kafka_bridge.settings.reader import MAX_SETTING_CHARS
from kafka_bridge.settings.secret import Secret
from kafka_bridge.settings.table import SETTINGS, Kind
from tests.settings.places import PLACES

# Everything is read only when the connection is a SASL one with OAuth.
GOOD = {
    "bootstrap_servers": "broker.example.com:9092",
    "sasl_mechanism": "OAUTHBEARER",
    "sasl_username": "alice",
    "sasl_password": "not-a-real-password",
    "oauth_token_url": "https://login.example.com/token",
    "webhook_secret": "not-a-real-secret",
}
TEXTS = [name for name, setting in SETTINGS.items() if setting.kind is not Kind.APP]
JSON_OBJECTS = ("client_config", "sources", "source_secrets", "input_mapping")
NUMBERS = ("concurrency", "max_attempts", "max_age_seconds", "keep_events")
MALFORMED = {
    "bootstrap_servers": ["a b", "a:0", "a://b"],
    "oauth_token_url": ["login.example.com", "ftp://x"],
    "ssl_ca_pem": ["x", "-----BEGIN CERTIFICATE----- ??? -----END CERTIFICATE-----"],
    "ssl_certificate_pem": ["x"],
    "ssl_key_pem": ["x"],
    "webhook_secret": ["[", "{}"],
    "app": ["x", 1, ["x"], {"app_id": 1}, {"id": "x"}],
    **{name: ["yes", "x"] for name, setting in SETTINGS.items() if setting.kind is Kind.SELECT},
    **{name: ["x", "{", "[]", "1"] for name in JSON_OBJECTS},
    **{name: ["x", "-1", "1.5", "9" * 5000] for name in NUMBERS},
}
HOSTILE = [
    None, "", " ", "\n", "\x00", "\x7f", "é", "\ud800", "\u2028", "'\"<script>", "{", "}", "{}", "[", "[]", '{"a":',
    "{a}", "{body.}", "*" * 200, ",", ":", "/", "-----BEGIN CERTIFICATE-----é-----END CERTIFICATE-----",
    "-----BEGIN PRIVATE KEY----- -----END PRIVATE KEY-----", "9" * 5000, "0" * 11 + "1" * 5000, "1e400", "NaN",
    "x" * MAX_SETTING_CHARS, "x" * (MAX_SETTING_CHARS + 1), 0, 1, -1, 1.5, float("nan"), True, False, b"x", [], ["x"],
    {}, {"a": "b"}, {"app_id": ""}, {"app_id": "x", "inputs": []}, object(),
]  # fmt: skip

any_text = st.text(st.characters(exclude_categories=[]))
any_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=20), inner, max_size=3),
    max_leaves=10,
)
any_value = any_text | any_json | any_json.map(json.dumps)


def labels(parsed):
    return {problem.setting for problem in parsed.problems}


def test_good_settings_have_no_problems():
    assert parse(GOOD).problems == ()


@pytest.mark.parametrize("name", SETTINGS)
def test_no_value_makes_parse_raise(name):
    for value in HOSTILE + MALFORMED.get(name, []):
        for base in ({}, GOOD):
            parsed = parse({**base, name: value})

            assert all(str(problem).startswith(SETTINGS[problem.setting].label) for problem in parsed.problems)


@given(st.dictionaries(st.sampled_from(sorted(SETTINGS)) | st.text(), any_value))
def test_no_settings_make_parse_raise(saved):
    parsed = parse(saved)

    assert parsed.cluster is None or parsed.cluster.servers
    assert all(problem.setting in SETTINGS for problem in parsed.problems)


@pytest.mark.parametrize("name", TEXTS)
@pytest.mark.parametrize("value", [["x"], 1, {"a": 1}, True, 1.5, b"x"], ids=repr)
def test_a_value_of_the_wrong_type_is_a_problem_of_that_setting(name, value):
    problems = [problem.text for problem in parse({**GOOD, name: value}).problems if problem.setting == name]

    assert "must be a text" in problems


@pytest.mark.parametrize("name", TEXTS)
def test_a_value_that_is_too_long_is_a_problem_of_that_setting(name):
    parsed = parse({**GOOD, name: "x" * (MAX_SETTING_CHARS + 1)})

    assert (name, "is longer than 262144 characters") in {(found.setting, found.text) for found in parsed.problems}


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, values in MALFORMED.items() for value in values])
def test_a_malformed_value_is_a_problem_of_that_setting(name, value):
    assert name in labels(parse({**GOOD, name: value}))


@pytest.mark.parametrize("name", sorted(SETTINGS.keys() - GOOD.keys() - {"app"}))
@pytest.mark.parametrize("nothing", ["", "  ", "\n", None])
def test_nothing_is_not_a_problem_where_there_is_a_default(name, nothing):
    parsed = parse({**GOOD, name: nothing})

    assert parsed.problems == ()
    assert parsed == parse(GOOD)


@pytest.mark.parametrize("nothing", ["", {}, None])
def test_no_app_is_not_a_problem(nothing):
    assert parse({**GOOD, "app": nothing}) == parse(GOOD)


def test_settings_that_nobody_knows_are_passed_over():
    assert parse({**GOOD, "of_another_version": ["x"]}) == parse(GOOD)


def test_a_problem_is_told_once():
    parsed = parse({**GOOD, "webhook_secret": 1, "publishing": 1, "sources": '{"": {}, "a b": {}}'})

    assert [str(problem) for problem in parsed.problems] == [
        "Publishing: must be a text.",
        "Webhook secret (source default): must be a text.",
        "Sources (JSON): a source's name is 1 to 64 letters, digits, dots, underscores or hyphens.",
    ]


def test_all_problems_are_told_at_once():
    parsed = parse({"security_protocol": "x", "concurrency": "x", "ordering": "x", "sources": "x"})

    assert labels(parsed) == {"security_protocol", "bootstrap_servers", "concurrency", "ordering", "sources"}


# What is pasted into the wrong field stays unseen.


@given(st.uuids().map(lambda number: "zq" + number.hex), st.sampled_from(sorted(SETTINGS)), st.sampled_from([*PLACES]))
def test_a_problem_never_quotes_a_value(marker, name, place):
    _a_problem_never_quotes(marker, name, place)


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("name", SETTINGS)
def test_a_problem_never_quotes_a_value_wherever_it_was_pasted(name, place):
    _a_problem_never_quotes("zq" + uuid.uuid4().hex, name, place)


def _a_problem_never_quotes(marker, name, place):
    for base in ({}, GOOD, {**GOOD, "sources": '{"shop": {}}'}):
        parsed = parse({**base, name: PLACES[place](marker)})
        told = " ".join(str(problem) for problem in parsed.problems).lower()

        assert marker[:12] not in told
        if SETTINGS[name].kind is Kind.SECRET:
            assert marker[:12] not in repr(parsed)
            assert marker[:12] not in str(parsed)
            assert marker[:12] not in f"{parsed}"


# What comes out.


def test_an_api_token_is_trimmed_because_headers_are():
    assert parse({"api_token": " not-a-real-token\n"}).api_token == Secret("not-a-real-token")
    assert parse({"api_token": " \n"}).api_token is None


def test_publishing_is_on_unless_it_is_switched_off():
    assert parse({}).publishing is True
    assert parse({"publishing": "disabled"}).publishing is False


def test_the_public_url_has_no_slash_at_its_end():
    assert parse({"public_url": "https://example.com/e/x/"}).public_url == "https://example.com/e/x"


def test_lists_are_tuples_of_names():
    parsed = parse({"topic_allow": "a, b*", "mask_paths": "card.number", "consume_topics": "orders,payments"})

    assert parsed.topic_allow == ("a", "b*")
    assert parsed.mask_paths == ("card.number",)
    assert parsed.consume.topics == ("orders", "payments")


def test_the_defaults_of_consuming():
    consume = parse({}).consume

    assert (consume.app_id, dict(consume.app_inputs), consume.topics) == ("", {}, ())
    assert (consume.group_id, consume.ordering, consume.offset_reset) == ("kafka-bridge", "key", "latest")
    assert (consume.concurrency, consume.max_attempts, consume.max_age_s) == (4, 3, None)
    assert (consume.dead_letter_topic, consume.result_topic) == ("{topic}.dead-letter", "")
    assert (dict(consume.input_mapping), consume.resident) == ({}, False)


def test_what_was_saved_for_consuming():
    consume = parse(
        {
            "app": {"app_id": "an-app", "inputs": {"lang": "en"}, "files": []},
            "group_id": "g",
            "ordering": "none",
            "concurrency": "16",
            "max_attempts": "1",
            "max_age_seconds": "3600",
            "offset_reset": "earliest",
            "input_mapping": '{"text": "{body.text}"}',
            "consumer": "enabled",
        }
    ).consume

    assert (consume.app_id, dict(consume.app_inputs)) == ("an-app", {"lang": "en"})
    assert (consume.group_id, consume.ordering, consume.offset_reset) == ("g", "none", "earliest")
    assert (consume.concurrency, consume.max_attempts, consume.max_age_s) == (16, 1, 3600)
    assert (dict(consume.input_mapping), consume.resident) == ({"text": "{body.text}"}, True)


@pytest.mark.parametrize(("text", "number"), [("", 1000), ("0", 0), ("100000", 100_000)])
def test_events_to_keep_may_be_none_at_all(text, number):
    assert parse({"keep_events": text}).keep_events == number


@pytest.mark.parametrize("value", ['{"a": 1}', '{"a": null}', '{"a": {}}'])
def test_an_input_mapping_holds_texts(value):
    parsed = parse({**GOOD, "input_mapping": value})

    assert [str(problem) for problem in parsed.problems] == [
        "Input mapping (JSON): every value must be a template text."
    ]


def test_settings_cannot_be_changed():
    parsed = parse(GOOD)

    with pytest.raises(AttributeError):
        parsed.api_token = None
    with pytest.raises(AttributeError):
        parsed.cluster.password = None


@pytest.mark.parametrize("text", [",", " , ,", ",,,"])
def test_allowed_topics_that_name_none_do_not_allow_all(text):
    (problem,) = parse({**GOOD, "topic_allow": text}).problems

    assert (str(problem), problem.source) == ("Allowed topics: names no topic.", None)


def test_two_hundred_patterns_are_enough():
    patterns = [f"orders.{number}.*" for number in range(201)]

    assert parse({**GOOD, "topic_allow": ",".join(patterns[:200])}).topic_allow == tuple(patterns[:200])
    (problem,) = parse({**GOOD, "topic_allow": ",".join(patterns)}).problems
    assert (str(problem), problem.source) == ("Allowed topics: has more than 200 entries.", None)


def test_a_pattern_that_is_longer_than_a_topic_can_be_is_a_problem():
    parsed = parse({**GOOD, "topic_allow": "orders," + "*a" * 128})

    assert [str(problem) for problem in parsed.problems] == [
        "Allowed topics: has an entry of more than 255 characters."
    ]


@pytest.mark.parametrize("name", ["input_mapping", "source_secrets"])
def test_a_json_object_has_a_thousand_entries_at_most(name):
    entries = {str(number): "x" for number in range(1001)}

    assert [str(problem) for problem in parse({**GOOD, name: json.dumps(entries)}).problems] == [
        f"{SETTINGS[name].label}: has more than 1000 entries."
    ]
    entries.popitem()
    assert parse({**GOOD, name: json.dumps(entries)}).problems == ()
