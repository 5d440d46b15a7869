"""The ports' contract, on the embedded broker and on a real Kafka.

What the embedded one cannot do is a strict xfail: the day it can, the test says so.
"""

import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing, suppress

import pytest
from confluent_kafka.admin import AdminClient

from kafka_bridge.broker import config
from kafka_bridge.broker.kafka.admin import KafkaAdmin
from kafka_bridge.broker.kafka.consumer import KafkaConsumer
from kafka_bridge.broker.kafka.reader import KafkaReader
from kafka_bridge.broker.ports import Position, Start
from kafka_bridge.broker.trust import default_ca_file
from kafka_bridge.errors import Cause, Malformed, Unavailable
from kafka_bridge.events.record import Consumed, Delivery, Record, TopicPartition
from tests.brokers import Broker, Connect, cluster_of, wait_until

type MakeConsumer = Callable[..., KafkaConsumer]


@pytest.fixture
def topic(broker: Broker, request: pytest.FixtureRequest) -> str:
    """A topic of this test's own, with several partitions."""
    name = f"contract-{uuid.uuid4().hex[:12]}"
    admin = KafkaAdmin(
        config.admin_properties(cluster_of(bootstrap_servers=broker.bootstrap), ca_file=default_ca_file())
    )
    if broker.real:
        admin.create_topic(name, partitions=4, replication=1, config={}, timeout_s=20)
    return name


@pytest.fixture
def publish(broker: Broker, connect: Connect, topic: str) -> Callable[..., Delivery]:
    """Write one record to the topic and wait for its acknowledgement."""
    connection = connect(cluster_of(bootstrap_servers=broker.bootstrap))

    def send(value: bytes | None = b"x", **changes: object) -> Delivery:
        return connection.send(Record(topic=topic, value=value, **changes), timeout_s=20)

    return send


@pytest.fixture
def consumer(broker: Broker, figures: Callable[[str], None]) -> Iterator[MakeConsumer]:
    """Consumers, closed at the end of the test."""
    opened: list[KafkaConsumer] = []

    def make(group_id: str = "") -> KafkaConsumer:
        cluster = cluster_of(bootstrap_servers=broker.bootstrap)
        group = group_id or f"group-{uuid.uuid4().hex[:8]}"
        properties = config.consumer_properties(cluster, ca_file=default_ca_file(), group_id=group)
        opened.append(KafkaConsumer(properties))
        return opened[-1]

    yield make
    for one in opened:
        # On a thread with a bound: once, under heavy load, the library waited for itself in `close` for ever. Its own
        # callback had asked for the group's protocol after the thread that answers was gone.
        closing = threading.Thread(target=one.close, daemon=True)
        closing.start()
        closing.join(60)
        if closing.is_alive():
            figures("a consumer did not close within 60 s: the client library waits for itself")


@pytest.fixture
def admin(broker: Broker) -> Iterator[KafkaAdmin]:
    """An admin of this broker."""
    cluster = cluster_of(bootstrap_servers=broker.bootstrap)
    with closing(KafkaAdmin(config.admin_properties(cluster, ca_file=default_ca_file()))) as one:
        yield one


@pytest.fixture
def reader(broker: Broker) -> Iterator[Callable[..., KafkaReader]]:
    """Readers without a group, closed at the end of the test."""
    opened: list[KafkaReader] = []

    def make(servers: str = "") -> KafkaReader:
        cluster = cluster_of(bootstrap_servers=servers or broker.bootstrap)
        opened.append(KafkaReader(config.reader_properties(cluster, ca_file=default_ca_file(), group_id="")))
        return opened[-1]

    yield make
    for one in opened:
        one.close()


def read(one: KafkaConsumer, count: int) -> list[Consumed]:
    """Poll until `count` records are there."""
    records: list[Consumed] = []
    wait_until(lambda: records.extend(one.poll(0.2)) or len(records) >= count, 30)
    return records


