"""From variables to which dead letters are sent back, and where. Pure."""

from collections.abc import Mapping
from typing import Final

import orjson

from kafka_bridge.dispatch.asking import place_of
from kafka_bridge.dispatch.redrive import Order, Target, Wanted, wanted_of
from kafka_bridge.errors import Malformed
from kafka_bridge.events.record import TopicPartition
from kafka_bridge.standalone.options import Wrong
from kafka_bridge.standalone.variables import REDRIVE_TO, named

MAX_COUNT: Final = 10**9
_TRUE: Final = frozenset({"true", "1", "yes", "on"})
_FALSE: Final = frozenset({"", "false", "0", "no", "off"})


def parse_order(values: Mapping[str, str]) -> Order:
    """What the variables ask for; an empty one says nothing. Raises Wrong."""
    problems = list[str]()
    to = values.get("REDRIVE_TO", "").strip() or REDRIVE_TO[0]
    if to not in REDRIVE_TO:
        problems.append(f"{named('REDRIVE_TO')}: must be one of {', '.join(REDRIVE_TO)}.")
    order = Order(
        to=Target.TOPIC if to == REDRIVE_TO[0] else Target.WORKFLOW,
        dry_run=_flag(values, "REDRIVE_DRY_RUN", problems),
        count=_count(values, problems),
        wanted=_wanted(values, problems),
        record=_record(values, problems),
        again=_flag(values, "REDRIVE_AGAIN", problems),
    )
    if order.record is not None and order.wanted != Wanted():
        problems.append(f"{named('REDRIVE_RECORD')}: and {named('REDRIVE_FILTER')} exclude one another.")
    if order.again and order.record is None:
        problems.append(f"{named('REDRIVE_AGAIN')}: is for one record: give {named('REDRIVE_RECORD')}.")
    if problems:
        raise Wrong(problems)
    return order


def _wanted(values: Mapping[str, str], problems: list[str]) -> Wanted:
    text = values.get("REDRIVE_FILTER", "").strip()
    try:
        return wanted_of(_fields(text)) if text else Wanted()
    except Malformed as error:
        problems.append(f"{named('REDRIVE_FILTER')}: {error}")
        return Wanted()


def _fields(text: str) -> Mapping[str, str]:
    """Of `name=value`, or of an object of texts. Raises Malformed."""
    name, separator, value = text.partition("=")
    if not text.startswith("{"):
        if not separator:
            raise Malformed("is given as NAME=VALUE, or as a JSON object.")
        return {name.strip(): value.strip()}
    try:
        document = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise Malformed("is no JSON.") from error
    if not isinstance(document, dict) or not all(isinstance(each, str) for each in document.values()):
        raise Malformed("every value must be a text.")
    return document


def _record(values: Mapping[str, str], problems: list[str]) -> tuple[TopicPartition, int] | None:
    text = values.get("REDRIVE_RECORD", "").strip()
    try:
        return place_of(text) if text else None
    except Malformed:
        problems.append(f"{named('REDRIVE_RECORD')}: is given as TOPIC/PARTITION/OFFSET.")
        return None


def _count(values: Mapping[str, str], problems: list[str]) -> int | None:
    text = values.get("REDRIVE_COUNT", "").strip()
    if not text:
        return None
    number = int(text) if text.isascii() and text.isdigit() and len(text) <= len(str(MAX_COUNT)) else 0
    if not 1 <= number <= MAX_COUNT:
        problems.append(f"{named('REDRIVE_COUNT')}: must be a whole number above 0.")
    return number


def _flag(values: Mapping[str, str], name: str, problems: list[str]) -> bool:
    text = values.get(name, "").strip().lower()
    if text not in _TRUE | _FALSE:
        problems.append(f"{named(name)}: must be true or false.")
    return text in _TRUE
