"""`verify`: says whether a captured request verifies, and why not; or a file of many."""

import json
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import click

from devhost.cli.captured import headers_of
from devhost.cli.sender import option_option, options_option, scheme_option, secret_option, setup_of, url_of
from devhost.cli.terminal import console
from devhost.verify import BadVectors, Captured, certificates_only, check, explain, hidden, run_vectors
from kafka_bridge.web import fetch

# The last second of the year 9999, after which no calendar goes on.
_LAST_S: Final = 253_402_300_799


def _moment(_context: click.Context, _parameter: click.Parameter, value: float | None) -> float | None:
    # Written so that a number that is none fails, too.
    if value is not None and not 0 <= value <= _LAST_S:
        raise click.BadParameter("is a time in seconds since 1970")
    return value


@click.command()
@scheme_option
@secret_option
@option_option
@options_option
@click.option(
    "--headers",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help="The request's headers: lines of Name: value, as proxies and curl -v show them; or JSON, an object or pairs.",
)
@click.option(
    "-H",
    "lines",
    multiple=True,
    metavar="'Name: value'",
    help="A header, besides those of --headers; may be repeated.",
)
@click.option(
    "--body",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help="The request's body, byte for byte; none without it.",
)
@click.option(
    "--url", default="", metavar="URL", callback=url_of, help="The URL that the sender called, query included."
)
@click.option("--method", default="POST", show_default=True)
@click.option(
    "--now",
    type=float,
    metavar="UNIX",
    callback=_moment,
    help="Check as of this time, in seconds; the present without it.",
)
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
    lines: tuple[str, ...],
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
    if scheme is None or (headers is None and not lines):
        raise click.UsageError("give --scheme and --headers (or -H), or --vectors")
    setup = setup_of(scheme, secret, option, options)
    captured = Captured(
        headers=headers_of(headers, lines), body=body.read_bytes() if body else b"", method=method.upper(), url=url
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


def _verified_vectors(path: Path) -> int:
    try:
        passed, failed = run_vectors(json.loads(path.read_bytes()), fetch=certificates_only(fetch))
    except (ValueError, RecursionError) as error:
        raise click.BadParameter(f"{path} is not JSON", param_hint="--vectors") from error
    except BadVectors as error:
        raise click.BadParameter(f"{path}: {error}", param_hint="--vectors") from error
    for vector in failed:
        console.print(f"{vector.id} ({vector.scheme}): {vector.sentence}", style="red", markup=False)
    console.print(f"{passed} passed, {len(failed)} failed", style="red" if failed else "green", markup=False)
    return 1 if failed else 0
