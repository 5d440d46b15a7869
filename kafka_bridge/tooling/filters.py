"""Which records are meant: by key, header, or what stands in their JSON. Pure.

    key = order-17
    header.correlation-id = 6f1c
    $.order.status = paid

One condition a line, or a JSON object of them; all must hold.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Final

import orjson

from kafka_bridge.documents import json_text
from kafka_bridge.events.record import Consumed, Record
from kafka_bridge.tooling import jsonpath
from kafka_bridge.tooling.parameters import Parameters

MAX_CONDITIONS: Final = 20
_HEADER: Final = ("header.", "header:", "headers.")
_RULE: Final = "a condition is key=…, header.NAME=… or $.path=…, one a line; or a JSON object of them"

type Condition = Callable[[Record], bool]


class Filter:
    """Conditions that a record must meet; without any, every record does."""

    def __init__(self, conditions: tuple[Condition, ...] = ()) -> None:
        self._conditions = conditions

    def __bool__(self) -> bool:
        return bool(self._conditions)

    def matches(self, consumed: Consumed) -> bool:
        """Whether the record is meant."""
        return all(condition(consumed.record) for condition in self._conditions)


def with_header(name: str, value: str) -> Filter:
    """Records with that header."""
    return Filter((_header(name, value),))


def read_filter(parameters: Parameters, name: str) -> Filter:
    """The conditions of a parameter; what is wrong with them is noted in `parameters`."""
    pairs = list(_pairs(parameters, name))
    if len(pairs) > MAX_CONDITIONS:
        parameters.problem(name, f"has more than {MAX_CONDITIONS} conditions")
        return Filter()
    conditions = [_condition(parameters, name, what, wanted) for what, wanted in pairs]
    return Filter(tuple(condition for condition in conditions if condition is not None))


def _pairs(parameters: Parameters, name: str) -> Iterator[tuple[str, str]]:
    text = parameters.text(name)
    if text.startswith("{"):
        for what, wanted in parameters.json_object(name).items():
            yield what.strip(), wanted if isinstance(wanted, str) else json_text(wanted) or ""
        return
    for line in filter(None, map(str.strip, text.splitlines())):
        what, equals, wanted = line.partition("=")
        if not equals:
            parameters.problem(name, _RULE)
            return
        # As programmers write it, too.
        yield what.strip(), wanted.removeprefix("=").strip()


def _condition(parameters: Parameters, name: str, what: str, wanted: str) -> Condition | None:
    if what == "key":
        key = wanted.encode("utf-8", "surrogatepass")
        return lambda record: record.key == key
    if what.lower().startswith(_HEADER) and (header := what[what.index(_separator(what)) + 1 :].strip()):
        return _header(header, wanted)
    if what.startswith("$"):
        try:
            return _json(jsonpath.parse(what), wanted)
        except jsonpath.BadPath as error:
            parameters.problem(name, str(error))
            return None
    parameters.problem(name, _RULE)
    return None


def _separator(what: str) -> str:
    return ":" if what.lower().startswith("header:") else "."


def _header(name: str, wanted: str) -> Condition:
    lower, value = name.lower(), wanted.encode("utf-8", "surrogatepass")
    return lambda record: any(value == found for other, found in record.headers if other.lower() == lower)


def _json(path: jsonpath.Path, wanted: str) -> Condition:
    known = _meant(wanted)

    def holds(record: Record) -> bool:
        try:
            document = orjson.loads(record.value or b"")
        except orjson.JSONDecodeError:
            return False
        return any(_is(found, wanted, known) for found in jsonpath.values(document, path))

    return holds


def _meant(wanted: str) -> Mapping[str, object]:
    try:
        return {"value": orjson.loads(wanted)}
    except orjson.JSONDecodeError:
        return {}


def _is(found: object, wanted: str, known: Mapping[str, object]) -> bool:
    """Whether what stands there is meant: a text by its characters, anything else by its value (1.0 is 1)."""
    if isinstance(found, str):
        return found == wanted or found == known.get("value")
    # True equals 1 in Python, but not in JSON.
    return "value" in known and isinstance(found, bool) is isinstance(known["value"], bool) and found == known["value"]
