"""The consumer, as its page has it. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from kafka_bridge.dashboard.rows import link_to
from kafka_bridge.dashboard.shown import VALUE_CHARS, Badge, When, Words, badge, one_line, place, when, word_of
from kafka_bridge.errors import MAX_TOLD
from kafka_bridge.events.log.query import Row

MAX_PARTITIONS: Final = 500
MAX_BLOCKED: Final = 50
LATEST: Final = 5
MAY_START: Final = ("stopped", "off", "failing")
MAY_STOP: Final = ("running", "starting", "failing", "waiting", "queued")
INSTEAD: Final = ("instead_cron", "instead_schedule", "instead_worker")

type State = Mapping[str, Any]
"""What the consumer tells of itself; a key that is missing is not known."""


class Partition(NamedTuple):
    """One that is assigned."""

    topic: str
    partition: str
    position: str
    lag: str


class ResidentView(NamedTuple):
    """The consumer that needs no calls. `instead`: what there is where it cannot be."""

    state: Badge
    reason: str
    facts: Sequence[tuple[str, str]]
    instead: Sequence[str]
    may_start: bool
    may_stop: bool


class ConsumerView(NamedTuple):
    """All of it. `facts` are labels and values."""

    state: Badge
    resident: ResidentView
    facts: Sequence[tuple[str, str]]
    trouble: str
    circuit: str
    problems: Sequence[str]
    assigned: Sequence[Partition]
    more: int
    blocked: Sequence[tuple[str, str]]


class LatestRun(NamedTuple):
    """A run that went wrong, and the page of its event."""

    link: str
    name: str
    outcome: Badge
    place: str
    time: When
    reason: str


def consumer_view(state: State, words: Words) -> ConsumerView:
    """What is consumed now."""
    assigned = state.get("assigned") or ()
    blocked = state.get("blocked") or {}
    told = (
        ("group", _text(state.get("group_id"))),
        ("topics", _text(", ".join(map(str, state.get("topics") or ())))),
        ("lag", _text(state.get("lag"))),
        ("in_flight", _text(state.get("in_flight"))),
        ("waiting", _text(state.get("waiting"))),
        ("dead_letter_topic", _text(state.get("dead_letter_topic"))),
        ("result_topic", _text(state.get("result_topic"))),
    )
    return ConsumerView(
        state=badge(str(state.get("state") or "unknown"), words),
        resident=_resident(state.get("resident") or {}, words),
        facts=[(words[key], value) for key, value in told if value],
        trouble=_text(state.get("trouble")),
        circuit=_text(state.get("circuit")),
        problems=[_text(problem) for problem in (state.get("problems") or ())][:MAX_TOLD],
        assigned=[_partition(each) for each in assigned[:MAX_PARTITIONS]],
        more=max(0, len(assigned) - MAX_PARTITIONS) + int(state.get("more_assigned") or 0),
        blocked=[(_text(name), _text(why)) for name, why in list(blocked.items())[:MAX_BLOCKED]],
    )


def _resident(told: State, words: Words) -> ResidentView:
    state = str(told.get("state") or "disabled")
    facts = (
        ("resident_windows", _text(told.get("windows"))),
        ("resident_failures", _text(told.get("failures") or None)),
        ("resident_next_try", _text(told.get("next_try_s"))),
    )
    return ResidentView(
        state=badge(state, words),
        reason=_text(told.get("reason")),
        facts=[(words[key], value) for key, value in facts if value],
        instead=[words[key] for key in INSTEAD] if told.get("alternatives") else [],
        may_start=state in MAY_START,
        may_stop=state in MAY_STOP,
    )


def latest_runs(rows: Sequence[Row], outcome: str, *, now: float, words: Words) -> Sequence[LatestRun]:
    """The last runs of rows that have come to this."""
    runs = [(row, run) for row in rows for run in row.runs if outcome in {run.kind, run.ending}]
    newest = sorted(runs, key=lambda each: each[1].id, reverse=True)[:LATEST]
    return [
        LatestRun(
            link=link_to("event", id=row.entry.id),
            name=one_line(row.entry.event_id) or row.entry.id,
            outcome=badge(word_of(run), words),
            place=place(run),
            time=when(run.time, now, words),
            reason=one_line(run.reason, VALUE_CHARS),
        )
        for row, run in newest
    ]


def _partition(told: Mapping[str, Any]) -> Partition:
    return Partition(*(_text(told.get(name)) for name in Partition._fields))


def _text(value: object) -> str:
    return "" if value is None else one_line(str(value), VALUE_CHARS)
