"""One event, as its page has it: what came, what was found, where it went, what became of it. Pure."""

import base64
from collections.abc import Sequence
from typing import Final, NamedTuple

import orjson

from kafka_bridge.dashboard import pretty
from kafka_bridge.dashboard.rows import link_to
from kafka_bridge.dashboard.shown import (
    VALUE_CHARS,
    Badge,
    When,
    Words,
    badge,
    duration,
    one_line,
    place,
    size,
    when,
    word_of,
)
from kafka_bridge.events.log.document import MAX_RUNS
from kafka_bridge.events.log.entry import RUNS, Entry, Kind
from kafka_bridge.events.log.masking import BASE64, Notes
from kafka_bridge.events.log.query import Row
from kafka_bridge.events.log.replaying import why_not
from kafka_bridge.events.outcome import Verdict

# Each character may become five in HTML, and a page is one answer of bounded length.
MAX_BODY_CHARS: Final = 80_000
MAX_RELATED: Final = 20
_CHECKED: Final = frozenset({Verdict.VERIFIED, Verdict.UNCHECKED})


class Fact(NamedTuple):
    """A line of what is known. `code`: an id, a name, something to copy."""

    label: str
    value: str
    code: bool = False
    link: str = ""
    badge: Badge | None = None


class BodyView(NamedTuple):
    """The body as text; `notes` say what is special about it."""

    text: str
    size: str
    notes: Sequence[str]


class RunView(NamedTuple):
    """One run."""

    time: When
    outcome: Badge
    attempt: int
    run_id: str
    duration: str
    error: str
    place: str


class Step(NamedTuple):
    """A moment of the timeline."""

    time: When
    outcome: Badge | None
    text: str
    detail: str = ""
    link: str = ""


class EventView(NamedTuple):
    """`refusal` says why it cannot be sent again; empty when it can."""

    id: str
    name: str
    outcome: Badge
    time: When
    request: Sequence[Fact]
    kafka: Sequence[Fact]
    headers: Sequence[tuple[str, str]]
    body: BodyView
    runs: Sequence[RunView]
    more_runs: int
    timeline: Sequence[Step]
    refusal: str
    topic: str


def event_view(row: Row, related: Sequence[Row], *, now: float, words: Words) -> EventView:
    """One event; `related` are rows of the same event's id."""
    entry = row.entry
    runs = row.runs[-MAX_RUNS:]
    return EventView(
        id=entry.id,
        name=one_line(entry.event_id, VALUE_CHARS) or entry.id,
        outcome=badge(word_of(entry), words),
        time=when(entry.time, now, words),
        request=[fact for fact in _request(entry, words) if fact.value or fact.badge],
        kafka=[fact for fact in _kafka(entry, words) if fact.value],
        headers=[(one_line(name), one_line(value, VALUE_CHARS)) for name, value in entry.headers],
        body=body_view(entry, words),
        runs=[_run(run, now, words) for run in runs],
        more_runs=len(row.runs) - len(runs),
        timeline=_timeline(entry, runs, related, now, words),
        refusal=refusal_of(entry, words),
        topic=one_line(entry.topic),
    )


def refusal_of(entry: Entry, words: Words) -> str:
    """Why it cannot be sent again; empty when it can."""
    if not why_not(entry):
        return ""
    if entry.verdict == Verdict.OWN:
        return words["not_replayable_own"]
    if entry.verdict not in _CHECKED or entry.kind in RUNS:
        return words["not_replayable_kind"]
    return words["not_replayable_body" if entry.topic else "not_replayable_topic"]


def _request(entry: Entry, words: Words) -> Sequence[Fact]:
    signed = words["id_signed" if entry.id_signed else "id_unsigned"]
    verdict = badge(entry.verdict, words) if entry.verdict else None
    answer = f"{entry.status} · {duration(entry.duration_ms)}" if entry.status else ""
    missed = words["missed"].format(entry.missed) if entry.missed else ""
    return (
        Fact(words["source"], one_line(entry.source), code=True),
        Fact(words["scheme"], one_line(entry.scheme), code=True),
        Fact(words["type"], one_line(entry.event_type, VALUE_CHARS), code=True),
        Fact(words["event_id"], one_line(entry.event_id, VALUE_CHARS), code=True),
        Fact("", signed if entry.event_id and entry.source else ""),
        Fact(words["entry_id"], entry.id, code=True),
        Fact(words["replay_of"], entry.replay_of, code=True, link=link_to("event", id=entry.replay_of)),
        Fact(words["verdict"], "", badge=verdict),
        Fact(words["reason"], one_line(entry.reason, 2 * VALUE_CHARS)),
        Fact(words["request"], one_line(f"{entry.method} {entry.path}".strip(), VALUE_CHARS), code=True),
        Fact(words["answer"], answer),
        Fact("", missed),
    )


