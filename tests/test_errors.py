import inspect
import re
from http import HTTPStatus

import pytest

from kafka_bridge import errors
from kafka_bridge.errors import BridgeError, Cause

CLASSES = [
    member
    for _, member in inspect.getmembers(errors, inspect.isclass)
    if issubclass(member, BridgeError) and member.__module__ == errors.__name__
]
KINDS = [kind for kind in CLASSES if kind not in {errors.BridgeError, errors.Refused}]
ARGUMENTS = {
    errors.Unverified: ("the reason",),
    errors.MethodNotAllowed: (("GET", "POST"),),
    errors.SettingsInvalid: (("one.", "two."),),
    errors.Internal: ("0badcafe",),
    errors.Unavailable: (Cause.QUEUE_FULL, "hint"),
    errors.Unreadable: (Cause.NOT_AUTHORIZED, "hint"),
}


def make(kind: type[BridgeError]) -> BridgeError:
    return kind(*ARGUMENTS.get(kind, ()))


def test_the_tree_in_the_docstring_is_the_tree_in_the_file():
    tree = errors.__doc__.partition("\n\n")[2].partition("\n\n")[0]
    lines = re.findall(r"^([ │├└─]*)([A-Z]\w+)(?: +(\d{3}))?", tree, re.MULTILINE)
    written = {name: int(status) if status else None for _, name, status in lines}

    assert {kind.__name__ for kind in CLASSES} | {"Retry"} == set(written)
    assert {kind.__name__: kind.status.value for kind in KINDS} == {k: v for k, v in written.items() if v}
    indented = {name for indent, name, _ in lines if "│" in indent}
    assert {kind.__name__ for kind in CLASSES if kind.__base__ is errors.Refused} == indented


@pytest.mark.parametrize("kind", CLASSES)
def test_an_error_never_derives_from_value_error(kind):
    # The platform answers 404 with the text of a ValueError that leaves an endpoint.
    assert not issubclass(kind, ValueError)
    assert issubclass(kind, BridgeError)


@pytest.mark.parametrize("kind", KINDS)
def test_every_error_has_a_status_a_slug_and_a_title(kind):
    assert 400 <= kind.status <= 599
    assert re.fullmatch(r"[a-z]+(-[a-z]+)*", kind.slug)
    assert kind.title


def test_no_two_errors_have_the_same_slug():
    assert len(KINDS) == len({kind.slug for kind in KINDS})


def test_no_error_answers_410_because_senders_would_switch_the_webhook_off():
    assert HTTPStatus.GONE not in {kind.status for kind in KINDS}


@pytest.mark.parametrize("kind", KINDS)
def test_an_error_always_says_something(kind):
    assert str(make(kind))


@pytest.mark.parametrize("kind", [errors.NotFound, errors.Malformed, errors.Unroutable, errors.TooLarge])
def test_the_title_speaks_where_there_is_no_detail(kind):
    assert kind.title == str(kind())
    assert str(kind("A sentence.")) == "A sentence."


def test_the_reason_of_unverified_is_kept_and_not_told():
    error = errors.Unverified("the timestamp is 301 s old")

    assert error.reason == "the timestamp is 301 s old"
    assert errors.Unverified.title == str(error)


def test_the_hint_of_unavailable_is_kept_and_not_told():
    error = errors.Unavailable(Cause.CONNECTION_REFUSED, "broker7.internal:9092/7: Connect failed")

    assert error.hint == "broker7.internal:9092/7: Connect failed"
    assert str(error) == "connection refused"


def test_settings_invalid_tells_every_problem():
    error = errors.SettingsInvalid(["Topic: missing.", "Record key: wrong."])

    assert error.problems == ("Topic: missing.", "Record key: wrong.")
    assert str(error) == "Topic: missing. Record key: wrong."


def test_settings_invalid_tells_a_problem_once():
    assert errors.SettingsInvalid(["Topic: wrong."] * 42_500).problems == ("Topic: wrong.",)


def test_settings_invalid_tells_the_first_ten_problems_and_how_many_more_there_are():
    ten = [f"{number}." for number in range(10)]

    assert errors.SettingsInvalid(ten).problems == tuple(ten)
    assert errors.SettingsInvalid([*ten, "10.", "11.", "0."]).problems == (*ten, "and 2 more.")
    assert str(errors.SettingsInvalid([*ten, "10."])).endswith(" 9. and 1 more.")


def test_internal_tells_the_incident_and_nothing_else():
    error = errors.Internal("0badcafe")

    assert error.incident == "0badcafe"
    assert str(error) == "The plugin's log has the details under incident 0badcafe."


def test_the_causes_are_the_words_of_the_contract():
    words = [
        "connection refused",
        "host not found",
        "authentication failed",
        "TLS handshake failed",
        "topic does not exist",
        "not authorized for topic",
        "not acknowledged in time",
        "queue full",
        "publishing is disabled",
    ]

    assert words == [cause.value for cause in Cause]


@pytest.mark.parametrize("cause", list(Cause))
def test_every_cause_tells_a_sender_when_to_come_back(cause):
    assert 1 <= cause.retry_after_s <= 60
    assert (("Retry-After", str(cause.retry_after_s)),) == errors.Unavailable(cause).headers


def test_what_heals_by_itself_is_retried_sooner_than_what_a_person_must_mend():
    assert Cause.QUEUE_FULL.retry_after_s < Cause.AUTHENTICATION_FAILED.retry_after_s
    assert Cause.AUTHENTICATION_FAILED.retry_after_s < Cause.PUBLISHING_DISABLED.retry_after_s


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind.status not in {401, 405, 429, 503}])
def test_other_errors_carry_no_headers(kind):
    assert make(kind).headers == ()


def test_a_flow_asks_for_a_delay_of_its_own():
    assert (errors.Retry(after=30).after, str(errors.Retry(after=30))) == (30, "again in 30 s")
    assert str(errors.Retry("the model is busy", after=0.5)) == "the model is busy"
    # Raised in somebody else's code, and no answer to anybody.
    assert not issubclass(errors.Retry, BridgeError | ValueError)
