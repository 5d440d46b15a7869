"""What the daemon does to a request before the plugin sees it. Pure.

It reads at most 10 MiB of the body, removes the headers that trace the client's address, sorts and re-encodes the
query, re-encodes the decoded path, and writes the whole as HTTP/1.1 the way Go's `net/http` writes a request.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote_to_bytes

type Headers = Sequence[tuple[bytes, bytes]]

BODY_LIMIT_BYTES: Final = 10 * 1024 * 1024
_REMOVED: Final = frozenset(
    {
        b"x-forwarded-for",
        b"x-real-ip",
        b"x-forwarded",
        b"x-original-forwarded-for",
        b"x-original-url",
        b"x-original-host",
    }
)
# What Go writes in places of its own, never among the other headers.
_OWN_PLACE: Final = frozenset({b"host", b"user-agent", b"content-length", b"transfer-encoding", b"trailer"})
_LACKS_BODY: Final = frozenset({"GET", "HEAD", "DELETE", "OPTIONS"})
_UNRESERVED: Final = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.~")
_PATH_SAFE: Final = _UNRESERVED | frozenset(b"$&+,/:;=@")
_TOKEN: Final = _UNRESERVED | frozenset(b"!#$%&'*+^`|")
_HOST: Final = re.compile(rb"[0-9A-Za-z!$%&()*+,.:;='\[\]_~-]*")
_ABSOLUTE: Final = re.compile(rb"[A-Za-z][A-Za-z0-9+.-]*://([^/]*)(.*)", re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """A request as the HTTP server took it, for an endpoint: `path` is decoded, and begins below `/e/<hook>`."""

    method: str
    path: bytes
    raw_query: bytes
    headers: Headers
    body: bytes
    http_version: str = "1.1"


def split_target(raw_path: bytes, headers: Headers) -> tuple[bytes, Headers]:
    """The path of a request's target. The host of one in absolute form is the host, whatever the header says."""
    if (absolute := _ABSOLUTE.fullmatch(raw_path)) is None:
        return raw_path, headers
    return absolute[2] or b"/", [pair for pair in headers if pair[0].lower() != b"host"] + [(b"host", absolute[1])]


def rewrite(request: Received, hook: str) -> bytes:
    """The raw HTTP request that the plugin gets."""
    # Of a repeated header the first value is the one that the daemon looks at.
    original = {name.lower(): value for name, value in reversed(request.headers)}
    host = original.get(b"x-original-host") or original.get(b"host", b"")
    headers = [(canonical(name), value) for name, value in request.headers if name.lower() not in _REMOVED]
    headers = [pair for pair in headers if pair[0] != b"Dify-Hook-Id"] + [(b"Dify-Hook-Id", hook.encode())]
    if not original.get(b"dify-hook-url"):
        scheme = b"https" if original.get(b"x-forwarded-proto") == b"https" else b"http"
        url = b"%s://%s/e/%s%s" % (scheme, host, hook.encode(), request.path)
        headers = [pair for pair in headers if pair[0] != b"Dify-Hook-Url"] + [(b"Dify-Hook-Url", url)]
    if original.get(b"pragma") == b"no-cache" and b"cache-control" not in original:
        headers.append((b"Cache-Control", b"no-cache"))
    query = encode_query(request.raw_query)
    target = escape_path(request.path) + (b"?" + query if query else b"")
    lines = [
        b"%s %s HTTP/1.1" % (request.method.encode(), target),
        b"Host: " + (host if _HOST.fullmatch(host) else b""),
    ]
    if agent := original.get(b"user-agent", b"Go-http-client/1.1"):
        lines.append(b"User-Agent: " + agent)
    if _closes(request) and b"close" not in _tokens(original.get(b"connection", b"")):
        lines.append(b"Connection: close")
    body = request.body[:BODY_LIMIT_BYTES]
    if body:
        lines.append(b"Content-Length: %d" % len(body))
    elif request.method not in _LACKS_BODY:
        # Go does not know that a non-nil reader is empty and falls back to chunks: an empty body is five bytes long.
        lines.append(b"Transfer-Encoding: chunked")
        body = b"0\r\n\r\n"
    # Go sorts by name and keeps the order of a repeated header's values.
    lines += [
        b"%s: %s" % (name, _one_line(value))
        for name, value in sorted(headers, key=lambda pair: pair[0])
        if name.lower() not in _OWN_PLACE
    ]
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


def canonical(name: bytes) -> bytes:
    """A header's name as Go spells it: `x-hub-signature` → `X-Hub-Signature`."""
    if any(byte not in _TOKEN for byte in name):
        return name
    return b"-".join(part[:1].upper() + part[1:].lower() for part in name.split(b"-"))


def encode_query(raw: bytes) -> bytes:
    """Parsed, sorted by name and encoded again; pairs with a semicolon or a broken escape are dropped."""
    pairs: list[tuple[bytes, bytes]] = []
    for item in raw.split(b"&"):
        if not item or b";" in item:
            continue
        name, _, value = item.partition(b"=")
        if broken(name) or broken(value):
            continue
        pairs.append((unquote_to_bytes(name.replace(b"+", b" ")), unquote_to_bytes(value.replace(b"+", b" "))))
    pairs.sort(key=lambda pair: pair[0])
    return b"&".join(_query_escape(name) + b"=" + _query_escape(value) for name, value in pairs)


def escape_path(path: bytes) -> bytes:
    """A decoded path as Go encodes it."""
    return escape(path, _PATH_SAFE)


def escape(text: bytes, safe: frozenset[int]) -> bytes:
    """Percent-encoded, in capitals as Go writes it."""
    return b"".join(bytes((byte,)) if byte in safe else b"%%%02X" % byte for byte in text)


def broken(text: bytes) -> bool:
    """Whether a percent sign is not followed by two digits."""
    hexadecimal = b"0123456789abcdefABCDEF"
    return any(
        len(rest) < 2 or rest[0] not in hexadecimal or rest[1] not in hexadecimal  # noqa: PLR2004
        for rest in text.split(b"%")[1:]
    )


def _query_escape(text: bytes) -> bytes:
    return escape(text, _UNRESERVED | {0x20}).replace(b" ", b"+")


def _closes(request: Received) -> bool:
    tokens = [token for name, value in request.headers if name.lower() == b"connection" for token in _tokens(value)]
    return b"close" in tokens or (request.http_version == "1.0" and b"keep-alive" not in tokens)


def _tokens(value: bytes) -> list[bytes]:
    return [token.strip().lower() for token in value.split(b",")]


def _one_line(value: bytes) -> bytes:
    return value.replace(b"\n", b" ").replace(b"\r", b" ").strip(b" \t")
