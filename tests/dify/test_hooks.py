import json
import uuid

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kafka_bridge.dify.hooks import MAX_BYTES, MAX_HOOKS, Hooks, compile_hook
from kafka_bridge.errors import NotFound, SettingsInvalid
from kafka_bridge.settings.table import SETTINGS, Kind
from tests.settings.places import PLACES
from tests.stand_ins import SECRET, saved

# Every setting that matters to a webhook, saved.
FULL = {
    "bootstrap_servers": "broker.example.com:9093",
    "security_protocol": "SASL_SSL",
    "sasl_mechanism": "OAUTHBEARER",
    "sasl_username": "alice",
    "sasl_password": "made-up-password",
    "oauth_token_url": "https://login.example.com/token",
    "oauth_scope": "kafka",
    "client_config": '{"linger.ms": 20}',
    "publishing": "enabled",
    "scheme": "github",
    "webhook_secret": SECRET,
    "topic": "events.{source}",
    "key": "{id}",
    "sources": '{"shop": {"scheme": "stripe"}}',
    "source_secrets": '{"shop": "made-up-secret"}',
    "topic_allow": "events.*",
    "public_url": "https://example.com",
    "api_token": "made-up-token",
}


def outcome_of(hook, name="default"):
    try:
        hook.target()
        return hook.source(name)
    except SettingsInvalid as error:
        return error


def told(error):
    return " ".join(error.problems)


def test_full_settings_work():
    hook = compile_hook(FULL)

    assert hook.problems == ()
    assert set(hook.sources) == {"default", "shop"}
    assert hook.target().protocol == "SASL_SSL"
    assert hook.source("shop").scheme_id == "stripe"


# Half-saved settings.


def test_settings_that_were_never_saved_fail_closed():
    hook = compile_hook({})

    with pytest.raises(SettingsInvalid, match="Bootstrap servers: missing"):
        hook.target()
    with pytest.raises(SettingsInvalid, match=r"Webhook secret .*: missing"):
        hook.source("default")
    assert hook.sources == {}


@pytest.mark.parametrize(
    ("name", "source", "message"),
    [
        ("bootstrap_servers", "default", "Bootstrap servers: missing."),
        ("sasl_username", "default", "SASL user name: missing"),
        ("sasl_password", "default", "SASL password: missing"),
        ("oauth_token_url", "default", "OAuth token URL: must be"),
        ("webhook_secret", "default", "Webhook secret (source default): missing."),
        ("source_secrets", "shop", "Source secrets (JSON) (source shop): missing."),
        ("topic", "default", "Allowed topics (source default): does not allow"),
    ],
)
def test_a_setting_that_is_needed_and_missing_is_told(name, source, message):
    outcome = outcome_of(compile_hook({key: value for key, value in FULL.items() if key != name}), source)

    assert isinstance(outcome, SettingsInvalid)
    assert message in told(outcome)


@pytest.mark.parametrize("name", FULL)
@pytest.mark.parametrize("left", [None, "", " "])
def test_whatever_is_missing_nothing_is_taken_unverified_nor_sent_in_the_clear(name, left):
    without = {key: value for key, value in FULL.items() if key != name}
    hook = compile_hook(without if left is None else {**without, name: left})

    for source in ("default", "shop"):
        try:
            assert hook.source(source).verifier is not None
        except (SettingsInvalid, NotFound):
            assert source not in hook.sources
    try:
        assert hook.target().protocol == "SASL_SSL"
    except SettingsInvalid:
        assert hook.problems


@given(st.sets(st.sampled_from(sorted(FULL))), st.sets(st.sampled_from(sorted(FULL))))
def test_no_subset_of_settings_takes_anything_unverified(missing, empty):
    hook = compile_hook({name: "" if name in empty else value for name, value in FULL.items() if name not in missing})

    assert all(source.verifier is not None for source in hook.sources.values())


def test_sources_without_their_secrets_do_not_inherit_the_forms_secret():
    outcome = outcome_of(compile_hook({**FULL, "source_secrets": ""}), "shop")

    assert isinstance(outcome, SettingsInvalid)


# What a problem stops, and what it leaves alone.


def test_one_bad_source_leaves_the_others_alone():
    hook = compile_hook(saved(sources='{"good": {"scheme": "none"}, "bad": {"scheme": "x"}}'))

    assert hook.source("default").name == "default"
    assert hook.source("good").name == "good"
    with pytest.raises(SettingsInvalid) as caught:
        hook.source("bad")
    assert "(source bad)" in told(caught.value)


def test_the_answer_for_a_bad_source_does_not_tell_of_other_sources():
    hook = compile_hook(saved(sources='{"one": {"scheme": "x"}, "two": {"scheme": "x"}}'))

    with pytest.raises(SettingsInvalid) as caught:
        hook.source("one")

    assert "two" not in told(caught.value)


