"""What is sent again is what was sent, to the last byte; and what must not be sent is not."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kafka_bridge.errors import Cause, NotReplayable, Unavailable
from kafka_bridge.events.log.entry import Entry, Ids, Kind, from_row, to_row
from kafka_bridge.events.log.making import MAX_ATTRIBUTES_CHARS, entries_of, entry_of_run
from kafka_bridge.events.log.masking import MAX_BODY_BYTES, Keeping
from kafka_bridge.events.log.replaying import REPLAYED_FROM, entry_of_replay, record_of, replay_of, why_not
from kafka_bridge.events.record import Delivery
from kafka_bridge.events.run import Ran
from kafka_bridge.ingress.dedupe import Dedupe
from kafka_bridge.ingress.receive import receive
from tests.stand_ins import NOW, Broker, NoWaiter, clock_at, publisher_to, receive_at, request, source_of

KEEPING = Keeping(10)
FORMATS = ("binary", "structured", "raw")
BODIES = [
    b"",
    b"\x00\xff\xfe\x80 not utf-8",
    b'{"id": "evt_1", "type": "order.paid", "n": 1e2}',
    b'{"id": "\xc3\x28"}',
    "ü€😀".encode(),
    b"a=1&b=2",
    b"x" * MAX_BODY_BYTES,
]
CLOUDEVENT = {
    "ce-specversion": "1.0",
    "ce-id": "a b",
    "ce-source": "/elsewhere",
    "ce-type": "com.example",
    "ce-traceparent": "00-1",
    "ce-subject": "%E2%82%AC 1",
}


def source(record_format="binary", **settings):
    entry = {"scheme": "none", "record_format": record_format}
    return source_of(scheme="none", sources=json.dumps({"default": entry}), **settings)


def taken(body, headers=None, *, now=NOW, error=None, keeping=KEEPING, **settings):
    """The records that went to Kafka, and the entries of the log as they are read again."""
    broker, ids = Broker(error), Ids("0a0b0c0d")
    inbound = request(body, {"content-type": "application/json", **(headers or {})})
    outcome = receive_at(inbound, source(**settings), broker, now=now)
    entries = entries_of(outcome, keeping, lambda: ids.next(now))
    return broker.records, [from_row(to_row(entry)) for entry in entries]


def refusal(entry):
    with pytest.raises(NotReplayable) as caught:
        record_of(entry)
    return str(caught.value)


# The same record.


@pytest.mark.parametrize("record_format", FORMATS)
@pytest.mark.parametrize("body", BODIES, ids=lambda body: repr(body[:20]))
@pytest.mark.parametrize("content_type", ["application/json", "text/plain; charset=latin-1", ""])
def test_a_record_is_made_again_to_the_last_byte(record_format, body, content_type):
    records, (entry,) = taken(body, {"content-type": content_type}, record_format=record_format, key="k-{id}")

    if entry.note:
        # A structured record is longer than what came.
        assert (len(body), record_format) == (MAX_BODY_BYTES, "structured")
    else:
        assert [record_of(entry)] == records


@pytest.mark.parametrize("record_format", FORMATS)
@pytest.mark.parametrize("time", ["", "2020-01-01T00:00:00Z"])
def test_a_cloudevent_keeps_its_attributes_and_their_order(record_format, time):
    headers = CLOUDEVENT | ({"ce-time": time} if time else {})
    records, (entry,) = taken(b"\x80data", headers, record_format=record_format)

    assert [record_of(entry)] == records


def test_every_event_of_a_batch_is_made_again():
    many = json.dumps([{"specversion": "1.0", "id": str(n), "source": "s", "type": "t", "data": n} for n in range(3)])
    records, entries = taken(many.encode(), {"content-type": "application/cloudevents-batch+json"})

    assert [record_of(entry) for entry in entries] == records


@given(
    st.binary(max_size=300),
    st.sampled_from(FORMATS),
    st.sampled_from(["application/json", "text/plain", "application/octet-stream", "", "application/cloudevents+json"]),
    st.floats(0, 4e9),
)
def test_whatever_comes_is_made_again_or_refused(body, record_format, content_type, now):
    records, entries = taken(body, {"content-type": content_type}, now=now, record_format=record_format)

    assert [record_of(entry) for entry in entries if not why_not(entry)] == records


@pytest.mark.parametrize("record_format", FORMATS)
def test_what_is_sent_again_says_from_which_entry_and_changes_nothing_else(record_format):
    (record,), (entry,) = taken(b"\xff", record_format=record_format)

    again = replay_of(entry)

    assert again == record._replace(headers=(*record.headers, (REPLAYED_FROM, entry.id.encode())))


@pytest.mark.parametrize("record_format", FORMATS)
@pytest.mark.parametrize("headers", [{}, CLOUDEVENT, CLOUDEVENT | {"ce-time": "2020-01-01T00:00:00Z"}])
def test_a_replay_is_an_entry_of_its_own_and_can_be_sent_again_itself(record_format, headers):
    (record,), (entry,) = taken(b'{"a": "\x80"}', headers, record_format=record_format)
    delivery = Delivery("t", 5, 99, None)

    again = entry_of_replay(entry, "f" * 24, delivery, now=NOW + 1000, duration_s=0.0123)

    assert (again.id, again.kind, again.replay_of) == ("f" * 24, Kind.REPLAY, entry.id)
    assert (again.position, again.time, again.duration_ms) == (("t", 5, 99), NOW + 1000, 12.3)
    assert (again.event_id, again.event_type) == (entry.event_id, entry.event_type)
    assert record_of(from_row(to_row(again))) == record._replace(topic="t")


def test_a_delivery_without_an_offset_leaves_it_unknown():
    _, (entry,) = taken(b"{}")

    again = entry_of_replay(entry, "f" * 24, Delivery("t", 5, None, None), now=NOW, duration_s=0)

    assert (again.offset, again.position) == (-1, None)


# What must not be sent.


def test_what_was_not_verified_is_never_made_a_record():
    outcome = receive_at(request(b'{"id": "e"}'), source_of(), Broker(), now=NOW)
    (entry,) = entries_of(outcome, KEEPING, lambda: "0" * 24)

    assert entry.kind == Kind.REJECTED
    assert "not verified" in refusal(entry)


@pytest.mark.parametrize("kind", [*Kind, "something else"])
@pytest.mark.parametrize("verdict", ["rejected", "skipped", "", "something else"])
def test_whatever_else_an_entry_says_without_a_good_verdict_it_stays_where_it_is(kind, verdict):
    _, (entry,) = taken(b"{}")

    assert refusal(entry._replace(kind=kind, verdict=verdict))


@pytest.mark.parametrize("kind", sorted(set(Kind) - {"accepted", "failed", "duplicate", "replay"}))
def test_an_entry_that_is_no_event_is_refused_with_its_reason(kind):
    _, (entry,) = taken(b"{}")

    assert refusal(entry._replace(kind=kind)) == why_not(entry._replace(kind=kind)) != ""


def test_an_event_that_kafka_did_not_take_can_be_sent_again():
    (record,), (entry,) = taken(b"{}", error=Unavailable(Cause.CONNECTION_REFUSED))

    assert entry.kind == Kind.FAILED
    assert record_of(entry) == record


def test_a_duplicate_can_be_sent_again():
    dedupe, source_ = Dedupe(waiter=NoWaiter), source_of(scheme="none", sources='{"default": {"dedupe_seconds": 9}}')
    broker, inbound = Broker(), request(b'{"id": "e"}')
    outcomes = [
        receive(inbound, source_, publisher=publisher_to(broker, dedupe=dedupe), clock=clock_at(NOW), limit_bytes=99)
        for _ in range(2)
    ]
    (entry,) = entries_of(outcomes[1], KEEPING, lambda: "0" * 24)

    assert entry.kind == Kind.DUPLICATE
    assert [record_of(entry)] == broker.records


def test_an_event_without_a_topic_is_refused():
    _, (entry,) = taken(b'{"id": "e"}', topic="{body.nothing}")

    assert (entry.kind, refusal(entry)) == (Kind.FAILED, "The event has led to no topic.")


def test_a_run_is_refused():
    entry = entry_of_run(Ran("e", None, "t", 1, 2, 1, "failed", "r", "", 1.0, NOW), KEEPING, lambda: "0" * 24)

    assert "a run" in refusal(entry)


# What the log holds in part.


@pytest.mark.parametrize(
    ("body", "headers", "keeping", "settings"),
    [
        (b"x" * (MAX_BODY_BYTES + 1), {}, KEEPING, {}),
        (b'{"id": "e", "card": 1}', {}, Keeping.compiled(9, ["card"], {}), {}),
        # What is masked is nothing that could be found elsewhere.
        (b'{"id": "e", "card": null}', {}, Keeping.compiled(9, ["card"], {}), {}),
        (b'{"id": "e", "card": ""}', {}, Keeping.compiled(9, ["card"], {}), {}),
        (b'{"id": "e"', {}, Keeping.compiled(9, ["card"], {}), {}),
        (b"card=1&b=2", {"content-type": "application/x-www-form-urlencoded"}, Keeping.compiled(9, ["card"], {}), {}),
        (b'{"id": "e", "a": "s3cr3t"}', {}, Keeping.compiled(9, [], {"": ["s3cr3t"]}), {}),
        (b"\xff s3cr3t", {}, Keeping.compiled(9, [], {"": ["s3cr3t"]}), {}),
        (b"{}", CLOUDEVENT | {"ce-subject": "s3cr3t"}, Keeping.compiled(9, [], {"": ["s3cr3t"]}), {}),
        (b"{}", CLOUDEVENT | {"ce-id": "s3cr3t"}, Keeping.compiled(9, [], {"": ["s3cr3t"]}), {}),
        (b"{}", CLOUDEVENT | {f"ce-a{n}": "x" * 2000 for n in range(3)}, KEEPING, {}),
        (json.dumps({"id": "e", "k": "x" * 513}).encode(), {}, KEEPING, {"key": "{body.k}"}),
    ],
)
def test_an_event_that_is_held_in_part_is_refused(body, headers, keeping, settings):
    records, (entry,) = taken(body, headers, keeping=keeping, **settings)

    assert len(records) == 1
    assert refusal(entry).startswith("The log does not hold")


def test_the_bounds_are_not_reached_by_what_is_usual():
    headers = CLOUDEVENT | {"ce-subject": "x" * (MAX_ATTRIBUTES_CHARS // 4)}
    records, (entry,) = taken(
        json.dumps({"k": "x" * 512}).encode(),
        headers,
        key="{body.k}",
        keeping=Keeping.compiled(9, ["card"], {"": ["s3cr3t"]}),
    )

    assert [record_of(entry)] == records


def test_a_row_without_its_body_is_not_taken_for_an_empty_event():
    _, (entry,) = taken(b"{}")

    assert why_not(entry._replace(body="")) == ""
    assert refusal(entry._replace(body="")) == "The log no longer holds the event's body."


@pytest.mark.parametrize("body", ["@", "abc", "aGk=\n"])
def test_a_body_that_is_no_base64_is_no_event(body):
    _, (entry,) = taken(b"\xff\xff")

    assert refusal(entry._replace(body=body)) == "The log no longer holds the event's body."


def test_an_entry_of_an_older_version_is_read_and_refused():
    _, (entry,) = taken(b"{}")
    fields = Entry._fields[: Entry._fields.index("record_format")]
    old = from_row(to_row(entry), fields)

    assert old == entry._replace(record_format="", attributes="")
    assert "another version" in refusal(old)


@pytest.mark.parametrize("attributes", ["{", "[]", "1", '{"id": 1}', '{"id": null}'])
def test_attributes_that_are_none_are_refused(attributes):
    _, (entry,) = taken(b"{}", CLOUDEVENT)
    assert "attributes" not in refusal(entry._replace(attributes=attributes))


def test_a_form_of_record_that_this_version_does_not_know_is_refused():
    _, (entry,) = taken(b"{}")
    assert "another version" in refusal(entry._replace(record_format="zipped"))
