from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kafka_bridge.events.envelope import Envelope, Event, rfc3339

EVENT = Event(
    id="evt_1",
    type="order.created",
    source="shop",
    scheme="stripe",
    time=1_700_000_000.5,
    id_signed=True,
    content_type="application/json; charset=utf-8",
)
names = st.text(st.characters(exclude_categories=["Cs"]), min_size=1)


def record(event=EVENT, key=None, value=b"{}"):
    envelope = Envelope(source=event.source, scheme=event.scheme)
    return envelope.record(event, topic="orders", key=key, value=value)


def test_an_event_is_a_cloudevent_in_binary_mode():
    assert record().headers == (
        ("ce_specversion", b"1.0"),
        ("ce_id", b"evt_1"),
        ("ce_source", b"/webhook/shop"),
        ("ce_type", b"order.created"),
        ("ce_time", b"2023-11-14T22:13:20.500Z"),
        ("content-type", b"application/json; charset=utf-8"),
        ("webhook-source", b"shop"),
        ("webhook-scheme", b"stripe"),
    )


@pytest.mark.parametrize("value", [b"", b"\xff\x00", b"{}"])
def test_the_value_is_the_bytes_that_came_and_never_null(value):
    assert record(value=value).value == value


def test_a_key_is_utf8_and_no_key_is_none():
    assert record(key="ü").key == b"\xc3\xbc"
    assert record(key=None).key is None
    assert record(key="").key is None


def test_without_a_content_type_there_is_no_header_for_it():
    event = Event(id="a", type=None, source="s", scheme="hmac", time=0, id_signed=False, content_type="")

    assert "content-type" not in dict(record(event).headers)


@pytest.mark.parametrize("event_type", [None, ""])
def test_an_event_without_a_type_gets_one_because_cloudevents_want_it(event_type):
    event = Event(id="a", type=event_type, source="s", scheme="hmac", time=0, id_signed=False, content_type="")

    assert dict(record(event).headers)["ce_type"] == b"webhook"


@given(names, st.none() | names, names, st.floats(0, 4 * 10**9))
def test_every_required_attribute_is_there_once_and_not_empty(event_id, event_type, source, time):
    event = Event(
        id=event_id, type=event_type, source=source, scheme="hmac", time=time, id_signed=False, content_type="x"
    )

    headers = record(event).headers

    assert len({name for name, _ in headers}) == len(headers)
    for name in ("ce_specversion", "ce_id", "ce_source", "ce_type", "ce_time"):
        assert dict(headers)[name]
    assert dict(headers)["ce_id"].decode() == event_id


@pytest.mark.parametrize(
    ("unix_s", "text"),
    [
        (0, "1970-01-01T00:00:00.000Z"),
        (1_700_000_000, "2023-11-14T22:13:20.000Z"),
        (1_700_000_000.25, "2023-11-14T22:13:20.250Z"),
        (1_709_164_800, "2024-02-29T00:00:00.000Z"),
    ],
)
def test_a_time_is_rfc_3339_in_utc_to_the_millisecond(unix_s, text):
    assert rfc3339(unix_s) == text


@given(st.floats(0, 253_402_300_799))
def test_a_time_is_off_by_less_than_a_millisecond(unix_s):
    read = datetime.fromisoformat(rfc3339(unix_s))

    assert read.tzinfo is UTC
    assert abs(read.timestamp() - unix_s) < 0.0011