@pytest.mark.parametrize("text", ["{", "[]", "nothing", '{"shop": }', 1, ["x"]])
@pytest.mark.parametrize("name", ["sources", "source_secrets"])
def test_unreadable_sources_fail_all_of_them_closed(name, text):
    hook = compile_hook({**FULL, name: text})

    assert hook.sources == {}
    for source in ("default", "shop", "anything"):
        with pytest.raises(SettingsInvalid, match=r"\(JSON\): "):
            hook.source(source)


@pytest.mark.parametrize("name", ["topic_allow", "topic", "key", "publishing"])
def test_a_setting_that_all_sources_share_fails_all_of_them_closed(name):
    hook = compile_hook({**FULL, name: ["wrong type"]})

    assert hook.sources == {}


@pytest.mark.parametrize("name", ["bootstrap_servers", "security_protocol", "client_config", "ssl_ca_pem"])
def test_a_bad_connection_is_not_a_bad_source(name):
    hook = compile_hook({**FULL, name: "???"})

    assert set(hook.sources) == {"default", "shop"}
    with pytest.raises(SettingsInvalid):
        hook.target()


def test_a_property_that_is_not_allowed_stops_publishing_rather_than_being_dropped():
    hook = compile_hook({**FULL, "client_config": '{"acks": "0"}'})

    with pytest.raises(SettingsInvalid, match="does not allow a name in it"):
        hook.target()


@pytest.mark.parametrize(("name", "value"), [("scheme", "hmacs"), ("scheme", 1), ("webhook_secret", 1)])
def test_a_wrong_field_of_the_default_source_leaves_the_others_alone(name, value):
    hook = compile_hook({**FULL, name: value})

    assert hook.source("shop").name == "shop"
    with pytest.raises(SettingsInvalid, match=r"\(source default\): must be"):
        hook.source("default")


def test_sources_with_templates_of_their_own_do_not_need_the_forms():
    own = '{"shop": {"scheme": "stripe", "topic": "events.shop", "key": "{id}"}}'
    hook = compile_hook({**FULL, "topic": 1, "key": 1, "sources": own})

    assert set(hook.sources) == {"shop"}
    with pytest.raises(SettingsInvalid) as caught:
        hook.source("default")
    assert caught.value.problems == (
        "Topic (source default): must be a text.",
        "Record key (source default): must be a text.",
    )


def test_a_wrong_public_url_stops_nothing():
    hook = compile_hook({**FULL, "public_url": 1})

    assert [str(problem) for problem in hook.problems] == ["Public URL: must be a text."]
    assert (set(hook.sources), hook.degraded) == ({"default", "shop"}, False)
    assert hook.target()


def test_allowed_topics_that_name_none_fail_closed():
    hook = compile_hook({**FULL, "topic_allow": ","})

    assert hook.sources == {}
    with pytest.raises(SettingsInvalid, match="Allowed topics: names no topic"):
        hook.source("shop")


def test_an_answer_names_few_problems_of_many():
    # The platform kills the process over a line of 5 MiB.
    many = {
        "client_config": json.dumps({chr(0x4E00 + number): 1 for number in range(20_000)}),
        "sources": json.dumps({f"s{number}": {"scheme": "x" * 1000} for number in range(100)}),
    }
    hook = compile_hook({**FULL, **many})

    for ask in (hook.target, lambda: hook.source("s1")):
        with pytest.raises(SettingsInvalid) as caught:
            ask()
        assert len(caught.value.problems) == 1
    assert hook.source("default")
    assert len(hook.problems) == 101


def test_a_hundred_properties_that_are_not_allowed_are_told_once():
    hook = compile_hook({**FULL, "client_config": json.dumps({chr(0x4E00 + number): 1 for number in range(100)})})

    assert [str(problem) for problem in hook.problems] == [
        "Extra client properties (JSON): does not allow a name in it (shown are only names with dots).",
    ]


@pytest.mark.parametrize("name", ["concurrency", "ordering", "input_mapping", "app", "keep_events", "consumer"])
def test_a_problem_of_consuming_or_managing_does_not_stop_webhooks(name):
    hook = compile_hook({**FULL, name: "???"})

    assert hook.problems
    assert hook.source("default")
    assert hook.target()


def test_a_source_that_is_not_there_is_not_found():
    with pytest.raises(NotFound):
        compile_hook(FULL).source("nobody")


def test_the_limit_is_the_clients():
    assert compile_hook(FULL).limit_bytes == 1_000_000
    assert compile_hook({**FULL, "client_config": '{"message.max.bytes": 4000000}'}).limit_bytes == 4_000_000
    assert compile_hook({}).limit_bytes == 1_000_000


@given(st.uuids().map(lambda number: "zq" + number.hex), st.sampled_from(sorted(SETTINGS)), st.sampled_from([*PLACES]))
def test_a_problem_never_quotes_a_value(marker, name, place):
    _never_quotes(marker, name, place)


@pytest.mark.parametrize("name", SETTINGS)
def test_a_problem_never_quotes_a_value_wherever_it_was_pasted(name):
    for place in PLACES:
        _never_quotes("zq" + uuid.uuid4().hex, name, place)


