"""The options that say who sends, and with which secret: the same for `send` and `verify`."""

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import click

from devhost.verify import Setup
from kafka_bridge.ingress.schemes import SCHEMES


def _options(_context: click.Context, parameter: click.Parameter, value: Any) -> dict[str, object]:
    """`--option k=v`, or the whole of `--options` as JSON. Nothing of it is quoted."""
    if isinstance(value, tuple):
        pairs = [text.partition("=") for text in value]
        if not all(separator and name for name, separator, _ in pairs):
            raise click.BadParameter("is given as NAME=VALUE")
        return {name: _json_or_text(text) for name, _, text in pairs}
    try:
        options = json.loads(value or "{}")
    except ValueError as error:
        raise click.BadParameter("is not JSON", param=parameter) from error
    if not isinstance(options, dict):
        raise click.BadParameter("must be a JSON object", param=parameter)
    return options


def url_of(_context: click.Context, _parameter: click.Parameter, value: str) -> str:
    """A URL that can be read."""
    try:
        urlsplit(value)
    except ValueError as error:
        raise click.BadParameter("is no URL") from error
    return value


def _json_or_text(text: str) -> object:
    try:
        value = json.loads(text) if text.startswith("{") else text
    except ValueError:
        return text
    return value


def setup_of(scheme: str, secret: str, option: Mapping[str, object], options: Mapping[str, object]) -> Setup:
    """What the operator has set, as the options say it. Raises UsageError without a secret where one is needed."""
    if SCHEMES[scheme].proof is not None and not secret.strip():
        raise click.UsageError(f"{scheme} needs a secret. Give --secret, or WEBHOOK_SECRET in the environment.")
    return Setup(scheme=scheme, secret=secret, options={**options, **option})


secret_option = click.option(
    "--secret",
    default="",
    envvar="WEBHOOK_SECRET",
    show_envvar=True,
    metavar="TEXT",
    help="As in the form: a text, or JSON of several. Never printed.",
)
scheme_option = click.option(
    "--scheme",
    type=click.Choice(list(SCHEMES)),
    metavar="SCHEME",
    help="The sender: github, stripe, slack …",
)
option_option = click.option(
    "--option", multiple=True, callback=_options, metavar="NAME=VALUE", help="One of scheme_options; may be repeated."
)
options_option = click.option("--options", callback=_options, metavar="JSON", help="All of scheme_options.")
