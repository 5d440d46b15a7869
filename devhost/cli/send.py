"""`send`: signs a sample, or a file, as a sender does, and delivers it."""

import sys
import time
import uuid
from collections.abc import Mapping
from http import HTTPStatus
from pathlib import Path
from urllib.parse import urlsplit

import click
import httpx

from devhost.cli.sender import option_option, options_option, scheme_option, secret_option, setup_of, url_of
from devhost.cli.terminal import console
from devhost.signing import CannotSign, public_part, sample_body, sample_headers, sign, with_type
from devhost.verify import Setup, hidden
from kafka_bridge.ingress.schemes import SCHEMES


@click.command()
@scheme_option
@secret_option
@option_option
@options_option
@click.option("--type", "event_type", metavar="EVENT", help="The event's type, where the sender has a place for it.")
@click.option("--signed-url", default="", metavar="URL", callback=url_of, help="The whole URL that the sender signs.")
@click.argument("url", callback=url_of)
@click.argument("body", required=False, type=click.Path(exists=True, dir_okay=False, path_type=Path))
def send(
    *,
    scheme: str | None,
    secret: str,
    option: Mapping[str, object],
    options: Mapping[str, object],
    event_type: str | None,
    signed_url: str,
    url: str,
    body: Path | None,
) -> None:
    """Sign a sample, or a file's bytes, as a sender does, send it, print the answer.

    A type that stands in the body is written into it, the file's included. A sender without a place for it: status 2.

    Exit status 0 for a 2xx, else 1. For a sender with a key pair the secret is the private key.
    """
    if scheme is None:
        raise click.UsageError("which sender? Give --scheme.")
    if urlsplit(url).scheme not in {"http", "https"}:
        raise click.BadParameter("must begin with http:// or https://", param_hint="URL")
    setup = setup_of(scheme, secret, option, options)
    if SCHEMES[scheme].proof is not None and setup.parsed() is None:
        raise click.UsageError("the secret must be a text, an array of texts or an object of texts, none of them empty")
    event_id = str(uuid.uuid4())
    try:
        value = setup.value()
        content = body.read_bytes() if body else sample_body(scheme, event_id=event_id, options=setup.options)
        headers = sample_headers(scheme, event_id=event_id, options=setup.options)
        if event_type is not None:
            content, headers = with_type(scheme, event_type, content, headers, options=setup.options)
        signed = sign(
            scheme,
            value,
            content,
            now=time.time(),
            event_id=event_id,
            url=signed_url or url,
            options=setup.options,
            headers=headers,
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
            response = client.post(
                url, content=body, headers=[(name.encode(), text.encode()) for name, text in headers.items()]
            )
    except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError) as error:
        console.print(f"no answer: {type(error).__name__}", style="red", markup=False)
        return 1
    taken = response.is_success
    phrase = HTTPStatus(response.status_code).phrase if response.status_code in set(HTTPStatus) else ""
    console.print(f"{response.status_code} {phrase}".strip(), style="green" if taken else "red", markup=False)
    if response.text:
        console.print(hidden(response.text, setup), markup=False)
    return 0 if taken else 1
