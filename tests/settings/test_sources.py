import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kafka_bridge.settings.reader import Reader
from kafka_bridge.settings.secret import Secret
from kafka_bridge.settings.sources import NotASecret, RouteSettings, SourceSecret, parse_secret, read_sources


def read(**saved):
    reader = Reader({name: value if isinstance(value, str) else json.dumps(value) for name, value in saved.items()})
    return read_sources(reader), [str(problem) for problem in reader.problems]


def sources(**saved):
    found, problems = read(**saved)
    assert problems == []
    return found


def rotation(*texts):
    return SourceSecret(rotation=tuple(Secret(text) for text in texts))


def named(**texts):
    return SourceSecret(named={name: Secret(text) for name, text in texts.items()})


def test_without_settings_there_is_the_default_source_and_it_has_no_secret():
    found = sources()

    assert list(found) == ["default"]
    assert (found["default"].scheme, found["default"].topic, found["default"].key) == ("hmac", "webhooks.{source}", "")
    assert not found["default"].secret


def test_the_fields_of_the_form_are_the_default_source():
    found = sources(scheme="stripe", webhook_secret="whsec_test", topic="payments", key="{id}")["default"]

    assert (found.name, found.scheme, found.topic, found.key) == ("default", "stripe", "payments", "{id}")
    assert found.secret == rotation("whsec_test")


def test_the_entry_default_refines_the_default_source():
    found = sources(
        scheme="stripe",
        webhook_secret="form",
        topic="form",
        sources={"default": {"scheme": "github", "topic": "entry", "scheme_options": {"header": "x"}}},
    )["default"]

    assert (found.scheme, found.topic, dict(found.scheme_options)) == ("github", "entry", {"header": "x"})
    assert found.secret == rotation("form")


def test_another_source_has_a_scheme_of_its_own_and_never_that_of_the_form():
    found = sources(scheme="none", webhook_secret="form", sources={"shop": {}})["shop"]

    assert found.scheme == "hmac"
    assert not found.secret


def test_another_source_inherits_topic_and_key_but_not_the_secret():
    found = sources(topic="t.{source}", key="{type}", webhook_secret="form", sources={"shop": {}})["shop"]

    assert (found.topic, found.key) == ("t.{source}", "{type}")
    assert not found.secret


def test_the_secret_of_a_source_is_the_entry_of_its_name():
    found = sources(sources={"shop": {}}, source_secrets={"shop": "one", "other": "two"})["shop"]

    assert found.secret == rotation("one")


def test_a_source_without_an_entry_of_its_own_has_no_secret_whatever_others_have():
    found = sources(
        sources={"shop": {}}, source_secrets={"default": "one", "Shop": "two", "hmac": "three", "*": "four"}
    )

    assert not found["shop"].secret


def test_the_secret_of_a_source_is_the_entry_that_it_names():
    found = sources(
        sources={"shop": {"secret": "other"}, "default": {"secret": "other"}},
        source_secrets={"shop": "one", "other": "two"},
        webhook_secret="three",
    )

    assert found["shop"].secret == rotation("two")
    assert found["default"].secret == rotation("two")


def test_a_secret_that_is_not_there_is_a_problem():
    found, problems = read(sources={"shop": {"secret": "other"}}, source_secrets={"shop": "one"})

    assert "shop" not in found
    assert len(problems) == 1
    assert problems[0].startswith("Source secrets (JSON) (source shop): has no entry")


def test_a_secret_pasted_where_its_name_belongs_is_not_quoted():
    _, problems = read(sources={"shop": {"secret": "whsec_NEVERSHOWN"}}, source_secrets={"shop": "one"})

    assert "NEVERSHOWN" not in " ".join(problems)


def test_a_secret_pasted_as_the_name_of_a_secret_is_not_quoted():
    _, problems = read(source_secrets={"whsec_NEVERSHOWN": ""})

    assert "NEVERSHOWN" not in " ".join(problems)


# The forms of a secret.

FORMS = {
    "one text": ("one", rotation("one")),
    "one text with spaces": (" one ", rotation(" one ")),
    "an array": (["new", "old"], rotation("new", "old")),
    "an object": ({"token": "t", "aes_key": "k"}, named(token="t", aes_key="k")),
}


