"""What lies in Kafka, seen by a client of the tests' own."""

from collections.abc import Iterator
from contextlib import contextmanager

from confluent_kafka import Consumer, Message, TopicPartition


class Topics:
    """Counts and reads whole topics."""

    def __init__(self, bootstrap: str) -> None:
        self._bootstrap = bootstrap

    def counts(self) -> dict[str, int]:
        """Records per topic that has any."""
        with self._reader() as reader:
            found: dict[str, int] = {}
            for topic in reader.list_topics(timeout=20).topics.values():
                if not topic.topic.startswith("__"):
                    found[topic.topic] = sum(
                        end for _, end in self._bounds(reader, topic.topic, list(topic.partitions)).values()
                    )
            return {name: count for name, count in found.items() if count}

    def count(self, topic: str) -> int:
        """Records in one topic."""
        return self.counts().get(topic, 0)

    def total(self) -> int:
        """Records in all topics."""
        return sum(self.counts().values())

    def read(self, topic: str) -> list[Message]:
        """Every record of a topic, partition by partition."""
        with self._reader() as reader:
            partitions = list(reader.list_topics(topic, timeout=20).topics[topic].partitions)
            bounds = self._bounds(reader, topic, partitions)
            reader.assign([TopicPartition(topic, number, 0) for number in partitions])
            left = sum(end - start for start, end in bounds.values())
            messages: list[Message] = []
            while len(messages) < left:
                for message in reader.consume(1000, 1.0):
                    assert message.error() is None, message.error()
                    messages.append(message)
            return messages

    def at(self, topic: str, partition: int, offset: int) -> Message:
        """One record."""
        with self._reader() as reader:
            reader.assign([TopicPartition(topic, partition, offset)])
            while True:
                for message in reader.consume(1, 1.0):
                    assert message.error() is None, message.error()
                    return message

    @staticmethod
    def _bounds(reader: Consumer, topic: str, partitions: list[int]) -> dict[int, tuple[int, int]]:
        return {
            number: reader.get_watermark_offsets(TopicPartition(topic, number), timeout=20) for number in partitions
        }

    @contextmanager
    def _reader(self) -> Iterator[Consumer]:
        reader = Consumer(
            {
                "bootstrap.servers": self._bootstrap,
                "group.id": "tests",
                "enable.auto.commit": False,
                "log_level": 0,
            }
        )
        try:
            yield reader
        finally:
            reader.close()
