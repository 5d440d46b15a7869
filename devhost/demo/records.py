"""What lies in Kafka, read by clients of the demo's own."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType
from typing import Final, Self

from confluent_kafka import OFFSET_BEGINNING, Consumer, Message, TopicPartition

_READ_TIMEOUT_S: Final = 15.0
# The embedded broker answers a fetch that finds nothing when its time is over, a real one as soon as something comes.
SHORT_FETCH: Final[Mapping[str, int]] = MappingProxyType({"fetch.wait.max.ms": 10})


def read_back(bootstrap: str, topic: str, partition: int, offset: int) -> Message | None:
    """The record at these coordinates, read by a client of its own; None when it is not there."""
    with _reader(bootstrap) as consumer:
        consumer.assign([TopicPartition(topic, partition, offset)])
        deadline = time.monotonic() + _READ_TIMEOUT_S
        while time.monotonic() < deadline:
            message = consumer.poll(0.5)
            if message is not None and message.error() is None:
                return message
    return None


def end_offsets(bootstrap: str) -> dict[tuple[str, int], int]:
    """How many records every partition of the demo's topics holds."""
    with _reader(bootstrap) as consumer:
        topics = consumer.list_topics(timeout=_READ_TIMEOUT_S).topics.values()
        return {
            (topic.topic, partition): consumer.get_watermark_offsets(
                TopicPartition(topic.topic, partition, OFFSET_BEGINNING), timeout=_READ_TIMEOUT_S
            )[1]
            for topic in topics
            if topic.topic.startswith("demo.")
            for partition in topic.partitions
        }


@contextmanager
def _reader(bootstrap: str) -> Iterator[Consumer]:
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "demo-reader", "enable.auto.commit": False})
    try:
        yield consumer
    finally:
        consumer.close()


class Tail:
    """Reads a topic from its beginning, and waits for what comes; also for the topic."""

    def __init__(self, bootstrap: str, topic: str) -> None:
        self._topic = topic
        self._consumer = Consumer(
            {"bootstrap.servers": bootstrap, "group.id": "demo-tail", "enable.auto.commit": False, **SHORT_FETCH}
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._consumer.close()

    def find(self, header: str, value: str) -> Message | None:
        """The next record with that header; None when none comes."""
        deadline = time.monotonic() + _READ_TIMEOUT_S
        while time.monotonic() < deadline:
            message = self._consumer.poll(0.5) if self._is_there() else None
            if message is None or message.error() is not None:
                continue
            if dict(message.headers() or ()).get(header) == value.encode():
                return message
        return None

    def _is_there(self) -> bool:
        if not self._consumer.assignment():
            topics = self._consumer.list_topics(timeout=_READ_TIMEOUT_S).topics
            found = topics[self._topic].partitions if self._topic in topics else ()
            self._consumer.assign([TopicPartition(self._topic, number, OFFSET_BEGINNING) for number in found])
        return bool(self._consumer.assignment())
