"""Why nothing can be read, for how long that is waited for, and what ends it."""

import pytest

from kafka_bridge.dispatch.trouble import HEALS_S, OF_TOPICS, Trouble
from kafka_bridge.errors import Cause, Fenced, Unavailable


def noted(cause: Cause) -> Trouble:
    trouble = Trouble()
    trouble.note(Unavailable(cause), 100.0)
    return trouble


@pytest.mark.parametrize(
    ("cause", "assigned", "at_once", "later"),
    [
        (Cause.AUTHENTICATION_FAILED, False, True, True),
        (Cause.TOPIC_DOES_NOT_EXIST, False, True, True),
        (Cause.CONNECTION_REFUSED, False, False, True),
        # One of several topics, and one of several brokers.
        (Cause.TOPIC_DOES_NOT_EXIST, True, False, True),
        (Cause.NOT_AUTHORIZED, True, False, True),
        (Cause.CONNECTION_REFUSED, True, False, False),
    ],
)
def test_what_heals_by_itself_is_waited_for(cause, assigned, at_once, later):
    trouble = noted(cause)

    assert trouble.is_hopeless(100.0, assigned=assigned) is at_once
    assert trouble.is_hopeless(100.1 + HEALS_S, assigned=assigned) is later


def test_trouble_that_lasts_is_as_old_as_its_first_sign_and_can_be_over():
    trouble = noted(Cause.CONNECTION_REFUSED)
    trouble.note(Unavailable(Cause.CONNECTION_REFUSED), 102.0)

    assert trouble.is_hopeless(103.5, assigned=False)
    trouble.clear()
    assert not trouble.is_hopeless(200.0, assigned=False)


@pytest.mark.parametrize("cause", sorted(set(Cause) - OF_TOPICS))
def test_an_answer_of_the_brokers_ends_what_was_between_us_and_them(cause):
    trouble = noted(cause)

    assert trouble.answered()
    assert trouble.error is None
    assert not trouble.answered(), "once is enough"


@pytest.mark.parametrize("error", [Fenced(), *map(Unavailable, sorted(OF_TOPICS))], ids=str)
def test_it_says_nothing_of_a_topic_or_of_a_name_that_is_taken(error):
    trouble = Trouble()
    trouble.note(error, 100.0)

    assert not trouble.answered()
    assert trouble.error is error
