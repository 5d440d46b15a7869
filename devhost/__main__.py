"""`python -m devhost`: serve, demo, send, verify, package."""

import asyncio
import contextlib
import json
import signal
import sqlite3
import sys
import time
import uuid
from collections.abc import Mapping
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import click
import httpx
from rich.console import Console

from devhost.apps import AppError, load_app
from devhost.demo import run_demo
from devhost.host import REPOSITORY, Host, HostOptions
from devhost.manifest import NoPlugin
from devhost.package import build_package
from devhost.process import NotRunning
from devhost.signing import CannotSign, public_part, sample_body, sample_headers, sign
from devhost.verify import (
    BadVectors,
    Captured,
    Setup,
    certificates_only,
    check,
    explain,
    hidden,
    run_vectors,
)
from kafka_bridge.ingress.schemes import SCHEMES
from kafka_bridge.web import fetch

console = Console(highlight=False, soft_wrap=True)


@click.group()
def devhost() -> None:
    """Run the plugin on this machine as Dify would run it."""


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


@devhost.command()
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
        raise _port_taken(options.port, error) from error


def _port_taken(port: int, error: OSError) -> click.ClickException:
    return click.ClickException(f"port {port}: {error.strerror}; choose another one with --port")


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


@devhost.command()
@click.option("--once", is_flag=True, help="End by itself; exit status 0 only if everything was checked and passed.")
@click.option("--port", default=5002, show_default=True, help="Where the host listens; 0 takes any free port.")
@click.option("--bootstrap", default="", metavar="HOST:PORT", help="A Kafka of yours instead of the embedded broker.")
def demo(once: bool, port: int, bootstrap: str) -> None:
    """Real senders, real signatures, every record read back from Kafka."""
    try:
        sys.exit(run_demo(console, once=once, port=port, bootstrap=bootstrap))
    except NotRunning as error:
        raise click.ClickException(str(error)) from error
    except OSError as error:
        raise _port_taken(port, error) from error


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


def _json_or_text(text: str) -> object:
    try:
        value = json.loads(text) if text.startswith("{") else text
    except ValueError:
        return text
    return value


def _setup(scheme: str, secret: str, option: Mapping[str, object], options: Mapping[str, object]) -> Setup:
    return Setup(scheme=scheme, secret=secret, options={**options, **option})


_secret_option = click.option(
    "--secret",
    default="",
    envvar="WEBHOOK_SECRET",
    show_envvar=True,
    metavar="TEXT",
    help="As in the form: a text, or JSON of several. Never printed.",
)
_scheme_option = click.option(
    "--scheme",
    type=click.Choice(list(SCHEMES)),
    metavar="SCHEME",
    help="The sender: github, stripe, slack …",
)
_option_option = click.option(
    "--option", multiple=True, callback=_options, metavar="NAME=VALUE", help="One of scheme_options; may be repeated."
)
_options_option = click.option("--options", callback=_options, metavar="JSON", help="All of scheme_options.")


@devhost.command()
@_scheme_option
@_secret_option
@_option_option
@_options_option
@click.option("--signed-url", default="", metavar="URL", help="The whole URL that the sender signs.")
@click.argument("url")
@click.argument("body", required=False, type=click.Path(exists=True, dir_okay=False, path_type=Path))
def send(
    *,
    scheme: str | None,
    secret: str,
    option: Mapping[str, object],
    options: Mapping[str, object],
    signed_url: str,
    url: str,
    body: Path | None,
) -> None:
    """Sign a sample, or a file's bytes, as a sender does, send it, print the answer.

    Exit status 0 for a 2xx, else 1. For a sender with a key pair the secret is the private key.
    """
    if scheme is None:
        raise click.UsageError("which sender? Give --scheme.")
    if urlsplit(url).scheme not in {"http", "https"}:
        raise click.BadParameter("must begin with http:// or https://", param_hint="URL")
    setup = _setup(scheme, secret, option, options)
    if SCHEMES[scheme].proof is not None and setup.parsed() is None:
        raise click.UsageError("the secret must be a text, an array of texts or an object of texts, none of them empty")
    event_id = str(uuid.uuid4())
    try:
        value = setup.value()
        content = body.read_bytes() if body else sample_body(scheme, event_id=event_id, options=setup.options)
        signed = sign(
            scheme,
            value,
            content,
            now=time.time(),
            event_id=event_id,
            url=signed_url or url,
            options=setup.options,
            headers=sample_headers(scheme, event_id=event_id, options=setup.options),
        )
        shown = public_part(scheme, value, options=setup.options)
    except CannotSign as error:
        raise click.UsageError(str(error)) from error
    if shown != value and isinstance(shown, str):
        console.print(f"The endpoint's secret is the public key: {shown}", style="dim", markup=False)
    if scheme == "aws-sns":
        console.print("Signed by us: an endpoint takes only what Amazon has signed.", style="yellow", markup=False)
    target = url if signed_url else signed.url
    if signed_url and signed.query:
        target = str(httpx.URL(url).copy_with(query=signed.query.encode()))
    sys.exit(_sent(target, signed.headers, signed.body, setup))


