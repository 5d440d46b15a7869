"""How an answer goes out: what Go's `net/http` makes of a status and headers, and the daemon's own documents. Pure."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from html import escape as html_escape
from http import HTTPStatus
from typing import Final

from devhost import gojson
from devhost.rewrite import canonical

# Of a body that is shorter than this Go knows the length when it writes the head.
BUFFERED_BYTES: Final = 2048
JSON: Final = b"application/json; charset=utf-8"
ROUTE_NOT_FOUND: Final = gojson.dumps({"code": "not_found", "message": "route not found"})
_TOKEN: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_LINE_BREAKS: Final = re.compile(r"[\r\n\0\v\f]")
# What the HTTP server of the local host can put into a status line.
_SENDABLE: Final = range(200, 600)
_STATUS_END: Final = 1000


def error(code: int, kind: str, text: str) -> bytes:
    """The daemon's error document."""
    message = gojson.dumps({"message": text, "error_type": kind, "args": None}).decode()
    return gojson.dumps({"code": code, "message": message, "data": None})


def internal_error(text: str) -> bytes:
    """The document of a 500."""
    return error(-500, "PluginDaemonInternalServerError", text)


class Unsendable(Exception):
    """The daemon would send this status; the local host's HTTP server cannot."""


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A head that is ready to be sent, and what may follow it: at most `length` bytes, when that is known."""

    status: int
    headers: list[tuple[bytes, bytes]]
    length: int | None = None
    has_body: bool = True


def outgoing(method: str, status: int, headers: Mapping[str, str], *, empty: bool) -> Outgoing:
    """What the client gets for the plugin's status and headers. `empty`: not a single chunk came. Raises Unsendable.

    An interim status is followed by a 200; outside of 100 to 999 Go panics, and a 200 without a body is what is left.
    """
    if status == HTTPStatus.SWITCHING_PROTOCOLS or _SENDABLE.stop <= status < _STATUS_END:
        raise Unsendable(f"the local host's HTTP server cannot answer with the status {status}")
    has_body = status == 0 or HTTPStatus.CONTINUE <= status < _STATUS_END
    status = status if status in _SENDABLE else HTTPStatus.OK
    sent = _sent(headers)
    if status in {HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED}:
        has_body = False
        sent.pop(b"Content-Length", None)
        if status == HTTPStatus.NOT_MODIFIED:
            sent.pop(b"Content-Type", None)
    elif (empty or not has_body) and method != "HEAD":
        sent.setdefault(b"Content-Length", b"0")
    length = int(sent[b"Content-Length"]) if b"Content-Length" in sent else None
    return Outgoing(status, list(sent.items()), length, has_body)


def document(status: int, body: bytes, content_type: bytes = JSON) -> Outgoing:
    """The head of an answer of the daemon's own."""
    headers = {b"Content-Type": content_type} if body else {}
    if len(body) <= BUFFERED_BYTES:
        headers[b"Content-Length"] = b"%d" % len(body)
    return Outgoing(status, list(headers.items()))


def redirect(method: str, location: str) -> tuple[Outgoing, bytes]:
    """To the endpoint's root, as Go's `http.Redirect` does it: only a GET is told so in words."""
    status = HTTPStatus.MOVED_PERMANENTLY if method == "GET" else HTTPStatus.TEMPORARY_REDIRECT
    shown = html_escape(location).replace("&quot;", "&#34;").replace("&#x27;", "&#39;")
    body = f'<a href="{shown}">{status.phrase}</a>.\n\n'.encode() if method == "GET" else b""
    headers = {b"Location": location.encode()}
    if method in {"GET", "HEAD"}:
        headers[b"Content-Type"] = b"text/html; charset=utf-8"
    if method != "HEAD":
        headers[b"Content-Length"] = b"%d" % len(body)
    return Outgoing(status, list(headers.items())), body


def _sent(headers: Mapping[str, str]) -> dict[bytes, bytes]:
    sent = dict[bytes, bytes]()
    for name, value in headers.items():
        if _TOKEN.fullmatch(name):
            sent.setdefault(canonical(name.encode()), _LINE_BREAKS.sub(" ", value).strip(" \t").encode())
    if sent.get(b"Connection") != b"close":
        # Whether the connection stays is between client and server.
        sent.pop(b"Connection", None)
    encoding, length = sent.pop(b"Transfer-Encoding", b""), sent.get(b"Content-Length", b"")
    if not length.isdigit() or encoding not in {b"", b"identity"}:
        sent.pop(b"Content-Length", None)
    return sent
