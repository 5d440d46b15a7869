"""Parsed JSON: what stands where in it, and its way back to a text. Pure."""

import json
from typing import Final

import orjson

EXACT_BELOW: Final = 2**53


def at(value: object, steps: tuple[str, ...]) -> object:
    """What stands at a path in parsed data; None when nothing does."""
    for step in steps:
        if isinstance(value, dict):
            value = value.get(step)
        elif isinstance(value, list) and step.isdecimal() and step.isascii() and int(step[:9]) < len(value):
            value = value[int(step[:9])]
        else:
            return None
    return value


def text_of(value: object) -> str | None:
    """A scalar as a text; None for null, a list or an object."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    # A number beyond 2^53 is no longer the one that was sent: two ids would become one.
    return str(value) if isinstance(value, float) and abs(value) < EXACT_BELOW else None


def steps_of(path: str) -> tuple[str, ...]:
    """The steps of a dotted path: `data.items.0.id`."""
    return tuple(path.split("."))


def json_text(value: object) -> str | None:
    """A value as JSON; None when it is none."""
    try:
        return orjson.dumps(value).decode()
    except orjson.JSONEncodeError:
        # Of integers above 64 bits, or nested deeper than it writes (and not than it reads), the other one knows more.
        try:
            return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
        except (TypeError, ValueError, RecursionError):
            return None