def _sent(url: str, headers: Mapping[str, str], body: bytes, setup: Setup) -> int:
    here = urlsplit(url).hostname in {"localhost", "127.0.0.1", "::1"}
    try:
        with httpx.Client(timeout=30, trust_env=not here) as client:
            response = client.post(url, content=body, headers=dict(headers))
    except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError) as error:
        console.print(f"no answer: {type(error).__name__}", style="red", markup=False)
        return 1
    taken = response.is_success
    phrase = HTTPStatus(response.status_code).phrase if response.status_code in set(HTTPStatus) else ""
    console.print(f"{response.status_code} {phrase}".strip(), style="green" if taken else "red", markup=False)
    if response.text:
        console.print(hidden(response.text, setup), markup=False)
    return 0 if taken else 1


@devhost.command()
@_scheme_option
@_secret_option
@_option_option
@_options_option
@click.option(
    "--headers",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help="The request's headers: a JSON object, or an array of pairs.",
)
@click.option(
    "--body",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help="The request's body, byte for byte; none without it.",
)
@click.option("--url", default="", metavar="URL", help="The URL that the sender called, query included.")
@click.option("--method", default="POST", show_default=True)
@click.option("--now", type=float, metavar="UNIX", help="Check as of this time, in seconds; the present without it.")
@click.option(
    "--vectors",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Check every vector of a JSON file instead.",
)
def verify(
    *,
    scheme: str | None,
    secret: str,
    option: Mapping[str, object],
    options: Mapping[str, object],
    headers: Path | None,
    body: Path | None,
    url: str,
    method: str,
    now: float | None,
    vectors: Path | None,
) -> None:
    """Say whether a captured request verifies, and why not.

    Exit status 0 if it does, 1 if not, 2 when the question is wrong.
    """
    if vectors is not None:
        sys.exit(_verified_vectors(vectors))
    if scheme is None or headers is None:
        raise click.UsageError("give --scheme and --headers, or --vectors")
    setup = _setup(scheme, secret, option, options)
    captured = Captured(
        headers=_headers_of(headers), body=body.read_bytes() if body else b"", method=method.upper(), url=url
    )
    moment = time.time() if now is None else now
    harmless = certificates_only(fetch)
    checked = check(captured, setup, now=moment, fetch=harmless)
    if checked.verified:
        what = "a handshake, and is answered" if checked.reply is not None else "verified"
        console.print(f"{scheme}: {what}", style="green", markup=False)
        sys.exit(0)
    console.print(f"{scheme}: not verified", style="red", markup=False)
    for sentence in explain(captured, setup, checked, now=moment, fetch=harmless):
        console.print(f"  {hidden(sentence, setup)}", markup=False)
    sys.exit(1)


def _headers_of(path: Path) -> Mapping[str, str]:
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


def _verified_vectors(path: Path) -> int:
    try:
        passed, failed = run_vectors(json.loads(path.read_bytes()), fetch=certificates_only(fetch))
    except ValueError as error:
        raise click.BadParameter(f"{path} is not JSON", param_hint="--vectors") from error
    except BadVectors as error:
        raise click.BadParameter(f"{path}: {error}", param_hint="--vectors") from error
    for vector in failed:
        console.print(f"{vector.id} ({vector.scheme}): {vector.sentence}", style="red", markup=False)
    console.print(f"{passed} passed, {len(failed)} failed", style="red" if failed else "green", markup=False)
    return 1 if failed else 0


@devhost.command()
@click.option("--output", default="dist", show_default=True, type=click.Path(path_type=Path), help="The folder for it.")
def package(output: Path) -> None:
    """Build the .difypkg that Dify installs."""
    console.print(str(build_package(output)))


if __name__ == "__main__":
    devhost(prog_name="python -m devhost")