def join(
    one: KafkaConsumer, topic: str, start: Start = Start.EARLIEST
) -> tuple[dict[TopicPartition, Position], list[TopicPartition]]:
    """Subscribe; what was assigned and what was revoked arrive in the containers."""
    assigned: dict[TopicPartition, Position] = {}
    revoked: list[TopicPartition] = []
    one.subscribe([topic], start=start, on_assigned=assigned.update, on_revoked=revoked.extend, on_lost=revoked.extend)
    return assigned, revoked


class TestPublisher:
    def test_an_acknowledged_record_is_read_back_whole(self, topic, publish, consumer):
        headers = (("a", b"1"), ("b", b""), ("a", b"2"), ("n", None))
        delivery = publish(b"\x00\xff value", key=b"\xfe key", headers=headers, timestamp_ms=1_700_000_000_000)

        one = consumer()
        one.assign({TopicPartition(topic, delivery.partition): delivery.offset})
        (found,) = read(one, 1)

        assert (found.partition, found.offset) == (delivery.partition, delivery.offset)
        assert found.record.value == b"\x00\xff value"
        assert found.record.key == b"\xfe key"
        assert found.record.headers == headers
        assert found.record.timestamp_ms == 1_700_000_000_000

    def test_offsets_of_a_partition_follow_one_another(self, publish):
        offsets = [publish(partition=1).offset for _ in range(3)]

        assert offsets == list(range(offsets[0], offsets[0] + 3))

    def test_an_empty_value_and_a_null_value_stay_different(self, topic, publish, consumer):
        empty, null = publish(b"", partition=0), publish(None, partition=0)
        one = consumer()
        one.assign({TopicPartition(topic, 0): empty.offset})

        assert [found.record.value for found in read(one, 2)] == [b"", None]
        assert null.offset == empty.offset + 1

    def test_the_same_key_goes_to_the_same_partition(self, publish):
        assert len({publish(key=b"customer-7").partition for _ in range(5)}) == 1

    def test_a_key_lies_where_javas_partitioner_puts_it(self, publish):
        # Murmur2 of these keys modulo 4, as org.apache.kafka.common.utils.Utils computes it.
        assert {key: publish(key=key.encode()).partition for key in ("21", "foobar", "a-little-bit-long-string")} == {
            "21": (-973932308 & 0x7FFFFFFF) % 4,
            "foobar": (-790332482 & 0x7FFFFFFF) % 4,
            "a-little-bit-long-string": (-985981536 & 0x7FFFFFFF) % 4,
        }

    def test_records_sent_together_are_acknowledged_together_and_in_order(self, broker, topic, connect: Connect):
        connection = connect(cluster_of(bootstrap_servers=broker.bootstrap))
        records = [Record(topic=topic, value=str(number).encode(), partition=2) for number in range(200)]

        deliveries = connection.send_all(records, timeout_s=20)

        assert [delivery.offset for delivery in deliveries] == list(range(200))

    def test_callers_on_many_threads_get_their_own_delivery(self, topic, publish, consumer):
        found: dict[int, Delivery] = {}

        def run(number: int) -> None:
            found[number] = publish(str(number).encode())

        threads = [threading.Thread(target=run, args=(number,)) for number in range(32)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        one = consumer()
        one.assign({TopicPartition(topic, number): Start.EARLIEST for number in range(4)})
        there = {(record.partition, record.offset): record.record.value for record in read(one, 32)}
        assert {(d.partition, d.offset): str(n).encode() for n, d in found.items()} == there


class TestConsumer:
    def test_a_member_of_a_group_is_assigned_every_partition(self, topic, publish, consumer):
        publish()
        one = consumer()
        assigned, _ = join(one, topic)
        wait_until(lambda: one.poll(0.1) is not None and len(assigned) == 4, 30)

        assert sorted(one.assigned()) == [TopicPartition(topic, number) for number in range(4)]

    def test_a_group_goes_on_after_its_committed_offset(self, topic, publish, consumer):
        for number in range(3):
            publish(str(number).encode(), partition=0)
        group = f"group-{uuid.uuid4().hex[:8]}"
        first = consumer(group)
        join(first, topic)
        records = read(first, 3)
        assert first.commit({records[0].position: records[0].next_offset}) is True
        first.close()

        second = consumer(group)
        join(second, topic)
        assert [found.record.value for found in read(second, 2)] == [b"1", b"2"]

    def test_nothing_is_committed_that_was_not_committed_by_hand(self, topic, publish, consumer):
        publish(partition=0)
        group = f"group-{uuid.uuid4().hex[:8]}"
        first = consumer(group)
        join(first, topic)
        read(first, 1)
        first.close()

        assert consumer(group).committed([TopicPartition(topic, 0)]) == {TopicPartition(topic, 0): None}

    def test_a_new_group_that_starts_at_latest_reads_only_what_comes(self, topic, publish, consumer):
        publish(b"old", partition=0)
        one = consumer()
        one.assign({TopicPartition(topic, 0): Start.LATEST})
        wait_until(lambda: one.poll(0.2) == [])
        wait_until(lambda: publish(b"new", partition=0) and bool(one.poll(0.5)))

    def test_a_group_that_starts_at_latest_skips_what_is_there_and_nothing_that_comes_while_it_is_away(
        self, topic, publish, consumer
    ):
        publish(b"old", partition=0)
        group = f"group-{uuid.uuid4().hex[:8]}"
        first = consumer(group)
        assigned, _ = join(first, topic, Start.LATEST)
        wait_until(lambda: first.poll(0.1) == [] and len(assigned) == 4, 30)
        assert first.poll(0.1) == []
        first.close()
        publish(b"meanwhile", partition=0)

        second = consumer(group)
        join(second, topic, Start.LATEST)

        assert [found.record.value for found in read(second, 1)] == [b"meanwhile"]

    def test_a_group_that_starts_at_latest_reads_all_of_a_topic_that_is_made_after_it_came(
        self, broker, publish, admin, consumer, connect: Connect
    ):
        late = f"contract-late-{uuid.uuid4().hex[:8]}"
        one = consumer()
        join(one, late, Start.LATEST)
        with pytest.raises(Unavailable):
            wait_until(lambda: bool(one.poll(0.5)))
        if broker.real:
            admin.create_topic(late, partitions=1, replication=1, config={}, timeout_s=20)
        connection = connect(cluster_of(bootstrap_servers=broker.bootstrap))
        connection.send(Record(topic=late, value=b"first", partition=0), timeout_s=20)
        found: list[Consumed] = []

        def read_all() -> bool:
            with suppress(Unavailable):
                found.extend(one.poll(0.5))
            return bool(found)

        # The client looks for topics that are not there every few seconds at first, then more rarely.
        wait_until(read_all, 120)
        assert [each.record.value for each in found] == [b"first"]

    def test_a_group_goes_on_at_the_earliest_record_when_its_own_place_is_gone(self, topic, publish, consumer):
        at, group = TopicPartition(topic, 0), f"group-{uuid.uuid4().hex[:8]}"
        for number in range(3):
            publish(str(number).encode(), partition=0)
        first = consumer(group)
        join(first, topic)
        read(first, 3)
        # As if the topic had been made anew, with fewer records.
        assert first.commit({at: 1000}) is True
        first.close()

        second = consumer(group)
        assigned, _ = join(second, topic, Start.LATEST)

        assert [found.record.value for found in read(second, 3)] == [b"0", b"1", b"2"]
        assert assigned[at] == Position(0)

    def test_a_record_is_not_lost_to_an_error_that_comes_with_it(self, broker, topic, publish, consumer):
        if not broker.real:
            pytest.skip("the embedded broker creates every topic that is asked for")
        publish(b"there", partition=0)
        one = consumer()
        one.subscribe(
            [topic, "never-created"],
            start=Start.EARLIEST,
            on_assigned=lambda _: None,
            on_revoked=lambda _: None,
            on_lost=lambda _: None,
        )
        found: list[Consumed] = []
        causes: list[Cause] = []

        def both() -> bool:
            try:
                found.extend(one.poll(0.2))
            except Unavailable as error:
                causes.append(error.cause)
            return bool(found and causes)

        wait_until(both, 30)
        assert [each.record.value for each in found] == [b"there"]
        assert set(causes) == {Cause.TOPIC_DOES_NOT_EXIST}

    def test_records_come_as_soon_as_there_is_one(self, topic, publish, consumer):
        one = consumer()
        one.assign({TopicPartition(topic, 0): publish(partition=0).offset})
        read(one, 1)
        publish(partition=0)
        asked = time.monotonic()
        wait_until(lambda: bool(one.poll(60.0)))

        assert time.monotonic() - asked < 30

    def test_a_paused_partition_is_silent_until_it_is_resumed(self, topic, publish, consumer):
        first = publish(b"0", partition=0)
        one = consumer()
        at = TopicPartition(topic, 0)
        one.assign({at: first.offset})
        read(one, 1)
        one.pause([at, TopicPartition("not-assigned", 0)])
        publish(b"1", partition=0)

        assert one.poll(1.0) == []
        one.resume([at])
        assert [found.record.value for found in read(one, 1)] == [b"1"]

    def test_lag_is_end_minus_committed(self, topic, publish, consumer):
        at = TopicPartition(topic, 0)
        for _ in range(5):
            publish(partition=0)
        one = consumer()
        join(one, topic)
        records = read(one, 5)

        assert one.lag([at]) == {at: 5}
        one.commit({at: records[1].next_offset})
        assert one.lag([at]) == {at: 3}

    def test_a_second_member_takes_over_some_partitions(self, topic, publish, consumer):
        publish()
        group = f"group-{uuid.uuid4().hex[:8]}"
        first, second = consumer(group), consumer(group)
        join(first, topic)
        wait_until(lambda: first.poll(0.1) is not None and len(first.assigned()) == 4, 30)
        join(second, topic)

        def shared() -> bool:
            first.poll(0.1)
            second.poll(0.1)
            return len(first.assigned()) == len(second.assigned()) == 2

        wait_until(shared, 60)
        assert not set(first.assigned()) & set(second.assigned())

    def test_an_absent_topic_is_named(self, broker, consumer):
        if not broker.real:
            pytest.skip("the embedded broker creates every topic that is asked for")
        one = consumer()
        join(one, "never-created")

        with pytest.raises(Unavailable) as caught:
            wait_until(lambda: bool(one.poll(0.5)))
        assert caught.value.cause is Cause.TOPIC_DOES_NOT_EXIST

    def test_a_dead_broker_is_named(self):
        properties = config.consumer_properties(
            cluster_of(bootstrap_servers="127.0.0.1:1"), ca_file=default_ca_file(), group_id="g"
        )
        one = KafkaConsumer(properties)
        join(one, "any")

        with pytest.raises(Unavailable) as caught:
            wait_until(lambda: bool(one.poll(0.5)))
        one.close()
        assert caught.value.cause is Cause.CONNECTION_REFUSED


class TestReader:
    def test_topics_are_listed_with_their_partitions(self, topic, publish, reader):
        publish()

        assert reader().topics()[topic] == 4
        assert reader().partitions(topic) == [TopicPartition(topic, number) for number in range(4)]

    def test_a_topic_tells_its_earliest_and_end_offsets(self, topic, publish, reader):
        for _ in range(3):
            publish(partition=1)
        one = reader()
        places = one.partitions(topic)

        assert set(one.offsets(places, Start.EARLIEST).values()) == {0}
        assert [one.offsets(places, Start.LATEST)[at] for at in places] == [0, 3, 0, 0]

    def test_an_offset_is_found_by_time_and_is_the_end_where_no_record_is_so_young(
        self, broker, topic, publish, reader
    ):
        if not broker.real:
            pytest.skip("the embedded broker keeps no times")
        for minute in range(3):
            publish(partition=1, timestamp_ms=1_700_000_000_000 + minute * 60_000)
        one = reader()
        at = TopicPartition(topic, 1)

        assert one.offsets([at], 1_700_000_060_000) == {at: 1}
        assert one.offsets([at], 1_700_000_000_001) == {at: 1}
        assert one.offsets([at], 1_800_000_000_000) == {at: 3}

    def test_an_absent_topic_is_named_and_not_made(self, topic, reader):
        one = reader()

        with pytest.raises(Unavailable) as caught:
            one.partitions(f"{topic}-absent")
        assert caught.value.cause is Cause.TOPIC_DOES_NOT_EXIST
        assert f"{topic}-absent" not in one.topics()

    def test_a_broker_that_answers_is_reached_and_one_that_is_not_there_tells_why(self, topic, reader):
        assert reader().reach(topic, 10)
        away = reader("127.0.0.1:1")

        wait_until(lambda: not away.reach(topic, 0.1) and away.trouble is not None)

        assert away.trouble.cause is Cause.CONNECTION_REFUSED

    def test_reading_without_a_group_leaves_no_group_behind(self, broker, topic, publish, reader):
        publish(partition=1)
        one = reader()
        at = TopicPartition(topic, 1)
        one.assign(one.offsets([at], Start.EARLIEST))

        wait_until(lambda: one.poll(0.1))
        one.committed([at])
        one.close()

        if broker.real:
            admin = AdminClient({"bootstrap.servers": broker.bootstrap})
            groups = admin.list_consumer_groups(request_timeout=20).result()
            assert config.NO_GROUP not in {group.group_id for group in groups.valid}


class TestAdmin:
    def test_a_topic_is_created_once(self, broker, admin, request):
        if not broker.real:
            request.applymarker(pytest.mark.xfail(strict=True, reason="the embedded broker knows no admin request"))
        name = f"created-{uuid.uuid4().hex[:8]}"
        timeout_s = 20 if broker.real else 1

        made = admin.create_topic(name, partitions=2, replication=1, config={}, timeout_s=timeout_s)
        again = admin.create_topic(name, partitions=2, replication=1, config={}, timeout_s=timeout_s)

        assert (made, again) == (True, False)

    @pytest.mark.parametrize(
        ("changes", "told"),
        [
            ({"replication": 7}, "replication_factor"),
            ({"partitions": 0}, "partitions"),
            ({"config": {"retention.ms": "soon"}}, "config"),
        ],
    )
    def test_what_the_brokers_refuse_about_a_topic_is_named(self, broker, admin, changes, told):
        if not broker.real:
            pytest.skip("the embedded broker knows no admin request")
        wanted = {"partitions": 1, "replication": 1, "config": {}, "timeout_s": 20, **changes}

        with pytest.raises(Malformed, match=f"^{told}:"):
            admin.create_topic(f"refused-{uuid.uuid4().hex[:8]}", **wanted)


def test_sasl_is_spoken(broker: Broker, connect: Connect, request: pytest.FixtureRequest):
    if not broker.real:
        request.applymarker(pytest.mark.xfail(strict=True, reason="the embedded broker's listener is plaintext only"))
        servers, password = broker.bootstrap, "x"
    else:
        kafka = request.getfixturevalue("kafka")
        servers, password = kafka.address("SASL_PLAINTEXT"), kafka.passwords["alice"]
    cluster = cluster_of(
        bootstrap_servers=servers,
        security_protocol="SASL_PLAINTEXT",
        sasl_mechanism="SCRAM-SHA-512",
        sasl_username="alice",
        sasl_password=password,
    )

    assert connect(cluster).send(Record(topic="t-ok", value=b"x"), timeout_s=9)
