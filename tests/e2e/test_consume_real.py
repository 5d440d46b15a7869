"""`POST /consume` on a real Kafka: rights, large records, offsets that are gone, and who gets the partitions."""

import time

import pytest
from confluent_kafka import Consumer, TopicPartition
from confluent_kafka.admin import (
    AclBinding,
    AclOperation,
    AclPermissionType,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    ResourcePatternType,
    ResourceType,
)

from tests.brokers import wait_until
from tests.e2e.conftest import Consuming
from tests.e2e.consuming import event, fresh
from tests.e2e.topics import Topics
from tests.real.kafka import RealKafka

pytestmark = pytest.mark.real

SOON_S = 6.0
LARGE = 5 * 1000 * 1000


def boom(inputs):
    """A run that fails."""
    raise RuntimeError("boom")


@pytest.fixture
def real(consuming: Consuming, kafka: RealKafka):
    """An endpoint that consumes from the real broker, with the protocol that is the default; its topics are made."""

    def make(*, partitions: int = 1, limit: int = 1_048_588, letters_limit: int = 1_048_588, **settings: str):
        topic = fresh("real")
        kafka.create_topics(topic, partitions=partitions, config={"max.message.bytes": str(limit)})
        kafka.create_topics(f"{topic}.dead-letter", config={"max.message.bytes": str(letters_limit)})
        return consuming(**{"bootstrap_servers": kafka.bootstrap, "consume_topics": topic, **settings})

    return make


def as_user(kafka: RealKafka, user: str, **changes: str) -> dict[str, str]:
    """Settings of a user."""
    return {
        "bootstrap_servers": kafka.address("SASL_PLAINTEXT"),
        "security_protocol": "SASL_PLAINTEXT",
        "sasl_username": user,
        "sasl_password": kafka.passwords[user],
        **changes,
    }


def may_join(kafka: RealKafka, user: str, group: str) -> None:
    """Grant a user its group."""
    binding = AclBinding(
        ResourceType.GROUP,
        group,
        ResourcePatternType.LITERAL,
        f"User:{user}",
        "*",
        AclOperation.READ,
        AclPermissionType.ALLOW,
    )
    admin = kafka.admin()
    for future in admin.create_acls([binding]).values():
        future.result(20)


def refusal(shop) -> str:
    """Why the window was a 503, known soon; and that it is one again."""
    began = time.monotonic()
    answer = shop.post("/consume", b'{"max_seconds": 60}')
    took_s = time.monotonic() - began
    again = shop.post("/consume", b'{"max_seconds": 60}')

    assert (answer.status_code, again.status_code) == (503, 503), (answer.text, again.text)
    assert answer.json()["detail"] == again.json()["detail"]
    assert answer.headers["retry-after"]
    assert took_s < SOON_S
    return str(answer.json()["detail"])


class TestRefusals:
    def test_a_wrong_password_is_named(self, consuming: Consuming, kafka):
        shop = consuming(**as_user(kafka, "alice", sasl_password="wrong"), consume_topics="t-ok")

        assert refusal(shop) == "authentication failed"

    def test_an_absent_topic_is_named(self, consuming: Consuming, kafka):
        shop = consuming(bootstrap_servers=kafka.bootstrap, consume_topics=fresh("never"))

        assert refusal(shop) == "topic does not exist"

    def test_a_topic_that_may_not_be_read_is_named(self, consuming: Consuming, kafka):
        group = fresh("group")
        may_join(kafka, "mallory", group)
        shop = consuming(**as_user(kafka, "mallory"), consume_topics="t-denied", group_id=group)

        assert refusal(shop) == "not authorized for topic"

    def test_a_topic_that_may_not_even_be_seen_is_named(self, consuming: Consuming, kafka):
        group = fresh("group")
        may_join(kafka, "nobody", group)
        shop = consuming(**as_user(kafka, "nobody"), consume_topics="t-denied", group_id=group)

        assert refusal(shop) == "not authorized for topic"

    def test_a_group_that_may_not_be_joined_is_named(self, consuming: Consuming, kafka):
        shop = consuming(**as_user(kafka, "alice"), consume_topics="t-ok")

        assert refusal(shop) == "not authorized for topic"

    def test_one_topic_that_is_absent_does_not_keep_the_others_from_being_run(self, real):
        shop = real()
        both = real(consume_topics=f"{shop.topic},{fresh('never')}")
        shop.produce([event(1)])

        # The first window may end with the word of the absent one, before the group has given out the other.
        wait_until(lambda: both.post("/consume").status_code in {200, 503} and both.flow.ids() == ["e-1"])

    def test_a_user_with_all_rights_consumes(self, consuming: Consuming, kafka):
        group = fresh("group")
        may_join(kafka, "alice", group)
        shop = consuming(**as_user(kafka, "alice"), consume_topics="t-ok", group_id=group)

        assert shop.consume()["ended_by"] == "caught_up"


