"""What somebody asks for who sends dead letters back, from JSON or from a form. Pure."""

import re
from collections.abc import Mapping
from typing import Final

from kafka_bridge.dispatch.cursor import positions_of
from kafka_bridge.dispatch.redrive import FILTERS, Order, Target, wanted_of
from kafka_bridge.errors import Malformed
from kafka_bridge.events.record import TopicPartition

# One request sends no more than this; who wants more asks again.
MAX_COUNT: Final = 10_000
DEFAULT_COUNT: Final = 1000
MAX_SECONDS: Final = 300
DEFAULT_SECONDS: Final = 20
_FIELDS: Final = frozenset({"to", "dry_run", "count", "max_seconds", "filter", "record", "again", "cursor"})
# As the list of dead letters and the command line write a place.
_PLACE: Final = re.compile(r"([a-zA-Z0-9._-]{1,249})[/[](\d{1,9})\]?[/ ](\d{1,18})", re.ASCII)


def order_of(document: Mapping[str, object]) -> tuple[Order, float]:
    """The order in a JSON object, and for how many seconds. Raises Malformed."""
    if document.keys() - _FIELDS:
        raise Malformed(f"There may be {', '.join(sorted(_FIELDS))}.")
    to = document.get("to", Target.TOPIC.value)
    if not isinstance(to, str) or to not in {*Target}:
        raise Malformed("to must be topic or workflow.")
    record = place_of(document["record"]) if document.get("record") is not None else None
    again = _flag(document, "again", default=False)
    filters = document.get("filter")
    if filters is not None and not isinstance(filters, dict):
        raise Malformed("filter must be an object.")
    if record is not None and filters:
        raise Malformed("There may be a record, or a filter.")
    if again and record is None:
        raise Malformed("again is for one record: name it.")
    cursor = document.get("cursor") or ""
    if not isinstance(cursor, str):
        raise Malformed("cursor must be a text.")
    order = Order(
        to=Target(to),
        dry_run=_flag(document, "dry_run", default=True),
        count=_whole(document, "count", DEFAULT_COUNT, MAX_COUNT),
        wanted=wanted_of({name: _text(name, value) for name, value in (filters or {}).items()}),
        record=record,
        again=again,
        cursor=positions_of(cursor),
    )
    return order, float(_whole(document, "max_seconds", DEFAULT_SECONDS, MAX_SECONDS))


def order_of_form(fields: Mapping[str, str]) -> tuple[Order, float]:
    """The same of a form, whose fields are texts, and whose filters stand among them. Raises Malformed."""
    document: dict[str, object] = {name: text for name, text in fields.items() if name not in FILTERS and text}
    for name in ("dry_run", "again"):
        if name in document:
            document[name] = {"true": True, "false": False}.get(fields[name])
    for name in ("count", "max_seconds"):
        if name in document:
            text = fields[name]
            document[name] = int(text) if text.isascii() and text.isdigit() and len(text) < len(str(2**31)) else -1
    wanted = {name: text for name, text in fields.items() if name in FILTERS and text}
    return order_of({**document, **({"filter": wanted} if wanted else {})})


def place_of(value: object) -> tuple[TopicPartition, int]:
    """Where a record lies: `{"topic", "partition", "offset"}`, or `topic/partition/offset`. Raises Malformed."""
    if isinstance(value, dict):
        value = "/".join(str(value.get(name)) for name in ("topic", "partition", "offset"))
    found = _PLACE.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        raise Malformed('record must be {"topic": …, "partition": …, "offset": …}, or topic/partition/offset.')
    return TopicPartition(found[1], int(found[2])), int(found[3])


def _flag(document: Mapping[str, object], name: str, *, default: bool) -> bool:
    value = document.get(name, default)
    if not isinstance(value, bool):
        raise Malformed(f"{name} must be true or false.")
    return value


def _whole(document: Mapping[str, object], name: str, default: int, most: int) -> int:
    value = document.get(name, default)
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= most:
        raise Malformed(f"{name} must be a whole number from 1 to {most}.")
    return value


def _text(name: str, value: object) -> str:
    match value:
        case str():
            return value
        case None:
            return ""
        case int() | float() if not isinstance(value, bool):
            return str(value)
        case _:
            raise Malformed(f"{name[:40]!a} must be a text.")
