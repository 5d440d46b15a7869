"""Creates topics."""

from collections.abc import Mapping
from typing import Any, Final

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.cimpl import NewTopic, _AdminClientImpl

from kafka_bridge.broker.causes import topic_error
from kafka_bridge.broker.config import Properties
from kafka_bridge.broker.kafka.translate import Translated, listening, refused_properties
from kafka_bridge.broker.ports import Trouble
from kafka_bridge.errors import Cause, Unavailable

_POLL_S: Final = 0.02
# What the library itself takes longer than its own timeout, at the most.
_GRACE_S: Final = 5.0


class KafkaAdmin:
    """A librdkafka admin client. Implements `ports.Admin`."""

    def __init__(self, properties: Properties) -> None:
        """Raises SettingsInvalid when the library refuses the properties."""
        self._trouble: Trouble | None = None
        try:
            self._admin = _AdminClientImpl(listening(properties, self._on_trouble))
        except KafkaException as error:
            raise refused_properties(error) from error

    def reach(self, topic: str, timeout_s: float) -> bool:
        try:
            self._admin.list_topics(topic or None, timeout_s)
        except KafkaException:
            self._admin.poll(0)
            return False
        return True

    @property
    def trouble(self) -> Trouble | None:
        return self._trouble

    def create_topic(
        self, name: str, *, partitions: int, replication: int, config: Mapping[str, str], timeout_s: float
    ) -> bool:
        topic = NewTopic(name, num_partitions=partitions, replication_factor=replication, config=dict(config))
        answer = _Answer()
        with Translated(self._explain):
            self._admin.create_topics([topic], answer, operation_timeout=timeout_s, request_timeout=timeout_s)
            for _ in range(int((timeout_s + _GRACE_S) / _POLL_S)):
                if answer.error is not None:
                    raise answer.error
                if answer.result is not None:
                    return _made(answer.result[name])
                self._admin.poll(_POLL_S)
        raise Unavailable(Cause.NOT_ACKNOWLEDGED, "no answer")

    def close(self) -> None:
        self._admin.__exit__(None, None, None)

    def _explain(self) -> Trouble | None:
        self._admin.poll(0)
        return self._trouble

    def _on_trouble(self, trouble: Trouble) -> None:
        if trouble.cause is not None:
            self._trouble = trouble


def _made(error: KafkaError | None) -> bool:
    if error is None:
        return True
    if error.code() == KafkaError.TOPIC_ALREADY_EXISTS:
        return False
    raise topic_error(error.code(), error.str())


class _Answer:
    """In the place of a future, whose lock under gevent is the hub's: the library answers on a thread of its own."""

    def __init__(self) -> None:
        self.result: Mapping[str, KafkaError | None] | None = None
        self.error: Exception | None = None

    def set_result(self, result: Any) -> None:
        self.result = result

    def set_exception(self, error: Exception) -> None:
        self.error = error
