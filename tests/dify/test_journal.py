import pytest

from kafka_bridge.dify.journal import Journal
from kafka_bridge.errors import Cause, SettingsInvalid, TooLarge, Unavailable, Unroutable, Unverified
from kafka_bridge.events.envelope import Event
from kafka_bridge.events.outcome import Outcome, Taken, Verdict
from kafka_bridge.events.record import Delivery, Record
from kafka_bridge.events.run import Ran
from tests.stand_ins import Ticking, log_of

LOGGER = "kafka_bridge.dify.journal"


def event(event_id="evt_1"):
    return Event(id=event_id, type=None, source="shop", scheme="hmac", time=0, id_signed=True, content_type="")


def outcome(error=None, *, source="shop", reason="", record=None, event_id="evt_1"):
    delivery = None if error else Delivery("t", 0, 0, None)
    known = record is not None or error is None
    return Outcome(
        source=source,
        scheme="hmac",
        time=0.0,
        duration_s=0.0,
        verdict=Verdict.REJECTED if reason else Verdict.VERIFIED,
        reason=reason,
        events=(Taken(event(event_id), record, delivery),) if known else (),
        error=error,
    )


def lines_of(*outcomes, endpoint="endpoint-1"):
    journal = Journal(Ticking().clock)
    with log_of(LOGGER) as lines:
        for each in outcomes:
            journal.record(endpoint, each)
    return lines


def test_a_success_is_not_logged():
    journal = Journal(Ticking().clock)
    with log_of(LOGGER) as lines:
        journal.record("endpoint-1", outcome())

    assert lines == []


def test_a_rejected_signature_is_logged_with_its_reason():
    assert lines_of(outcome(Unverified("the timestamp is 400 s old"), reason="the timestamp is 400 s old")) == [
        "webhook answered 401: endpoint endpoint-1, source shop: the timestamp is 400 s old",
    ]


def test_an_unavailable_cluster_is_logged_with_the_topic_and_the_librarys_words():
    error = Unavailable(Cause.CONNECTION_REFUSED, "a:9092/1: Connect failed")

    (line,) = lines_of(outcome(error, record=Record(topic="orders", value=b"NEVERSHOWN")))

    assert line == (
        "webhook answered 503: endpoint endpoint-1, source shop, topic orders, event evt_1:"
        " connection refused (a:9092/1: Connect failed)"
    )


@pytest.mark.parametrize(("error", "status"), [(TooLarge("Too large."), 413), (Unroutable("No topic."), 422)])
def test_a_refusal_is_logged(error, status):
    assert lines_of(outcome(error)) == [f"webhook answered {status}: endpoint endpoint-1, source shop: {error}"]


def test_of_a_batch_the_event_at_fault_is_logged():
    error = Unroutable("Event 2 of the batch: no topic.")
    error.index = 1
    batch = outcome(error, record=Record(topic="orders", value=b""))._replace(batch=True)
    first, second = batch.events[0], batch.events[0]._replace(record=Record(topic="payments", value=b""))

    (line,) = lines_of(batch._replace(events=(first, second)))
    (early,) = lines_of(batch._replace(events=()))

    assert ", topic payments, event evt_1: Event 2 of the batch: no topic." in line
    assert ", topic" not in early


def test_whatever_the_number_of_the_event_a_flood_is_a_few_lines():
    refused = [outcome(TooLarge(f"Event {n} of the batch: too large."))._replace(batch=True) for n in range(1000)]

    assert len(lines_of(*refused)) == 5


def test_a_flood_is_a_few_lines():
    refused = [outcome(Unverified(f"reason {number}"), reason=f"reason {number}") for number in range(1000)]

    assert len(lines_of(*refused)) == 5


