"""`GET /dead-letters`, `POST /dead-letters/redrive`: what failed, and how it goes back."""

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from types import MappingProxyType
from typing import Final
from urllib.parse import urlencode

import orjson

from kafka_bridge.dify.call import Call
from kafka_bridge.dify.consume import with_status
from kafka_bridge.dify.events import query_of
from kafka_bridge.dify.letters import Letters
from kafka_bridge.dispatch.asking import order_of, order_of_form, place_of
from kafka_bridge.dispatch.cursor import Positions, cursor_of, positions_of
from kafka_bridge.dispatch.ended import Ended
from kafka_bridge.dispatch.redrive import FILTERS, Line, Order, Told, Wanted, letter_topics, wanted_of
from kafka_bridge.dispatch.shown import Page
from kafka_bridge.documents import json_text
from kafka_bridge.errors import Malformed
from kafka_bridge.events.record import Delivery
from kafka_bridge.http import Outbound, json_reply, problem

DEFAULT_LIMIT: Final = 50
MAX_LIMIT: Final = 100
# How long a page counts what would be sent back.
LOOK_S: Final = 5.0
# What is told of single letters; the counts are about all of them.
MOST_TOLD: Final = 200
# A longer answer would not be given (`http.MAX_ANSWER_BYTES`).
MAX_TOLD_BYTES: Final = 900_000
MAX_ID_CHARS: Final = 200
MAX_DETAIL_CHARS: Final = 500
# Which letters are listed.
_STATES: Final[Mapping[str, bool | None]] = MappingProxyType({"": None, "pending": False, "redriven": True})
_NAMES: Final = frozenset((*FILTERS, "state", "cursor", "limit"))


class DeadLetters:
    """The handlers."""

    def __init__(self, letters: Letters) -> None:
        self._letters = letters

    def list(self, call: Call) -> Outbound:
        """`{"dead_letters", "next", "topics"}`, the newest first."""
        call.authorize()
        asked = query_of(call.inbound.query, _NAMES)
        wanted = wanted_of({name: asked[name] for name in FILTERS if name in asked})
        limit, cursor = limit_of(asked), positions_of(asked.get("cursor", ""))
        page = self.page(call, wanted, state=asked.get("state", ""), limit=limit, cursor=cursor)
        topics = letter_topics(call.hook.consumption(topics=True, app=False), wanted.topic)
        return json_reply(_listed(page, topics))

    def page(
        self,
        call: Call,
        wanted: Wanted,
        *,
        state: str = "",
        limit: int = DEFAULT_LIMIT,
        cursor: Positions = MappingProxyType({}),
    ) -> Page:
        """A page of the endpoint's dead letters, those in a `state` alone where there is one. Raises BridgeError."""
        if state not in _STATES:
            raise Malformed(f"state must be {' or '.join(filter(None, _STATES))}.")
        return self._letters.page(call, wanted, redriven=_STATES[state], limit=limit, cursor=cursor)

    def look(self, call: Call, wanted: Wanted, record: str) -> Told:
        """What would be sent back, of all that are wanted or of one record. Raises BridgeError."""
        order = Order(wanted=wanted, record=place_of(record) if record else None)
        return self._letters.send_back(call, order, max_s=LOOK_S, tell=lambda _: None)

    def redrive(self, call: Call) -> Outbound:
        """Send back what is asked for, and say what has become of it: to a browser's form by the page that follows."""
        call.authorize()
        order, max_s = asked_of(call)
        lines = list[Mapping[str, object]]()

        def tell(more: Sequence[Line]) -> None:
            # Not the lines themselves: each has its letter, with a value of some megabytes perhaps.
            lines.extend(_line(line) for line in more[: MOST_TOLD - len(lines)])

        told = self._letters.send_back(call, order, max_s=max_s, tell=tell)
        answer = _answer(told, lines)
        if not is_form(call):
            return answer
        if answer.status == HTTPStatus.OK:
            return _see(told)
        document = orjson.loads(answer.body)
        counts = ", ".join(f"{told.counts[name]} {name}" for name in ("redriven", "failed", "skipped"))
        return answer._replace(body=orjson.dumps({**document, "detail": f"{document['detail']} ({counts})"}))


