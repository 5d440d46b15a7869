"""What a run gave, as the record that is written to the result topic. Pure.

A CloudEvent in binary mode (https://github.com/cloudevents/spec/blob/main/cloudevents/bindings/kafka-protocol-binding.md).
Its id follows from that of the event that was run: a run that is repeated writes the same one again.
"""

from typing import Final

from kafka_bridge.dispatch.ended import Ended
from kafka_bridge.documents import json_text
from kafka_bridge.events.envelope import rfc3339
from kafka_bridge.events.record import Headers, Record

_TYPE: Final = "dify.workflow."


def result(ended: Ended, *, topic: str, event_id: str, source: str, unix: float) -> Record:
    """The record. `source` says in the CloudEvents' sense who ran it, `unix` when, in seconds.

    The key is the event's id: all results of one event are in one partition, in their order.
    """
    attributes = {
        "ce_specversion": "1.0",
        "ce_id": f"{event_id}.result",
        "ce_source": source,
        "ce_type": f"{_TYPE}{ended.ending.value}",
        "ce_time": rfc3339(unix),
        "ce_causationid": event_id,
        "ce_runid": ended.run_id,
        "content-type": "application/json",
    }
    headers: Headers = tuple((name, _bytes(text)) for name, text in attributes.items() if text)
    outputs = {} if ended.outputs is None else dict(ended.outputs)
    return Record(topic=topic, key=_bytes(event_id), value=_bytes(json_text(outputs) or "{}"), headers=headers)


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "replace")
