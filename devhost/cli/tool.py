"""`tool`: calls a tool of the plugin, as a workflow does, and prints what it says."""

import asyncio
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from devhost.cli.terminal import console
from devhost.host import REPOSITORY, Host, HostOptions
from devhost.manifest import NoPlugin, Tool
from devhost.process import NotRunning
from devhost.tools import Message, NoTool, ToolFailed

_NUMBERS = {"number"}


def _parameters(_context: click.Context, _parameter: click.Parameter, values: tuple[str, ...]) -> dict[str, str]:
    parameters: dict[str, str] = {}
    for value in values:
        name, equals, text = value.partition("=")
        if not equals or not name:
            raise click.BadParameter("is given as NAME=VALUE, or NAME=@FILE for what is in a file")
        if text.startswith("@"):
            try:
                text = Path(text[1:]).read_text()
            except (OSError, UnicodeDecodeError) as error:
                raise click.BadParameter(f"{text[1:]} cannot be read: {error}") from error
        parameters[name] = text
    return parameters


def _credentials(_context: click.Context, _parameter: click.Parameter, path: Path | None) -> Mapping[str, object]:
    if path is None:
        return {}
    try:
        credentials = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise click.BadParameter(f"{path} is not JSON: {error}") from error
    if not isinstance(credentials, dict):
        raise click.BadParameter(f"{path} must hold a JSON object: the provider's credentials")
    return credentials


@click.command()
@click.argument("name")
@click.argument("parameters", nargs=-1, callback=_parameters, metavar="[NAME=VALUE]...")
@click.option(
    "--credentials",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    callback=_credentials,
    metavar="FILE.json",
    help="The provider's credentials, by their names.",
)
@click.option("--bootstrap", default="", metavar="HOST:PORT", help="A Kafka of yours instead of the embedded broker.")
@click.option("--validate", is_flag=True, help="Have the credentials looked at first, as when they are saved.")
@click.option(
    "--plugin",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    default=REPOSITORY,
    metavar="FOLDER",
    help="Another plugin than this repository's.",
)
def tool(
    *,
    name: str,
    parameters: Mapping[str, str],
    credentials: Mapping[str, object],
    bootstrap: str,
    validate: bool,
    plugin: Path,
) -> None:
    """Call the tool NAME and print its messages: JSON and text as they are, variables by name.

    Exit status 0 when it succeeds, 1 when it fails. Without a Kafka of yours it writes to an embedded broker, which
    ends with the command.
    """
    options = HostOptions(endpoints={}, bootstrap=bootstrap, plugin=plugin, on_line=_print_line)
    try:
        host = Host(options)
    except NoPlugin as error:
        raise click.BadParameter(str(error), param_hint="--plugin") from error
    if unknown := sorted(credentials.keys() - host.declared_credentials):
        known = ", ".join(sorted(host.declared_credentials))
        told = f"the plugin has no credential {', '.join(unknown)}; it has {known}"
        raise click.BadParameter(told, param_hint="--credentials")
    try:
        asyncio.run(_call(host, name, _typed(host, name, parameters), credentials, validate=validate))
    except NoTool as error:
        raise click.BadParameter(str(error), param_hint="NAME") from error
    except ToolFailed as error:
        console.print(f"{error.kind}: {error}", style="red", markup=False)
        sys.exit(1)
    except NotRunning as error:
        raise click.ClickException(str(error)) from error


async def _call(
    host: Host, name: str, parameters: Mapping[str, object], saved: Mapping[str, object], *, validate: bool
) -> None:
    await host.start()
    try:
        credentials = host.credentials(saved)
        if validate:
            await host.tools.validate(credentials)
        async for message in host.tools.call(name, parameters, credentials):
            _print(message)
    finally:
        await host.stop()


def _typed(host: Host, name: str, parameters: Mapping[str, str]) -> Mapping[str, object]:
    """As Dify passes them on: a number as one, everything else as a text."""
    declared = host.declared_tools.get(name, Tool("", {})).parameters
    if declared and (unknown := sorted(parameters.keys() - declared.keys())):
        told = f"{name} has no parameter {', '.join(unknown)}; it has {', '.join(declared)}"
        raise click.BadParameter(told, param_hint="NAME=VALUE")
    return {key: _number(text) if declared.get(key) in _NUMBERS else text for key, text in parameters.items()}


def _number(text: str) -> object:
    try:
        return json.loads(text)
    except ValueError:
        return text


def _print(message: Message) -> None:
    content: Mapping[str, Any] = message["message"]
    match message["type"]:
        case "json":
            console.print_json(data=content["json_object"], ensure_ascii=False)
        case "text":
            console.print(content["text"], style="green", markup=False)
        case "variable":
            shown = json.dumps(content["variable_value"], ensure_ascii=False)
            console.print(f"{content['variable_name']} = {shown}", style="dim", markup=False)
        case other:
            console.print(f"{other}: {json.dumps(content, ensure_ascii=False)}", markup=False)


def _print_line(kind: str, line: str) -> None:
    # What is printed is the tool's; what the plugin logs beside it goes where errors go.
    click.echo(f"{kind}: {line}", err=True)
