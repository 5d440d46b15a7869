"""From what became of a request, or of a run, to entries. Pure.

Whatever is kept of the sender's own texts passes here: it is cut, and neither a secret nor a masked value is in it.
"""

from collections.abc import Callable, Sequence
from typing import Final

import orjson

from kafka_bridge.events.envelope import BINARY, Event, format_of
from kafka_bridge.events.log.entry import Entry, Kind, whole
from kafka_bridge.events.log.masking import MASK, Keeping
from kafka_bridge.events.outcome import Outcome, Taken, Verdict
from kafka_bridge.events.record import Record
from kafka_bridge.events.run import Ran
from kafka_bridge.http import Inbound

# A masked value that is shorter is found in nearly every text: it is masked where it is the whole of it.
MIN_PART_CHARS: Final = 3
# Masked values times the texts in which each is looked for: whoever sends many of both holds up everybody else.
MAX_SEARCHED_CHARS: Final = 4_000_000
# The events of one request that are recorded; the entry of the last one says how many more there were.
MOST_OF_A_BATCH: Final = 200
MAX_TEXT_CHARS: Final = 512
MAX_REASON_CHARS: Final = 1024
# Of all attributes of a CloudEvent; one with more is recorded without them, and cannot be sent again.
MAX_ATTRIBUTES_CHARS: Final = 4096
_OK: Final = 200
_NOTHING: Final = Inbound("", "")


def entries_of(outcome: Outcome, keeping: Keeping, next_id: Callable[[], str], *, missed: int = 0) -> Sequence[Entry]:
    """What the log holds of a request. `missed`: so many before it were not recorded."""
    events = outcome.events
    if len(events) <= 1:
        return [_entry(outcome, events[0] if events else None, keeping, next_id(), missed)]
    entries = [_entry(outcome, taken, keeping, next_id(), 0) for taken in events[:MOST_OF_A_BATCH]]
    entries[0] = entries[0]._replace(missed=missed)
    if len(events) > MOST_OF_A_BATCH:
        entries[-1] = entries[-1]._replace(missed=len(events) - MOST_OF_A_BATCH)
    return entries


def _entry(outcome: Outcome, taken: Taken | None, keeping: Keeping, entry_id: str, missed: int) -> Entry:
    inbound, error = outcome.inbound or _NOTHING, outcome.error
    # Who is not verified may have taken one sender's secret for another one's.
    unverified = outcome.verdict is not Verdict.VERIFIED and outcome.verdict is not Verdict.OWN
    secrets = keeping.every_secret if unverified else keeping.secrets_of(outcome.source)
    event, record, delivery = (taken.event, taken.record, taken.delivery) if taken else (None, None, None)
    content_type = event.content_type if event else inbound.header("content-type")
    body = keeping.body(_value(outcome, inbound, record), content_type, secrets)
    headers = keeping.headers(inbound.headers)
    event_id, event_type = (event.id, event.type or "") if event else ("", "")
    key = record.key.decode("utf-8", "replace") if record and record.key else ""
    reason = _reason(outcome) if error or outcome.reason else ""
    texts = (event_id, event_type, key, reason, content_type)
    record_format, attributes = _form(event, record, secrets) if event and record and body.whole else ("", "")
    masked = searchable(body.masked, [*texts, *[value for _, value in headers]])
    if masked is None or masked or (secrets and _is_any_in(secrets, texts, headers)):
        record_format, attributes = "", ""
        event_id, event_type, key, reason, content_type = (clean(text, secrets, masked) for text in texts)
        headers = [(name, clean(value, secrets, masked)) for name, value in headers]
    # Not before: half a secret would not be found.
    headers = [(name, value[:MAX_TEXT_CHARS]) for name, value in headers]
    # By position: this is done for every webhook, and takes half as long.
    return Entry(
        entry_id,
        _kind(outcome, taken),
        outcome.time,
        outcome.source,
        outcome.scheme,
        event_id,
        event_type,
        event is not None and event.id_signed,
        outcome.verdict,
        reason[:MAX_REASON_CHARS],
        inbound.method,
        inbound.path[:MAX_TEXT_CHARS],
        headers,
        content_type[:MAX_TEXT_CHARS],
        body.text,
        body.encoding,
        body.size_bytes,
        body.note,
        delivery.topic if delivery else record.topic if record else "",
        delivery.partition if delivery else -1,
        delivery.offset if delivery and delivery.offset is not None else -1,
        key[:MAX_TEXT_CHARS],
        error.status if error else outcome.reply.status if outcome.reply else _OK,
        round(outcome.duration_s * 1000, 1),
        missed=missed,
        record_format=record_format,
        attributes=attributes,
    )


