"""The parameters of one call, as models and workflows give them, and what is wrong with them. Pure.

A parameter that was not given arrives as None, or as an empty text; a number may arrive as a text. What stands in a
parameter is never quoted: a secret may have been put into the wrong one.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Final

import orjson

from kafka_bridge.errors import Malformed, first_of

# Of one text; the platform passes up to 10 MiB.
MAX_CHARS: Final = 8 * 1024 * 1024
_HALVES: Final = re.compile(r"[\ud800-\udfff]")
_TRUE: Final = frozenset({"true", "1", "yes", "on", "enabled"})
_FALSE: Final = frozenset({"false", "0", "no", "off", "disabled"})


class Parameters:
    """A view of the call's parameters that never raises: what is wrong is collected, `check` raises all of it."""

    def __init__(self, given: Mapping[str, object]) -> None:
        self._given = given
        self._problems: list[str] = []

    def problem(self, name: str, text: str) -> None:
        """Note that a parameter is wrong."""
        self._problems.append(f"{name}: {text}.")

    def check(self) -> None:
        """Raise Malformed if anything is wrong so far."""
        if self._problems:
            raise Malformed(" ".join(first_of(self._problems)))

    def has(self, name: str) -> bool:
        """Whether the parameter was given."""
        value = self._given.get(name)
        return value is not None and value != ""

    def verbatim(self, name: str) -> str:
        """A text exactly as it was given; what is no text as JSON; empty where nothing was given."""
        value = self._given.get(name)
        if value is None:
            return ""
        if not isinstance(value, str):
            try:
                value = orjson.dumps(value).decode()
            except TypeError:
                self.problem(name, "must be a text")
                return ""
        if len(value) > MAX_CHARS:
            self.problem(name, f"is longer than {MAX_CHARS} characters")
            return ""
        if not is_unicode(value):
            self.problem(name, "is not valid Unicode")
            return ""
        return value

    def text(self, name: str) -> str:
        """The same without white space at the ends."""
        return self.verbatim(name).strip()

    def required(self, name: str) -> str:
        """A trimmed text that must be there."""
        value = self.text(name)
        if not value:
            self.problem(name, "missing")
        return value

    def choice(self, name: str, options: Sequence[str]) -> str:
        """One of `options`; the first of them where nothing was given."""
        value = self.text(name) or options[0]
        if value not in options:
            self.problem(name, f"must be one of {', '.join(options)}")
            return options[0]
        return value

    def flag(self, name: str) -> bool:
        """True or false, as a word too; false where nothing was given."""
        value = self._given.get(name)
        word = str(value).lower() if isinstance(value, bool | int) else self.text(name).lower()
        if word and word not in _TRUE | _FALSE:
            self.problem(name, "must be true or false")
        return word in _TRUE

    def number(self, name: str, *, default: float, low: float, high: float) -> float:
        """A number within its limits, as a text too."""
        value = self._given.get(name)
        if isinstance(value, str):
            value = _as_number(value.strip())
        if value is None:
            return default
        if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
            self.problem(name, f"must be a number from {low:g} to {high:g}")
            return default
        return value

    def integer(self, name: str, *, default: int, low: int, high: int) -> int:
        """A whole number within its limits, as a text too."""
        value = self.number(name, default=default, low=low, high=high)
        if value != int(value):
            self.problem(name, "must be a whole number")
            return default
        return int(value)

    def names(self, name: str) -> tuple[str, ...]:
        """Texts separated by commas, or a JSON array of them; each once, none of them empty."""
        value = self._given.get(name)
        if isinstance(value, str) and value.lstrip().startswith("["):
            try:
                value = orjson.loads(value)
            except orjson.JSONDecodeError:
                self.problem(name, "is not a valid JSON array")
                return ()
        if not isinstance(value, list):
            value = self.text(name).split(",")
        if not all(isinstance(item, str) for item in value):
            self.problem(name, "must be texts, separated by commas")
            return ()
        return tuple(dict.fromkeys(item for item in map(str.strip, value) if item))

    def json_object(self, name: str) -> Mapping[str, object]:
        """A JSON object, or the text of one; empty where nothing was given."""
        value = self._given.get(name)
        if isinstance(value, str):
            if not (text := self.text(name)):
                return {}
            try:
                value = orjson.loads(text)
            except orjson.JSONDecodeError as error:
                self.problem(name, f"is not valid JSON (line {error.lineno}, column {error.colno})")
                return {}
        if value is None:
            return {}
        if not isinstance(value, dict):
            self.problem(name, "must be a JSON object")
            return {}
        return value


def is_unicode(text: str) -> bool:
    """Whether it can be encoded: JSON can say half a character, and no encoding can write it."""
    return text.isascii() or not _HALVES.search(text)


def _as_number(text: str) -> float | str | None:
    if not text:
        return None
    try:
        # Not float(): it takes "nan", "1_000" and digits of other scripts.
        value = orjson.loads(text)
    except orjson.JSONDecodeError:
        return text
    return value if isinstance(value, int | float) and not isinstance(value, bool) else text
