"""What models and workflows give as parameters."""

import pytest

from kafka_bridge.errors import Malformed
from kafka_bridge.tooling.parameters import MAX_CHARS, Parameters


def problems(parameters):
    with pytest.raises(Malformed) as caught:
        parameters.check()
    return str(caught.value)


@pytest.mark.parametrize("given", [{}, {"p": None}, {"p": ""}, {"p": "  "}])
def test_what_was_not_given_is_the_default(given):
    parameters = Parameters(given)

    assert parameters.text("p") == ""
    assert parameters.choice("p", ("first", "second")) == "first"
    assert parameters.number("p", default=7, low=1, high=9) == 7
    assert parameters.integer("p", default=7, low=1, high=9) == 7
    assert parameters.json_object("p") == {}
    assert parameters.names("p") == ()
    assert not parameters.flag("p")
    parameters.check()


def test_everything_that_is_wrong_is_told_at_once_and_no_value_is_quoted():
    parameters = Parameters({"a": "hunter2", "b": "hunter2", "c": "hunter2", "d": "hunter2"})
    parameters.number("a", default=1, low=1, high=2)
    parameters.choice("b", ("x", "y"))
    parameters.flag("c")
    parameters.json_object("d")

    told = problems(parameters)

    assert [name for name in "abcd" if f"{name}: " in told] == [*"abcd"]
    assert "hunter2" not in told


@pytest.mark.parametrize(
    ("given", "number"), [(5, 5), ("5", 5), (" 5 ", 5), (5.0, 5), ("5.0", 5), ("-1", -1), ("1e1", 10)]
)
def test_a_number_may_be_a_text(given, number):
    parameters = Parameters({"p": given})

    assert parameters.integer("p", default=0, low=-1, high=10) == number
    parameters.check()


@pytest.mark.parametrize(
    "given", ["five", "1_0", "nan", "NaN", "Infinity", "\u0665", True, [5], {"five": 5}, 11, -2, "11"]
)
def test_what_is_no_number_within_its_limits_is_refused(given):
    parameters = Parameters({"p": given})

    assert parameters.number("p", default=3, low=-1, high=10) == 3
    assert "from -1 to 10" in problems(parameters)


def test_half_a_number_is_no_whole_one():
    parameters = Parameters({"p": 1.5})

    assert parameters.integer("p", default=3, low=1, high=9) == 3
    assert "whole number" in problems(parameters)


@pytest.mark.parametrize("given", [True, "true", "True", "1", 1, "yes", "on", "enabled"])
def test_a_flag_may_be_a_word(given):
    parameters = Parameters({"p": given})

    assert parameters.flag("p")
    parameters.check()


@pytest.mark.parametrize("given", [False, "false", "0", 0, "no", "off", "disabled"])
def test_so_may_one_that_is_not_set(given):
    parameters = Parameters({"p": given})

    assert not parameters.flag("p")
    parameters.check()


def test_a_text_is_verbatim_where_that_matters():
    assert Parameters({"p": " a\n"}).verbatim("p") == " a\n"
    assert Parameters({"p": " a\n"}).text("p") == "a"


def test_what_is_no_text_becomes_json():
    assert Parameters({"p": {"a": [1, None]}}).text("p") == '{"a":[1,null]}'
    assert Parameters({"p": 17}).text("p") == "17"


def test_half_a_character_is_refused_before_it_could_fail_to_be_encoded():
    parameters = Parameters({"p": "a\ud800"})
    parameters.text("p")

    assert "Unicode" in problems(parameters)


def test_a_text_beyond_the_limit_is_refused():
    parameters = Parameters({"p": "x" * (MAX_CHARS + 1)})

    assert parameters.text("p") == ""
    assert "longer than" in problems(parameters)


@pytest.mark.parametrize("given", ["a, b,,a ", ["a", "b", "", "a"], '["a", " b"]'])
def test_names_are_separated_by_commas_or_an_array(given):
    assert Parameters({"p": given}).names("p") == ("a", "b")


@pytest.mark.parametrize("given", ["[a]", [1], '["a", 1]'])
def test_what_is_no_list_of_names_is_refused(given):
    parameters = Parameters({"p": given})

    assert parameters.names("p") == ()
    problems(parameters)


def test_a_json_object_may_be_a_text_or_an_object():
    assert Parameters({"p": '{"a": 1}'}).json_object("p") == {"a": 1}
    assert Parameters({"p": {"a": 1}}).json_object("p") == {"a": 1}


@pytest.mark.parametrize("given", ["[1]", "{", "null,", 5, [1]])
def test_what_is_no_json_object_is_refused(given):
    parameters = Parameters({"p": given})

    assert parameters.json_object("p") == {}
    problems(parameters)
