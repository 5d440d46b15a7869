"""What Dify does with the inputs of a run: the app's form decides what is passed on, and what is refused.

The order and the words are those of `BaseAppGenerator._validate_inputs`
(https://github.com/langgenius/dify/blob/main/api/core/app/apps/base_app_generator.py).
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

_TEXTS: Final = frozenset({"text-input", "paragraph", "select"})
_TRUE: Final = frozenset({"true", "1", "yes", "on"})
_FALSE: Final = frozenset({"false", "0", "no", "off"})


class BadInput(Exception):
    """`str()` is Dify's message."""


class BadNumber(Exception):
    """A number that is neither number nor text: Dify does not expect it, and answers with an error of its own."""


def passed_on(form: Sequence[Mapping[str, Mapping[str, Any]]], inputs: Mapping[str, object]) -> dict[str, object]:
    """The declared inputs, None where one is absent; any other is dropped. Raises BadInput, BadNumber."""
    declared = {entry["variable"]: (kind, entry) for one in form for kind, entry in one.items() if "variable" in entry}
    return {name: _checked(name, kind, entry, inputs.get(name)) for name, (kind, entry) in declared.items()}


def _checked(name: str, kind: str, entry: Mapping[str, Any], value: Any) -> object:
    if value is None:
        if entry.get("required"):
            raise BadInput(f"{name} is required in input form")
        value = entry.get("default")
        if value is None:
            return None
    if kind in _TEXTS:
        return _text(name, kind, entry, value)
    match kind:
        case "number":
            return _number(name, value)
        case "checkbox":
            word = str(value).strip().lower()
            return True if word in _TRUE else False if word in _FALSE else value
        case "json_object" if value and not isinstance(value, dict):
            raise BadInput(f"{name} in input form must be a dict")
        case "file" if not isinstance(value, dict):
            raise BadInput(f"{name} in input form must be a file")
        case "file-list" if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
            raise BadInput(f"{name} in input form must be a list of files")
        case _:
            return value


def _text(name: str, kind: str, entry: Mapping[str, Any], value: object) -> str:
    if not isinstance(value, str):
        raise BadInput(f"(type '{kind}') {name} in input form must be a string")
    limit, options = entry.get("max_length"), entry.get("options")
    if kind == "select" and value not in (options or ()):
        raise BadInput(f"{name} in input form must be one of the following: {options}")
    if kind != "select" and limit and len(value) > limit:
        raise BadInput(f"{name} in input form must be less than {limit} characters")
    return value.replace("\x00", "")


def _number(name: str, value: object) -> object:
    if isinstance(value, int | float):
        return value
    if not isinstance(value, str):
        raise BadNumber
    if not value.strip():
        return None
    try:
        return float(value) if "." in value else int(value)
    except ValueError as error:
        raise BadInput(f"{name} in input form must be a valid number") from error
