import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kafka_bridge.settings.reader import MAX_SETTING_CHARS, Problem, Reader
from kafka_bridge.settings.table import SETTINGS, Part

any_text = st.text(st.characters(exclude_categories=[]))


def texts(reader):
    return [str(problem) for problem in reader.problems]


def test_a_problem_names_the_label_and_the_source():
    assert str(Problem("topic", "is wrong")) == "Topic: is wrong."
    assert str(Problem("topic", "is wrong", "shop")) == "Topic (source shop): is wrong."


def test_a_problem_knows_what_stops_working():
    assert Problem("sasl_password", "missing").part is Part.KAFKA
    assert Problem("sources", "wrong").part is Part.WEBHOOK


@pytest.mark.parametrize("value", [None, "", "  ", "\n"])
def test_a_text_that_was_not_saved_is_its_default(value):
    reader = Reader({"topic": value})

    assert reader.text("topic") == "webhooks.{source}"
    assert texts(reader) == []


def test_a_text_is_trimmed():
    assert Reader({"topic": " orders\n"}).text("topic") == "orders"


def test_a_secret_is_verbatim():
    secret = Reader({"sasl_password": " not a real password\n"}).secret("sasl_password")

    assert secret.reveal() == " not a real password\n"


@pytest.mark.parametrize("value", [None, "", "  ", "\n\t"])
def test_a_secret_of_white_space_is_none(value):
    assert Reader({"sasl_password": value}).secret("sasl_password") is None


@pytest.mark.parametrize("value", [0, 1, 1.5, True, [], ["a"], {}, {"a": "b"}, b"bytes"])
def test_what_is_not_a_text_is_a_problem_and_the_default(value):
    reader = Reader({"topic": value, "sasl_password": value})

    assert reader.text("topic") == "webhooks.{source}"
    assert reader.secret("sasl_password") is None
    assert texts(reader) == ["Topic: must be a text.", "SASL password: must be a text."]


def test_the_longest_text_passes_and_one_character_more_does_not():
    reader = Reader({"topic": "x" * MAX_SETTING_CHARS, "key": "x" * (MAX_SETTING_CHARS + 1)})

    assert len(reader.text("topic")) == MAX_SETTING_CHARS
    assert reader.text("key") == ""
    assert texts(reader) == ["Record key: is longer than 262144 characters."]


def test_a_choice_is_one_of_the_options():
    reader = Reader({"ordering": " partition ", "publishing": "Enabled"})

    assert reader.choice("ordering") == "partition"
    assert reader.choice("publishing") == "enabled"
    assert texts(reader) == ["Publishing: must be one of enabled, disabled."]


@pytest.mark.parametrize(("text", "number"), [("1", 1), (" 7 ", 7), ("1000", 1000), ("007", 7), ("", 4)])
def test_an_integer_is_a_text_of_digits(text, number):
    reader = Reader({"concurrency": text})

    assert reader.integer("concurrency", low=1, high=1000) == number
    assert texts(reader) == []


@pytest.mark.parametrize("text", ["0", "1001", "-1", "+1", "1.0", "1e2", "x", "²", "\u0661", "1 0", "0x10", "9" * 5000])
def test_what_is_not_a_number_in_range_is_a_problem_and_the_default(text):
    reader = Reader({"concurrency": text})

    assert reader.integer("concurrency", low=1, high=1000) == 4
    assert texts(reader) == ["Runs at once: must be a whole number from 1 to 1000."]


@pytest.mark.parametrize("text", ["000000000004999", "000000000001" + "0" * 5000])
def test_leading_zeros_do_not_carry_a_number_past_its_limit(text):
    assert Reader({"concurrency": text}).integer("concurrency", low=1, high=1000) in range(1, 1001)


@given(any_text | st.integers().map(str), st.integers(0, 10), st.integers(10, 10**9))
def test_an_integer_is_in_range_whatever_was_saved(text, low, high):
    number = Reader({"keep_events": text}).integer("keep_events", low=low, high=high)

    assert number in range(low, high + 1) or number == int(SETTINGS["keep_events"].default)


def test_a_number_without_default_is_none():
    assert Reader({}).integer("max_age_seconds", low=1, high=10) is None


def test_names_are_separated_by_commas_and_empty_ones_are_nothing():
    assert Reader({"topic_allow": " a, ,b ,,c*,"}).names("topic_allow") == ("a", "b", "c*")
    assert Reader({}).names("topic_allow") == ()


def test_a_json_object_is_parsed():
    assert Reader({"sources": '{"a": {"b": 1}}'}).json_object("sources") == {"a": {"b": 1}}


@pytest.mark.parametrize("value", [None, "", "  "])
def test_a_json_object_that_was_not_saved_is_empty(value):
    reader = Reader({"sources": value})

    assert reader.json_object("sources") == {}
    assert texts(reader) == []


def test_broken_json_is_told_by_its_place():
    reader = Reader({"sources": '{"a":\n  nothing}'})

    assert reader.json_object("sources") == {}
    assert texts(reader) == ["Sources (JSON): is not valid JSON (line 2, column 3)."]


@pytest.mark.parametrize("value", ["[]", '["a"]', "1", '"a"', "null", "true"])
def test_json_that_is_no_object_is_a_problem(value):
    reader = Reader({"sources": value})

    assert reader.json_object("sources") == {}
    assert texts(reader) == ["Sources (JSON): must be a JSON object."]


@pytest.mark.parametrize("value", ["[" * 100_000, '{"a":' * 100_000, '{"a": NaN}', "{\x00}", '{"\ud800": 1}'])
def test_hostile_json_is_a_problem_and_no_exception(value):
    reader = Reader({"sources": value})

    assert reader.json_object("sources") == {}
    assert len(reader.problems) == 1


@given(any_text | st.recursive(st.none() | st.integers() | st.text(), st.lists).map(json.dumps))
def test_no_text_makes_a_json_object_raise(text):
    assert Reader({"sources": text}).json_object("sources") == {}