def test_a_flood_is_told_of_when_it_can_be():
    ticking = Ticking()
    journal = Journal(ticking.clock)
    with log_of(LOGGER) as lines:
        for _ in range(20):
            journal.record("endpoint-1", outcome(Unverified("x"), reason="x"))
        ticking.at = 10.0
        journal.record("endpoint-1", outcome(Unverified("x"), reason="x"))

    assert lines[5] == "webhook answered 401: endpoint endpoint-1, source shop: x [15 more like it were not logged]"


def test_a_flood_at_one_source_does_not_hide_another_cause_source_or_endpoint():
    journal = Journal(Ticking().clock)
    with log_of(LOGGER) as lines:
        for _ in range(100):
            journal.record("endpoint-1", outcome(Unverified("x"), reason="x"))
        journal.record("endpoint-1", outcome(Unavailable(Cause.QUEUE_FULL)))
        journal.record("endpoint-1", outcome(Unverified("x"), reason="x", source="other"))
        journal.record("endpoint-2", outcome(Unverified("x"), reason="x"))

    assert len(lines) == 5 + 3


def test_settings_that_cannot_work_are_logged_with_what_is_wrong():
    journal = Journal(Ticking().clock)
    with log_of(LOGGER) as lines:
        journal.misconfigured("endpoint-1", "shop", SettingsInvalid(["Topic: wrong.", "Record key: wrong."]))

    assert lines == ["webhook answered 500: endpoint endpoint-1, source shop: Topic: wrong. Record key: wrong."]


def test_bodies_keys_and_headers_are_not_logged():
    record = Record(topic="t", key=b"NEVERSHOWN", value=b"NEVERSHOWN", headers=(("x", b"NEVERSHOWN"),))

    assert "NEVERSHOWN" not in "".join(lines_of(outcome(Unavailable(Cause.QUEUE_FULL), record=record)))


def test_a_line_is_short_however_many_settings_are_wrong():
    journal = Journal(Ticking().clock)
    with log_of(LOGGER) as lines:
        journal.misconfigured("endpoint-1", "shop", SettingsInvalid([f"{number}." for number in range(42_500)]))

    assert lines == [
        "webhook answered 500: endpoint endpoint-1, source shop: 0. 1. 2. 3. 4. 5. 6. 7. 8. 9. and 42490 more.",
    ]


@pytest.mark.parametrize("event_id", ["a\n2026-11-21 ERROR b", "a\rb", "a\x1b[31mb", "a\u2028b"])
def test_an_id_is_the_senders_text_and_breaks_no_line(event_id):
    (line,) = lines_of(outcome(Unavailable(Cause.QUEUE_FULL), record=Record(topic="t", value=b""), event_id=event_id))

    assert line.isprintable()
    assert line.isascii()


def test_a_handshake_that_was_refused_is_logged():
    journal = Journal(Ticking().clock)
    with log_of(LOGGER) as lines:
        for _ in range(100):
            journal.refused("endpoint-1", "shop", Unverified("the verify token is not the one of the settings"))

    assert len(lines) == 5
    assert lines[0] == (
        "handshake answered 401: endpoint endpoint-1, source shop: the verify token is not the one of the settings"
    )


LINE_CHARS = 10_000


@pytest.mark.parametrize("text", ["x" * 5_000_000, "\ufffd" * 1_000_000])
def test_a_line_is_short_whatever_a_sender_or_a_record_says(text):
    # A line above 5 MiB on stdout would be the end of the process, for everybody.
    lines = lines_of(outcome(TooLarge("too large"), record=Record(topic="orders", value=b""), event_id=text))
    journal = Journal(Ticking().clock)
    ran = Ran(
        event_id=text,
        event_type=None,
        topic=text,
        partition=0,
        offset=0,
        attempt=1,
        ending="failed",
        run_id="",
        error="it broke",
        duration_s=0.0,
        time=0.0,
        dead_lettered=False,
    )
    with log_of(LOGGER) as more:
        journal.ran("endpoint-1", ran)

    assert [len(line) < LINE_CHARS for line in (*lines, *more)] == [True, True]