@pytest.mark.parametrize(("value", "secret"), FORMS.values(), ids=FORMS)
def test_a_secret_is_a_text_an_array_or_an_object(value, secret):
    assert parse_secret(value) == secret
    assert sources(sources={"shop": {}}, source_secrets={"shop": value})["shop"].secret == secret
    assert sources(webhook_secret=value)["default"].secret == secret


BAD = [None, 1, True, [], {}, "", " ", [""], [" "], ["one", ""], ["one", 1], [["one"]], {"a": ""}, {"a": 1}, {"a": []}]
# Nothing to see: a zero, which HMAC takes for no key; a space without width; a byte order mark.
BAD += ["\0", "\0" * 64, "\u200b", "\ufeff\n", ["one", "\0"], {"a": "\u200b"}]


@pytest.mark.parametrize("value", BAD, ids=repr)
def test_anything_else_is_no_secret(value):
    with pytest.raises(NotASecret, match="none of them empty"):
        parse_secret(value)


@pytest.mark.parametrize("value", BAD, ids=repr)
def test_a_bad_secret_is_a_problem_of_its_source_alone(value):
    found, problems = read(sources={"shop": {}, "other": {}}, source_secrets={"shop": value, "other": "two"})

    assert found["other"].secret == rotation("two")
    assert not found.get("shop") or not found["shop"].secret
    (problem,) = problems
    assert problem.startswith("Source secrets (JSON) (source shop): must be a text, an array of texts or an object ")


@pytest.mark.parametrize("text", ["[]", "{}", '[""]', '["one", ""]', '{"token": ""}', "[1]", '["one"', "{one}", " [x"])
def test_a_webhook_secret_that_looks_like_json_must_be_right(text):
    found, problems = read(webhook_secret=text)

    assert "default" not in found
    assert len(problems) == 1
    assert problems[0].startswith("Webhook secret (source default): ")


@pytest.mark.parametrize("text", ['"quoted"', "1", "null", "a[0]", "s3cr{et"])
def test_a_webhook_secret_that_does_not_start_like_json_is_verbatim(text):
    assert sources(webhook_secret=text)["default"].secret == rotation(text)


def visible(text):
    return any(character.isprintable() and not character.isspace() for character in text)


@given(st.text(min_size=1).filter(lambda text: visible(text) and not text.lstrip().startswith(("[", "{"))))
def test_a_webhook_secret_is_verbatim(text):
    assert sources(webhook_secret=text)["default"].secret.rotation[0].reveal() == text


@given(st.lists(st.text(min_size=1).filter(visible), min_size=1, max_size=5))
def test_every_secret_of_a_rotation_is_kept_in_its_order(texts):
    assert sources(webhook_secret=json.dumps(texts))["default"].secret == rotation(*texts)


# What is refused.


@pytest.mark.parametrize("name", ["", "a b", "a/b", "é", "x" * 65, "a\n", "a{b}", "<script>"])
def test_a_name_that_cannot_stand_in_a_path_is_a_problem(name):
    found, problems = read(sources={name: {}, "shop": {}})

    assert set(found) == {"default", "shop"}
    assert problems == [
        "Sources (JSON): a source's name is 1 to 64 letters, digits, dots, underscores or hyphens.",
    ]


@pytest.mark.parametrize("name", ["a", "A.b_c-9", "x" * 64])
def test_a_name_that_can_is_not(name):
    assert name in sources(sources={name: {}})


@pytest.mark.parametrize("entry", [None, "github", 1, [], ["github"], True])
def test_an_entry_that_is_no_object_is_a_problem_of_that_source(entry):
    found, problems = read(sources={"shop": entry, "other": {}})

    assert set(found) == {"default", "other"}
    assert problems == ["Sources (JSON) (source shop): must be a JSON object."]


@pytest.mark.parametrize("field", ["Scheme", "verify", "topics", "secrets", ""])
def test_a_field_that_is_not_understood_fails_closed(field):
    found, problems = read(sources={"shop": {field: "x"}, "other": {}})

    assert set(found) == {"default", "other"}
    assert len(problems) == 1
    assert problems[0].startswith("Sources (JSON) (source shop): has an unknown field; ")


