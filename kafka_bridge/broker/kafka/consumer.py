"""A member of a consumer group, or a reader of assigned partitions."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from operator import methodcaller
from typing import Any, Final

from confluent_kafka import OFFSET_BEGINNING, OFFSET_END, OFFSET_INVALID, KafkaError, KafkaException, Message
from confluent_kafka import Consumer as LibraryConsumer
from confluent_kafka import TopicPartition as LibraryPartition

from kafka_bridge.broker.causes import record_error
from kafka_bridge.broker.config import Properties
from kafka_bridge.broker.kafka.partitions import METADATA_TIMEOUT_S, ours, theirs, watermarks
from kafka_bridge.broker.kafka.translate import BROKER_LIMIT, Translated, listening, parts, refused_properties
from kafka_bridge.broker.ports import ClientDead, Position, Start, Trouble
from kafka_bridge.errors import BridgeError, Cause, Fenced, Unavailable
from kafka_bridge.events.record import UNREADABLE, Consumed, Headers, Record, TopicPartition

# At commit these mean that the group is being balanced anew: whoever gets the partition reads from the last commit.
_REBALANCING: Final = frozenset(
    {
        KafkaError.REBALANCE_IN_PROGRESS,
        KafkaError.ILLEGAL_GENERATION,
        KafkaError.UNKNOWN_MEMBER_ID,
        KafkaError.FENCED_INSTANCE_ID,
        KafkaError._ASSIGNMENT_LOST,
        KafkaError._NO_OFFSET,
    }
)


class KafkaConsumer:
    """A librdkafka consumer. Implements `ports.Consumer`."""

    def __init__(self, properties: Properties) -> None:
        """Raises SettingsInvalid when the library refuses the properties."""
        self._trouble: Trouble | None = None
        self._error: BridgeError | None = None
        self._passed_over: Collection[int] = ()
        self._incremental = properties.get("group.protocol") == "consumer" or "cooperative" in str(
            properties.get("partition.assignment.strategy")
        )
        # Where a group begins that has committed nothing yet; committed with the next polls.
        self._begun: dict[TopicPartition, int] = {}
        self._ended: set[TopicPartition] = set()
        # Topics that were not there when we came: a record that makes one of them is as new as what follows it.
        self._awaited: set[str] = set()
        try:
            self._consumer = LibraryConsumer(listening(properties, self._on_trouble))
        except KafkaException as error:
            raise refused_properties(error) from error

    def subscribe(
        self,
        topics: Sequence[str],
        *,
        start: Start,
        on_assigned: Callable[[Mapping[TopicPartition, Position]], None],
        on_revoked: Callable[[Sequence[TopicPartition]], None],
        on_lost: Callable[[Sequence[TopicPartition]], None],
    ) -> None:
        def assigned(_: Any, partitions: list[LibraryPartition]) -> None:
            try:
                positions = self._positions(ours(partitions), start)
                self._ended.difference_update(positions)
                self._take({at: position.offset for at, position in positions.items()})
            except BridgeError as error:
                # The library takes them all the same, from where it likes, and drops what the poll had of the others.
                raise ClientDead(error) from error
            on_assigned(positions)

        def revoked(_: Any, partitions: list[LibraryPartition]) -> None:
            going = ours(partitions)
            self._commit_begun(going)
            self._forget_begun(going)
            on_revoked(going)

        def lost(_: Any, partitions: list[LibraryPartition]) -> None:
            self._forget_begun(ours(partitions))
            on_lost(ours(partitions))

        with Translated():
            self._consumer.subscribe(list(topics), on_assign=assigned, on_revoke=revoked, on_lost=lost)

    def assign(self, offsets: Mapping[TopicPartition, int | Start]) -> None:
        special = {Start.EARLIEST: OFFSET_BEGINNING, Start.LATEST: OFFSET_END}
        with Translated():
            self._consumer.assign(
                [
                    LibraryPartition(at.topic, at.partition, special[offset] if isinstance(offset, Start) else offset)
                    for at, offset in offsets.items()
                ]
            )

    def assigned(self) -> Sequence[TopicPartition]:
        with Translated():
            return ours(self._consumer.assignment())

    def poll(self, timeout_s: float, *, limit: int = 100) -> Sequence[Consumed]:
        self._commit_begun(self._begun)
        with Translated():
            # `consume` alone would wait for the whole time unless `limit` records come.
            first = self._consumer.poll(timeout_s)
            messages = [] if first is None else [first, *self._consumer.consume(limit - 1, 0)]
        records: list[Consumed] = []
        for message in messages:
            error = message.error()
            if error is None:
                record = _consumed(message)
                records.append(record)
                self._ended.discard(record.position)
            elif error.code() == KafkaError._PARTITION_EOF:
                self._ended.add(TopicPartition(message.topic() or "", message.partition() or 0))
            elif error.code() in self._passed_over:
                continue
            elif error.fatal() or error.code() == KafkaError._FATAL:
                raise ClientDead(_fatal(error))
            else:
                # What cannot be read has not been read to its end.
                self._ended.discard(TopicPartition(message.topic() or "", message.partition() or 0))
                if error.code() == KafkaError.UNKNOWN_TOPIC_OR_PART:
                    self._awaited.add(message.topic() or "")
                self._error = record_error(error.code(), error.str(), limit_of=BROKER_LIMIT)
        if not records:
            self._raise_what_was_said()
        return records

    def _raise_what_was_said(self) -> None:
        # Kept until a poll comes back empty: the records of one that does not would be lost with it.
        if self._error is not None:
            error, self._error = self._error, None
            raise error
        if self._trouble is not None:
            trouble, self._trouble = self._trouble, None
            raise Unavailable(trouble.cause or Cause.CONNECTION_REFUSED, trouble.text)

    @property
    def at_end(self) -> bool:
        assigned = self.assigned()
        return bool(assigned) and self._ended.issuperset(assigned)

    def pause(self, partitions: Sequence[TopicPartition]) -> None:
        if assigned := self._only_assigned(partitions):
            with Translated():
                self._consumer.pause(assigned)

    def resume(self, partitions: Sequence[TopicPartition]) -> None:
        if assigned := self._only_assigned(partitions):
            with Translated():
                self._consumer.resume(assigned)

    def commit(self, offsets: Mapping[TopicPartition, int]) -> bool:
        if not offsets:
            return True
        wanted = [LibraryPartition(at.topic, at.partition, offset) for at, offset in offsets.items()]
        try:
            results = self._consumer.commit(offsets=wanted, asynchronous=False) or []
        except KafkaException as error:
            code, text, _ = parts(error)
            if code in _REBALANCING:
                return False
            raise record_error(code, text, limit_of=BROKER_LIMIT) from error
        for result in results:
            if result.error is not None:
                if result.error.code() in _REBALANCING:
                    return False
                raise record_error(result.error.code(), result.error.str(), limit_of=BROKER_LIMIT)
        self._forget_begun(offsets)
        return True

    def _commit_begun(self, partitions: Collection[TopicPartition]) -> None:
        # Again until the broker has it: while the group is being balanced it takes none.
        if begun := {at: offset for at, offset in self._begun.items() if at in partitions}:
            try:
                self.commit(begun)
            except BridgeError as error:
                self._error = error

    def _forget_begun(self, partitions: Iterable[TopicPartition]) -> None:
        for at in list(partitions):
            self._begun.pop(at, None)

    def committed(self, partitions: Sequence[TopicPartition]) -> Mapping[TopicPartition, int | None]:
        # The library would wait for the answer to a question about nothing.
        if not partitions:
            return {}
        with Translated():
            found = self._consumer.committed(theirs(partitions), timeout=METADATA_TIMEOUT_S)
        return {
            TopicPartition(at.topic, at.partition): None if at.offset == OFFSET_INVALID else at.offset for at in found
        }

    def lag(self, partitions: Sequence[TopicPartition]) -> Mapping[TopicPartition, int]:
        lag: dict[TopicPartition, int] = {}
        for at, offset in self.committed(partitions).items():
            with Translated():
                low, high = watermarks(self._consumer, at, cached=at in self._ended)
            lag[at] = max(0, high - max(low, offset if offset is not None else low))
        return lag

    def close(self) -> None:
        self._consumer.close()

    def _positions(self, partitions: Sequence[TopicPartition], start: Start) -> Mapping[TopicPartition, Position]:
        """Where to go on, and what has been deleted meanwhile. Raises BridgeError.

        The library's own way to begin (`auto.offset.reset`) also serves a group whose committed offset was deleted, and
        with `latest` it would skip everything that is there, and again whatever came while nobody was a member.
        """
        positions: dict[TopicPartition, Position] = {}
        for at, committed in self.committed(partitions).items():
            with Translated():
                low, high = watermarks(self._consumer, at)
            latest = start is Start.LATEST and at.topic not in self._awaited
            offset = committed if committed is not None else high if latest else low
            if committed is None and latest:
                self._begun[at] = offset
            positions[at] = Position(low if offset > high else max(low, offset), missed=max(0, low - offset))
        return positions

    def _take(self, offsets: Mapping[TopicPartition, int]) -> None:
        partitions = [LibraryPartition(at.topic, at.partition, offset) for at, offset in offsets.items()]
        with Translated():
            if self._incremental:
                self._consumer.incremental_assign(partitions)
            else:
                self._consumer.assign(partitions)

    def _only_assigned(self, partitions: Sequence[TopicPartition]) -> list[LibraryPartition]:
        assigned = set(self.assigned())
        return theirs([at for at in partitions if at in assigned])

    def _on_trouble(self, trouble: Trouble) -> None:
        if trouble.cause is not None:
            self._trouble = trouble


def _fatal(error: KafkaError) -> BridgeError:
    # As a message it has the code of all fatal errors, and not even the flag; the text has that of the cause.
    if KafkaError(KafkaError.FENCED_INSTANCE_ID).str() in error.str():
        return Fenced(hint=error.str())
    return record_error(error.code(), error.str(), limit_of=BROKER_LIMIT)


def _consumed(message: Message) -> Consumed:
    _, timestamp_ms = message.timestamp()
    record = Record(
        topic=message.topic() or "",
        key=message.key(),
        value=message.value(),
        headers=_headers(message),
        partition=message.partition(),
        timestamp_ms=timestamp_ms,
    )
    return Consumed(record, message.partition() or 0, message.offset() or 0)


def _headers(message: Message) -> Headers:
    try:
        # Called like this the interpreter looks whether the library has left an exception behind, as it does there.
        found: Any = methodcaller("headers")(message) or ()
        return tuple((name, value) for name, value in found)
    except (SystemError, UnicodeDecodeError):
        # A name that is not UTF-8: the library gives none of them, and whoever asks again gets a broken list.
        return UNREADABLE