def _kafka(entry: Entry, words: Words) -> Sequence[Fact]:
    return (
        Fact(words["topic"], one_line(entry.topic, VALUE_CHARS), code=True),
        Fact(words["partition"], str(entry.partition) if entry.partition >= 0 else "", code=True),
        Fact(words["offset"], str(entry.offset) if entry.offset >= 0 else "", code=True),
        Fact(words["key"], one_line(entry.key, VALUE_CHARS), code=True),
    )


def body_view(entry: Entry, words: Words) -> BodyView:
    """The body as far as it is kept: JSON indented, other text as it came, bytes as hex."""
    notes = []
    if entry.note == Notes.CUT:
        notes.append(words["body_cut"].format(f"{entry.body_bytes:,}"))
    elif entry.note == Notes.UNMASKABLE:
        notes.append(words["body_unmaskable"])
    text = entry.body
    if entry.encoding == BASE64:
        notes.append(words["body_hex"])
        text = _hex(entry.body)
    elif _is_json(text, cut=entry.note == Notes.CUT):
        text = pretty.indented(text, max_chars=MAX_BODY_CHARS) or text
    return BodyView(text[:MAX_BODY_CHARS], size(entry.body_bytes, words), notes)


def _hex(encoded: str) -> str:
    try:
        return pretty.hexdump(base64.b64decode(encoded, validate=True))
    except ValueError:
        # Whatever lies in storage, a page is shown.
        return encoded


def _is_json(text: str, *, cut: bool) -> bool:
    if not text.lstrip().startswith(("{", "[")):
        return False
    if cut:
        return True
    try:
        orjson.loads(text)
    except orjson.JSONDecodeError:
        return False
    return True


def _run(run: Entry, now: float, words: Words) -> RunView:
    return RunView(
        time=when(run.time, now, words),
        outcome=badge(word_of(run), words),
        attempt=run.attempt,
        run_id=one_line(run.run_id),
        duration=duration(run.duration_ms),
        error=one_line(run.reason, 2 * VALUE_CHARS),
        place=place(run),
    )


type _Moment = tuple[float, Badge | None, str, str, str]


def _timeline(entry: Entry, runs: Sequence[Entry], related: Sequence[Row], now: float, words: Words) -> Sequence[Step]:
    moments = [*_own(entry, words), *(_of_run(run, words) for run in runs)]
    for row in [row for row in related if row.entry.id != entry.id][:MAX_RELATED]:
        other = row.entry
        came = "step_again" if other.time >= entry.time else "step_before"
        text = words["step_replayed" if other.kind == Kind.REPLAY else came]
        moments.append((other.time, badge(word_of(other), words), text, place(other), link_to("event", id=other.id)))
    return [
        Step(when(time, now, words), shown, text, detail, link)
        for time, shown, text, detail, link in sorted(moments, key=lambda moment: moment[0])
    ]


def _arrival(entry: Entry, words: Words) -> str:
    """How it came."""
    source = one_line(entry.source) or words["unknown"]
    return words["step_replayed"] if entry.kind == Kind.REPLAY else words["step_received"].format(source)


def _own(entry: Entry, words: Words) -> Sequence[_Moment]:
    """What happened within the request itself."""
    if entry.kind in RUNS:
        return ()
    first = _arrival(entry, words)
    verdict = badge(entry.verdict, words) if entry.verdict else None
    done_at = entry.time + entry.duration_ms / 1000
    moments: list[_Moment] = [(entry.time, verdict, first, "", "")]
    outcome = badge(word_of(entry), words)
    if entry.position is not None:
        moments.append((done_at, outcome, words["step_acknowledged"].format(place(entry)), "", ""))
    else:
        moments.append((done_at, outcome, one_line(entry.reason, VALUE_CHARS), "", ""))
    if entry.status:
        answered = words["step_answered"].format(entry.status, duration(entry.duration_ms))
        moments.append((done_at, None, answered, "", ""))
    return moments


def _of_run(run: Entry, words: Words) -> _Moment:
    text = words["step_dead" if run.kind == Kind.DEAD_LETTERED else "step_run"].format(run.attempt)
    took = duration(run.duration_ms) if run.kind == Kind.RUN else ""
    detail = " · ".join(filter(None, (took, one_line(run.reason, VALUE_CHARS))))
    return run.time, badge(word_of(run), words), text, detail, ""
