"""Records and positions: the words that every part of the bridge shares. Pure."""

import re
from dataclasses import dataclass
from typing import Final, NamedTuple

# Kafka's own rule: letters, digits, dot, underscore and hyphen, at most 249 characters, not "." or "..".
# https://github.com/apache/kafka/blob/trunk/clients/src/main/java/org/apache/kafka/common/internals/Topic.java
_TOPIC: Final = re.compile(r"[a-zA-Z0-9._-]{1,249}", re.ASCII)

type Headers = tuple[tuple[str, bytes | None], ...]
"""Names repeat and keep their order; a null value is not an empty one."""

# In the place of headers that cannot be read.
UNREADABLE: Final[Headers] = (("kafka-bridge-headers-unreadable", b"true"),)


def is_topic_name(name: str) -> bool:
    """Whether Kafka accepts `name` as a topic's name."""
    return _TOPIC.fullmatch(name) is not None and name not in {".", ".."}


class Record(NamedTuple):
    """What is to be written. `headers` keep order and repeats; an empty value is `b""`, None is a tombstone."""

    topic: str
    value: bytes | None
    key: bytes | None = None
    headers: Headers = ()
    partition: int | None = None
    timestamp_ms: int | None = None


class Delivery(NamedTuple):
    """Where an acknowledged record lies.

    `offset` is None when the broker acknowledged a retry it had already stored (DUPLICATE_SEQUENCE carries none).
    """

    topic: str
    partition: int
    offset: int | None
    timestamp_ms: int | None


@dataclass(frozen=True, slots=True, order=True)
class TopicPartition:
    """One partition of one topic."""

    topic: str
    partition: int


@dataclass(frozen=True, slots=True)
class Consumed:
    """What was read: the record and where it lay. The next offset to read after it is `offset + 1`."""

    record: Record
    partition: int
    offset: int

    @property
    def position(self) -> TopicPartition:
        """The partition it came from."""
        return TopicPartition(self.record.topic, self.partition)

    @property
    def next_offset(self) -> int:
        """The offset to commit once this record is done: the only place where the one is added."""
        return self.offset + 1
