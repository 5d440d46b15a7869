"""What is in a request's body. Pure."""

from functools import cached_property
from typing import Final

import orjson

from kafka_bridge.http import Inbound

EXACT_BELOW: Final = 2**53


class Content:
    """The body, parsed as JSON at most once and only when somebody asks."""

    def __init__(self, inbound: Inbound) -> None:
        self.inbound = inbound

    @cached_property
    def json(self) -> object:
        """The parsed body; None when it is not JSON."""
        try:
            return orjson.loads(self.inbound.body)
        except orjson.JSONDecodeError:
            return None

    def text_at(self, steps: tuple[str, ...]) -> str | None:
        """The value at a path as a text; None when it is absent, null, a list or an object."""
        value = self.json
        for step in steps:
            if isinstance(value, dict):
                value = value.get(step)
            elif isinstance(value, list) and step.isdecimal() and step.isascii() and int(step[:9]) < len(value):
                value = value[int(step[:9])]
            else:
                return None
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


class Location:
    """Where a value stands in a request: `header:NAME` or `body:PATH`."""

    __slots__ = ("_steps", "in_body", "name")

    def __init__(self, text: str) -> None:
        """Raises ValueError when `text` is neither form: a programming error, settings are checked before."""
        where, _, name = text.partition(":")
        if where not in {"header", "body"} or not name:
            message = f"not a location: {text!r}"
            raise ValueError(message)
        self.in_body = where == "body"
        self.name = name if self.in_body else name.lower()
        self._steps = steps_of(name)

    def __str__(self) -> str:
        return f"{'body' if self.in_body else 'header'} {self.name}"

    def find(self, content: Content) -> str | None:
        """The value as a text; None when it is absent or empty."""
        if self.in_body:
            return content.text_at(self._steps) or None
        return content.inbound.header(self.name) or None
