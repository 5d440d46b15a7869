"""Topic and key templates: `orders.{type}`, `{header.x-github-event}`, `{body.data.customer}`. Pure.

Compiled once when settings are parsed, rendered per event.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from kafka_bridge.ingress.content import Content, Location

_FIELD: Final = re.compile(r"\{([^{}]*)\}")
# Values that the scheme finds; `{source}` is known when the template is compiled.
NAMED: Final = ("type", "id")
# A topic's name has 249 characters at most. What a template is compiled to is kept for every source that inherits it.
MAX_CHARS: Final = 1000
MAX_PLACES: Final = 32


class BadTemplate(Exception):
    """`str()` says what is wrong with the template."""


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
    if len(text) > MAX_CHARS:
        raise BadTemplate(f"is longer than {MAX_CHARS} characters")
    literals, places = list[str](), list[Location | str]()
    literal, end = list[str](), 0
    for match in _FIELD.finditer(text):
        literal.append(text[end : match.start()])
        end = match.end()
        if match[1] == "source":
            literal.append(source)
            continue
        literals.append("".join(literal))
        places.append(_place(match[1]))
        literal.clear()
    literals.append("".join((*literal, text[end:])))
    if any(brace in part for part in literals for brace in "{}"):
        raise BadTemplate("has a brace without its partner")
    if len(places) > MAX_PLACES:
        raise BadTemplate(f"has more than {MAX_PLACES} placeholders")
    return Template(tuple(literals), tuple(places), None if places else literals[0])


def _place(name: str) -> Location | str:
    if name in NAMED:
        return name
    where, _, rest = name.partition(".")
    if where not in {"header", "body"} or not rest:
        raise BadTemplate("knows {source}, {type}, {id}, {header.NAME} and {body.PATH} only")
    return Location(f"{where}:{rest}")
