"""An embedded Kafka broker: librdkafka's own mock cluster, which lives inside a client.

Its listener is plaintext, its data is in memory, topics appear on first use with four partitions. Any Kafka client may
connect to it for as long as this process lives.
"""

from typing import Final

from confluent_kafka import Producer

_START_TIMEOUT_S: Final = 10.0


class EmbeddedBroker:
    """Starts with the object, ends with `close()` or the process. `rtt_ms` delays every answer."""

    def __init__(self, *, brokers: int = 1, rtt_ms: int = 0) -> None:
        self._holder: Producer | None = Producer(
            {
                "bootstrap.servers": "embedded",  # replaced by the mock's own address
                "test.mock.num.brokers": brokers,
                "test.mock.broker.rtt": rtt_ms,
                "log_level": 0,
            }
        )
        found = self._holder.list_topics(timeout=_START_TIMEOUT_S).brokers.values()
        self.bootstrap = ",".join(f"{broker.host}:{broker.port}" for broker in found)

    def close(self) -> None:
        """Stop it; clients find the port closed."""
        self._holder = None