def _never_quotes(marker, name, place):
    hook = compile_hook({**FULL, name: PLACES[place](marker)})
    texts = [str(problem) for problem in hook.problems]
    for source in ("default", "shop", "other"):
        try:
            hook.source(source)
        except (SettingsInvalid, NotFound) as error:
            texts.append(str(error))

    assert [text for text in texts if marker[:12] in text.lower()] == []
    if SETTINGS[name].kind is Kind.SECRET:
        assert marker[:12] not in repr(hook).lower()


# The cache.


def test_the_same_settings_are_compiled_once():
    hooks = Hooks()

    assert hooks.get(dict(FULL)) is hooks.get(dict(FULL))


@pytest.mark.parametrize("name", FULL)
def test_other_settings_are_another_hook(name):
    hooks = Hooks()

    assert hooks.get(FULL) is not hooks.get({**FULL, name: "other"})


def test_a_rotated_secret_takes_effect_at_once():
    hooks = Hooks()
    one, other = (hooks.get({**FULL, "sasl_password": text}) for text in ("made-up-one", "made-up-two"))

    assert one.target().fingerprint != other.target().fingerprint


def test_the_hooks_used_longest_ago_are_forgotten():
    hooks = Hooks(capacity=2)
    first = hooks.get({"topic": "1"})
    second = hooks.get({"topic": "2"})
    assert hooks.get({"topic": "1"}) is first
    hooks.get({"topic": "3"})

    assert hooks.get({"topic": "1"}) is first
    assert hooks.get({"topic": "2"}) is not second


@given(st.lists(st.integers(0, 20), max_size=60), st.integers(1, 8))
def test_the_cache_is_bounded_and_keeps_what_was_used_last(used, capacity):
    hooks, recent = Hooks(capacity), []
    for number in used:
        hook = hooks.get({"topic": str(number)})
        assert hook.settings.sources["default"].topic == str(number)
        recent = [number, *(other for other in recent if other != number)][:capacity]

    kept = [hook.settings.sources["default"].topic for hook, _ in hooks._compiled.values()]
    assert kept == [str(number) for number in reversed(recent)]
    assert hooks._bytes == sum(size for _, size in hooks._compiled.values())


def test_the_settings_of_all_hooks_together_are_bounded():
    hooks = Hooks(capacity_bytes=10_000)
    for number in range(100):
        hooks.get({"topic": str(number), "group_id": "x" * 1000})

    assert [hook.settings.sources["default"].topic for hook, _ in hooks._compiled.values()] == [
        str(number) for number in range(96, 100)
    ]
    assert hooks._bytes <= 10_000


def test_a_hook_counts_once_more_for_each_of_its_sources():
    hooks = Hooks()
    hooks.get(FULL)

    assert hooks._bytes == 4 * len(orjson.dumps(FULL))


def test_a_hook_that_is_too_large_for_the_cache_is_kept_until_the_next_comes():
    hooks = Hooks(capacity_bytes=100)
    large = {"topic": "x" * 1000}

    assert hooks.get(large) is hooks.get(large)
    hooks.get({"topic": "1"})
    assert [hook.settings.sources["default"].topic for hook, _ in hooks._compiled.values()] == ["1"]
    assert hooks._bytes == 2 * len(orjson.dumps({"topic": "1"}))


def test_there_is_room_for_the_hooks_of_a_whole_installation():
    assert MAX_HOOKS == 512
    assert MAX_BYTES == 32 * 1024 * 1024


@pytest.mark.parametrize(
    "value", [None, 1, 1.5, True, [], {}, ["x"], {"a": [1, {"b": None}]}, "\x00", "é", "\u2028", "x" * 300_000]
)
@pytest.mark.parametrize("name", ["topic", "app", "webhook_secret", "concurrency", "of_another_version"])
def test_whatever_the_platform_saved_there_is_a_hook(name, value):
    assert Hooks().get({**FULL, name: value}) is not None


def test_a_default_sender_that_nobody_set_up_is_no_problem_beside_others():
    others = {"sources": FULL["sources"], "source_secrets": FULL["source_secrets"], "scheme": "hmac"}
    hook = compile_hook({"bootstrap_servers": FULL["bootstrap_servers"], "security_protocol": "SSL", **others})

    assert (hook.problems, hook.degraded) == ((), False)
    with pytest.raises(NotFound):
        hook.source("default")


def test_a_sender_that_cannot_work_degrades_the_hook():
    assert compile_hook({**FULL, "source_secrets": ""}).degraded


# A sender's public key, which anybody may know.
PUBLIC_KEY = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"


@pytest.mark.parametrize(
    ("scheme", "secret"), [("discord", PUBLIC_KEY), ("none", SECRET), ("github", SECRET), ("no such scheme", SECRET)]
)
def test_only_the_secret_of_the_scheme_hmac_signs_records_that_are_brought(scheme, secret):
    assert compile_hook(saved(scheme="hmac", webhook_secret=secret)).signed is not None
    assert compile_hook(saved(scheme=scheme, webhook_secret=secret)).signed is None
