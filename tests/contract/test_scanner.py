"""The contract of `ports.Scanner`, on the embedded broker and on a real Kafka."""

import uuid

import pytest

from kafka_bridge.broker import config
from kafka_bridge.broker.kafka.admin import KafkaAdmin
from kafka_bridge.broker.kafka.scanner import KafkaScanner
from kafka_bridge.broker.ports import Mark, Span
from kafka_bridge.broker.trust import default_ca_file
from kafka_bridge.errors import Cause, Unavailable
from kafka_bridge.events.record import Record, TopicPartition
from tests.brokers import Broker, Connect, cluster_of, wait_until
from tests.real.kafka import free_ports


@pytest.fixture
def topic(broker: Broker):
    name = f"scan-{uuid.uuid4().hex[:12]}"
    if broker.real:
        properties = config.admin_properties(cluster_of(bootstrap_servers=broker.bootstrap), ca_file=default_ca_file())
        KafkaAdmin(properties).create_topic(name, partitions=4, replication=1, config={}, timeout_s=20)
    return name


@pytest.fixture
def fill(broker: Broker, connect: Connect, topic):
    connection = connect(cluster_of(bootstrap_servers=broker.bootstrap))

    def write(count, partition=0):
        records = [Record(topic, str(number).encode(), partition=partition) for number in range(count)]
        connection.send_all(records, timeout_s=20)

    return write


@pytest.fixture
def scanner(broker: Broker):
    opened = []

    def make(group="", bootstrap=broker.bootstrap, **saved):
        cluster = cluster_of(bootstrap_servers=bootstrap, **saved)
        properties = config.consumer_properties(
            cluster, ca_file=default_ca_file(), group_id=group or f"group-{uuid.uuid4().hex[:8]}"
        )
        opened.append(KafkaScanner(properties))
        return opened[-1]

    yield make
    for one in opened:
        one.close()


def read(one, spans, limit=100):
    """All of it; and how many reads that took."""
    records, left, reads = [], spans, 0

    def go_on():
        nonlocal left, reads
        found, left = one.read(left, limit=limit, timeout_s=0.2)
        records.extend(found)
        reads += 1
        return not left

    wait_until(go_on, 30)
    return records, reads


def values(records, partition=0):
    return [int(each.record.value) for each in records if each.partition == partition]


def test_all_partitions_have_a_beginning_and_an_end(topic, fill, scanner):
    fill(5)
    fill(3, partition=2)

    spans = scanner().spans([topic])

    assert spans == {
        TopicPartition(topic, 0): Span(0, 5),
        TopicPartition(topic, 1): Span(0, 0),
        TopicPartition(topic, 2): Span(0, 3),
        TopicPartition(topic, 3): Span(0, 0),
    }


def test_a_topic_that_is_not_there_has_no_partitions_and_is_not_made(scanner, broker):
    name = f"absent-{uuid.uuid4().hex[:8]}"
    one = scanner()

    assert (one.spans([name]), len(one.partitions(name))) == ({}, 0)
    assert len(scanner().partitions(name)) == 0


def test_a_part_is_read_from_its_start_to_before_its_end(topic, fill, scanner):
    fill(20)

    records, _ = read(scanner(), {TopicPartition(topic, 0): Span(5, 12)})

    assert values(records) == list(range(5, 12))
    assert [each.offset for each in records] == list(range(5, 12))


def test_several_partitions_are_read_together_in_parts(topic, fill, scanner):
    fill(30)
    fill(10, partition=1)

    records, reads = read(scanner(), scanner().spans([topic]), limit=7)

    assert values(records) == list(range(30))
    assert values(records, 1) == list(range(10))
    assert reads >= 6


def test_reading_somewhere_else_begins_there(topic, fill, scanner):
    fill(20)
    at, one = TopicPartition(topic, 0), scanner()

    assert values(read(one, {at: Span(10, 15)})[0]) == list(range(10, 15))
    assert values(read(one, {at: Span(2, 6)})[0]) == list(range(2, 6))
    assert values(read(one, {at: Span(15, 20)})[0]) == list(range(15, 20))


def test_what_comes_after_the_end_is_not_given(topic, fill, scanner):
    fill(5)
    one = scanner()
    spans = one.spans([topic])
    fill(5)

    assert len(read(one, spans)[0]) == 5


def test_nothing_to_read_is_read_at_once(topic, fill, scanner):
    fill(1)

    assert scanner().read({TopicPartition(topic, 0): Span(1, 1)}, limit=10, timeout_s=5) == ([], {})


def test_what_a_group_remembers_is_there_for_the_next_one(topic, fill, scanner):
    fill(5)
    group, at = f"group-{uuid.uuid4().hex[:8]}", [TopicPartition(topic, number) for number in range(2)]
    one = scanner(group)
    assert one.marks(at) == {at[0]: Mark(None), at[1]: Mark(None)}

    one.remember({at[0]: Mark(3, "kafka-bridge/1 - 0 cA=="), at[1]: Mark(0)})
    one.remember({})

    assert scanner(group).marks(at) == {at[0]: Mark(3, "kafka-bridge/1 - 0 cA=="), at[1]: Mark(0)}


def test_a_group_remembers_while_something_is_read(topic, fill, scanner):
    fill(50)
    group, at = f"group-{uuid.uuid4().hex[:8]}", TopicPartition(topic, 0)
    one, records, left = scanner(group), [], {TopicPartition(topic, 0): Span(0, 50)}
    while left:
        found, left = one.read(left, limit=10, timeout_s=0.5)
        records += found
        one.remember({at: Mark(len(records), "x" * 3500)})

    assert values(records) == list(range(50))
    assert scanner(group).marks([at])[at] == Mark(50, "x" * 3500)


def test_a_broker_that_is_away_is_named(scanner):
    (port,) = free_ports(1)

    with pytest.raises(Unavailable) as raised:
        scanner(bootstrap=f"127.0.0.1:{port}").spans(["t"])
    assert raised.value.cause is Cause.CONNECTION_REFUSED
