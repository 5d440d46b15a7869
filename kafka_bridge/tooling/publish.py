"""The tool `publish`: records to Kafka, and where they lie once the broker has acknowledged them."""

from collections.abc import Iterator
from typing import Final

from kafka_bridge.broker.registry import ProducerRegistry
from kafka_bridge.clock import Clock
from kafka_bridge.errors import TooLarge, Unroutable
from kafka_bridge.events.record import Delivery
from kafka_bridge.tooling.call import ToolCall
from kafka_bridge.tooling.credentials import Targets
from kafka_bridge.tooling.messages import Message, results
from kafka_bridge.tooling.order import Order, read_order
from kafka_bridge.tooling.overrides import overridden

# As for webhooks: the client itself gives up after eight seconds.
SEND_S: Final = 9.0
# A key that is longer is not repeated in the result, which is one line of stdout: as JSON it may be six times as long.
MAX_TOLD_KEY_BYTES: Final = 4096
# Every message costs a line on stdout, so of one record only what there is to say of it.
_OF_ONE: Final = ("topic", "partition", "offset", "timestamp", "latency_ms")
OUTPUTS: Final = (*_OF_ONE, "event_id", "count", "records")


class Publish:
    """Writes over the persistent connections that the endpoints use too: one per cluster and credentials."""

    def __init__(self, registry: ProducerRegistry, clock: Clock) -> None:
        self._registry = registry
        self._clock = clock
        self._targets = Targets()

    def __call__(self, call: ToolCall) -> Iterator[Message]:
        order = read_order(call.parameters)
        saved = overridden(call.saved, call.parameters)
        call.parameters.check()
        cluster = self._targets.of(saved)
        began = self._clock.monotonic()
        try:
            deliveries = self._registry.lease(cluster).send_all(order.records, timeout_s=SEND_S)
        except (TooLarge, Unroutable) as error:
            if not order.batch or error.index is None:
                raise
            raise type(error)(f"Record {error.index + 1} of the batch: {error}") from error
        result = written(order, deliveries, latency_s=self._clock.monotonic() - began)
        yield from results(result, _sentence(result), OUTPUTS if order.batch else _OF_ONE)


def written(order: Order, deliveries: tuple[Delivery, ...], *, latency_s: float) -> dict[str, object]:
    """The flat result: where the record lies; of a batch where the last one does, and each of them in `records`."""
    records = [
        {**place_of(delivery), "event_id": event_id}
        for delivery, event_id in zip(deliveries, order.event_ids, strict=True)
    ]
    key = order.records[0].key
    return {
        "status": "success",
        **records[-1],
        "latency_ms": round(latency_s * 1000, 3),
        "count": len(records),
        "records": records if order.batch else [],
        **({"key": key.decode()} if key is not None and len(key) <= MAX_TOLD_KEY_BYTES else {}),
    }


def place_of(delivery: Delivery) -> dict[str, object]:
    """Where a record lies."""
    return {
        "topic": delivery.topic,
        "partition": delivery.partition,
        "offset": delivery.offset,
        "timestamp": delivery.timestamp_ms,
    }


def _sentence(result: dict[str, object]) -> str:
    where = f"topic {result['topic']}, partition {result['partition']}, offset {result['offset']}"
    if result["count"] == 1:
        return f"Published to {where}."
    return f"Published {result['count']} records to topic {result['topic']}; the last one to {where}."
