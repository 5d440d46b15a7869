"""The embedded broker is a Kafka to any client."""

from confluent_kafka import OFFSET_BEGINNING, Consumer, Producer, TopicPartition

from devhost.broker import EmbeddedBroker


def test_what_one_client_writes_another_reads():
    broker = EmbeddedBroker(brokers=2)
    producer = Producer({"bootstrap.servers": broker.bootstrap, "log_level": 0})
    consumer = Consumer({"bootstrap.servers": broker.bootstrap, "group.id": "g", "log_level": 0})
    delivered = []
    try:
        for number in range(10):
            producer.produce("topic", str(number).encode(), partition=1, on_delivery=lambda *got: delivered.append(got))
        assert producer.flush(20) == 0
        assert [error for error, _ in delivered] == [None] * 10

        consumer.assign([TopicPartition("topic", 1, OFFSET_BEGINNING)])
        read = []
        while len(read) < 10:
            read += [message.value() for message in consumer.consume(10, 1.0)]

        assert read == [str(number).encode() for number in range(10)]
        assert len(broker.bootstrap.split(",")) == 2
        assert len(consumer.list_topics("topic", timeout=20).topics["topic"].partitions) == 4
    finally:
        consumer.close()
        broker.close()
