import base64
import json
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


# The other formats of a record.


def formatted(record_format, value, content_type="application/json", **fields):
    event = EVENT._replace(content_type=content_type, **fields)
    envelope = Envelope(source="shop", scheme="stripe", record_format=record_format)
    return envelope.record(event, topic="orders", key="k", value=value)


def test_a_raw_record_has_the_bytes_and_none_of_the_attributes():
    raw = formatted("raw", b"\xff", "image/png")

    assert (raw.key, raw.value) == (b"k", b"\xff")
    assert raw.headers == (("content-type", b"image/png"), ("webhook-source", b"shop"), ("webhook-scheme", b"stripe"))


def test_a_structured_record_is_the_whole_event_as_json():
    structured = formatted("structured", b'{"a": 1}')

    assert (structured.key, structured.headers[0]) == (
        b"k",
        ("content-type", b"application/cloudevents+json; charset=UTF-8"),
    )
    assert json.loads(structured.value) == {
        "specversion": "1.0",
        "id": "evt_1",
        "source": "/webhook/shop",
        "type": "order.created",
        "time": "2023-11-14T22:13:20.500Z",
        "datacontenttype": "application/json",
        "data": {"a": 1},
    }


@pytest.mark.parametrize(
    "value", [b'{"n": 1.0,\n  "n": 12345678901234567890123, "e": "\\u00fc"}', b" [ 1,2 ] ", b'"x"', b"null"]
)
def test_json_stands_in_a_structured_record_byte_for_byte(value):
    assert b'"data":' + value + b"}" in formatted("structured", value).value


@pytest.mark.parametrize(
    ("value", "content_type", "data"),
    [
        (b"caf\xc3\xa9", "text/plain; charset=utf-8", {"data": "café"}),
        (b"\xff", "text/plain", {"data_base64": "/w=="}),
        (b"\x00\x01", "image/png", {"data_base64": "AAE="}),
        (b"{", "application/json", {"data_base64": "ew=="}),
        (b"", "application/json", {"data_base64": ""}),
        (b"{}", "", {"data_base64": "e30="}),
    ],
)
def test_what_is_no_json_is_a_text_or_base64(value, content_type, data):
    document = json.loads(formatted("structured", value, content_type).value)

    assert {name: document[name] for name in document if name.startswith("data") and name != "datacontenttype"} == data
    assert document.get("datacontenttype", "") == content_type


def test_the_attributes_of_a_cloudevent_take_the_place_of_ours():
    own = {"specversion": "1.0", "id": "c-1", "source": "/theirs", "type": "t", "subject": "ü"}

    binary = dict(formatted("binary", b"1", attributes=own).headers)
    structured = json.loads(formatted("structured", b"1", attributes=own).value)

    assert {name: binary[f"ce_{name}"].decode() for name in own} == own
    assert {name: structured[name] for name in own} == own
    assert binary["ce_time"] == b"2023-11-14T22:13:20.500Z"


@given(st.binary(), st.sampled_from(["application/json", "text/plain", "", "x/y"]))
def test_the_data_of_a_structured_record_is_what_came(value, content_type):
    document = json.loads(formatted("structured", value, content_type).value)

    if "data_base64" in document:
        assert base64.b64decode(document["data_base64"]) == value
    elif content_type == "text/plain":
        assert document["data"].encode() == value
    else:
        assert document["data"] == json.loads(value)
