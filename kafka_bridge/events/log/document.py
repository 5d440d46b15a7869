"""What the API tells of rows of the event log, as JSON documents. Pure."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any, Final

import orjson

from kafka_bridge.events.log.entry import Entry
from kafka_bridge.events.log.entry import whole as without_halves
from kafka_bridge.events.log.query import Row
from kafka_bridge.events.log.replaying import why_not

# Of an event whose record was run again and again the last ones.
MAX_RUNS: Final = 20

type Document = dict[str, Any]


def iso_time(unix_s: float) -> str:
    """RFC 3339, in UTC, to the millisecond."""
    return datetime.fromtimestamp(unix_s, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def document_of(row: Row, *, whole: bool = False) -> Document:
    """A row; `whole`: with the request's headers and body, as far as they are kept, and if it can be sent again."""
    entry = row.entry
    document: Document = {
        "id": entry.id,
        "time": iso_time(entry.time),
        "outcome": entry.kind,
        "source": entry.source,
        "scheme": entry.scheme,
        "event_id": entry.event_id,
        "type": entry.event_type,
        "id_signed": entry.id_signed,
        "verdict": entry.verdict,
        "reason": entry.reason,
        **_place(entry),
        "key": entry.key,
        "status": entry.status or None,
        "duration_ms": entry.duration_ms,
        "runs": [run_of(run) for run in row.runs[-MAX_RUNS:]],
    }
    if entry.replay_of:
        document["replay_of"] = entry.replay_of
    if entry.missed:
        document["not_recorded"] = entry.missed
    if len(row.runs) > MAX_RUNS:
        document["more_runs"] = len(row.runs) - MAX_RUNS
    if whole:
        document |= {
            "method": entry.method,
            "path": entry.path,
            "headers": dict(entry.headers),
            "content_type": entry.content_type,
            "body": entry.body,
            "body_encoding": entry.encoding or "text",
            "body_bytes": entry.body_bytes,
            "body_note": entry.note,
            "replayable": not (reason := why_not(entry)),
            "not_replayable_because": reason,
        }
    return document


def json_of(row: Row, *, whole: bool = False) -> bytes:
    """The document as JSON, whatever texts are in it."""
    document = document_of(row, whole=whole)
    try:
        return orjson.dumps(document)
    except orjson.JSONEncodeError:
        return orjson.dumps(without_halves(document))


def run_of(entry: Entry) -> Document:
    """A run, or the dead letter that ended them."""
    return {
        "id": entry.id,
        "time": iso_time(entry.time),
        "outcome": entry.kind,
        "ending": entry.ending,
        "attempt": entry.attempt,
        "run_id": entry.run_id,
        "error": entry.reason,
        "duration_ms": entry.duration_ms,
        **_place(entry),
    }


def _place(entry: Entry) -> Document:
    return {
        "topic": entry.topic or None,
        "partition": entry.partition if entry.partition >= 0 else None,
        "offset": entry.offset if entry.offset >= 0 else None,
    }


def lines_of(rows: Sequence[Row], *, whole: bool, room_bytes: int) -> Iterator[bytes]:
    """Rows as lines of JSON, as many as there is room for; the first one always."""
    used = 0
    for row in rows:
        line = json_of(row, whole=whole)
        if used and used + len(line) > room_bytes:
            return
        used += len(line) + 1
        yield line