class TestLargeRecords:
    @pytest.mark.parametrize("text", [True, False], ids=["text", "bytes"])
    def test_one_above_what_the_platform_carries_is_dead_lettered_as_it_was(self, real, kafka, text):
        shop = real(limit=10_000_000, letters_limit=10_000_000)
        value = b"x" * LARGE if text else b"\xff" * LARGE
        shop.produce([{"value": value, "key": b"k"}, event(2)])

        shop.consume_until(lambda totals: totals["consumed"] == 2)
        (letter,) = Topics(kafka.bootstrap).read(f"{shop.topic}.dead-letter")

        assert (shop.totals["dead_lettered"], shop.totals["succeeded"]) == (1, 1)
        assert (letter.key(), letter.value() == value) == (b"k", True)
        assert shop.committed() == 2

    def test_one_that_the_dead_letter_topic_does_not_take_is_not_passed_over(self, real, kafka):
        shop = real(limit=10_000_000, partitions=2)
        shop.produce([{"value": b"x" * LARGE}, event(2)])
        shop.produce([event(3) | {"partition": 1}])

        told = shop.consume_until(lambda totals: totals["succeeded"] == 2, max_seconds=3)
        told = told if told["lag"] == 2 else shop.consume(max_seconds=3)

        assert (told["lag"], shop.committed(), shop.committed(1)) == (2, 0, 1)
        assert "limit" in told["blocked"][f"{shop.topic}[0]"]
        # A person raises the topic's limit; nothing has to be started anew.
        kafka_topic_limit(kafka, f"{shop.topic}.dead-letter", 10_000_000)
        shop.consume_until(lambda totals: totals["dead_lettered"] == 1, max_seconds=5)
        assert shop.committed() == 2


def kafka_topic_limit(kafka: RealKafka, topic: str, limit: int) -> None:
    """Change a topic's largest record."""
    entry = ConfigEntry("max.message.bytes", str(limit), incremental_operation=AlterConfigOpType.SET)
    resource = ConfigResource(ConfigResource.Type.TOPIC, topic, incremental_configs=[entry])
    admin = kafka.admin()
    for future in admin.incremental_alter_configs([resource]).values():
        future.result(20)


class TestPlaces:
    def test_records_that_were_deleted_meanwhile_are_passed_over_and_told(self, real, kafka, consuming_host):
        shop = real(offset_reset="latest")
        shop.consume()
        shop.produce(event(n) for n in range(10))
        shop.consume(max_records=2, wait=True)
        hook = shop.url.rpartition("/")[2]
        saved = dict(consuming_host.host.gateway.endpoints[hook].settings)
        admin = kafka.admin()
        for future in admin.delete_records([TopicPartition(shop.topic, 0, 6)]).values():
            future.result(20)
        consuming_host.configure(hook, {**saved, "max_attempts": "7"})

        shop.consume_until(lambda totals: totals["succeeded"] >= 6)

        assert set(shop.flow.ids()) >= {f"e-{n}" for n in range(6, 10)}
        assert shop.committed() == 10
        assert any(
            f"records of {shop.topic}[0] were deleted before they were consumed" in line
            for _, line in consuming_host.lines
        )

    def test_a_committed_offset_behind_the_end_means_from_the_earliest_record(self, real, consuming_host):
        shop = real(offset_reset="latest")
        shop.produce(event(n) for n in range(3))
        member = Consumer({"bootstrap.servers": shop.bootstrap, "group.id": shop.group})
        member.commit(offsets=[TopicPartition(shop.topic, 0, 1000)], asynchronous=False)
        member.close()

        shop.consume_until(lambda totals: totals["succeeded"] == 3)

        assert shop.flow.ids() == ["e-0", "e-1", "e-2"]
        assert shop.committed() == 3

    def test_two_endpoints_of_one_group_share_the_partitions(self, real, consuming: Consuming, kafka):
        first = real(partitions=4)
        second = consuming(bootstrap_servers=kafka.bootstrap, consume_topics=first.topic, group_id=first.group)
        first.produce(event(n) | {"partition": n % 4} for n in range(200))

        def both(_) -> bool:
            second.consume(max_records=20)
            return first.totals["succeeded"] + second.totals["succeeded"] >= 200

        first.consume_until(both, max_records=20)

        ran = first.flow.ids() + second.flow.ids()
        assert set(ran) == {f"e-{n}" for n in range(200)}
        assert second.flow.calls, "the second one got nothing"
        assert [first.committed(n) for n in range(4)] == [50] * 4
