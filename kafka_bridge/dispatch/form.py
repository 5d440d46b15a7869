"""The inputs that an app of Dify declares, and values as they are declared. Pure.

Dify drops an input that is not declared, and refuses one of another type (`BaseAppGenerator._validate_inputs` in
https://github.com/langgenius/dify/blob/main/api/core/app/apps/base_app_generator.py).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, Self

import orjson

_TEXTS: Final = frozenset({"text-input", "paragraph", "select"})
_OBJECT: Final = "json_object"
_FORM: Final = "user_input_form"


@dataclass(frozen=True, slots=True)
class Form:
    """The declared inputs: name to type, in Dify's words. One that is empty declares nothing."""

    inputs: Mapping[str, str]

    @classmethod
    def parse(cls, answer: object) -> Self | None:
        """The form in what Dify answers about an app; None where it has none, so that nothing is known."""
        entries = answer.get(_FORM) if isinstance(answer, Mapping) else None
        if not isinstance(entries, list):
            return None
        inputs = {}
        for entry in entries:
            for kind, declared in entry.items() if isinstance(entry, Mapping) else ():
                name = declared.get("variable") if isinstance(declared, Mapping) else None
                if isinstance(name, str):
                    inputs[name] = str(kind)
        return cls(inputs)

    def fit(self, values: Mapping[str, object], *, text_of: Callable[[object], str]) -> dict[str, object]:
        """Of the values those that are declared, as they are declared where nothing is lost by it.

        Any other goes as it is: Dify refuses it with words of its own. `text_of` makes a text of a value that is none.
        """
        return {name: _fit(kind, values[name], text_of) for name, kind in self.inputs.items() if name in values}


def _fit(kind: str, value: object, text_of: Callable[[object], str]) -> object:
    if kind in _TEXTS and value is not None and not isinstance(value, str):
        return text_of(value) or value
    if kind == _OBJECT and isinstance(value, str):
        try:
            parsed = orjson.loads(value)
        except orjson.JSONDecodeError:
            return value
        return parsed if isinstance(parsed, dict) else value
    return value
