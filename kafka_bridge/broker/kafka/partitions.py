"""Partitions and watermarks between the library's types and ours."""

from collections.abc import Sequence
from typing import Final

import confluent_kafka

from kafka_bridge.events.record import TopicPartition

METADATA_TIMEOUT_S: Final = 5.0


def ours(partitions: Sequence[confluent_kafka.TopicPartition]) -> list[TopicPartition]:
    """The library's partitions as ours."""
    return [TopicPartition(at.topic, at.partition) for at in partitions]


def theirs(partitions: Sequence[TopicPartition]) -> list[confluent_kafka.TopicPartition]:
    """Our partitions as the library's."""
    return [confluent_kafka.TopicPartition(at.topic, at.partition) for at in partitions]


def watermarks(consumer: confluent_kafka.Consumer, at: TopicPartition, *, cached: bool = False) -> tuple[int, int]:
    """The earliest and the end offset of a partition, asked from the broker.

    `cached`: as the last fetch found them, half a second ago at most, where the partition has been read to its end.
    """
    partition = confluent_kafka.TopicPartition(at.topic, at.partition)
    if cached:
        low, high = consumer.get_watermark_offsets(partition, cached=True)
        if high >= 0:
            return max(0, low), high
    low, high = consumer.get_watermark_offsets(partition, timeout=METADATA_TIMEOUT_S, cached=False)
    return low, high
