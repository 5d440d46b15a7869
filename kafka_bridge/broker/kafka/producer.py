"""The idempotent producer."""

from collections.abc import Callable
from contextlib import suppress
from typing import Final

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from kafka_bridge.broker.causes import FATAL, PURGED_IN_QUEUE, record_error
from kafka_bridge.broker.config import Properties
from kafka_bridge.broker.kafka.translate import (
    BROKER_LIMIT,
    CLIENT_LIMIT,
    OnTrouble,
    listening,
    parts,
    refused_properties,
)
from kafka_bridge.broker.ports import ClientDead, Report
from kafka_bridge.errors import BridgeError, Cause, SettingsInvalid, Unavailable
from kafka_bridge.events.record import Delivery, Record
from kafka_bridge.settings.reader import Problem

_NO_TIMESTAMP: Final = 0
_ANY_PARTITION: Final = -1
_SETTLE_S: Final = 0.02


class KafkaProducer:
    """One idempotent librdkafka producer. Implements `ports.ProducerClient`."""

    def __init__(self, properties: Properties, on_trouble: OnTrouble) -> None:
        """Blocks for a moment. Raises SettingsInvalid when the library refuses the properties."""
        self._warm = False
        try:
            self._producer = Producer(listening(properties, on_trouble))
        except KafkaException as error:
            raise refused_properties(error) from error
        except (TypeError, ValueError) as error:
            raise SettingsInvalid([str(Problem("client_config", "is refused by the client library"))]) from error

    def produce(self, record: Record, on_report: Callable[[object, object], None]) -> None:
        try:
            self._producer.produce(
                record.topic,
                record.value,
                record.key,
                _ANY_PARTITION if record.partition is None else record.partition,
                on_delivery=on_report,
                timestamp=record.timestamp_ms or _NO_TIMESTAMP,
                headers=list(record.headers),
            )
        except BufferError as error:
            raise Unavailable(Cause.QUEUE_FULL, "the client's queue is full") from error
        except KafkaException as error:
            code, text, fatal = parts(error)
            failure = record_error(code, text, limit_of=CLIENT_LIMIT)
            if fatal or code == FATAL:
                # The reason comes with the next poll; only that there is one is known here.
                self.poll(0)
                raise ClientDead(failure) from error
            raise failure from error

    def read(self, report: Report) -> Delivery | BridgeError | None:
        error, message = report
        if isinstance(error, KafkaError):
            if error.code() == PURGED_IN_QUEUE:
                return None
            return record_error(error.code(), error.str(), limit_of=BROKER_LIMIT)
        assert isinstance(message, Message)
        offset = message.offset()
        _, timestamp_ms = message.timestamp()
        return Delivery(
            message.topic() or "",
            message.partition() or 0,
            offset if offset is not None and offset >= 0 else None,
            timestamp_ms if timestamp_ms and timestamp_ms > 0 else None,
        )

    def poll(self, timeout_s: float) -> None:
        try:
            with _any_text():
                self._producer.poll(timeout_s)
        except KafkaException as error:
            code, text, _ = parts(error)
            raise ClientDead(record_error(code, text, limit_of=CLIENT_LIMIT)) from error

    def reach(self, topic: str, timeout_s: float) -> bool:
        known = False
        try:
            with _any_text():
                self._producer.list_topics(topic or None, timeout_s)
                known = True
        except KafkaException as error:
            if parts(error)[2]:
                raise ClientDead(record_error(*parts(error)[:2], limit_of=CLIENT_LIMIT)) from error
            return False
        if known and not self._warm:
            # The producer asks for its id with the first metadata it gets, and loses the answer when the library
            # replaces the bootstrap connection just then; its own retry is half a second away, another metadata
            # request makes it ask at once.
            self._warm = True
            self.poll(_SETTLE_S)
            return self.reach(topic, timeout_s)
        return known

    def drop_queued(self) -> None:
        self._producer.purge(in_queue=True, in_flight=False, blocking=False)

    def close(self) -> None:
        with _any_text():
            self._producer.purge(in_queue=True, in_flight=True, blocking=False)
            self._producer.close()


def _any_text() -> suppress:
    """The library cuts a broker's error text at 512 bytes, also within a character, and fails to decode its log line.

    The event beside it, which has the code, comes with the next poll.
    """
    return suppress(UnicodeDecodeError)
