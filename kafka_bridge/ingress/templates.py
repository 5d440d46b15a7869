"""Topic and key templates: `orders.{type}`, `{header.x-github-event}`, `{body.data.customer}`. Pure.

Compiled once when settings are parsed, rendered per event.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from kafka_bridge.ingress.content import Content, Location
from kafka_bridge.placeholders import BadTemplate, parts_of

# Values that the scheme finds; `{source}` is known when the template is compiled.
NAMED: Final = ("type", "id")


class MissingValue(Exception):
    """A placeholder has no value in this event; `str()` says which."""


@dataclass(frozen=True, slots=True)
class Template:
    """Literal texts and placeholders in turn: `literals[0]` `places[0]` `literals[1]` … `literals[-1]`.

    A place is a location in the request, or one of `NAMED`.
    """

    literals: tuple[str, ...]
    places: tuple[Location | str, ...]
    constant: str | None
    """The text, when no placeholder stands in it."""

    def render(self, content: Content, named: Mapping[str, str | None]) -> str:
        """The text with every placeholder replaced by its value. Raises MissingValue."""
        text = self.literals[0]
        for place, literal in zip(self.places, self.literals[1:], strict=True):
            found = named[place] if isinstance(place, str) else place.find(content)
            if found is None:
                raise MissingValue(f"the event has no value for {place}")
            text += found + literal
        return text


def compile_template(text: str, *, source: str) -> Template:
    """The template in `text` for a source of that name. Raises BadTemplate."""
    literals, names = parts_of(text, {"source": source})
    return Template(literals, tuple(map(_place, names)), None if names else literals[0])


def _place(name: str) -> Location | str:
    if name in NAMED:
        return name
    where, _, rest = name.partition(".")
    if where not in {"header", "body"} or not rest:
        raise BadTemplate("knows {source}, {type}, {id}, {header.NAME} and {body.PATH} only")
    return Location(f"{where}:{rest}")
