"""How a call of the plugin to itself is known, and what its answer means."""

import pytest

from kafka_bridge.dify.course import Fact
from kafka_bridge.dify.visits import Answer, Visits, judged
from kafka_bridge.errors import Busy, Cause, Internal, SettingsInvalid, Unreadable
from kafka_bridge.http import problem


def begun():
    visits, changes = Visits(), []
    return visits, visits.begin("e", lambda: changes.append(1)), changes


def test_a_token_is_good_once_for_its_endpoint_while_its_request_is_open():
    visits, visit, _ = begun()

    assert visits.admit("other", visit.token) is None
    assert visits.admit("e", visit.token[:-1]) is None
    assert visits.admit("e", visit.token + "x") is None
    assert visits.admit("e", visit.token) is visit
    assert visits.admit("e", visit.token) is None
    visits.finish(visit)
    assert visits.admit("e", visit.token) is None


def test_no_token_is_good_that_was_not_given():
    visits, visit, _ = begun()

    assert [visits.admit("e", shown) for shown in ("", " ", "None", "\ud800", "é", "x" * 100_000)] == [None] * 6
    assert Visits().admit("e", "") is None
    assert visit.token != Visits().begin("e", lambda: None).token
    assert len(visit.token) >= 40


def test_a_token_that_was_revoked_is_worth_nothing_any_more():
    visits, visit, _ = begun()

    visit.revoke()

    assert visits.admit("e", visit.token) is None


def test_the_next_may_begin_when_its_window_is_over_or_it_is_answered():
    visits, visit, changes = begun()
    visits.admit("e", visit.token)

    closed = []
    visit.opened(lambda: closed.append(1))
    assert visit.is_open
    visit.close()
    assert (closed, visit.over) == ([1], False)
    visit.end()
    assert (visit.over, visit.is_open, changes) == (True, False, [1])

    assert visits.of("e") == [visit]
    visits.finish(visit)
    assert visits.of("e") == []


def test_one_that_never_arrives_is_over_when_it_is_given_up():
    visits, visit, changes = begun()

    visit.close()
    visits.finish(visit)

    assert (visit.over, visit.arrived, changes) == (True, False, [1])


def answer_of(error):
    import orjson  # noqa: PLC0415

    outbound = problem(error)
    return Answer(outbound.status, orjson.loads(outbound.body))


@pytest.mark.parametrize(
    ("answer", "fact", "reason"),
    [
        (Answer(200, {"consumed": 0}), Fact.WINDOW, ""),
        (answer_of(Busy("at work already")), Fact.BUSY, "at work already"),
        (answer_of(SettingsInvalid(["App to run: missing."])), Fact.INVALID, "App to run: missing."),
        (answer_of(Unreadable(Cause.AUTHENTICATION_FAILED)), Fact.TROUBLE, "authentication failed"),
        (answer_of(Internal("ab12")), Fact.TROUBLE, "The plugin's log has the details under incident ab12."),
        (Answer(500, {}), Fact.TROUBLE, "HTTP 500"),
        (Answer(404, {"detail": 7}), Fact.TROUBLE, "HTTP 404"),
        (Answer(502, {"detail": "x" * 10_000}), Fact.TROUBLE, "x" * 500),
    ],
)
def test_what_this_process_has_answered_is_told_in_its_own_words(answer, fact, reason):
    assert judged(answer, arrived=True) == (fact, reason)


@pytest.mark.parametrize(
    ("answer", "fact"),
    [
        (Answer(404, {"code": -400, "message": "endpoint not found"}), Fact.GONE),
        (Answer(404, {"code": "not_found", "message": "route not found"}), Fact.GONE),
        (Answer(404, {}), Fact.STRANGER),
        (Answer(404, {"detail": "There is nothing at this path"}), Fact.STRANGER),
        (Answer(500, {"code": -500, "message": "failed to decrypt"}), Fact.TROUBLE),
        (Answer(502, {}), Fact.TROUBLE),
        (Answer(200, {"detail": "secret"}), Fact.STRANGER),
        (Answer(401, {}), Fact.STRANGER),
        (Answer(403, {"type": "urn:kafka-bridge:token-not-configured"}), Fact.STRANGER),
        (Answer(301, {}), Fact.STRANGER),
    ],
)
def test_what_somebody_else_has_answered_is_judged_by_its_status_and_never_quoted(answer, fact):
    found, reason = judged(answer, arrived=False)

    assert found is fact
    assert reason
    assert "secret" not in reason
    assert "decrypt" not in reason
