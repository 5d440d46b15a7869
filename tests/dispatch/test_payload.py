"""What a consumed record says."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kafka_bridge.dispatch.payload import read
from kafka_bridge.events.cloudevents import STRUCTURED
from kafka_bridge.events.envelope import Envelope, Event
from kafka_bridge.events.record import Consumed, Record
from tests.dispatch.records import payload

BINARY = (
    ("ce_specversion", b"1.0"),
    ("ce_id", b"evt_1"),
    ("ce_source", b"/shop"),
    ("ce_type", b"order.paid"),
    ("content-type", b"application/json"),
)


def structured(**changes):
    event = {"specversion": "1.0", "id": "evt_1", "source": "/shop", "type": "order.paid", "data": {"id": 7}}
    return json.dumps({**event, **changes}).encode()


def from_structured(value, content_type=b"application/cloudevents+json"):
    return payload(value, headers=(("content-type", content_type),))


def test_a_json_object_is_its_fields_and_the_facts_are_beside_them():
    everything = payload(b'{"id": 7}', key=b"k", headers=BINARY).everything()

    facts = {
        "event_id": "evt_1",
        "event_type": "order.paid",
        "topic": "orders",
        "partition": 3,
        "offset": 41,
        "key": "k",
        "headers": {name: value.decode() for name, value in BINARY},
    }
    assert everything == {"id": 7, **facts, "kafka": facts}


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (b"[1, 2]", [1, 2]),
        (b'"text"', "text"),
        (b"7", 7),
        (b"null", None),
        (b"true", True),
        (b"plain text", "plain text"),
        (b"{broken", "{broken"),
        (b"", ""),
        (b"\xff\xfe", "\ufffd\ufffd"),
    ],
)
def test_anything_else_is_a_message(value, message):
    read_back = payload(value)

    assert read_back.fields == {"message": message}
    assert read_back.text == value.decode("utf-8", "replace")


def test_a_tombstone_is_an_empty_message_that_says_so():
    everything = payload(None, key=b"k").everything()

    assert everything["message"] == ""
    assert everything["kafka"]["tombstone"] is True
    assert "tombstone" not in everything
    assert "tombstone" not in payload(b"").everything()["kafka"]


def test_an_event_without_an_id_has_its_place_for_one():
    assert payload().event_id == "orders-3-41"
    assert payload(headers=(("ce_id", b""),)).event_id == "orders-3-41"
    assert payload(headers=(("ce_id", None),)).event_id == "orders-3-41"
    assert (payload().event_type, payload().key) == (None, None)


@pytest.mark.parametrize("name", ["event_id", "topic", "kafka", "headers", "partition"])
def test_the_payloads_field_wins(name):
    everything = payload(json.dumps({name: "its own"}).encode()).everything()

    assert everything[name] == "its own"
    if name != "kafka":
        assert everything["kafka"][name] != "its own"


def test_of_a_repeated_header_the_last_counts_and_a_null_is_empty():
    read_back = payload(headers=(("a", b"1"), ("a", b"2"), ("b", None), ("c", b"\xff")))

    assert read_back.headers == {"a": "2", "b": "", "c": "\ufffd"}


def test_a_header_is_found_by_its_name_and_else_whatever_its_case():
    read_back = payload(headers=(("x-id", b"1"), ("X-ID", b"2"), ("Tenant", b"acme")))

    assert (read_back.header("X-ID"), read_back.header("x-id"), read_back.header("X-Id")) == ("2", "1", "1")
    assert (read_back.header("tenant"), read_back.header("absent")) == ("acme", None)


class TestStructuredCloudEvents:
    def test_one_is_its_data_and_its_attributes(self):
        read_back = from_structured(structured(subject="o/7", sequence=5))

        assert (read_back.event_id, read_back.event_type) == ("evt_1", "order.paid")
        assert (read_back.document, json.loads(read_back.text)) == ({"id": 7}, {"id": 7})
        assert read_back.headers["ce_source"] == "/shop"
        assert (read_back.headers["ce_subject"], read_back.headers["ce_sequence"]) == ("o/7", "5")

    @pytest.mark.parametrize(
        "content_type", [b"application/cloudevents+json; charset=utf-8", b"Application/CloudEvents+JSON"]
    )
    def test_the_parameters_and_the_case_of_its_type_do_not_matter(self, content_type):
        assert from_structured(structured(), content_type).document == {"id": 7}

    def test_the_name_of_the_header_may_be_that_of_http(self):
        assert payload(structured(), headers=(("Content-Type", STRUCTURED.encode()),)).event_id == "evt_1"

    @pytest.mark.parametrize(
        ("data", "document"),
        [
            ({"data": None}, ""),
            ({"data": "text", "datacontenttype": "text/plain"}, "text"),
            ({"data": [1]}, [1]),
            ({"data": None, "data_base64": "eyJhIjogMX0="}, {"a": 1}),
        ],
    )
    def test_its_data_has_many_forms(self, data, document):
        assert from_structured(structured(**data)).document == document

    @pytest.mark.parametrize("value", [b"{}", b"no json", b"[]", b"", structured(id=""), structured(specversion="0.3")])
    def test_what_only_says_that_it_is_one_stays_as_it_is(self, value):
        assert from_structured(value).fields == payload(value).fields
        assert from_structured(value).event_id == "orders-3-41"

    @given(
        st.dictionaries(st.text(), st.integers(-(2**53), 2**53) | st.text()), st.sampled_from(["binary", "structured"])
    )
    def test_what_we_publish_reads_the_same_in_both_forms(self, document, form):
        event = Event("evt_1", "order.paid", "shop", "hmac", 0.0, True, "application/json")
        value = json.dumps(document).encode("utf-8", "surrogatepass")
        record = Envelope(source="shop", scheme="hmac", record_format=form).record(
            event, topic="t", key="k", value=value
        )

        read_back = read(Consumed(record, 0, 0))

        assert (read_back.document, read_back.event_id, read_back.event_type) == (document, "evt_1", "order.paid")
        assert read_back.headers["ce_source"] == "/webhook/shop"


headers = st.lists(
    st.tuples(st.sampled_from(["content-type", "ce_id", "ce_type", "x"]) | st.text(), st.none() | st.binary()),
    max_size=5,
).map(tuple)
values = (
    st.none()
    | st.binary()
    | st.sampled_from([structured(), structured(data_base64="?"), b"[" * 2000, b"\xef\xbb\xbf{}", b'{"a": 1e999}'])
)


@given(values, st.none() | st.binary(), headers, st.booleans())
def test_reading_never_fails(value, key, found, says_structured):
    if says_structured:
        found = (*found, ("content-type", STRUCTURED.encode()))

    everything = read(Consumed(Record("t", value, key, found), 0, 0)).everything()

    assert everything["kafka"]["topic"] == "t"
    assert {type(text) for text in everything["kafka"]["headers"].values()} <= {str}