@pytest.mark.parametrize("field", ["scheme", "secret", "topic", "key"])
@pytest.mark.parametrize("value", [None, 1, True, [], {}])
def test_a_field_that_is_no_text_fails_closed(field, value):
    found, problems = read(sources={"shop": {field: value}, "other": {}})

    assert set(found) == {"default", "other"}
    assert problems == [f"Sources (JSON) (source shop): {field} must be a text."]


@pytest.mark.parametrize("value", [None, 1, True, [], "x"])
def test_options_that_are_no_object_fail_closed(value):
    found, problems = read(sources={"shop": {"scheme_options": value}})

    assert "shop" not in found
    assert problems == ["Sources (JSON) (source shop): scheme_options must be a JSON object."]


@pytest.mark.parametrize("text", ["{", "[]", "x", '{"shop": }'])
def test_unreadable_sources_are_a_problem_of_no_source_in_particular(text):
    reader = Reader({"sources": text})
    read_sources(reader)

    assert [(problem.setting, problem.source) for problem in reader.problems] == [("sources", None)]


def test_secrets_are_not_in_the_representation():
    found = sources(
        webhook_secret="never-show-one",
        sources={"shop": {}, "wecom": {}},
        source_secrets={"shop": ["never-show-two"], "wecom": {"token": "never-show-three"}},
    )

    assert "never-show" not in repr(found)


# What is too much.


def test_a_hundred_sources_are_enough():
    entries = {f"s{number}": {} for number in range(101)}
    reader = Reader({"sources": json.dumps(entries)})

    assert list(read_sources(reader)) == ["default"]
    assert [(str(problem), problem.source) for problem in reader.problems] == [
        ("Sources (JSON): has more than 100 entries.", None)
    ]
    entries.popitem()
    assert len(sources(sources=entries)) == 101


@pytest.mark.parametrize(
    "make", [lambda texts: texts, lambda texts: dict.fromkeys(texts, "x")], ids=["array", "object"]
)
def test_sixteen_secrets_are_enough(make):
    texts = [f"secret-{number}" for number in range(17)]

    assert parse_secret(make(texts[:16]))
    with pytest.raises(NotASecret, match=r"^holds more than 16 secrets$"):
        parse_secret(make(texts))


@pytest.mark.parametrize(
    "make", [str, lambda text: ["x", text], lambda text: {"a": text}], ids=["text", "array", "object"]
)
def test_a_secret_of_more_than_four_thousand_characters_is_something_else(make):
    assert parse_secret(make("x" * 4096))
    with pytest.raises(NotASecret, match=r"^is longer than 4096 characters$"):
        parse_secret(make("x" * 4097))


def test_a_secret_that_many_sources_use_is_parsed_once():
    found = sources(
        sources={f"s{number}": {"secret": "shared"} for number in range(100)}, source_secrets={"shared": ["new", "old"]}
    )

    assert len({id(found[f"s{number}"].secret) for number in range(100)}) == 1
    assert found["s0"].secret == rotation("new", "old")


def test_a_bad_secret_that_many_sources_use_is_a_problem_of_each():
    found, problems = read(sources={"a": {"secret": "x"}, "b": {"secret": "x"}}, source_secrets={"x": ""})

    assert list(found) == ["default"]
    assert [problem[: problem.index(": ")] for problem in problems] == [
        "Source secrets (JSON) (source a)",
        "Source secrets (JSON) (source b)",
    ]


# Whom a wrong field of the form hits.


@pytest.mark.parametrize(
    ("name", "value"),
    [("scheme", "hmacs"), ("scheme", ["x"]), ("webhook_secret", 1), ("webhook_secret", "x" * 300_000)],
)
def test_a_wrong_field_of_the_default_source_hits_it_alone(name, value):
    reader = Reader({name: value, "sources": '{"shop": {"topic": "t"}}'})

    assert list(read_sources(reader)) == ["shop"]
    assert {(problem.setting, problem.source) for problem in reader.problems} == {(name, "default")}