def is_form(call: Call) -> bool:
    """Whether a browser has sent a form. Tools say so of whatever they send."""
    return bool(call.form) and not call.inbound.body.lstrip().startswith(b"{")


def asked_of(call: Call) -> tuple[Order, float]:
    """What the body asks for, JSON or a form; an empty one for a dry run of all. Raises Malformed."""
    body = call.inbound.body.strip()
    if is_form(call):
        return order_of_form({name: text for name, text in call.form.items() if name != "csrf"})
    try:
        document = orjson.loads(body) if body else {}
    except orjson.JSONDecodeError as error:
        raise Malformed("The body must be a JSON object, or empty.") from error
    if not isinstance(document, dict):
        raise Malformed("The body must be a JSON object, or empty.")
    return order_of(document)


def limit_of(asked: Mapping[str, str]) -> int:
    """How many letters. Raises Malformed."""
    text = asked.get("limit", str(DEFAULT_LIMIT))
    if not (text.isascii() and text.isdigit() and len(text) <= len(str(MAX_LIMIT)) and 1 <= int(text) <= MAX_LIMIT):
        raise Malformed(f"limit must be a whole number from 1 to {MAX_LIMIT}.")
    return int(text)


def _listed(page: Page, topics: Sequence[str]) -> Mapping[str, object]:
    rows = [dict(row.document) for row in page.rows]
    left = MAX_TOLD_BYTES
    for row in rows:
        left -= len(orjson.dumps(row))
        if left < 0:
            # An answer that is too long is none at all.
            row["left_out"] = [name for name in ("value", "headers") if row.pop(name, None) is not None]
    return {"dead_letters": rows, "next": cursor_of(page.next) if page.next else None, "topics": list(topics)}


def _answer(told: Told, lines: Sequence[Mapping[str, object]]) -> Outbound:
    """The counts, and what became of single letters: 200 if nothing has failed."""
    body = {**told.counts, "next": cursor_of(told.next) if told.next else None}
    # A run's id is Dify's text, and may be no UTF-8.
    told_lines = [orjson.Fragment((json_text(line) or "null").encode("utf-8", "replace")) for line in lines]
    body["records"] = told_lines
    if told.matched > len(told_lines):
        body["left_out"] = told.matched - len(told_lines)
    if told.error is None:
        return with_status(body, told.results)
    refusal = problem(told.error)
    return refusal._replace(body=orjson.dumps({**orjson.loads(refusal.body), **body}))


def _see(told: Told) -> Outbound:
    """The page to go on with; relative, as nobody here knows the address under which the endpoint is reached."""
    remaining = "" if told.next else str(told.remaining)
    asked = {"view": "dead-letters", "redriven": told.redriven, "skipped": told.skipped, "remaining": remaining}
    return Outbound(HTTPStatus.SEE_OTHER, headers=(("Location", f"../?{urlencode(asked)}"),))


def _line(line: Line) -> Mapping[str, object]:
    consumed, fate = line.letter.consumed, line.fate
    place = consumed.position
    document: dict[str, object] = {
        "topic": place.topic,
        "partition": place.partition,
        "offset": consumed.offset,
        "event_id": line.letter.event_id[:MAX_ID_CHARS],
        "outcome": line.word,
    }
    if line.detail:
        document["detail"] = line.detail[:MAX_DETAIL_CHARS]
    if isinstance(fate, Delivery):
        document["to"] = {"topic": fate.topic, "partition": fate.partition, "offset": fate.offset}
    if isinstance(fate, Ended):
        document["run"] = fate.ending.value
        if fate.run_id:
            document["run_id"] = fate.run_id
    return document
