"""Dead letters on a real Kafka: rights, large records, what compaction, retention and transactions leave in a topic."""

import json

import pytest
from confluent_kafka import Producer, TopicPartition
from confluent_kafka.admin import AclOperation

from kafka_bridge.dispatch.deadletter import dead_letter
from kafka_bridge.events.record import Consumed, Record
from tests.e2e.conftest import Consuming
from tests.e2e.consuming import Endpoint, fresh
from tests.e2e.test_consume_real import as_user, may_join
from tests.e2e.test_redrive import counts, letters, redrive
from tests.e2e.topics import Topics
from tests.real.kafka import RealKafka

pytestmark = pytest.mark.real

LARGE = 5 * 1000 * 1000


@pytest.fixture
def shop(consuming: Consuming, kafka: RealKafka):
    """An endpoint of the real broker whose topics are made."""

    def make(*, partitions: int = 1, letters: dict[str, str] | None = None, **settings: str) -> Endpoint:
        topic = fresh("real")
        kafka.create_topics(topic, partitions=partitions, config={"max.message.bytes": "10000000"})
        kafka.create_topics(
            f"{topic}.dead-letter", partitions=partitions, config={"max.message.bytes": "10000000", **(letters or {})}
        )
        return consuming(**{"bootstrap_servers": kafka.bootstrap, "consume_topics": topic, **settings})

    return make


def letter(shop: Endpoint, number: int, *, value: bytes = b"{}", key: bytes | None = None) -> dict:
    """A dead letter, as `Producer.produce` takes it."""
    headers = (("ce_id", f"e-{number}".encode()),)
    record = dead_letter(
        Consumed(Record(shop.topic, value, key, headers), 0, number),
        None,
        topic=f"{shop.topic}.dead-letter",
        group=shop.group,
        attempts=1,
        reason="too old",
    )
    return {"value": record.value, "key": record.key, "headers": list(record.headers)}


def sent_back(kafka: RealKafka, shop: Endpoint) -> list[str]:
    """The ids in the topic, in their order."""
    return [dict(message.headers())["ce_id"].decode() for message in Topics(kafka.bootstrap).read(shop.topic)]


def test_they_go_back_to_the_partition_that_they_came_from(shop, kafka):
    one = shop(partitions=3)
    one.produce(
        [
            {
                **letter(one, n, key=b"k"),
                "headers": [
                    (name, str(n % 3).encode() if name.endswith("errors.partition") else value)
                    for name, value in letter(one, n)["headers"]
                ],
            }
            for n in range(6)
        ],
        topic=f"{one.topic}.dead-letter",
    )

    assert counts(redrive(one)) == (6, 6, 0, 0, 0)
    assert {(dict(m.headers())["ce_id"], m.partition()) for m in Topics(kafka.bootstrap).read(one.topic)} == {
        (f"e-{n}".encode(), n % 3) for n in range(6)
    }


def test_a_large_letter_is_listed_in_part_and_goes_back_whole(shop, kafka):
    one = shop()
    one.produce([letter(one, 1, value=b"x" * LARGE), letter(one, 2)], topic=f"{one.topic}.dead-letter")

    _, first = letters(one)["dead_letters"]
    told = redrive(one)

    assert (len(first["value"]), first["value_bytes"], first["value_note"]) == (2048, LARGE, "cut")
    assert counts(told) == (2, 2, 0, 0, 0)
    assert sorted(len(message.value()) for message in Topics(kafka.bootstrap).read(one.topic)) == [2, LARGE]


def test_one_that_its_topic_does_not_take_is_told_and_the_others_go(shop, kafka):
    kafka.create_topics(small := fresh("small"), partitions=1)
    kafka.create_topics(f"{small}.dead-letter", partitions=1, config={"max.message.bytes": "10000000"})
    two = shop(consume_topics=small)
    two.produce([letter(two, n, value=b"x" * (LARGE if n == 1 else 5)) for n in range(3)], topic=f"{small}.dead-letter")

    answer = two.post("/dead-letters/redrive", b'{"dry_run": false}')

    assert answer.status_code == 413
    assert counts(answer.json()) == (3, 2, 0, 1, 0)
    assert sorted(sent_back(kafka, two)) == ["e-0", "e-2"]


