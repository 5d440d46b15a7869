"""What a call of `wait_for_event` waits for, and what it publishes before. Pure."""

from dataclasses import dataclass
from typing import Final

import orjson

from kafka_bridge.events.record import Record
from kafka_bridge.tooling.filters import Filter, read_filter, with_header
from kafka_bridge.tooling.order import FORMATS, MAX_ID_BYTES, read_order, topic_of
from kafka_bridge.tooling.parameters import Parameters
from kafka_bridge.tooling.selection import MAX_S

DEFAULT_S: Final = 30.0
# A request without a filter gets these two, and the reply is the record with the same first one.
CORRELATION: Final = "correlation-id"
REPLY_TO: Final = "reply-to"
ON_TIMEOUT: Final = ("fail", "return")


@dataclass(frozen=True, slots=True, kw_only=True)
class Awaited:
    """A record of `topic` that passes the filter, for so many seconds. `request` is published before, or None."""

    topic: str
    filter: Filter
    seconds: float
    fails: bool
    request: Record | None = None
    event_id: str = ""
    correlation_id: str = ""


def read_awaited(parameters: Parameters, *, new_id: str) -> Awaited:
    """What is waited for; what is wrong is noted in `parameters`. `new_id` is for a request that has none."""
    topic = topic_of(parameters)
    wanted = read_filter(parameters, "filter")
    seconds = parameters.number("timeout", default=DEFAULT_S, low=0.1, high=MAX_S)
    fails = parameters.choice("on_timeout", ON_TIMEOUT) == "fail"
    if not parameters.has("publish_topic") and not parameters.has("message"):
        return Awaited(topic=topic, filter=wanted, seconds=seconds, fails=fails)
    order = read_order(parameters, topic="publish_topic", formats=FORMATS[:2])
    request = order.records[0] if order.records else None
    correlation_id = ""
    if request is not None and not wanted:
        correlation_id = _header(request, CORRELATION) or parameters.text("event_id") or new_id
        # The answer repeats it, as it does the event's id.
        if len(orjson.dumps(correlation_id)) > MAX_ID_BYTES:
            parameters.problem("headers", f"{CORRELATION} is longer than {MAX_ID_BYTES} bytes")
        request = _correlated(request, correlation_id, topic)
        wanted = with_header(CORRELATION, correlation_id)
    return Awaited(
        topic=topic,
        filter=wanted,
        seconds=seconds,
        fails=fails,
        request=request,
        event_id=parameters.text("event_id"),
        correlation_id=correlation_id,
    )


def _correlated(request: Record, correlation_id: str, topic: str) -> Record:
    added = ((CORRELATION, correlation_id.encode()), (REPLY_TO, topic.encode()))
    return request._replace(headers=(*request.headers, *(pair for pair in added if _header(request, pair[0]) is None)))


def _header(request: Record, name: str) -> str | None:
    return next((value.decode() for other, value in request.headers if other.lower() == name and value), None)
