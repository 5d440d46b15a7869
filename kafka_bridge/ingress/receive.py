"""The pipeline: size, signature, identity, route, record, acknowledgement. Pure.

At-least-once is the order of the lines: the answer is made from an `Outcome`, and an `Outcome` has a delivery only
after `send` has returned one, which it does only once the broker has acknowledged.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from kafka_bridge.clock import Clock
from kafka_bridge.errors import BridgeError, TooLarge, Unroutable, Unverified
from kafka_bridge.events.envelope import Event
from kafka_bridge.events.outcome import Outcome, Verdict
from kafka_bridge.events.record import Delivery, Record, is_topic_name
from kafka_bridge.http import PLATFORM_BODY_LIMIT_BYTES, Inbound, Outbound, json_reply, problem
from kafka_bridge.ingress.content import Content
from kafka_bridge.ingress.signatures import fingerprint
from kafka_bridge.ingress.source import Source
from kafka_bridge.ingress.templates import MissingValue

# Ids and types become header values, log entries and answers; real ones are a few dozen characters long.
MAX_NAME_CHARS: Final = 512

# Of a topic's name that is no good, in the log.
MAX_SHOWN_CHARS: Final = 100

type Send = Callable[[Record], Delivery]
"""Publishes one record and returns once the broker has acknowledged it. Raises BridgeError."""


@dataclass(slots=True)
class _Trace:
    """What is known so far; whatever happens, it becomes the Outcome."""

    time: float
    verdict: Verdict = Verdict.SKIPPED
    reason: str = ""
    event: Event | None = None
    record: Record | None = None
    delivery: Delivery | None = None
    error: BridgeError | None = None


def receive(inbound: Inbound, source: Source, *, send: Send, clock: Clock, limit_bytes: int) -> Outcome:
    """Verify, identify, route and publish one request. Raises nothing: what went wrong is in the Outcome.

    `limit_bytes` is the client's limit for one record; a body above it is not even parsed.
    """
    started, trace = clock.monotonic(), _Trace(clock.now())
    try:
        _run(Content(inbound), source, send, limit_bytes, trace)
    except BridgeError as error:
        trace.error = error
    return Outcome(
        source=source.name,
        scheme=source.scheme_id,
        time=trace.time,
        duration_s=clock.monotonic() - started,
        verdict=trace.verdict,
        reason=trace.reason,
        event=trace.event,
        record=trace.record,
        delivery=trace.delivery,
        error=trace.error,
    )


def _run(content: Content, source: Source, send: Send, limit_bytes: int, trace: _Trace) -> None:
    size_bytes = len(content.inbound.body)
    if size_bytes >= PLATFORM_BODY_LIMIT_BYTES:
        raise TooLarge("The platform cuts bodies off at 10 MiB (10485760 bytes).")
    _verify(content, source, trace)
    if size_bytes > limit_bytes:
        raise TooLarge(f"The body is above the client's limit for one record: message.max.bytes is {limit_bytes}.")
    trace.event = event = _identify(content, source, trace.time)
    trace.record = _route(content, source, event)
    trace.delivery = send(trace.record)


def _verify(content: Content, source: Source, trace: _Trace) -> None:
    if source.verifier is None:
        trace.verdict = Verdict.UNCHECKED
        return
    try:
        source.verifier.verify(content, now=trace.time)
    except Unverified as error:
        trace.verdict, trace.reason = Verdict.REJECTED, error.reason
        raise
    trace.verdict = Verdict.VERIFIED


def _identify(content: Content, source: Source, now: float) -> Event:
    found = source.scheme.id_of(content)
    if found is None or len(found[0]) > MAX_NAME_CHARS:
        # Derived from the body, so it is signed exactly when the body is: always, unless nothing was.
        found = fingerprint(source.name, content.inbound.body), source.verifier is not None
    event_type = source.scheme.type_of(content)
    return Event(
        id=found[0],
        type=event_type[:MAX_NAME_CHARS] if event_type else None,
        source=source.name,
        scheme=source.scheme_id,
        time=now,
        id_signed=found[1],
        content_type=_content_type(content.inbound),
    )


def _content_type(inbound: Inbound) -> str:
    """It is not under the signature, and becomes a header: one of unusual length is left out."""
    content_type = inbound.header("content-type")
    return content_type if len(content_type) <= MAX_NAME_CHARS else ""


def _route(content: Content, source: Source, event: Event) -> Record:
    named = {"type": event.type, "id": event.id}
    topic = source.topic.constant or _topic(content, source, named)
    try:
        key = source.key.render(content, named) if source.key else None
    except MissingValue:
        # An event without the key's value (a ping among orders) has no order to keep: it goes out without a key.
        key = None
    return source.envelope.record(event, topic=topic, key=key, value=content.inbound.body)


def _topic(content: Content, source: Source, named: Mapping[str, str | None]) -> str:
    """The topic that the event's own values lead to; a constant one was checked with the settings."""
    try:
        topic = source.topic.render(content, named)
    except MissingValue as error:
        raise Unroutable(f"The topic cannot be made: {error}.") from error
    if not is_topic_name(topic):
        raise Unroutable("The topic that the event leads to is not a legal topic name.", hint=_shown(topic))
    if not source.allows(topic):
        raise Unroutable("The topic that the event leads to is not among the allowed topics.", hint=_shown(topic))
    return topic


def _shown(topic: str) -> str:
    return ascii(topic[:MAX_SHOWN_CHARS])


def answer(outcome: Outcome) -> Outbound:
    """What the sender is told: a 2xx if and only if the broker acknowledged."""
    event_id = outcome.event.id if outcome.event else ""
    if outcome.error is not None:
        return problem(outcome.error, instance=event_id)
    delivery = outcome.delivery
    assert delivery is not None
    return json_reply(
        {
            "id": event_id,
            "topic": delivery.topic,
            "partition": delivery.partition,
            "offset": delivery.offset,
            "duplicate": False,
        }
    )
