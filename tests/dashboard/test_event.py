"""One event, made of what the log holds."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kafka_bridge.dashboard.event import MAX_BODY_CHARS, body_view, event_view, refusal_of
from kafka_bridge.dashboard.rows import link_to
from kafka_bridge.dashboard.states import STATES
from kafka_bridge.dashboard.texts import TEXTS
from kafka_bridge.dashboard.words import Language, in_language
from kafka_bridge.events.log.document import MAX_RUNS
from kafka_bridge.events.log.entry import Entry, Kind
from kafka_bridge.events.log.masking import BASE64, Notes
from kafka_bridge.events.log.query import Row
from kafka_bridge.events.outcome import Verdict

WORDS = in_language({**TEXTS, **STATES}, Language.ENGLISH)
NOW = 1_700_000_000.0
ENTRY = Entry(
    f"{1:024x}", Kind.ACCEPTED, NOW, source="shop", scheme="hmac", event_id="order-1", verdict=Verdict.VERIFIED,
    method="POST", path="/webhook/shop", body='{"a":1}', body_bytes=7, topic="orders", partition=2, offset=5,
    status=200, duration_ms=40.0,
    record_format="binary",
)  # fmt: skip


def run(number, **fields):
    values = {"topic": "orders", "partition": 2, "offset": 5, "attempt": number, "ending": "failed", "reason": "no"}
    return Entry(f"{100 + number:024x}", **{"kind": Kind.RUN, "time": NOW + number, **values, **fields})


def view(entry=ENTRY, runs=(), related=()):
    return event_view(Row(entry, runs), related, now=NOW + 60, words=WORDS)


def steps(shown):
    return [(step.text, step.outcome and step.outcome.word, step.detail) for step in shown.timeline]


def test_the_timeline_tells_what_happened_in_its_order():
    dead = run(3, kind=Kind.DEAD_LETTERED)
    related = [
        Row(ENTRY._replace(id=f"{number:024x}", kind=kind, time=NOW + after, offset=6))
        for number, kind, after in ((7, Kind.REPLAY, 9), (8, Kind.DUPLICATE, 8), (9, Kind.FAILED, -1))
    ]
    runs = [run(1), run(2, ending="succeeded", reason=""), dead]
    assert steps(view(runs=runs, related=[*related, Row(ENTRY)])) == [
        ("Came before", "failed", "orders[2]@6"),
        ("Received from shop", "verified", ""),
        ("Acknowledged by Kafka at orders[2]@5", "accepted", ""),
        ("Answered 200 after 40 ms", None, ""),
        ("Run, attempt 1", "failed", "0.0 ms · no"),
        ("Run, attempt 2", "succeeded", "0.0 ms"),
        ("Dead-lettered after attempt 3", "dead-lettered", "no"),
        ("Came again", "duplicate", "orders[2]@6"),
        ("Sent again by a person", "replay", "orders[2]@6"),
    ]


def test_a_failure_is_told_with_its_reason():
    failed = ENTRY._replace(kind=Kind.FAILED, offset=-1, partition=-1, status=503, reason="connection refused")

    assert steps(view(failed))[1:] == [
        ("connection refused", "failed", ""),
        ("Answered 503 after 40 ms", None, ""),
    ]


def test_runs_whose_event_is_not_in_the_log_have_a_page_too():
    shown = view(run(1), runs=[run(1)])

    assert steps(shown) == [("Run, attempt 1", "failed", "0.0 ms · no")]
    assert shown.refusal


def test_of_very_many_runs_the_last_ones_are_shown():
    shown = view(runs=[run(number) for number in range(MAX_RUNS + 5)])

    assert (len(shown.runs), shown.more_runs, shown.runs[-1].attempt) == (MAX_RUNS, 5, MAX_RUNS + 4)


@pytest.mark.parametrize("kind", list(Kind))
@pytest.mark.parametrize("verdict", list(Verdict))
@pytest.mark.parametrize("note", ["", Notes.CUT, Notes.UNMASKABLE])
def test_what_was_verified_and_is_kept_whole_can_be_sent_again_and_nothing_else(kind, verdict, note):
    kinds = {Kind.ACCEPTED, Kind.DUPLICATE, Kind.FAILED, Kind.REPLAY}
    can = kind in kinds and verdict in {Verdict.VERIFIED, Verdict.UNCHECKED} and not note

    assert (refusal_of(ENTRY._replace(kind=kind, verdict=verdict, note=note), WORDS) == "") == can


def test_a_body_that_lies_about_being_json_is_shown_as_it_came():
    assert body_view(ENTRY._replace(body="{not json"), WORDS).text == "{not json"
    assert body_view(ENTRY._replace(body='{"a":', note=Notes.CUT), WORDS).text == '{\n  "a": '
    assert body_view(ENTRY._replace(body="a=1&b=2"), WORDS).text == "a=1&b=2"


def test_bytes_and_what_should_be_bytes():
    encoded = base64.b64encode(b"\xff\x00").decode()
    assert body_view(ENTRY._replace(body=encoded, encoding=BASE64), WORDS).text.startswith("00000000  ff 00")
    assert body_view(ENTRY._replace(body="%%%", encoding=BASE64), WORDS).text == "%%%"


@given(st.text(), st.sampled_from(["", BASE64]), st.sampled_from(["", Notes.CUT, Notes.UNMASKABLE]))
def test_whatever_lies_in_storage_is_shown_within_bounds(body, encoding, note):
    shown = body_view(ENTRY._replace(body=body, encoding=encoding, note=note), WORDS)

    assert len(shown.text) <= MAX_BODY_CHARS


def test_links_hold_whatever_is_put_into_them():
    assert link_to("events", text='"&<x> y', cursor="") == "?view=events&text=%22%26%3Cx%3E+y"
