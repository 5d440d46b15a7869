"""A captured request's headers, in the forms people have them in: JSON, or lines as proxies and curl -v show them.

Names in lower case; of a repeated header the last value, which alone survives the way to the plugin. What cannot be
read is named by its place: a header may hold a secret.
"""

import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

import click

_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", re.ASCII)
_REQUEST_LINE: Final = re.compile(r"[A-Z]+ \S+(?: HTTP/[0-9.]+)?", re.ASCII)
# As curl -v marks what it sends; everything else of its output is not the request.
_SENT: Final = ">"


def headers_of(file: Path | None, lines: Iterable[str]) -> Mapping[str, str]:
    """The headers of a file, and of `-H` after them."""
    found = dict(_of_file(file)) if file is not None else {}
    for number, line in enumerate(lines, 1):
        header = _header(line)
        if header is None:
            raise click.BadParameter(f"number {number} is not Name: value", param_hint="-H")
        found |= [header]
    return found


def _of_file(path: Path) -> Mapping[str, str]:
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise click.BadParameter(f"{path} is not UTF-8", param_hint="--headers") from error
    if text.lstrip()[:1] in {"{", "["}:
        return _of_json(path, text)
    return _of_lines(path, text)


def _of_json(path: Path, text: str) -> Mapping[str, str]:
    try:
        saved: Any = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise click.BadParameter(f"{path} is not JSON", param_hint="--headers") from error
    pairs = list(saved.items()) if isinstance(saved, dict) else saved
    form = f"{path} must hold a JSON object of texts, or an array of pairs"
    if not all(isinstance(pair, list | tuple) and len(pair) == 2 for pair in pairs):  # noqa: PLR2004
        raise click.BadParameter(form, param_hint="--headers")
    found: dict[str, str] = {}
    for name, value in pairs:
        text = value[-1] if isinstance(value, list) and value else value
        if not isinstance(name, str) or not isinstance(text, str):
            raise click.BadParameter(form, param_hint="--headers")
        found[name.lower()] = text
    return found


def _of_lines(path: Path, text: str) -> Mapping[str, str]:
    """The lines up to the first empty one, after which the body stands."""
    numbered = [(number, line.rstrip("\r")) for number, line in enumerate(text.split("\n"), 1)]
    if any(line.startswith(f"{_SENT} ") for _, line in numbered):
        numbered = [(number, line[1:].lstrip()) for number, line in numbered if line.startswith(_SENT)]
    while numbered and not numbered[0][1].strip():
        numbered.pop(0)
    found: dict[str, str] = {}
    for position, (number, line) in enumerate(numbered):
        if not line.strip():
            break
        if (position == 0 and _REQUEST_LINE.fullmatch(line.strip())) or line.startswith(":"):
            # The request line, or what stands in its place in HTTP/2.
            continue
        header = _header(line)
        if header is None:
            raise click.BadParameter(f"{path}, line {number} is not Name: value", param_hint="--headers")
        found |= [header]
    if not found:
        raise click.BadParameter(f"{path} holds no headers", param_hint="--headers")
    return found


def _header(line: str) -> tuple[str, str] | None:
    name, colon, value = line.partition(":")
    return (name.strip().lower(), value.strip()) if colon and _NAME.fullmatch(name.strip()) else None
