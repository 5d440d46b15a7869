"""What the worker writes to Kafka: results, dead letters, and what the test producer is given."""

from collections.abc import Callable, Sequence
from typing import Final

from kafka_bridge.broker import config
from kafka_bridge.broker.bridge import Connection
from kafka_bridge.broker.kafka.producer import KafkaProducer
from kafka_bridge.broker.loops import Loop
from kafka_bridge.broker.registry import ProducerRegistry
from kafka_bridge.clock import Clock
from kafka_bridge.errors import BridgeError
from kafka_bridge.events.record import Delivery, Record
from kafka_bridge.settings.cluster import Cluster

# The library gives a record up after its delivery timeout, and looks for such ones once a second.
SEND_S: Final = config.DELIVERY_TIMEOUT_MS / 1000 + 2


class Publishing:
    """One connection, made when it is first needed. A record may be as large as one that was consumed."""

    def __init__(self, cluster: Cluster, *, ca_file: str, loop: Loop, clock: Clock) -> None:
        self._cluster = config.roomy(cluster)
        self._loop = loop
        self._clock = clock
        self._registry = ProducerRegistry(self._connect)
        self._properties = config.producer_properties(self._cluster, ca_file=ca_file)

    def check(self) -> None:
        """Raises SettingsInvalid where the client library refuses the settings."""
        KafkaProducer(self._properties, lambda _: None).close()

    def send(self, records: Sequence[Record]) -> Sequence[Delivery]:
        """Returns once the broker has acknowledged all of them. Raises BridgeError."""
        return self._lease().send_all(records, timeout_s=SEND_S)

    def send_each(self, records: Sequence[Record]) -> Sequence[Delivery | BridgeError]:
        """What has become of each, once that is known. Raises BridgeError when none was tried."""
        return self._lease().send_each(records, timeout_s=SEND_S)

    def close(self) -> None:
        """Let go of the client."""
        for connection in self._registry.connections():
            connection.close()

    def _lease(self) -> Connection:
        with self._loop.lock:
            return self._registry.lease(self._cluster)

    def _connect(self, cluster: Cluster, on_idle: Callable[[], bool]) -> Connection:
        return Connection(
            lambda on_trouble: KafkaProducer(self._properties, on_trouble),
            name=",".join(cluster.servers),
            loop=self._loop,
            clock=self._clock,
            on_idle=on_idle,
        )
