"""Texts with placeholders, `orders.{type}`: their form, whatever the placeholders stand for. Pure."""

import re
from collections.abc import Mapping
from typing import Final, NamedTuple

_FIELD: Final = re.compile(r"\{([^{}]*)\}")
# A topic's name has 249 characters at most. What a text is compiled to is kept for every source that inherits it.
MAX_CHARS: Final = 1000
MAX_PLACES: Final = 32


class BadTemplate(Exception):
    """`str()` says what is wrong with the text, and never quotes it."""


class Parts(NamedTuple):
    """Literal texts and the names of placeholders in turn: `literals[0]` `names[0]` `literals[1]` … `literals[-1]`."""

    literals: tuple[str, ...]
    names: tuple[str, ...]


def parts_of(text: str, known: Mapping[str, str]) -> Parts:
    """The parts of `text`; a placeholder whose value is `known` already becomes literal. Raises BadTemplate."""
    if len(text) > MAX_CHARS:
        raise BadTemplate(f"is longer than {MAX_CHARS} characters")
    literals, names = list[str](), list[str]()
    literal, end = list[str](), 0
    for match in _FIELD.finditer(text):
        literal.append(text[end : match.start()])
        end = match.end()
        if match[1] in known:
            literal.append(known[match[1]])
            continue
        literals.append("".join(literal))
        names.append(match[1])
        literal.clear()
    literals.append("".join((*literal, text[end:])))
    if any(brace in part for part in literals for brace in "{}"):
        raise BadTemplate("has a brace without its partner")
    if len(names) > MAX_PLACES:
        raise BadTemplate(f"has more than {MAX_PLACES} placeholders")
    return Parts(tuple(literals), tuple(names))
