"""`serve`: the local host with endpoints of yours, until Ctrl-C."""

import asyncio
import contextlib
import json
import signal
import sqlite3
from pathlib import Path
from typing import Any

import click

from devhost.apps import AppError, load_app
from devhost.cli.terminal import console, port_taken
from devhost.host import REPOSITORY, Host, HostOptions
from devhost.manifest import NoPlugin
from devhost.process import NotRunning


def _endpoints(_context: click.Context, _parameter: click.Parameter, values: tuple[str, ...]) -> dict[str, object]:
    endpoints: dict[str, object] = {}
    for value in values:
        name, separator, path = value.partition("=")
        if not separator or not name.isascii() or not name.replace("-", "").replace("_", "").isalnum():
            raise click.BadParameter("is given as NAME=settings.json, NAME of letters, digits, - and _")
        try:
            settings = json.loads(Path(path).read_text())
        except OSError as error:
            raise click.BadParameter(f"{path} cannot be read: {error.strerror}") from error
        except ValueError as error:
            raise click.BadParameter(f"{path} is not JSON: {error}") from error
        if not isinstance(settings, dict):
            raise click.BadParameter(f"{path} must hold a JSON object: the endpoint's settings")
        endpoints[name] = {name: _as_saved(value) for name, value in settings.items()}
    return endpoints


def _as_saved(value: object) -> object:
    """JSON in JSON, as the form has it; but for an app, which the form saves as an object."""
    return json.dumps(value) if isinstance(value, dict | list) and "app_id" not in value else value


def _apps(_context: click.Context, _parameter: click.Parameter, values: tuple[str, ...]) -> dict[str, object]:
    try:
        return dict(load_app(value) for value in values)
    except AppError as error:
        raise click.BadParameter(str(error)) from error


@click.command()
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=5002,
    show_default=True,
    help="Where the host listens, on 127.0.0.1; 0 takes any free port.",
)
@click.option(
    "--endpoint",
    "endpoints",
    multiple=True,
    required=True,
    callback=_endpoints,
    metavar="NAME=settings.json",
    help="An endpoint at /e/NAME/ with the settings of a JSON file; may be repeated.",
)
@click.option("--bootstrap", default="", metavar="HOST:PORT", help="A Kafka of yours instead of the embedded broker.")
@click.option(
    "--app",
    "apps",
    multiple=True,
    callback=_apps,
    metavar="PATH.py:function",
    help="A local function in the place of a Dify app; may be repeated.",
)
@click.option("--storage", type=click.Path(dir_okay=False, path_type=Path), help="Keep plugin storage in this file.")
@click.option(
    "--plugin",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    default=REPOSITORY,
    metavar="FOLDER",
    help="Another plugin than this repository's.",
)
def serve(**chosen: Any) -> None:
    """Serve endpoints until Ctrl-C or SIGTERM."""
    options = HostOptions(**chosen, on_line=_print_line)
    try:
        host = Host(options)
    except NoPlugin as error:
        raise click.BadParameter(str(error), param_hint="--plugin") from error
    except sqlite3.Error as error:
        raise click.BadParameter(f"{options.storage}: {error}", param_hint="--storage") from error
    try:
        with contextlib.suppress(KeyboardInterrupt):
            asyncio.run(_serve(host, options))
    except NotRunning as error:
        raise click.ClickException(str(error)) from error
    except OSError as error:
        raise port_taken(options.port, error) from error


async def _serve(host: Host, options: HostOptions) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await host.start()
    for hook, settings in options.endpoints.items():
        if unknown := sorted(settings.keys() - host.declared):
            _print_line("host", f"{hook}: the plugin has no setting {', '.join(unknown)}")
        console.print(f"http://127.0.0.1:{host.port}/e/{hook}/")
    if host.bootstrap:
        console.print(f"Kafka at {host.bootstrap}{'' if options.bootstrap else ' (embedded)'}. Ctrl-C ends it.")
    await stop.wait()
    await host.stop()


def _print_line(kind: str, line: str) -> None:
    styles = {"log": "dim", "stderr": "yellow", "host": "magenta"}
    console.print(f"{kind}: {line}", style=styles.get(kind, ""), markup=False)
