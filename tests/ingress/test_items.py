"""One request, one or many events: CloudEvents, batches, lines, a vendor's array."""

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kafka_bridge.errors import Malformed, TooLarge, Unroutable
from kafka_bridge.ingress import items
from kafka_bridge.ingress.receive import answer
from tests.ingress.signer import compiled, delivery
from tests.stand_ins import NOW, Broker, receive_at, request

CE = {"specversion": "1.0", "id": "c-1", "source": "/shop", "type": "order.created"}
STRUCTURED = "application/cloudevents+json"
BATCH = "application/cloudevents-batch+json"
NDJSON = "application/x-ndjson"


def run(source, inbound, *, limit_bytes=1_000_000):
    broker = Broker()
    outcome = receive_at(inbound, source, broker, now=NOW, limit_bytes=limit_bytes)
    return outcome, broker.records


def took(body, content_type, source=None, **arguments):
    """What becomes of such a body of an unsigned sender."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    source = source or compiled("none", topic="{type}", key="{id}")
    return run(source, request(raw, {"content-type": content_type}), **arguments)


def document(outcome):
    return json.loads(answer(outcome).body)


def headers(record):
    return {name: value.decode() for name, value in record.headers}


# CloudEvents.


def test_a_cloudevent_in_binary_mode_keeps_its_attributes_and_its_bytes():
    ce = {f"ce-{name}": text for name, text in CE.items()} | {"ce-subject": "a%20b", "ce-time": "2020-01-01T00:00:00Z"}
    outcome, (record,) = run(
        compiled("none", topic="{type}", key="{id}"), request(b"\xff", {**ce, "content-type": "image/png"})
    )

    assert (record.topic, record.key, record.value) == ("order.created", b"c-1", b"\xff")
    found = headers(record)
    assert {name: found[f"ce_{name}"] for name in CE} == CE
    assert (found["ce_subject"], found["ce_time"], found["content-type"]) == (
        "a b",
        "2020-01-01T00:00:00Z",
        "image/png",
    )
    assert document(outcome)["id"] == "c-1"
    # The headers that carry them are not signed.
    assert outcome.event.id_signed is False


def test_a_structured_cloudevent_is_unpacked():
    outcome, (record,) = took({**CE, "data": {"a": 1}}, f"{STRUCTURED}; charset=utf-8")

    assert (record.topic, record.key, json.loads(record.value)) == ("order.created", b"c-1", {"a": 1})
    assert headers(record)["content-type"] == "application/json"
    assert "records" not in document(outcome)


def test_the_id_of_a_structured_cloudevent_is_signed_with_the_body():
    inbound = delivery("hmac", json.dumps(CE).encode(), headers={"content-type": STRUCTURED})
    outcome, _ = run(compiled("hmac"), inbound)

    assert (outcome.event.id, outcome.event.id_signed) == ("c-1", True)


def test_data_in_base64_is_the_bytes():
    value = b"\x00\xff"
    _, (record,) = took({**CE, "data_base64": base64.b64encode(value).decode(), "datacontenttype": "x/y"}, STRUCTURED)

    assert (record.value, headers(record)["content-type"]) == (value, "x/y")


def test_a_body_template_reads_the_data_of_a_cloudevent():
    source = compiled("none", topic="{body.kind}")

    assert took({**CE, "data": {"kind": "inner"}}, STRUCTURED, source)[1][0].topic == "inner"


def test_a_batch_of_cloudevents_is_as_many_records():
    events = [{**CE, "id": f"c-{n}", "data": n} for n in range(3)]
    outcome, records = took(events, BATCH)

    assert [(record.key, record.value) for record in records] == [(b"c-0", b"0"), (b"c-1", b"1"), (b"c-2", b"2")]
    assert document(outcome)["count"] == 3
    assert [told["id"] for told in document(outcome)["records"]] == ["c-0", "c-1", "c-2"]


@pytest.mark.parametrize("content_type", [BATCH, NDJSON])
def test_an_empty_batch_is_a_success_without_a_record(content_type):
    outcome, records = took(b"[]" if content_type == BATCH else b"\n\n", content_type)

    assert (answer(outcome).status, document(outcome), records) == (200, {"count": 0, "records": []}, [])


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b"{", STRUCTURED),
        (b"[]", STRUCTURED),
        (b"{}", STRUCTURED),
        ({**CE, "id": ""}, STRUCTURED),
        ({**CE, "specversion": "0.3"}, STRUCTURED),
        ({**CE, "data": 1, "data_base64": "AA=="}, STRUCTURED),
        ({**CE, "data_base64": "?"}, STRUCTURED),
        ({**CE, "subject": {}}, STRUCTURED),
        ({**CE, "Sub_ject": "x"}, STRUCTURED),
        ({**CE, "subject": "x" * 2049}, STRUCTURED),
        ({**CE, "data": json.loads("[" * 300 + "]" * 300)}, STRUCTURED),
        (CE, BATCH),
        ([CE, 1], BATCH),
        ([CE, {}], BATCH),
        (b'{"id": 1}\n{', NDJSON),
    ],
)
def test_what_is_no_cloudevent_is_malformed_and_nothing_of_it_is_published(body, content_type):
    outcome, records = took(body, content_type)

    assert isinstance(outcome.error, Malformed)
    assert (answer(outcome).status, records) == (400, [])


@pytest.mark.parametrize("scheme", ["github", "standard-webhooks", "stripe", "aws-sns"])
def test_only_senders_of_any_make_may_use_the_open_formats(scheme):
    inbound = delivery(scheme, json.dumps({"id": "evt_1", "type": "t"}).encode(), headers={"content-type": BATCH})
    outcome, records = run(compiled(scheme), inbound)

    assert (outcome.error, outcome.batch, len(records)) == (None, False, 1)


# Lines.


def test_every_line_is_an_event_byte_for_byte():
    outcome, records = took(b'{"id": 1, "type": "a"}\r\n\n  {"id":2,"type":"a" }\n', NDJSON)

    assert [record.value for record in records] == [b'{"id": 1, "type": "a"}', b'{"id":2,"type":"a" }']
    assert document(outcome)["count"] == 2


def test_a_line_that_is_not_json_is_named_by_its_number():
    outcome, _ = took(b'{"id": 1}\n\nx', NDJSON)

    assert document(outcome)["detail"] == "Event 2 of the batch is not JSON."


# A vendor's array.


def test_hubspots_array_is_split_where_the_operator_wants_it():
    whole, (one,) = run(compiled("hubspot-v3"), delivery("hubspot-v3"))
    events = [{"eventId": n, "subscriptionType": "contact.creation"} for n in (1, 2)]
    inbound = delivery("hubspot-v3", json.dumps(events).encode())
    outcome, records = run(compiled("hubspot-v3", sources='{"default": {"split": true}}', key="{id}"), inbound)

    assert (whole.batch, one.value[:1]) == (False, b"[")
    assert [record.key for record in records] == [b"1", b"2"]
    assert {taken.event.type for taken in outcome.events} == {"contact.creation"}
    assert json.loads(records[0].value) == events[0]


@pytest.mark.parametrize(
    ("scheme", "body", "ids"),
    [
        ("line", {"events": [{"webhookEventId": "a", "type": "message"}, {"webhookEventId": "b"}]}, ["a", "b"]),
        ("microsoft-graph", {"value": [{"changeType": "updated"}, {"changeType": "created"}]}, None),
    ],
)
def test_an_array_of_events_is_split(scheme, body, ids):
    source = compiled(scheme, sources='{"default": {"split": true}}')
    outcome, records = run(source, delivery(scheme, json.dumps(body).encode()))

    assert len(records) == 2
    assert ids is None or [taken.event.id for taken in outcome.events] == ids
    assert len({taken.event.id for taken in outcome.events}) == 2


def test_lines_url_check_has_no_events_and_succeeds():
    source = compiled("line", sources='{"default": {"split": true}}')
    outcome, records = run(source, delivery("line", b'{"destination": "U1", "events": []}'))

    assert (document(outcome), records) == ({"count": 0, "records": []}, [])


def test_a_body_without_the_array_is_one_event():
    source = compiled("none", sources='{"default": {"split": "data.items"}}')

    for body in ({"data": {"items": {"id": 1}}}, {"data": 1}, [], "x"):
        outcome, records = took(body, "application/json", source)
        assert (outcome.batch, len(records)) == (False, 1)
        assert json.loads(records[0].value) == body


def test_events_that_share_the_id_of_a_header_are_numbered():
    source = compiled("api-key", sources='{"default": {"split": "items", "scheme_options": {"id": "header:x-id"}}}')
    inbound = delivery("api-key", b'{"items": [1, 2, 3]}', headers={"x-id": "abc"})
    outcome, _ = run(source, inbound)

    assert [taken.event.id for taken in outcome.events] == ["abc.0", "abc.1", "abc.2"]


def test_an_id_of_its_own_is_an_events_own():
    source = compiled("none", sources='{"default": {"split": ""}}')
    outcome, _ = took([{"id": "a"}, {"x": 1}, {"x": 2}], "application/json", source)

    ids = [taken.event.id for taken in outcome.events]
    assert ids[0] == "a"
    assert len(set(ids)) == 3
    assert [len(each) for each in ids[1:]] == [64, 64]


def test_an_item_that_is_nested_too_deep_is_malformed():
    source = compiled("none", sources='{"default": {"split": ""}}')
    outcome, records = took(b"[" * 300 + b"]" * 300, "application/json", source)

    assert (type(outcome.error), records) == (Malformed, [])


# Bounds.


def test_a_batch_has_a_bound(monkeypatch):
    monkeypatch.setattr(items, "MAX_ITEMS", 3)

    assert took([1, 2, 3], "application/json", compiled("none", sources='{"default": {"split": ""}}'))[0].error is None
    for body, content_type in (([CE] * 4, BATCH), (b"1\n2\n3\n4\n", NDJSON)):
        outcome, records = took(body, content_type)
        assert isinstance(outcome.error, TooLarge)
        assert (document(outcome)["detail"], records) == ("A batch may have 3 events.", [])


def test_four_thousand_events_are_the_bound():
    assert items.MAX_ITEMS == 4_000


def test_an_item_above_the_clients_limit_is_named_and_nothing_is_published():
    body = b'{"type": "a"}\n"' + b"x" * 99 + b'"\n'

    outcome, records = took(body, NDJSON, limit_bytes=100)
    assert isinstance(outcome.error, TooLarge)
    assert document(outcome)["detail"].startswith("Event 2 of the batch: the body is above the client's limit")
    assert records == []


@pytest.mark.parametrize(
    ("settings", "wrong", "detail"),
    [
        ({"topic": "{body.kind}"}, {"id": 9}, "the topic cannot be made: the event has no value for body kind."),
        ({"topic": "{body.kind}"}, {"kind": "a b"}, "the topic that the event leads to is not a legal topic name."),
        (
            {"topic": "{body.kind}", "topic_allow": "orders"},
            {"kind": "payments"},
            "the topic that the event leads to is not among the allowed topics.",
        ),
        (
            {"key": "{body.kind}"},
            {"kind": "x" * 3000},
            "the record key that the event leads to is longer than 2048 characters.",
        ),
    ],
)
@pytest.mark.parametrize("before", [0, 1, 4])
def test_an_event_that_cannot_be_routed_is_named_by_its_number_and_nothing_is_published(
    settings, wrong, detail, before
):
    source = compiled("none", sources='{"default": {"split": "items"}}', **settings)
    right = {"kind": "orders"}
    body = {"items": [right] * before + [wrong] + [right]}

    outcome, records = took(body, "application/json", source)

    assert (answer(outcome).status, records) == (422, [])
    assert document(outcome)["detail"] == f"Event {before + 1} of the batch: {detail}"


def test_an_event_that_is_no_batch_has_no_number():
    outcome, _ = took({"id": 1}, "application/json", compiled("none", topic="{body.kind}"))

    assert document(outcome)["detail"].startswith("The topic cannot be made")


class Refusing(Broker):
    """A broker that refuses the record with a value."""

    def __init__(self, value, error):
        super().__init__(error)
        self.value = value

    def __call__(self, records):
        self.error.index = [record.value for record in records].index(self.value)
        return super().__call__(records)


@pytest.mark.parametrize("error", [TooLarge("The record is above the limit."), Unroutable("The topic refuses it.")])
@pytest.mark.parametrize("dedupe_seconds", [0, 60])
def test_the_event_whose_record_the_broker_refuses_is_named_by_its_number(error, dedupe_seconds):
    routes = {"a": "drop"}
    entry = {"default": {"routes": routes, "dedupe_seconds": dedupe_seconds}}
    source = compiled("none", topic="t", sources=json.dumps(entry))
    # The dropped one and, where copies are looked for, the copy are not among the records.
    body = b'{"type":"a"}\n{"type":"b"}\n{"type":"b"}\n{"type":"c"}\n'
    broker = Refusing(b'{"type":"c"}', error)

    outcome = receive_at(request(body, {"content-type": NDJSON}), source, broker, now=NOW)

    assert answer(outcome).status == error.status
    assert document(outcome)["detail"] == f"Event 4 of the batch: {str(error)[0].lower()}{str(error)[1:]}"
    assert outcome.error.index == 3


def test_no_number_where_the_whole_batch_is_at_fault():
    outcome = receive_at(request(b"1\n2\n", {"content-type": NDJSON}), compiled("none"), Broker(TooLarge()), now=NOW)

    assert document(outcome)["detail"] == TooLarge.title


def test_a_batch_may_be_larger_than_one_record():
    outcome, records = took(b'{"type": "a"}\n' * 50, NDJSON, limit_bytes=100)

    assert (outcome.error, len(records)) == (None, 50)


@given(
    st.lists(
        st.recursive(
            st.none() | st.integers(-(2**53), 2**53) | st.text(st.characters(codec="utf-8")),
            lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters(codec="utf-8")), inner),
            max_leaves=5,
        )
    )
)
def test_every_item_of_an_array_becomes_a_record_of_the_same_data(values):
    source = compiled("none", sources='{"default": {"split": "events"}}')
    outcome, records = took({"events": values}, "application/json", source)

    assert [json.loads(record.value) for record in records] == values
    assert document(outcome)["count"] == len(values)
