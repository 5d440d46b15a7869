"""An event of the bridge's own, to try a source with: it goes the way of any other, and says what it is. Pure.

No sender is let in by it: all of its bytes are written here, and `webhook-scheme` says `test`.
"""

from types import MappingProxyType
from typing import Final

import orjson

from kafka_bridge.clock import Clock
from kafka_bridge.errors import BridgeError
from kafka_bridge.events.envelope import Event, rfc3339
from kafka_bridge.events.outcome import Outcome, Taken, Verdict
from kafka_bridge.events.record import Record
from kafka_bridge.http import JSON, Inbound
from kafka_bridge.ingress.content import Content
from kafka_bridge.ingress.publish import Planned, Publisher
from kafka_bridge.ingress.source import Source

TYPE: Final = "kafka-bridge.test"
SCHEME: Final = "test"
_MESSAGE: Final = "Somebody pressed “Send a test event” on the dashboard of Kafka Bridge."
_HEADERS: Final = MappingProxyType({"content-type": JSON})


def try_source(source: Source, *, event_id: str, publisher: Publisher, clock: Clock) -> Outcome:
    """Route and publish one test event. Raises nothing: what went wrong is in the Outcome."""
    started, now = clock.monotonic(), clock.now()
    document = {"type": TYPE, "id": event_id, "time": rfc3339(now), "source": source.name, "message": _MESSAGE}
    inbound = Inbound("POST", "/test", headers=_HEADERS, body=orjson.dumps(document))
    event = Event(event_id, TYPE, source.name, SCHEME, now, id_signed=False, content_type=JSON)
    taken, failure = Taken(event), None
    try:
        taken = taken._replace(record=_record(source, event, inbound))
        (taken,) = publisher.publish([Planned(taken)])
    except BridgeError as error:
        failure = error
    return Outcome(
        source=source.name,
        scheme=SCHEME,
        time=now,
        duration_s=clock.monotonic() - started,
        verdict=Verdict.OWN,
        events=(taken,),
        error=failure,
        inbound=inbound,
    )


def _record(source: Source, event: Event, inbound: Inbound) -> Record | None:
    """None when a route drops it. Raises Unroutable."""
    target = source.routing.target(Content(inbound, public_url=source.public_url), event)
    if target is None:
        return None
    record = source.envelope.record(event, topic=target.topic, key=target.key, value=inbound.body)
    headers = [(name, SCHEME.encode() if name == "webhook-scheme" else value) for name, value in record.headers]
    return record._replace(headers=tuple(headers))