def entry_of_run(ran: Ran, keeping: Keeping, next_id: Callable[[], str]) -> Entry:
    """What the log holds of a run. Its error is the app's own text, which may quote what the app was given."""
    texts = [str(whole(text)) for text in (ran.event_id, ran.event_type or "", ran.error, ran.run_id)]
    secrets, masked = keeping.every_secret, searchable(keeping.hidden(ran.text, ran.content_type), texts)
    event_id, event_type, error, run_id = (clean(text, secrets, masked) for text in texts)
    return Entry(
        id=next_id(),
        kind=Kind.DEAD_LETTERED if ran.dead_lettered else Kind.RUN,
        time=ran.time,
        event_id=event_id[:MAX_TEXT_CHARS],
        event_type=event_type[:MAX_TEXT_CHARS],
        reason=error[:MAX_REASON_CHARS],
        topic=str(whole(ran.topic[:MAX_TEXT_CHARS])),
        partition=ran.partition,
        offset=ran.offset,
        duration_ms=round(ran.duration_s * 1000, 1),
        attempt=ran.attempt,
        ending=ran.ending,
        run_id=run_id[:MAX_TEXT_CHARS],
    )


def _kind(outcome: Outcome, taken: Taken | None) -> Kind:
    if outcome.error is not None:
        return Kind.REJECTED if outcome.verdict is Verdict.REJECTED else Kind.FAILED
    if taken is None:
        return Kind.HANDSHAKE
    if taken.record is None:
        return Kind.DROPPED
    return Kind.DUPLICATE if taken.duplicate else Kind.ACCEPTED


def _form(event: Event, record: Record, secrets: Sequence[str]) -> tuple[str, str]:
    """What the record can be made of again, besides the entry's texts; nothing where some of it must not be kept."""
    if record.key is not None and len(record.key) > MAX_TEXT_CHARS:
        return "", ""
    record_format = format_of(record)
    if record_format != BINARY or not event.attributes:
        return record_format, ""
    texts = event.attributes.values()
    if sum(map(len, texts)) > MAX_ATTRIBUTES_CHARS or _is_any_in(secrets, tuple(texts), ()):
        return "", ""
    return record_format, orjson.dumps(event.attributes).decode()


def _value(outcome: Outcome, inbound: Inbound, record: Record | None) -> bytes:
    """What went to Kafka, or should have; the request's body where there is no record, and it is no batch."""
    if record is not None:
        return record.value or b""
    return b"" if outcome.batch else inbound.body


def _reason(outcome: Outcome) -> str:
    error = outcome.error
    if error is None or outcome.reason:
        return outcome.reason
    return f"{error} ({error.hint})" if error.hint else str(error)


def _is_any_in(secrets: Sequence[str], texts: Sequence[str], headers: Sequence[tuple[str, str]]) -> bool:
    together = "\0".join([*texts, *[value for _, value in headers]])
    # Not with `any`: a generator takes longer than the search.
    return [secret for secret in secrets if secret in together] != []


def searchable(masked: Sequence[str] | None, texts: Sequence[str]) -> Sequence[str] | None:
    """The masked values to look for in the texts; None: there are too many, or unknown ones, and no text is kept."""
    if not masked:
        return masked
    return masked if len(masked) * sum(map(len, texts)) <= MAX_SEARCHED_CHARS else None


def clean(text: str, secrets: Sequence[str], masked: Sequence[str] | None) -> str:
    """A text of the sender's without what must not be seen; with `masked` None nothing of it."""
    if masked is None:
        return text and MASK
    for secret in secrets:
        text = text.replace(secret, MASK)
    hidden = any(value == text or (len(value) >= MIN_PART_CHARS and value in text) for value in masked)
    return MASK if hidden else text
