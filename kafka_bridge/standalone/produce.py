"""The test producer: records with acknowledgements, one by one or many at a given rate."""

import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Final

import orjson

from kafka_bridge.broker.loops import Loop
from kafka_bridge.dispatch.writer import Send
from kafka_bridge.events.envelope import rfc3339
from kafka_bridge.events.record import Delivery, Headers, Record

# What is waited for together, where there is no rate.
TOGETHER: Final = 500
# With one, so many times a second.
PER_SECOND: Final = 20
TYPE: Final = "kafka-bridge.test"
SOURCE: Final = "/kafka-bridge/produce"


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What is to be written. Without `value` each record is a numbered JSON event; `count` None: one record, as is."""

    topic: str
    key: bytes | None = None
    headers: Headers = ()
    value: bytes | None = None
    count: int | None = None

    def records(self) -> Iterator[Record]:
        """The records, in their order."""
        if self.count is None:
            yield Record(topic=self.topic, key=self.key, value=self.value, headers=self.headers)
            return
        batch = uuid.uuid4().hex[:12]
        for number in range(1, self.count + 1):
            now = rfc3339(time.time())
            event = {"n": number, "of": self.count, "batch": batch, "sent_at": now}
            attributes = {
                "ce_specversion": "1.0",
                "ce_id": f"{batch}-{number}",
                "ce_source": SOURCE,
                "ce_type": TYPE,
                "ce_time": now,
                **({} if self.value is not None else {"content-type": "application/json"}),
            }
            headers = tuple((name, text.encode()) for name, text in attributes.items())
            value = self.value if self.value is not None else orjson.dumps(event)
            yield Record(topic=self.topic, key=self.key, value=value, headers=(*headers, *self.headers))


def produce(
    order: Order, send: Send, *, rate: float | None, loop: Loop, tell: Callable[[Sequence[Delivery]], None]
) -> int:
    """Write all of them, and tell where they lie; gives their number. Raises BridgeError at the first that failed."""
    records, began, written = order.records(), time.monotonic(), 0
    while True:
        together = TOGETHER
        if rate is not None:
            due = int((time.monotonic() - began) * rate) + 1
            if due <= written:
                loop.rest(min(1 / PER_SECOND, (written - due + 1) / rate))
                continue
            together = min(TOGETHER, due - written)
        group = list(islice(records, together))
        if not group:
            return written
        tell(send(group))
        written += len(group)
