"""The dead letters, as their page has them; and what is asked before they go back. Pure."""

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from kafka_bridge.dashboard.rows import Option, link_to
from kafka_bridge.dashboard.shown import BAD, CALM, GOOD, VALUE_CHARS, WARN, Badge, When, Words, one_line, when
from kafka_bridge.dispatch.cursor import cursor_of
from kafka_bridge.dispatch.redrive import Told
from kafka_bridge.dispatch.shown import Page, Shown
from kafka_bridge.moments import unix_of

VIEW: Final = "dead-letters"
FILTERS: Final = ("topic", "event_id", "key", "reason", "since", "until")
STATES: Final = ("pending", "redriven")
TEXT_CHARS: Final = 512
_DIGITS: Final = 9


class LetterView(NamedTuple):
    """One. `at` is its place in the dead-letter topic; `send` leads to the question, empty where it cannot go back."""

    at: str
    name: str
    origin: str
    reason: str
    error: str
    attempts: int
    redrives: int
    time: When
    state: Badge
    why_not: str
    key: str
    value: str
    send: str


class LettersView(NamedTuple):
    """A page of them. `asked` has the filter as it was asked for, `send` leads to the question about all of these."""

    rows: Sequence[LetterView]
    asked: Mapping[str, str]
    filtered: bool
    states: Sequence[Option]
    older: str
    newest: str
    send: str
    trouble: str


class Question(NamedTuple):
    """What is asked before letters go back: how many would, and the fields of the form."""

    one: bool
    would: int
    more: bool
    skipped: int
    fields: Sequence[tuple[str, str]]
    back: str


class Done(NamedTuple):
    """What has been done, as the page that follows says it."""

    redriven: int
    skipped: int
    more: bool


def letters_view(page: Page, asked: Mapping[str, str], *, trouble: str, now: float, words: Words) -> LettersView:
    """A page; `asked` are the parameters of the request, `trouble` why it could not be read."""
    chosen, state = chosen_of(asked), asked.get("state", "")
    return LettersView(
        rows=[_letter(row, now, words) for row in page.rows],
        asked=chosen,
        filtered=any(chosen.values()) or bool(state),
        states=[
            Option("", words["any"], not state),
            *(Option(word, words[word], word == state) for word in STATES),
        ],
        older=link_to(VIEW, **chosen, state=state, cursor=cursor_of(page.next)) if page.next else "",
        newest=link_to(VIEW, **chosen, state=state) if asked.get("cursor") else "",
        send=link_to(VIEW, **chosen, send="ask") if page.rows else "",
        trouble=one_line(trouble, VALUE_CHARS),
    )


def chosen_of(asked: Mapping[str, str]) -> dict[str, str]:
    """The filter among the parameters."""
    return {name: asked.get(name, "")[:TEXT_CHARS] for name in FILTERS}


def question(told: Told, asked: Mapping[str, str]) -> Question:
    """What a dry run has found, as a question."""
    record = asked.get("record", "")[:TEXT_CHARS]
    fields = {"record": record} if record else chosen_of(asked)
    return Question(
        one=bool(record),
        would=told.remaining,
        more=bool(told.next),
        skipped=told.skipped,
        fields=[(name, text) for name, text in fields.items() if text],
        back=link_to(VIEW, **({} if record else fields)),
    )


def done_of(asked: Mapping[str, str]) -> Done | None:
    """What the parameters say has been done; None where they do not."""
    texts = [asked.get(name, "") for name in ("redriven", "skipped")]
    if not all(text.isascii() and text.isdigit() and len(text) <= _DIGITS for text in texts):
        return None
    return Done(int(texts[0]), int(texts[1]), more=asked.get("remaining") != "0")


def _letter(row: Shown, now: float, words: Words) -> LetterView:
    at = f"{row.at.topic}/{row.at.partition}/{row.offset}"
    place = f"[{row.place[0]}]@{row.place[1]}" if row.place else ""
    failed = unix_of(row.last_failure) if row.last_failure else None
    return LetterView(
        at=at,
        name=one_line(row.event_id),
        origin=one_line(row.origin) + place,
        reason=one_line(row.reason),
        error=one_line(row.error, VALUE_CHARS),
        attempts=row.attempts,
        redrives=row.redrives,
        time=when(row.time if failed is None else failed, now, words),
        state=_state(row, words),
        why_not=row.why_not,
        key=one_line(row.key or ""),
        value=row.value or "",
        send="" if row.why_not or row.redriven else link_to(VIEW, record=at, send="ask"),
    )


def _state(row: Shown, words: Words) -> Badge:
    if row.redriven:
        return Badge("redriven", words["redriven"], GOOD)
    if row.why_not:
        return Badge("stays", words["stays"], BAD)
    return Badge("pending", words["pending"], WARN if row.redriven is False else CALM)
