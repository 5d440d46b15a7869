"""The test producer's records."""

import json

from kafka_bridge.broker.loops import ThreadLoop
from kafka_bridge.events.record import Delivery
from kafka_bridge.standalone.produce import TOGETHER, Order, produce


class Sent:
    """Takes groups of records and acknowledges them."""

    def __init__(self):
        self.groups = []

    def __call__(self, records):
        self.groups.append(list(records))
        return [Delivery(record.topic, 0, 0, None) for record in records]

    @property
    def records(self):
        return [record for group in self.groups for record in group]


def written(order, rate=None):
    sent, told = Sent(), []
    assert produce(order, sent, rate=rate, loop=ThreadLoop(), tell=told.extend) == len(sent.records) == len(told)
    return sent


def test_a_value_is_one_record_as_it_is():
    (record,) = written(Order(topic="t", key=b"k", headers=(("a", b"b"),), value=b"\x00")).records

    assert (record.topic, record.key, record.value, record.headers) == ("t", b"k", b"\x00", (("a", b"b"),))


def test_without_a_value_events_are_numbered_and_each_has_an_id():
    records = written(Order(topic="t", count=TOGETHER + 2)).records
    headers = [dict(record.headers) for record in records]

    assert [json.loads(record.value)["n"] for record in records] == list(range(1, TOGETHER + 3))
    assert len({one["ce_id"] for one in headers}) == TOGETHER + 2
    assert {(one["ce_specversion"], one["ce_type"]) for one in headers} == {(b"1.0", b"kafka-bridge.test")}


def test_a_value_may_be_written_many_times():
    records = written(Order(topic="t", value=b"same", count=3)).records

    assert [record.value for record in records] == [b"same"] * 3
    assert len({dict(record.headers)["ce_id"] for record in records}) == 3


def test_two_calls_have_no_id_in_common():
    one, two = (
        {dict(record.headers)["ce_id"] for record in written(Order(topic="t", count=5)).records} for _ in range(2)
    )

    assert one & two == set()


def test_a_rate_spreads_them():
    sent = written(Order(topic="t", count=20), rate=100)

    assert len(sent.groups) > 3
