"""A member of a group, on a stand-in for the library: what it answers at moments that cannot be arranged otherwise."""

from types import SimpleNamespace

import pytest
from confluent_kafka import OFFSET_INVALID, KafkaError, KafkaException
from confluent_kafka import TopicPartition as LibraryPartition

from kafka_bridge.broker.kafka import consumer as module
from kafka_bridge.broker.kafka.consumer import KafkaConsumer
from kafka_bridge.broker.ports import ClientDead, Start
from kafka_bridge.events.record import TopicPartition

P0 = TopicPartition("orders", 0)


class Library:
    """One partition, of which the group has committed nothing, with ten records in it."""

    def __init__(self, _properties):
        self.commits = []
        self.refusals = []
        self.silent = False
        self.next = []

    def subscribe(self, _topics, **callbacks):
        self.callbacks = SimpleNamespace(**callbacks)

    def committed(self, partitions, timeout):
        if self.silent:
            raise KafkaException(KafkaError(KafkaError._TIMED_OUT))
        return [LibraryPartition(at.topic, at.partition, OFFSET_INVALID) for at in partitions]

    def get_watermark_offsets(self, _partition, **_):
        return 0, 10

    def incremental_assign(self, partitions):
        self.assigned = partitions

    def commit(self, offsets, asynchronous):
        assert not asynchronous
        if self.refusals:
            raise KafkaException(KafkaError(self.refusals.pop()))
        self.commits.append({(at.topic, at.partition): at.offset for at in offsets})

    def poll(self, _timeout_s):
        while self.next:
            callback = self.next.pop(0)
            getattr(self.callbacks, callback)(self, [LibraryPartition("orders", 0)])


@pytest.fixture
def library(monkeypatch):
    made = []
    monkeypatch.setattr(module, "LibraryConsumer", lambda properties: made.append(Library(properties)) or made[0])
    consumer = KafkaConsumer({"partition.assignment.strategy": "cooperative-sticky"})
    told = []
    consumer.subscribe(
        ["orders"],
        start=Start.LATEST,
        on_assigned=lambda positions: told.append(("assigned", dict(positions))),
        on_revoked=lambda partitions: told.append(("revoked", list(partitions))),
        on_lost=lambda partitions: told.append(("lost", list(partitions))),
    )
    return SimpleNamespace(consumer=consumer, told=told, of=made[0])


def test_a_member_that_cannot_learn_where_to_begin_begins_anew(library):
    # The library would assign the partition all the same, and nobody here would know that it is ours.
    library.of.silent = True
    library.of.next = ["on_assign"]

    with pytest.raises(ClientDead):
        library.consumer.poll(0)
    assert library.told == []


def test_where_a_group_begins_is_committed_again_until_the_broker_has_it(library):
    library.of.next = ["on_assign"]
    library.consumer.poll(0)
    library.of.refusals = [KafkaError.REBALANCE_IN_PROGRESS]
    library.consumer.poll(0)
    assert library.of.commits == []

    library.consumer.poll(0)
    library.consumer.poll(0)
    assert library.of.commits == [{("orders", 0): 10}]


def test_a_commit_that_fails_keeps_nobody_from_polling(library):
    library.of.next = ["on_assign"]
    library.consumer.poll(0)
    library.of.refusals = [KafkaError.GROUP_AUTHORIZATION_FAILED]
    library.of.next = ["on_lost"]

    with pytest.raises(module.BridgeError):
        library.consumer.poll(0)
    assert library.told[-1] == ("lost", [P0])


def test_where_a_group_begins_is_committed_before_the_partition_goes(library):
    library.of.next = ["on_assign", "on_revoke"]
    library.consumer.poll(0)
    library.consumer.poll(0)

    assert library.of.commits == [{("orders", 0): 10}]
    assert library.told[-1] == ("revoked", [P0])


def test_where_a_group_began_is_never_committed_over_what_is_done(library):
    library.of.next = ["on_assign"]
    library.consumer.poll(0)
    library.consumer.commit({P0: 12})
    library.consumer.poll(0)

    assert library.of.commits == [{("orders", 0): 12}]


def test_where_a_group_begins_is_not_committed_of_a_partition_that_is_somebody_elses(library):
    library.of.next = ["on_assign", "on_lost"]
    library.consumer.poll(0)
    library.consumer.poll(0)

    assert library.of.commits == []


class Unreadable:
    """A message with a header whose name is not UTF-8, as the library gives it."""

    def error(self):
        return None

    def headers(self):
        raise SystemError("returned a result with an exception set")

    def topic(self):
        return "orders"

    def partition(self):
        return 0

    def offset(self):
        return 7

    def key(self):
        return b"k"

    def value(self):
        return b"v"

    def timestamp(self):
        return 1, 1000


def test_a_record_whose_headers_cannot_be_read_comes_without_them(library):
    library.of.poll = lambda _timeout_s: Unreadable()
    library.of.consume = lambda _limit, _timeout_s: []

    (consumed,) = library.consumer.poll(0)

    assert (consumed.offset, consumed.record.key, consumed.record.value) == (7, b"k", b"v")
    assert consumed.record.headers == (("kafka-bridge-headers-unreadable", b"true"),)
