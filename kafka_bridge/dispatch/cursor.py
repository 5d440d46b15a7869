"""Where in many partitions somebody is, as a text that he brings back to go on. Pure."""

import base64
import binascii
import zlib
from collections.abc import Mapping
from typing import Final

import orjson

from kafka_bridge.errors import Malformed
from kafka_bridge.events.record import TopicPartition

# Some thousands of partitions; what travels in a query has far fewer.
MAX_CHARS: Final = 60_000
_MAX_BYTES: Final = 256 * 1024
_MAX_OFFSET: Final = 2**63

type Positions = Mapping[TopicPartition, int]


def cursor_of(positions: Positions) -> str:
    """The text."""
    topics: dict[str, list[tuple[int, int]]] = {}
    for at, offset in sorted(positions.items()):
        topics.setdefault(at.topic, []).append((at.partition, offset))
    return base64.urlsafe_b64encode(zlib.compress(orjson.dumps(topics), 9)).decode().rstrip("=")


def positions_of(cursor: str) -> Positions:
    """The positions; none for an empty text. Raises Malformed for what no answer gave."""
    if not cursor:
        return {}
    if len(cursor) > MAX_CHARS:
        raise _malformed()
    try:
        packed = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
        topics = orjson.loads(zlib.decompressobj().decompress(packed, _MAX_BYTES))
        found = {
            TopicPartition(topic, partition): offset for topic, pairs in topics.items() for partition, offset in pairs
        }
    except (binascii.Error, zlib.error, ValueError, AttributeError, TypeError) as error:
        raise _malformed() from error
    if not all(map(_is_position, found.items())):
        raise _malformed()
    return found


def _is_position(item: tuple[TopicPartition, object]) -> bool:
    at, offset = item
    numbers = (at.partition, offset)
    return all(isinstance(number, int) and 0 <= number < _MAX_OFFSET for number in numbers)


def _malformed() -> Malformed:
    return Malformed("The cursor must be one that an answer gave as “next”.")
