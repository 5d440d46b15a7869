"""`GET /events` and `GET /events/<id>`: what came in, what became of it, newest first."""

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Final
from urllib.parse import parse_qs, urlencode

import orjson

from kafka_bridge.dify.call import Call
from kafka_bridge.dify.recorder import EventRecorder
from kafka_bridge.errors import LogUnreadable, Malformed, NotFound
from kafka_bridge.events.log.document import json_of, lines_of
from kafka_bridge.events.log.entry import is_id
from kafka_bridge.events.log.query import Filter, Page, Row
from kafka_bridge.events.log.reader import Reader
from kafka_bridge.events.log.store import StorageFailed
from kafka_bridge.http import JSON, Outbound
from kafka_bridge.moments import unix_of

NDJSON: Final = "application/x-ndjson"
DEFAULT_LIMIT: Final = 50
MAX_LIMIT: Final = 500
# What one answer may hold of rows: a longer one would not be given (`http.MAX_ANSWER_BYTES`).
MAX_ROWS_BYTES: Final = 900_000
MAX_CURSOR_CHARS: Final = 40
MAX_FILTER_CHARS: Final = 512
FILTERS: Final = ("source", "type", "outcome", "text", "since", "until")
_NAMES: Final = frozenset((*FILTERS, "cursor", "limit", "format"))


class Events:
    """The handlers, and the looks at the log that others share."""

    def __init__(self, recorder: EventRecorder, reader: Reader) -> None:
        self._recorder = recorder
        self._reader = reader

    def list(self, call: Call) -> Outbound:
        """`{"events", "next"}`, or, where lines are asked for, one whole event per line."""
        call.authorize()
        asked = query_of(call.inbound.query)
        cursor, limit, lines = cursor_of(asked), limit_of(asked), _wants_lines(asked, call.inbound.header("accept"))
        page = self.page(call, filter_of(asked), cursor=cursor, limit=limit)
        if lines and page.trouble:
            # In lines there is no place to say that some are missing.
            raise LogUnreadable(page.trouble)
        rows = self.whole(call, page.rows) if lines else page.rows
        told = list(lines_of(rows, whole=lines, room_bytes=MAX_ROWS_BYTES))
        following = page.next if len(told) == len(rows) else rows[len(told) - 1].entry.id
        headers = _link(asked, following)
        if lines:
            return Outbound(HTTPStatus.OK, b"".join(line + b"\n" for line in told), NDJSON, headers)
        return Outbound(HTTPStatus.OK, _listed(told, following, page.trouble), JSON, headers)

    def show(self, call: Call) -> Outbound:
        """One event whole."""
        call.authorize()
        return Outbound(HTTPStatus.OK, json_of(self.find(call, call.name), whole=True))

    def page(self, call: Call, wanted: Filter, *, cursor: str = "", limit: int = DEFAULT_LIMIT) -> Page:
        """A page of the endpoint's log."""
        # A look may be the only request that comes for long.
        self._recorder.catch_up(call)
        return self._reader.query(
            self._recorder.log(call), self._recorder.store(call), wanted, cursor=cursor, limit=limit
        )

    def find(self, call: Call, entry_id: str) -> Row:
        """One row whole. Raises NotFound, LogUnreadable."""
        row = None
        if is_id(entry_id):
            try:
                row = self._reader.find(self._recorder.log(call), self._recorder.store(call), entry_id)
            except StorageFailed as failed:
                raise LogUnreadable(str(failed)) from failed
        if row is None:
            raise NotFound("There is no such event, or not any more.")
        return row

    def whole(self, call: Call, rows: Sequence[Row]) -> Sequence[Row]:
        """The same rows with bodies. Raises LogUnreadable."""
        try:
            return self._reader.whole(self._recorder.log(call), self._recorder.store(call), rows)
        except StorageFailed as failed:
            raise LogUnreadable(str(failed)) from failed


def query_of(query: str, names: frozenset[str] = _NAMES) -> Mapping[str, str]:
    """The parameters; of a repeated one the last. Raises Malformed for one that is not among `names`."""
    try:
        asked = {name: values[-1] for name, values in parse_qs(query, max_num_fields=100).items()}
    except ValueError as error:
        raise Malformed("Too many parameters.") from error
    if unknown := sorted(asked.keys() - names):
        shown = ascii(unknown[0][:MAX_CURSOR_CHARS])
        raise Malformed(f"There is no parameter {shown}; there are {', '.join(sorted(names))}.")
    # A cursor has a bound of its own.
    if long := [name for name in asked if name != "cursor" and len(asked[name]) > MAX_FILTER_CHARS]:
        raise Malformed(f"{long[0]} has more than {MAX_FILTER_CHARS} characters.")
    return asked


def filter_of(asked: Mapping[str, str]) -> Filter:
    """Which rows. Raises Malformed."""
    return Filter(
        source=asked.get("source", ""),
        event_type=asked.get("type", ""),
        outcome=asked.get("outcome", ""),
        text=asked.get("text", ""),
        since=_time(asked, "since"),
        until=_time(asked, "until"),
    )


def cursor_of(asked: Mapping[str, str]) -> str:
    """The cursor. Raises Malformed for what is none."""
    cursor = asked.get("cursor", "")
    if len(cursor) > MAX_CURSOR_CHARS or cursor.strip("0123456789abcdef~"):
        raise Malformed("The cursor must be one that an answer gave as “next”.")
    return cursor


def limit_of(asked: Mapping[str, str]) -> int:
    """How many rows. Raises Malformed."""
    text = asked.get("limit", str(DEFAULT_LIMIT))
    if not (text.isascii() and text.isdigit() and len(text) <= len(str(MAX_LIMIT)) and 1 <= int(text) <= MAX_LIMIT):
        raise Malformed(f"limit must be a whole number from 1 to {MAX_LIMIT}.")
    return int(text)


def _wants_lines(asked: Mapping[str, str], accept: str) -> bool:
    """One event per line; what the parameter says counts before the header. Raises Malformed."""
    form = asked.get("format", "")
    if form not in {"", "json", "ndjson"}:
        raise Malformed("format must be json or ndjson.")
    return form == "ndjson" or (not form and NDJSON in accept)


def _time(asked: Mapping[str, str], name: str) -> float | None:
    text = asked.get(name, "").strip()
    if not text:
        return None
    if (moment := unix_of(text)) is None:
        raise Malformed(f"{name} must be a time as 2026-01-31T12:00:00Z, or in unix seconds.")
    return moment


def _link(asked: Mapping[str, str], following: str) -> tuple[tuple[str, str], ...]:
    """Where the next page is (RFC 8288), for who reads lines."""
    if not following:
        return ()
    return (("Link", f'<?{urlencode({**asked, "cursor": following})}>; rel="next"'),)


def _listed(told: Sequence[bytes], following: str, trouble: str) -> bytes:
    end = orjson.dumps({"next": following or None, **({"trouble": trouble} if trouble else {})})
    return b'{"events":[' + b",".join(told) + b"]," + end[1:]
