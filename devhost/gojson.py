"""JSON as Go's `encoding/json` writes it, and Go's words for values that do not fit. Pure.

The daemon is written in Go, and what it says to clients and plugins shows it.
"""

from collections.abc import Mapping

import orjson


def dumps(value: object, *, is_map: bool = False) -> bytes:
    """`value` in Go's spelling. A Go map has its keys sorted, a struct in the order of its fields."""
    text = orjson.dumps(value, option=orjson.OPT_SORT_KEYS if is_map else None)
    for raw, escaped in ((b"<", b"\\u003c"), (b">", b"\\u003e"), (b"&", b"\\u0026")):
        text = text.replace(raw, escaped)
    return text.replace("\u2028".encode(), b"\\u2028").replace("\u2029".encode(), b"\\u2029")


def kind(value: object) -> str:
    """What Go calls a JSON value that it cannot decode."""
    match value:
        case bool():
            return "bool"
        case str():
            return "string"
        case int() | float():
            return "number"
        case list():
            return "array"
        case _:
            return "object"


def printed(value: object) -> str:
    """A decoded value as `%s` prints it: `map[name:x request:map[]]`."""
    match value:
        case str():
            return value
        case Mapping():
            return f"map[{' '.join(f'{name}:{printed(value[name])}' for name in sorted(value))}]"
        case list():
            return f"[{' '.join(map(printed, value))}]"
        case None:
            return "%!s(<nil>)"
        case bool():
            return f"%!s(bool={str(value).lower()})"
        case _:
            return f"%!s(float64={value})"