@pytest.mark.parametrize("name", ["topic", "key"])
def test_a_wrong_template_of_the_form_hits_whoever_inherits_it(name):
    own = json.dumps({"own": {"topic": "t", "key": "k"}, "heir": {}})
    reader = Reader({name: ["x"], "sources": own})

    assert list(read_sources(reader)) == ["own"]
    assert [(problem.setting, problem.text, problem.source) for problem in reader.problems] == [
        (name, "must be a text", "default"),
        (name, "must be a text", "heir"),
    ]


def test_the_entry_default_needs_no_scheme_of_the_form():
    reader = Reader({"scheme": "hmacs", "sources": '{"default": {"scheme": "github"}}'})

    assert read_sources(reader)["default"].scheme == "github"
    assert reader.problems == []


# Routes, formats, windows, arrays.


def entry(**fields):
    return read(sources={"shop": fields, "other": {}})


def fields_of(**fields):
    found, problems = entry(**fields)
    assert problems == []
    return found["shop"]


def test_without_them_a_request_is_one_binary_event_without_routes():
    source = fields_of()

    assert (source.routes, source.record_format, source.dedupe_s, source.split) == ((), "binary", None, False)


def test_routes_keep_their_order():
    routes = {"b.*": "t1", "a": " t2 ", "ping": "drop", "pong": {"drop": True}, "*": {"topic": "t3", "key": " {id} "}}

    assert fields_of(routes=routes).routes == (
        RouteSettings(pattern="b.*", topic="t1"),
        RouteSettings(pattern="a", topic="t2"),
        RouteSettings(pattern="ping", drop=True),
        RouteSettings(pattern="pong", drop=True),
        RouteSettings(pattern="*", topic="t3", key="{id}"),
    )
    assert fields_of(routes={"a": {"key": "k"}}).routes == (RouteSettings(pattern="a", key="k"),)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("record_format", "structured"),
        ("record_format", "raw"),
        ("dedupe_seconds", 0),
        ("dedupe_seconds", 86_400),
        ("split", True),
        ("split", ""),
        ("split", "data.items"),
    ],
)
def test_a_field_is_what_it_says(field, value):
    assert getattr(fields_of(**{field: value}), field.replace("seconds", "s")) == value


SECRET = "NEVERSHOWN"
WRONG = [
    ("routes", None, "routes must be a JSON object of event types and topics"),
    ("routes", [SECRET], "routes must be a JSON object of event types and topics"),
    ("routes", SECRET, "routes must be a JSON object of event types and topics"),
    ("routes", {f"t{n}": "x" for n in range(201)}, "routes has more than 200 entries"),
    *(
        ("routes", {"a": value}, 'a route leads to a topic, to "drop", or to an object with topic and key')
        for value in (None, "", " ", 1, [], {}, {"topic": ""}, {"topic": 1}, {"drop": False}, {SECRET: SECRET})
    ),
    *(("record_format", v, "record_format must be one of binary, structured, raw") for v in (SECRET, None, 1, [], "")),
    *(
        ("dedupe_seconds", value, "dedupe_seconds must be a whole number from 0 to 86400")
        for value in (-1, 86_401, 1.5, "60", True, [], SECRET)
    ),
    *(("split", v, "split must be true, or the path of an array in the body") for v in (None, 1, [], {}, [SECRET])),
]


@pytest.mark.parametrize(("field", "value", "told"), WRONG, ids=lambda value: repr(value)[:30])
def test_a_field_that_cannot_be_read_breaks_its_source_alone_and_is_not_quoted(field, value, told):
    found, problems = entry(**{field: value})

    assert set(found) == {"default", "other"}
    assert problems == [f"Sources (JSON) (source shop): {told}."]
    assert SECRET not in "".join(problems)


@given(st.sampled_from(["routes", "record_format", "dedupe_seconds", "split"]), st.data())
def test_any_value_is_read_or_a_problem_of_its_source(field, data):
    value = data.draw(
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.text(st.characters(codec="utf-8")),
            lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(st.characters(codec="utf-8")), inner),
            max_leaves=5,
        )
    )
    found, problems = entry(**{field: value})

    assert "other" in found
    assert ("shop" in found) is (problems == [])
