"""The client library's own moods, in the place of a broker that has them."""

import pytest

from kafka_bridge.broker.kafka.producer import KafkaProducer


class Undecodable:
    """A library that fails to decode the text of a broker, cut within a character."""

    def __init__(self) -> None:
        self.closed = 0

    def fail(self, *_: object) -> None:
        "密码错误".encode()[:-1].decode()

    poll = list_topics = fail

    def purge(self, **_: object) -> None:
        pass

    def close(self) -> None:
        self.closed += 1
        self.fail()


@pytest.fixture
def producer(monkeypatch: pytest.MonkeyPatch) -> KafkaProducer:
    monkeypatch.setattr("kafka_bridge.broker.kafka.producer.Producer", lambda _: Undecodable())
    return KafkaProducer({}, lambda _trouble: None)


def test_a_brokers_text_that_is_no_utf8_harms_nobody(producer):
    producer.poll(0.1)
    assert producer.reach("topic", 0.1) is False
    producer.close()

    assert producer._producer.closed == 1
