"""Topic and key templates: `orders.{type}`, `{header.x-github-event}`, `{body.data.customer}`. Pure.

Compiled once when settings are parsed, rendered per event.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

_FIELD: Final = re.compile(r"\{([^{}]*)\}")
_NAMED: Final = frozenset({"source", "type", "id"})
_PREFIXES: Final = ("header.", "body.")


class BadTemplate(Exception):
    """`str()` says what is wrong with the template."""


class MissingValue(Exception):
    """A placeholder has no value in this event; `name` says which."""

    def __init__(self, name: str) -> None:
        super().__init__(f"the event has no value for {{{name}}}")
        self.name = name


@dataclass(frozen=True, slots=True)
class Template:
    """Literal texts and placeholder names in turn: `literals[0]` `names[0]` `literals[1]` … `literals[-1]`."""

    literals: tuple[str, ...]
    names: tuple[str, ...]

    @property
    def constant(self) -> str | None:
        """The text, when no placeholder stands in it."""
        return None if self.names else self.literals[0]

    def render(self, value: Callable[[str], str | None]) -> str:
        """The text with every placeholder replaced by `value(name)`. Raises MissingValue."""
        text = self.literals[0]
        for name, literal in zip(self.names, self.literals[1:], strict=True):
            found = value(name)
            if found is None:
                raise MissingValue(name)
            text += found + literal
        return text


def compile_template(text: str, *, fixed: dict[str, str] | None = None) -> Template:
    """The template in `text`; placeholders named in `fixed` are replaced at once. Raises BadTemplate."""
    literals, names, end = [""], [], 0
    for match in _FIELD.finditer(text):
        literals[-1] += text[end : match.start()]
        end = match.end()
        name = match[1]
        if fixed and name in fixed:
            literals[-1] += fixed[name]
        elif name in _NAMED or (name.startswith(_PREFIXES) and not name.endswith(".")):
            names.append(name.lower() if name.startswith("header.") else name)
            literals.append("")
        else:
            raise BadTemplate("knows {source}, {type}, {id}, {header.NAME} and {body.PATH} only")
    literals[-1] += text[end:]
    if any(brace in literal for literal in literals for brace in "{}"):
        raise BadTemplate("has a brace without its partner")
    return Template(tuple(literals), tuple(names))
