import copy
import dataclasses
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kafka_bridge.settings.secret import Secret

MARKER = "not-a-real-secret"

any_text = st.text(st.characters(exclude_categories=[]))  # surrogates too


@pytest.mark.parametrize(
    "shown",
    [
        repr,
        str,
        ascii,
        format,
        "{}".format,
        "{!r}".format,
        "{!s}".format,
        lambda secret: "%s %r" % (secret, secret),  # noqa: UP031 - one of the ways to show something
        lambda secret: f"{secret}",
        lambda secret: repr([secret]),
        lambda secret: repr({"secret": secret}),
        lambda secret: repr(dataclasses.make_dataclass("Holder", ["secret"])(secret)),
        lambda secret: str(ValueError(secret)),
    ],
)
def test_a_secret_is_never_shown(shown):
    text = shown(Secret(MARKER))

    assert MARKER not in text
    assert "***" in text


@given(any_text)
def test_what_is_shown_says_nothing_of_the_secret_not_even_its_length(text):
    assert repr(Secret(text)) == str(Secret(text)) == "'***'"


def test_a_secret_can_hold_nothing_that_would_be_shown_with_it():
    with pytest.raises(AttributeError):
        Secret(MARKER).note = MARKER
    with pytest.raises(TypeError):
        vars(Secret(MARKER))


def test_a_format_specification_does_not_show_it_either():
    with pytest.raises(TypeError) as caught:
        f"{Secret(MARKER):>40}"

    assert MARKER not in str(caught.value)


def test_reveal_gives_it_away():
    assert Secret(MARKER).reveal() == MARKER


@given(any_text, any_text)
def test_a_secret_matches_its_own_text_and_no_other(mine, other):
    assert Secret(mine).matches(mine)
    assert Secret(mine).matches(other) is (mine == other)
    assert (Secret(mine) == Secret(other)) is (mine == other)


def test_equal_secrets_have_equal_hashes():
    assert hash(Secret(MARKER)) == hash(Secret(MARKER))


def test_a_secret_is_not_equal_to_its_text():
    assert Secret(MARKER) != MARKER


def test_an_empty_secret_is_false():
    assert not Secret("")
    assert Secret(" ")


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, lambda secret: pickle.loads(pickle.dumps(secret))])
def test_a_copy_is_a_secret_too(copied):
    secret = copied(Secret(MARKER))

    assert secret == Secret(MARKER)
    assert MARKER not in repr(secret)
