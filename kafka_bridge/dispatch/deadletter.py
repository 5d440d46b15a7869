"""A record that could not be done, as it is written to the dead-letter topic. Pure.

Key, value and headers are what they were, byte for byte. What follows them is what Kafka Connect adds, which tools read
(https://github.com/apache/kafka/blob/trunk/connect/runtime/src/main/java/org/apache/kafka/connect/runtime/errors/DeadLetterQueueReporter.java),
and what it has no name for.
"""

from collections.abc import Collection, Iterable, Mapping
from typing import Final, Self

from kafka_bridge.dispatch.ended import Ended
from kafka_bridge.errors import Unroutable
from kafka_bridge.events.envelope import rfc3339
from kafka_bridge.events.record import Consumed, Headers, Record, is_topic_name
from kafka_bridge.placeholders import BadTemplate, Parts, parts_of

CONNECT: Final = "__connect.errors."
OURS: Final = "kafka-bridge-"
ATTEMPTS: Final = f"{OURS}attempts"
FIRST_FAILURE: Final = f"{OURS}first-failure"
LAST_FAILURE: Final = f"{OURS}last-failure"
RUN_ID: Final = f"{OURS}run-id"
# On a record that was sent back: what is counted on where it fails again.
REDRIVES: Final = f"{OURS}redrives"
# Where Connect's sinks are when a record fails.
_STAGE: Final = "TASK_PUT"
CLASS: Final = "kafka_bridge.dispatch"
# More than anybody tries; what claims more was not written here.
_MOST: Final = 9


class DeadLetterTopic:
    """The setting of that name: `{topic}.dead-letter`, where `{topic}` is the one that a record came from."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    @classmethod
    def compile(cls, text: str, *, topics: Iterable[str] = ()) -> Self:
        """From the setting's text; `topics` are those that are consumed. Raises BadTemplate."""
        parts = parts_of(text, {})
        if any(name != "topic" for name in parts.names):
            raise BadTemplate("knows {topic} only")
        consumed = frozenset(filter(is_topic_name, topics))
        written = {_fill(parts, topic) for topic in consumed or ("t",)}
        if not all(map(is_topic_name, written)):
            raise BadTemplate("is not a legal topic name: letters, digits, dots, underscores and hyphens, at most 249")
        # What is consumed from where it is written to comes again, for ever.
        if written & consumed or not any(parts.literals):
            raise BadTemplate("is a topic that is consumed")
        return cls(parts)

    def of(self, topic: str) -> str:
        """Where what came from `topic` goes. Raises Unroutable where that is no topic, or the very same."""
        name = _fill(self._parts, topic)
        if name == topic or not is_topic_name(name):
            raise Unroutable("The dead-letter topic is the topic itself, or its name is not legal.")
        return name


def dead_letter(
    consumed: Consumed,
    ended: Ended | None,
    *,
    topic: str,
    group: str,
    attempts: int,
    first_failure: float | None = None,
    last_failure: float | None = None,
    reason: str = "",
) -> Record:
    """The record for the dead-letter topic. Times in unix seconds; `ended` is the last run, `reason` why it is over.

    It gets a timestamp of its own: with the old one the topic's retention might delete it at once. A record that was
    sent back from there before brings what was counted then.
    """
    record = consumed.record
    before = texts_of(record.headers, (ATTEMPTS, FIRST_FAILURE))
    connect = {
        "topic": record.topic,
        "partition": str(consumed.partition),
        "offset": str(consumed.offset),
        "connector.name": group,
        "stage": _STAGE,
        "class.name": CLASS,
        "exception.class.name": ended.ending.value if ended else reason,
        "exception.message": ": ".join(text for text in (reason, ended.error if ended else "") if text),
    }
    ours = {
        ATTEMPTS: str(attempts + number_of(before.get(ATTEMPTS, ""))),
        FIRST_FAILURE: before.get(FIRST_FAILURE) or ("" if first_failure is None else rfc3339(first_failure)),
        LAST_FAILURE: "" if last_failure is None else rfc3339(last_failure),
        RUN_ID: ended.run_id if ended else "",
    }
    added: Headers = (
        *((f"{CONNECT}{name}", _bytes(text)) for name, text in connect.items()),
        *((name, _bytes(text)) for name, text in ours.items() if text),
    )
    return Record(topic=topic, key=record.key, value=record.value, headers=(*record.headers, *added))


def texts_of(headers: Headers, names: Collection[str]) -> Mapping[str, str]:
    """The texts of headers of these names; of a repeated one the last."""
    return {name: (value or b"").decode("utf-8", "replace") for name, value in headers if name in names}


def number_of(text: str) -> int:
    """How often, by a header; 0 where it says nothing that makes sense."""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= _MOST else 0


def _fill(parts: Parts, topic: str) -> str:
    return topic.join(parts.literals)


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "replace")
