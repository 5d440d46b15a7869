"""The list of events, as the page has it. Pure."""

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple
from urllib.parse import urlencode

from kafka_bridge.dashboard.shown import Badge, When, Words, badge, one_line, place, when, word_of
from kafka_bridge.dispatch.ended import Ending
from kafka_bridge.events.log.entry import Kind
from kafka_bridge.events.log.query import Page, Row

FILTERS: Final = ("source", "type", "outcome", "text", "since", "until")
# What the filter offers: a kind, or how a run of it has ended.
OUTCOMES: Final = (
    *(Kind.ACCEPTED, Kind.DUPLICATE, Kind.DROPPED, Kind.REJECTED, Kind.FAILED, Kind.HANDSHAKE, Kind.REPLAY),
    *(Ending.DONE, Ending.REFUSED, Ending.UNKNOWN, Kind.DEAD_LETTERED),
)
TEXT_CHARS: Final = 120


class RowView(NamedTuple):
    """One line. `name` is the event's id, or, where it has none, the entry's."""

    id: str
    name: str
    link: str
    outcome: Badge
    source: str
    type: str
    time: When
    place: str
    runs: int
    last_run: Badge | None
    reason: str
    missed: int


class Option(NamedTuple):
    """A choice of a list."""

    value: str
    text: str
    chosen: bool


class ListView(NamedTuple):
    """A page of events. `asked` has the filter as it was asked for."""

    rows: Sequence[RowView]
    asked: Mapping[str, str]
    filtered: bool
    sources: Sequence[Option]
    outcomes: Sequence[Option]
    older: str
    newest: str
    export: str
    trouble: str
    live: bool


def link_to(view: str, **asked: str) -> str:
    """A relative link to a view."""
    return "?" + urlencode({"view": view, **{name: value for name, value in asked.items() if value}})


def row_view(row: Row, now: float, words: Words) -> RowView:
    """A row."""
    entry = row.entry
    return RowView(
        id=entry.id,
        name=one_line(entry.event_id) or entry.id,
        link=link_to("event", id=entry.id),
        outcome=badge(word_of(entry), words),
        source=one_line(entry.source),
        type=one_line(entry.event_type),
        time=when(entry.time, now, words),
        place=place(entry),
        runs=sum(run.kind == Kind.RUN for run in row.runs),
        last_run=badge(word_of(row.runs[-1]), words) if row.runs else None,
        reason=one_line(entry.reason, TEXT_CHARS),
        missed=entry.missed,
    )


def list_view(page: Page, asked: Mapping[str, str], sources: Sequence[str], *, now: float, words: Words) -> ListView:
    """A page of the log; `asked` are the parameters of the request, `sources` the names that are known."""
    chosen = {name: asked.get(name, "")[:TEXT_CHARS] for name in FILTERS}
    cursor = asked.get("cursor", "")
    source = chosen["source"]
    # A source that was there once may still be looked for.
    names = [*sources, source] if source and source not in sources else [*sources]
    return ListView(
        rows=[row_view(row, now, words) for row in page.rows],
        asked=chosen,
        filtered=any(chosen.values()),
        sources=[Option("", words["any"], not source), *(Option(name, name, name == source) for name in names)],
        outcomes=[
            Option("", words["any"], not chosen["outcome"]),
            *(Option(word, words.get(word) or word, word == chosen["outcome"]) for word in OUTCOMES),
        ],
        older=link_to("events", **chosen, cursor=page.next) if page.next else "",
        newest=link_to("events", **chosen) if cursor else "",
        export="events?" + urlencode({"format": "ndjson", **{name: text for name, text in chosen.items() if text}}),
        trouble=page.trouble,
        live=not cursor,
    )
