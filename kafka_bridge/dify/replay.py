"""`POST /events/<id>/replay` and `POST /events/replay`: events of the log again, to Kafka or to the workflow.

Nothing of this is a new event: a record that is sent again has the same id, and passes no deduplication.
"""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from http import HTTPStatus
from typing import Final, NamedTuple
from urllib.parse import urlencode

import orjson

from kafka_bridge.dify.call import Call
from kafka_bridge.dify.consume import answer, with_status
from kafka_bridge.dify.events import FILTERS, MAX_ROWS_BYTES, Events, cursor_of, filter_of
from kafka_bridge.dify.resend import Resend, Told
from kafka_bridge.dispatch.payload import read
from kafka_bridge.documents import json_text
from kafka_bridge.errors import LogUnreadable, Malformed
from kafka_bridge.events.log.query import Filter, Row
from kafka_bridge.http import Outbound, json_reply, problem

DEFAULT_LIMIT: Final = 100
MAX_LIMIT: Final = 1000
_ONE: Final = frozenset({"to"})
_MANY: Final = frozenset({"to", "dry_run", "limit", "cursor", *FILTERS})


class Target(StrEnum):
    """Where to."""

    KAFKA = "kafka"
    WORKFLOW = "workflow"

    @property
    def done(self) -> str:
        """What has been done then, for the page that follows."""
        return "replayed" if self is Target.KAFKA else "run"


class Asked(NamedTuple):
    """What is to be sent again. Of a set the newest `limit` events below `cursor`; `dry_run`: only say which."""

    to: Target
    wanted: Filter
    cursor: str
    limit: int
    dry_run: bool


class Replay:
    """The handlers."""

    def __init__(self, events: Events, resend: Resend) -> None:
        self._events = events
        self._resend = resend

    def one(self, call: Call) -> Outbound:
        """One event; a 2xx means that the broker has acknowledged it, or that its run has succeeded."""
        call.authorize()
        asked = asked_of(_fields(call), _ONE)
        entry = self._events.find(call, call.name).entry
        if asked.to is Target.WORKFLOW:
            consumed, ended = self._resend.run(call, entry)
            reply, shown = answer([read(consumed).event_id], [ended], many=False), entry.id
        else:
            shown, delivery = self._resend.publish(call, entry)
            place = {"topic": delivery.topic, "partition": delivery.partition, "offset": delivery.offset}
            reply = json_reply({"id": shown, "event_id": entry.event_id, **place})
        if is_form(call) and reply.status == HTTPStatus.OK:
            return _see(f"../../?{urlencode({'view': 'event', 'id': shown, 'done': asked.to.done})}")
        return reply

    def many(self, call: Call) -> Outbound:
        """A set, the oldest first; a 2xx means the same of all that were not skipped."""
        call.authorize()
        asked = asked_of(_fields(call), _MANY)
        send = self._resend.publish_all if asked.to is Target.KAFKA else self._resend.run_all
        rows, following = self._rows(call, asked)
        told = send(call, rows, outcome=asked.wanted.outcome, dry_run=asked.dry_run)
        reply = _told(told, following)
        if is_form(call) and reply.status == HTTPStatus.OK:
            counts = {"matched": told.matched, "replayed": told.replayed, "skipped": told.skipped}
            done = "dry-run" if asked.dry_run else asked.to.done
            return _see(f"../?{urlencode({'view': 'events', 'done': done, **counts})}")
        return reply

    def _rows(self, call: Call, asked: Asked) -> tuple[Sequence[Row], str]:
        """The set, and the cursor of what is older. Raises LogUnreadable."""
        rows, cursor = list[Row](), asked.cursor
        while True:
            page = self._events.page(call, asked.wanted, cursor=cursor, limit=asked.limit - len(rows))
            if page.trouble:
                raise LogUnreadable(page.trouble)
            rows += page.rows
            cursor = page.next
            if not cursor or len(rows) >= asked.limit:
                return rows[::-1], cursor


def is_form(call: Call) -> bool:
    """Whether a browser has sent a form. Tools say so of whatever they send."""
    return bool(call.form) and not call.inbound.body.lstrip().startswith(b"{")


def asked_of(fields: Mapping[str, str], names: frozenset[str]) -> Asked:
    """What the fields ask for, of which there may be those with `names`. Raises Malformed."""
    if fields.keys() - names:
        raise Malformed(f"There may be {', '.join(sorted(names))}.")
    to, dry_run, limit = fields.get("to") or Target.KAFKA, fields.get("dry_run") or "true", fields.get("limit") or ""
    if to not in {*Target}:
        raise Malformed("to must be kafka or workflow.")
    if dry_run not in {"true", "false"}:
        raise Malformed("dry_run must be true or false.")
    short = len(limit) <= len(str(MAX_LIMIT))
    if limit and not (short and limit.isascii() and limit.isdigit() and 1 <= int(limit) <= MAX_LIMIT):
        raise Malformed(f"limit must be a whole number from 1 to {MAX_LIMIT}.")
    return Asked(
        Target(to), filter_of(fields), cursor_of(fields), int(limit or DEFAULT_LIMIT), dry_run=dry_run == "true"
    )


def _fields(call: Call) -> Mapping[str, str]:
    """A form's fields, or those of a JSON object, as texts. Raises Malformed."""
    if is_form(call):
        return {name: value for name, value in call.form.items() if name != "csrf"}
    body = call.inbound.body
    try:
        document = orjson.loads(body) if body.strip() else {}
    except orjson.JSONDecodeError as error:
        raise Malformed("The body must be a JSON object, or empty.") from error
    if not isinstance(document, dict):
        raise Malformed("The body must be a JSON object, or empty.")
    return {name: _text(name, value) for name, value in document.items()}


def _text(name: str, value: object) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case str() | int() | float():
            return str(value)
        case None:
            return ""
        case _:
            raise Malformed(f"{name[:40]!a} must be a text, a number, true or false.")


def _told(told: Told, following: str) -> Outbound:
    """The answer about a set: nothing is left out of the counts, whatever is left out of the records."""
    counts: dict[str, object] = {
        "dry_run": told.dry_run,
        "matched": told.matched,
        "replayed": told.replayed,
        "failed": told.failed,
        "skipped": told.skipped,
        "next": following or None,
    }
    lines, room = list[orjson.Fragment](), MAX_ROWS_BYTES
    for record in told.records:
        # A run's id is Dify's text, and may be no UTF-8.
        line = (json_text(record) or "null").encode("utf-8", "replace")
        room -= len(line) + 1
        if room < 0:
            counts["left_out"] = len(told.records) - len(lines)
            break
        lines.append(orjson.Fragment(line))
    counts["records"] = lines
    if told.error is None:
        return with_status(counts, told.results)
    refusal = problem(told.error)
    return refusal._replace(body=orjson.dumps({**orjson.loads(refusal.body), **counts}))


def _see(location: str) -> Outbound:
    """The page to go on with; relative, as nobody here knows the address under which the endpoint is reached."""
    return Outbound(HTTPStatus.SEE_OTHER, headers=(("Location", location),))
