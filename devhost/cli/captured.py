"""A captured request's headers, in the forms in which people have them."""

import json
from collections.abc import Mapping
from pathlib import Path

import click


def headers_of(path: Path) -> Mapping[str, str]:
    """The headers in a JSON file, names in lower case."""
    try:
        saved = json.loads(path.read_bytes())
    except ValueError as error:
        raise click.BadParameter(f"{path} is not JSON", param_hint="--headers") from error
    pairs = list(saved.items()) if isinstance(saved, dict) else saved
    form = f"{path} must hold a JSON object of texts, or an array of pairs"
    if not isinstance(pairs, list) or not all(isinstance(pair, list | tuple) and len(pair) == 2 for pair in pairs):  # noqa: PLR2004
        raise click.BadParameter(form, param_hint="--headers")
    found: dict[str, str] = {}
    for name, value in pairs:
        # Of a repeated header the last value survives the way to the plugin.
        text = value[-1] if isinstance(value, list) and value else value
        if not isinstance(name, str) or not isinstance(text, str):
            raise click.BadParameter(form, param_hint="--headers")
        found[name.lower()] = text
    return found
