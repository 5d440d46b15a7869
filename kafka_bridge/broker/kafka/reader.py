"""A consumer that also says where topics begin and end: for whoever reads without a group, or looks."""

from collections.abc import Collection, Mapping, Sequence
from types import MappingProxyType
from typing import Final

from confluent_kafka import OFFSET_BEGINNING, OFFSET_END, KafkaError, KafkaException
from confluent_kafka import TopicPartition as LibraryPartition

from kafka_bridge.broker.causes import record_error
from kafka_bridge.broker.config import NO_GROUP, Properties
from kafka_bridge.broker.kafka.consumer import KafkaConsumer
from kafka_bridge.broker.kafka.partitions import METADATA_TIMEOUT_S
from kafka_bridge.broker.kafka.translate import BROKER_LIMIT, Translated
from kafka_bridge.broker.ports import Start, Trouble
from kafka_bridge.errors import Cause, Unavailable
from kafka_bridge.events.record import TopicPartition

# The question for an offset by time also knows these two "times", and asks each broker once for all its partitions.
_SPECIAL: Final = MappingProxyType({Start.EARLIEST: OFFSET_BEGINNING, Start.LATEST: OFFSET_END})


class KafkaReader(KafkaConsumer):
    """Implements `ports.Reader`."""

    def __init__(self, properties: Properties) -> None:
        """Raises SettingsInvalid when the library refuses the properties."""
        super().__init__(properties)
        # The library asks who coordinates the group that it must be given, and whoever is in none needs no right to it.
        self._alone = properties.get("group.id") == NO_GROUP
        if self._alone:
            self._passed_over = (KafkaError.GROUP_AUTHORIZATION_FAILED,)

    def reach(self, topic: str, timeout_s: float) -> bool:
        try:
            self._consumer.list_topics(topic or None, timeout_s)
        except KafkaException:
            # What the library has to say of its connections comes within a poll; nothing is assigned yet.
            self._consumer.poll(0)
            return False
        return True

    @property
    def trouble(self) -> Trouble | None:
        return self._trouble

    @property
    def ended(self) -> Collection[TopicPartition]:
        return self._ended

    def committed(self, partitions: Sequence[TopicPartition]) -> Mapping[TopicPartition, int | None]:
        try:
            return super().committed(partitions)
        except Unavailable as error:
            # That the group may not be read is said within a poll only; nothing is assigned yet.
            message = self._consumer.poll(0)
            said = message.error() if message is not None else None
            if said is not None:
                raise record_error(said.code(), said.str(), limit_of=BROKER_LIMIT) from error
            raise

    def topics(self) -> Mapping[str, int]:
        with Translated():
            found = self._consumer.list_topics(timeout=METADATA_TIMEOUT_S).topics
        return {name: len(topic.partitions) for name, topic in found.items()}

    def partitions(self, topic: str) -> Sequence[TopicPartition]:
        with Translated():
            found = self._consumer.list_topics(topic, METADATA_TIMEOUT_S).topics[topic]
        if found.error is not None:
            raise record_error(found.error.code(), found.error.str(), limit_of=BROKER_LIMIT)
        return [TopicPartition(topic, number) for number in sorted(found.partitions)]

    def offsets(
        self, partitions: Sequence[TopicPartition], at: Start | int, *, partly: bool = False
    ) -> Mapping[TopicPartition, int]:
        if not partitions:
            return {}
        time = _SPECIAL[at] if isinstance(at, Start) else at
        asked = [LibraryPartition(one.topic, one.partition, time) for one in partitions]
        with Translated():
            answers = self._consumer.offsets_for_times(asked, timeout=METADATA_TIMEOUT_S)
        found: dict[TopicPartition, int] = {}
        for answer in answers:
            if answer.error is not None and partly:
                continue
            if answer.error is not None:
                raise record_error(answer.error.code(), answer.error.str(), limit_of=BROKER_LIMIT)
            found[TopicPartition(answer.topic, answer.partition)] = answer.offset
        # No record is as young as that.
        if late := [one for one, offset in found.items() if offset < 0]:
            found.update(self.offsets(late, Start.LATEST, partly=partly))
        return found

    def _on_trouble(self, trouble: Trouble) -> None:
        if not (self._alone and trouble.cause is Cause.NOT_AUTHORIZED):
            super()._on_trouble(trouble)
