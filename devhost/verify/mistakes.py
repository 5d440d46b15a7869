"""What usually happens to secrets, bodies and URLs on their way: each as it may have been before, with the sentence."""

import json
from collections.abc import Callable, Iterator
from types import MappingProxyType
from typing import Any, Final
from urllib.parse import unquote, urlsplit, urlunsplit

KEYS: Final = MappingProxyType(
    {
        "utf-8": "The sender's key is the secret as text, as it stands there; the scheme decodes it.",
        "base64": "The sender's key is the secret decoded from base64; the scheme takes it as text.",
        "hex": "The sender's key is the secret decoded from hexadecimal; the scheme takes it otherwise.",
        "whsec": "The sender's key is the secret without whsec_, decoded from base64; the scheme takes it otherwise.",
    }
)


def other_secrets(text: str) -> Iterator[tuple[str, str]]:
    """What may have been pasted instead of `text`."""
    if text != text.strip():
        yield text.strip(), "The secret has white space before or after it that the sender's does not have."
    for quote in ('"', "'", "`"):
        if text.strip().startswith(quote) and text.strip().endswith(quote):
            yield text.strip()[1:-1], "The secret stands in quotation marks that the sender's does not have."
    bare = text.strip().removeprefix("v1,")
    if bare != text.strip():
        yield bare, "The secret begins with v1, which belongs to signatures: paste it from whsec_ on."
    if bare.startswith("whsec_"):
        yield bare.removeprefix("whsec_"), "The secret is right without whsec_: leave it out."
    else:
        yield f"whsec_{bare}", "The secret is right with whsec_ before it: paste it whole."
    yield f"{text}\n", "The sender's secret ends with a newline: it was made of a file with one, and is another secret."


def other_bodies(body: bytes) -> Iterator[tuple[bytes, str]]:
    """What may have been sent instead of `body`."""
    for end in (b"\r\n", b"\n"):
        if body.endswith(end):
            bare = body.removesuffix(end)
            yield bare, "The sender signed the body without the newline at its end: it was added later, as editors do."
        yield body + end, "The sender signed the body with a newline at its end, and it was cut off on the way."
    unix = body.replace(b"\r\n", b"\n")
    yield unix, "The sender signed lines that end with LF: on the way they became CRLF."
    yield unix.replace(b"\n", b"\r\n"), "The sender signed lines that end with CRLF: on the way they became LF."
    mark = b"\xef\xbb\xbf"
    yield body.removeprefix(mark), "The sender signed the body without the byte order mark that stands before it."
    yield mark + body, "The sender signed the body with a byte order mark before it."
    yield b"", "The sender signed an empty body."
    yield from _written_anew(body)


def _written_anew(body: bytes) -> Iterator[tuple[bytes, str]]:
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        return
    forms: tuple[tuple[str, dict[str, Any]], ...] = (
        ("compact", {"separators": (",", ":")}),
        ("with a space after commas and colons", {}),
        ("indented by two spaces", {"indent": 2}),
        ("indented by four spaces", {"indent": 4}),
        ("indented by tabs", {"indent": "\t"}),
    )
    for name, how in forms:
        for ascii_only in (False, True):
            for ordered in (False, True):
                text = json.dumps(document, ensure_ascii=ascii_only, sort_keys=ordered, **how)
                sentence = (
                    f"The body was re-serialised: the sender signed the same JSON, {name}. Record and pass on the"
                    " bytes as they came, before anything parses them."
                )
                raw = text.encode("utf-8", "surrogatepass")
                yield raw, sentence
                yield raw + b"\n", sentence
                yield raw.replace(b"/", b"\\/"), sentence


def other_urls(url: str) -> Iterator[tuple[str, str]]:
    """What the sender may have called instead of `url`."""
    parts = urlsplit(url)
    other = {"http": "https", "https": "http"}.get(parts.scheme)
    path = parts.path[:-1] if parts.path.endswith("/") else f"{parts.path}/"
    slash = "without a slash" if parts.path.endswith("/") else "with a slash"
    changed: list[tuple[Callable[[], str], str]] = [
        (lambda: urlunsplit(parts._replace(path=path)), f"The sender signed the URL {slash} at the end of its path."),
        (lambda: urlunsplit(parts._replace(query="")), "The sender signed the URL without its query."),
        (
            lambda: urlunsplit(parts._replace(netloc=parts.hostname or "")),
            "The sender signed the URL without the port.",
        ),
        (lambda: unquote(url), "The sender signed the URL with its escapes decoded."),
    ]
    if other:
        scheme = other
        changed.insert(
            0, (lambda: urlunsplit(parts._replace(scheme=scheme)), f"The sender signed the URL with {scheme}.")
        )
        port = 443 if parts.scheme == "https" else 80
        changed.append(
            (lambda: urlunsplit(parts._replace(netloc=f"{parts.hostname}:{port}")), f"The sender signed port {port}.")
        )
    for make, sentence in changed:
        try:
            found = make()
        except ValueError:
            continue
        if found != url:
            yield found, f"{sentence} Set the public URL as the sender has it."
