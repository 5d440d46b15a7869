"""Why nothing can be read, and what ends that."""

import pytest

from kafka_bridge.dispatch.trouble import HEALS, HEALS_S, OF_TOPICS, Trouble
from kafka_bridge.errors import Cause, Fenced, Unavailable


def noted(error, now=100.0):
    trouble = Trouble()
    trouble.note(error, now)
    return trouble


@pytest.mark.parametrize("cause", sorted(set(Cause) - OF_TOPICS))
def test_an_answer_of_the_brokers_ends_what_was_between_us_and_them(cause):
    trouble = noted(Unavailable(cause))

    assert trouble.answered()
    assert trouble.error is None
    assert not trouble.answered(), "once is enough"


@pytest.mark.parametrize("error", [Fenced(), *map(Unavailable, sorted(OF_TOPICS))], ids=str)
def test_it_says_nothing_of_a_topic_or_of_a_name_that_is_taken(error):
    trouble = noted(error)

    assert not trouble.answered()
    assert trouble.error is error


@pytest.mark.parametrize("cause", sorted(HEALS))
def test_what_may_heal_is_waited_for_from_its_beginning(cause):
    trouble = noted(Unavailable(cause))
    trouble.note(Unavailable(cause), 100.0 + HEALS_S)

    assert not trouble.is_hopeless(100.0 + HEALS_S)
    assert trouble.is_hopeless(100.1 + HEALS_S)


def test_a_wrong_password_is_not():
    assert noted(Unavailable(Cause.AUTHENTICATION_FAILED)).is_hopeless(100.0)
    assert not Trouble().is_hopeless(100.0)
