"""Reads the platform's mapping, value by value, and collects what is wrong with it. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import orjson

from kafka_bridge.settings.secret import Secret
from kafka_bridge.settings.table import EVERY_SETTING, Part

# A pasted setting is a few kilobytes; the platform sets no maximum of its own.
MAX_SETTING_CHARS: Final = 256 * 1024
# More than any number here has; int() refuses some thousands of digits with an error of its own.
MAX_DIGITS: Final = 18
# Of a comma-separated list, and of one name in it (a topic's has 249 at most, a host's 253).
MAX_NAMES: Final = 200
MAX_NAME_CHARS: Final = 255
# Of a JSON object.
MAX_ENTRIES: Final = 1000


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong. `source` is set when only that source is affected.

    `str()` names the setting by its label and never quotes a value: a secret may have been pasted into the wrong field.
    """

    setting: str
    text: str
    source: str | None = None

    @property
    def part(self) -> Part:
        """What stops working because of it."""
        return EVERY_SETTING[self.setting].part

    def __str__(self) -> str:
        where = f" (source {self.source})" if self.source is not None else ""
        return f"{EVERY_SETTING[self.setting].label}{where}: {self.text}."


class Reader:
    """A view of the saved mapping that never raises: what is wrong goes to `problems`, the default comes back."""

    def __init__(self, saved: Mapping[str, object]) -> None:
        self._saved = saved
        self.problems: list[Problem] = []

    def problem(self, setting: str, text: str, *, source: str | None = None) -> None:
        """Note that `setting` is wrong."""
        self.problems.append(Problem(setting, text, source))

    def raw(self, name: str) -> object:
        """The value as it was saved, None when there is none."""
        return self._saved.get(name)

    def text(self, name: str, *, source: str | None = None) -> str:
        """A trimmed text; the default when nothing was saved. `source`: who alone suffers when it is wrong."""
        return self._string(name, source).strip() or EVERY_SETTING[name].default

    def secret(self, name: str, *, source: str | None = None) -> Secret | None:
        """A secret, verbatim; None when nothing or only white space was saved."""
        value = self._string(name, source)
        return Secret(value) if value.strip() else None

    def choice(self, name: str, *, source: str | None = None) -> str:
        """One of the setting's options."""
        value = self.text(name, source=source)
        if value not in EVERY_SETTING[name].options:
            self.problem(name, f"must be one of {', '.join(EVERY_SETTING[name].options)}", source=source)
            return EVERY_SETTING[name].default
        return value

    def integer(self, name: str, *, low: int, high: int) -> int | None:
        """A whole number between `low` and `high`; None when nothing was saved and there is no default."""
        value = self.text(name)
        if not value:
            return None
        number = int(value) if len(value) <= MAX_DIGITS and value.isascii() and value.isdigit() else -1
        if not low <= number <= high:
            self.problem(name, f"must be a whole number from {low} to {high}")
            return int(EVERY_SETTING[name].default or low)
        return number

    def names(self, name: str, *, most: int = MAX_NAMES) -> tuple[str, ...]:
        """A comma-separated list, without empty items; no more than `most` of them."""
        items = tuple(item for item in (part.strip() for part in self.text(name).split(",")) if item)
        if len(items) > most:
            self.problem(name, f"has more than {most} entries")
        if any(len(item) > MAX_NAME_CHARS for item in items):
            self.problem(name, f"has an entry of more than {MAX_NAME_CHARS} characters")
            return ()
        return items[:most]

    def json_object(self, name: str, *, most: int = MAX_ENTRIES) -> Mapping[str, object]:
        """A JSON object; empty when nothing was saved, or more than `most` entries."""
        value = self.text(name)
        if not value:
            return {}
        try:
            parsed = orjson.loads(value)
        except orjson.JSONDecodeError as error:
            self.problem(name, f"is not valid JSON (line {error.lineno}, column {error.colno})")
            return {}
        if not isinstance(parsed, dict):
            self.problem(name, "must be a JSON object")
            return {}
        if len(parsed) > most:
            self.problem(name, f"has more than {most} entries")
            return {}
        return parsed

    def _string(self, name: str, source: str | None = None) -> str:
        value = self._saved.get(name)
        if value is None:
            return ""
        if not isinstance(value, str):
            self.problem(name, "must be a text", source=source)
            return ""
        if len(value) > MAX_SETTING_CHARS:
            self.problem(name, f"is longer than {MAX_SETTING_CHARS} characters", source=source)
            return ""
        return value
