"""The pipeline: size, signature, events, identity, route, record, acknowledgement. Pure.

At-least-once is the order of the lines: the answer is made from an `Outcome`, and an event in it has a delivery only
after `send` has returned one, which it does only once the broker has acknowledged.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import orjson

from kafka_bridge.clock import Clock
from kafka_bridge.errors import BridgeError, TooLarge, Unroutable, Unverified
from kafka_bridge.events.envelope import Event
from kafka_bridge.events.outcome import Outcome, Taken, Verdict
from kafka_bridge.http import PLATFORM_BODY_LIMIT_BYTES, Inbound, Outbound, json_reply, problem
from kafka_bridge.ingress.content import Content
from kafka_bridge.ingress.items import Item, items_of
from kafka_bridge.ingress.keys import fingerprint
from kafka_bridge.ingress.publish import Planned, Publisher
from kafka_bridge.ingress.source import Source

# Ids and types become header values, log entries and answers; real ones are a few dozen characters long.
MAX_NAME_CHARS: Final = 512
# What the answer says of each event besides id and topic, at most; and how long it may be.
TOLD_BYTES: Final = 100
MAX_TOLD_BYTES: Final = 500_000


@dataclass(slots=True)
class _Trace:
    """What is known so far; whatever happens, it becomes the Outcome."""

    time: float
    verdict: Verdict = Verdict.SKIPPED
    reason: str = ""
    events: tuple[Taken, ...] = ()
    batch: bool = False
    reply: Outbound | None = None


def receive(inbound: Inbound, source: Source, *, publisher: Publisher, clock: Clock, limit_bytes: int) -> Outcome:
    """Verify, identify, route and publish one request. Raises nothing: what went wrong is in the Outcome.

    `limit_bytes` is the client's limit for one record; a body above it is not even parsed.
    """
    started, trace, failure = clock.monotonic(), _Trace(clock.now()), None
    try:
        _run(Content(inbound, public_url=source.public_url), source, publisher, limit_bytes, trace)
    except BridgeError as error:
        failure = error
    return Outcome(
        source=source.name,
        scheme=source.scheme_id,
        time=trace.time,
        duration_s=clock.monotonic() - started,
        verdict=trace.verdict,
        reason=trace.reason,
        events=trace.events,
        batch=trace.batch,
        reply=trace.reply,
        error=failure,
        inbound=inbound,
    )


def ask(inbound: Inbound, source: Source, *, clock: Clock) -> Outbound | None:
    """The answer to a GET, when it is a handshake. Raises Unverified."""
    if source.handshake is None:
        return None
    return source.handshake.unsigned(Content(inbound, public_url=source.public_url), now=clock.now())


def _run(content: Content, source: Source, publisher: Publisher, limit_bytes: int, trace: _Trace) -> None:
    if len(content.inbound.body) >= PLATFORM_BODY_LIMIT_BYTES:
        raise TooLarge("The platform cuts bodies off at 10 MiB (10485760 bytes).")
    if not source.takes_many:
        _check_size(content, limit_bytes)
    handshake = source.handshake
    try:
        if handshake is not None and (reply := handshake.unsigned(content, now=trace.time)) is not None:
            trace.reply = reply
            return
        opened = _verify(content, source, trace)
        if handshake is not None and (reply := handshake.signed(opened)) is not None:
            trace.reply = reply
            return
    except Unverified as error:
        trace.verdict, trace.reason = Verdict.REJECTED, error.reason
        raise
    items, trace.batch = items_of(opened, open_format=source.scheme.cloudevents, path=source.split)
    try:
        plan = _planned(items, source, limit_bytes, trace)
        trace.events = tuple(planned.taken for planned in plan)
        if trace.batch:
            _check_answer(trace.events)
        trace.events = tuple(publisher.publish(plan))
    except (TooLarge, Unroutable) as error:
        if not trace.batch or error.index is None:
            raise
        raise _of_batch(error, error.index) from error
    if handshake is not None:
        trace.reply = handshake.success(opened, now=trace.time)


def _planned(items: Sequence[Item], source: Source, limit_bytes: int, trace: _Trace) -> list[Planned]:
    """What each event is to become. Raises TooLarge, Unroutable, whose `index` is that of the event at fault."""
    plan: list[Planned] = []
    for index, item in enumerate(items):
        try:
            _check_size(item.content, limit_bytes)
            event, own_id = _identify(item, source, trace.time)
            if not trace.batch:
                # Also when it cannot be routed the answer names it.
                trace.events = (Taken(event),)
            plan.append(_plan(item.content, source, event, own_id=own_id))
        except BridgeError as error:
            error.index = index
            raise
    return plan


def _of_batch(error: TooLarge | Unroutable, index: int) -> BridgeError:
    """The same, saying which event of the batch is at fault: its sender looks for it among thousands."""
    detail = str(error)
    told = type(error)(f"Event {index + 1} of the batch: {detail[:1].lower()}{detail[1:]}", hint=error.hint)
    told.index = index
    return told


def _check_size(content: Content, limit_bytes: int) -> None:
    if len(content.inbound.body) > limit_bytes:
        raise TooLarge(f"The body is above the client's limit for one record: message.max.bytes is {limit_bytes}.")


def _check_answer(events: Sequence[Taken]) -> None:
    """An answer of unusual length would not be given; so it is refused before anything is published."""
    names = sum(len(orjson.dumps(event.id)) + (len(record.topic) if record else 0) for event, record, *_ in events)
    if names + len(events) * TOLD_BYTES > MAX_TOLD_BYTES:
        raise TooLarge("The answer to a batch of so many events would be too long: send fewer at once.")


def _verify(content: Content, source: Source, trace: _Trace) -> Content:
    if source.verifier is None:
        trace.verdict = Verdict.UNCHECKED
        return content
    opened = source.verifier.verify(content, now=trace.time)
    trace.verdict = Verdict.VERIFIED
    return opened


def _plan(content: Content, source: Source, event: Event, *, own_id: bool) -> Planned:
    target = source.routing.target(content, event)
    if target is None:
        return Planned(Taken(event))
    body = content.inbound.body
    record = source.envelope.record(event, topic=target.topic, key=target.key, value=body)
    window_s = source.window_s(own_id=own_id)
    if not window_s:
        return Planned(Taken(event, record))
    # An id that nobody signs could be given to another event, to have the true one taken for a copy.
    identity = event.id if event.id_signed else f"{event.id} {fingerprint(source.name, body)}"
    return Planned(Taken(event, record), window_s, identity)


def _identify(item: Item, source: Source, now: float) -> tuple[Event, bool]:
    """The event, and whether its id is one that its sender gave it."""
    content, scheme = item.content, source.scheme
    attributes: Mapping[str, str] = item.cloudevent.attributes if item.cloudevent else {}
    found: tuple[str, bool] | None
    if attributes:
        # In binary mode they are headers, which nothing signs.
        signed = scheme.body_is_signed and not content.inbound.header("ce-id")
        found, event_type = (attributes["id"], signed), attributes["type"]
    else:
        found, event_type = _id_of(item, source), scheme.type_of(content) or ""
    own = found is not None and len(found[0]) <= MAX_NAME_CHARS
    if found is None or len(found[0]) > MAX_NAME_CHARS:
        # Derived from the body, so it is signed exactly when the body is.
        found = fingerprint(source.name, content.inbound.body), scheme.body_is_signed
    event = Event(
        id=found[0],
        type=event_type[:MAX_NAME_CHARS] or None,
        source=source.name,
        scheme=source.scheme_id,
        time=now,
        id_signed=found[1],
        # It is not under the signature, and becomes a header: one of unusual length is left out.
        content_type=content.content_type if len(content.content_type) <= MAX_NAME_CHARS else "",
        attributes=attributes,
    )
    return event, own


def _id_of(item: Item, source: Source) -> tuple[str, bool] | None:
    """The id that the sender gave. Events of one request that share the id of a header are numbered."""
    for location in source.scheme.id:
        if found := location.find(item.content):
            numbered = found if item.number is None or location.in_body else f"{found}.{item.number}"
            return numbered, location in source.scheme.signed_ids
    return None


def answer(outcome: Outcome) -> Outbound:
    """What the sender is told: a 2xx if and only if every event was acknowledged, or is not wanted, or none came."""
    if outcome.error is not None:
        return problem(outcome.error, instance=outcome.event.id if outcome.event and not outcome.batch else "")
    if outcome.reply is not None:
        return outcome.reply
    told = [_told(taken) for taken in outcome.events]
    return json_reply({"count": len(told), "records": told} if outcome.batch else told[0])


def _told(taken: Taken) -> Mapping[str, object]:
    if taken.record is None:
        return {"id": taken.event.id, "dropped": True}
    delivery = taken.delivery
    assert delivery is not None
    return {
        "id": taken.event.id,
        "topic": delivery.topic,
        "partition": delivery.partition,
        "offset": delivery.offset,
        "duplicate": taken.duplicate,
    }
