"""Dead letters as they are shown: where each lies, what it was, why it failed, and so much of its value. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Final

from kafka_bridge.dispatch.cursor import Positions
from kafka_bridge.dispatch.letter import Letter
from kafka_bridge.dispatch.payload import read
from kafka_bridge.dispatch.plan import Plan
from kafka_bridge.dispatch.redrive import destination
from kafka_bridge.dispatch.task import Reason
from kafka_bridge.errors import Unroutable
from kafka_bridge.events.envelope import rfc3339
from kafka_bridge.events.log.making import clean, searchable
from kafka_bridge.events.log.masking import Keeping, Notes
from kafka_bridge.events.record import TopicPartition

VALUE_CHARS: Final = 2048
TEXT_CHARS: Final = 200
ERROR_CHARS: Final = 600
HEADERS: Final = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """`why_not`: why it cannot be sent back; `redriven`: it was, None: nobody may say. Times in unix seconds."""

    at: TopicPartition
    offset: int
    time: float
    origin: str
    place: tuple[int, int] | None
    event_id: str
    event_type: str
    key: str | None
    value: str | None
    encoding: str
    value_bytes: int
    note: str
    headers: Mapping[str, str]
    reason: str
    error: str
    kind: str
    attempts: int
    redrives: int
    first_failure: str
    last_failure: str
    run_id: str
    group: str
    why_not: str
    redriven: bool | None

    @property
    def document(self) -> Mapping[str, object]:
        """As JSON."""
        facts: dict[str, object] = {
            "event_id": self.event_id,
            "event_type": self.event_type,
            "key": self.key,
            "value": self.value,
            "value_encoding": self.encoding,
            "value_bytes": self.value_bytes,
            "value_note": self.note,
            "headers": dict(self.headers),
            "reason": self.reason,
            "error": self.error,
            "kind": self.kind,
            "attempts": self.attempts,
            "redrives": self.redrives,
            "first_failure": self.first_failure,
            "last_failure": self.last_failure,
            "run_id": self.run_id,
            "group": self.group,
            "why_not": self.why_not,
        }
        kept = ("key", "value", "attempts")
        return {
            "topic": self.at.topic,
            "partition": self.at.partition,
            "offset": self.offset,
            "time": rfc3339(self.time),
            "original": self._original,
            **{name: value for name, value in facts.items() if value or name in kept},
            "redriven": self.redriven,
        }

    @property
    def _original(self) -> Mapping[str, object]:
        if self.place is None:
            return {"topic": self.origin}
        return {"topic": self.origin, "partition": self.place[0], "offset": self.place[1]}


@dataclass(frozen=True, slots=True)
class Page:
    """Newest first. `next` is where to go on; empty when there are no more. A page may be short, and not the last."""

    rows: Sequence[Shown] = ()
    next: Positions = field(default_factory=dict)


def shown(letter: Letter, plan: Plan, keeping: Keeping, *, group: str = "", redriven: bool | None = False) -> Shown:
    """What is shown of a letter; what the operator has masked in events is masked here too."""
    try:
        origin, why_not = destination(letter, plan, group=group), ""
    except Unroutable as refusal:
        origin, why_not = letter.topic, str(refusal)
    record, payload = letter.consumed.record, read(letter.original(origin))
    secrets = keeping.secrets_of("")
    body = keeping.body(record.value or b"", payload.header("content-type") or "", secrets)
    reason, error = _reason(letter.error)

    headers = list(islice(payload.headers.items(), HEADERS))
    texts = (error, letter.event_id, payload.event_type or "", payload.key or "", *(text for _, text in headers))
    masked = searchable(body.masked, texts)

    def told(text: str, most: int = TEXT_CHARS) -> str:
        return clean(text, secrets, masked)[:most]

    def ours(text: str) -> str:
        return clean(text, secrets, ())[:TEXT_CHARS]

    return Shown(
        at=letter.consumed.position,
        offset=letter.consumed.offset,
        time=(record.timestamp_ms or 0) / 1000,
        origin=ours(origin),
        place=letter.place,
        event_id=told(letter.event_id),
        event_type=told(payload.event_type or ""),
        key=None if payload.key is None else told(payload.key),
        # Of base64 whole groups.
        value=None if record.value is None else body.text[:VALUE_CHARS],
        encoding=body.encoding,
        value_bytes=body.size_bytes,
        note=body.note or (Notes.CUT if len(body.text) > VALUE_CHARS else ""),
        headers={ours(name): told(text) for name, text in headers},
        reason=reason,
        error=told(error, ERROR_CHARS),
        kind=ours(letter.kind),
        attempts=letter.attempts,
        redrives=letter.redrives,
        first_failure=ours(letter.first_failure),
        last_failure=ours(letter.last_failure),
        run_id=ours(letter.run_id),
        group=ours(letter.group),
        why_not=why_not,
        redriven=redriven,
    )


def _reason(text: str) -> tuple[str, str]:
    """Why the bridge gave it up, and what the run said; of other tools' letters there is only the latter."""
    for reason in Reason:
        if text == reason.value or text.startswith(f"{reason.value}: "):
            return reason.value, text[len(reason.value) + 2 :]
    return "", text
