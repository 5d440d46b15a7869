"""Looking at topics, and creating them."""

from collections.abc import Mapping

from confluent_kafka import Consumer, KafkaException
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from kafka_bridge.broker.causes import record_error
from kafka_bridge.broker.config import Properties
from kafka_bridge.broker.kafka.partitions import watermarks
from kafka_bridge.broker.kafka.translate import BROKER_LIMIT, AlreadyThere, Translated, listening, refused_properties
from kafka_bridge.broker.ports import TopicInfo, Trouble
from kafka_bridge.events.record import TopicPartition


class KafkaAdmin:
    """A librdkafka admin client. Implements `ports.Admin`."""

    def __init__(self, properties: Properties) -> None:
        """Raises SettingsInvalid when the library refuses the properties."""
        self._trouble: Trouble | None = None
        config = listening(properties, self._on_trouble)
        try:
            self._admin = AdminClient(config)
            # Offsets are read by a consumer that never joins a group: the admin protocol has no cheaper question.
            self._reader = Consumer({**config, "group.id": "kafka-bridge-offsets", "enable.auto.commit": False})
        except KafkaException as error:
            raise refused_properties(error) from error

    def topics(self, *, timeout_s: float) -> Mapping[str, int]:
        with self._explained():
            found = self._admin.list_topics(timeout=timeout_s).topics
        return {name: len(topic.partitions) for name, topic in found.items()}

    def topic(self, name: str, *, timeout_s: float) -> TopicInfo:
        with self._explained():
            found = self._admin.list_topics(name, timeout=timeout_s).topics[name]
            if found.error is not None:
                raise record_error(found.error.code(), found.error.str(), limit_of=BROKER_LIMIT)
            partitions = (TopicPartition(name, number) for number in sorted(found.partitions))
            return TopicInfo(name, {at.partition: watermarks(self._reader, at) for at in partitions})

    def create_topic(
        self, name: str, *, partitions: int, replication: int, config: Mapping[str, str], timeout_s: float
    ) -> bool:
        topic = NewTopic(name, num_partitions=partitions, replication_factor=replication, config=dict(config))
        try:
            with self._explained():
                futures = self._admin.create_topics([topic], operation_timeout=timeout_s, request_timeout=timeout_s)
                futures[name].result(timeout_s)
        except AlreadyThere:
            return False
        return True

    def _explained(self) -> Translated:
        self._trouble = None
        return Translated(self._explain)

    def _explain(self) -> Trouble | None:
        self._admin.poll(0)
        return self._trouble

    def _on_trouble(self, trouble: Trouble) -> None:
        if trouble.cause is not None:
            self._trouble = trouble