def test_letters_that_retention_has_deleted_are_passed_over(shop, kafka):
    one = shop()
    one.produce([letter(one, n) for n in range(10)], topic=f"{one.topic}.dead-letter")
    redrive(one, filter={"event_id": "e-8"})
    admin = kafka.admin()
    for future in admin.delete_records([TopicPartition(f"{one.topic}.dead-letter", 0, 6)]).values():
        future.result(20)

    assert [each["event_id"] for each in letters(one)["dead_letters"]] == ["e-9", "e-8", "e-7", "e-6"]
    assert counts(redrive(one)) == (3, 3, 0, 0, 0)
    assert sent_back(kafka, one) == ["e-8", "e-6", "e-7", "e-9"]


def test_what_a_transaction_leaves_behind_is_no_letter_and_ends_nothing(shop, kafka):
    one = shop()
    producer = Producer({"bootstrap.servers": kafka.bootstrap, "transactional.id": fresh("tx"), "log_level": 0})
    producer.init_transactions(20)
    for number, commit in enumerate((True, False, True, False)):
        producer.begin_transaction()
        for each in (letter(one, 10 * number + n) for n in range(2)):
            producer.produce(f"{one.topic}.dead-letter", **each, partition=0)
        (producer.commit_transaction if commit else producer.abort_transaction)(20)

    assert counts(redrive(one, dry_run=True)) == (4, 0, 0, 0, 4)
    assert counts(redrive(one)) == (4, 4, 0, 0, 0)
    assert counts(redrive(one)) == (0, 0, 0, 0, 0)
    assert sent_back(kafka, one) == ["e-0", "e-1", "e-20", "e-21"]


def test_a_group_that_may_not_be_looked_at_hides_only_what_was_sent_back(consuming: Consuming, kafka):
    topic, group = fresh("real"), fresh("group")
    kafka.create_topics(topic, f"{topic}.dead-letter", partitions=1)
    one = consuming(**as_user(kafka, "alice"), consume_topics=topic, group_id=group)
    writer = Endpoint(one.url, one.token, one.client, one.flow, topic, group, kafka.bootstrap)
    writer.produce([letter(one, 1)], topic=f"{topic}.dead-letter")

    (hidden,) = letters(one)["dead_letters"]
    refused = one.post("/dead-letters/redrive", json.dumps({"dry_run": False}).encode())
    may_join(kafka, "alice", f"{group}.redrive")
    told = redrive(one)
    (seen,) = letters(one)["dead_letters"]

    assert hidden["redriven"] is None
    assert (refused.status_code, refused.json()["detail"]) == (503, "not authorized for topic")
    assert counts(told) == (1, 1, 0, 0, 0)
    assert seen["redriven"] is True


def test_a_topic_that_may_not_be_written_leaves_its_letters_where_they_are(consuming: Consuming, kafka):
    group = fresh("group")
    kafka.create_topics("t-denied.dead-letter", partitions=1)
    may_join(kafka, "mallory", f"{group}.redrive")
    kafka.allow("mallory", "t-denied.dead-letter", AclOperation.ALL)
    one = consuming(**as_user(kafka, "mallory"), consume_topics="t-denied", group_id=group)
    writer = Endpoint(one.url, one.token, one.client, one.flow, "t-denied", group, kafka.bootstrap)
    writer.produce([letter(one, 1)], topic="t-denied.dead-letter")

    answer = one.post("/dead-letters/redrive", b'{"dry_run": false}')

    assert (answer.status_code, answer.json()["detail"]) == (503, "not authorized for topic")
    assert counts(answer.json()) == (1, 0, 0, 1, 0)
