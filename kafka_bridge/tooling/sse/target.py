"""Where a URL leads, read once: what is looked at, connected to and asked for are the same values. Pure.

Two readers of one URL that disagree about its host are how filters are passed.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from ipaddress import AddressValueError, IPv6Address
from types import MappingProxyType
from typing import Final
from urllib.parse import quote, urlencode, urljoin, urlsplit

MAX_URL_CHARS: Final = 8 * 1024
_PORTS: Final = MappingProxyType({"http": 80, "https": 443})
_NAME: Final = re.compile(r"[a-z0-9_]([a-z0-9_.-]{0,251}[a-z0-9_])?", re.ASCII)
_MAX_PORT: Final = 65535
# What may stand in a path or a query as it is; a percent sign, because it stands for something already.
_AS_IT_IS: Final = "/?%:@!$&'()*+,;=-._~"


class NotATarget(Exception):
    """`str()` says what is wrong with the URL, and does not quote it: it may hold a secret."""


@dataclass(frozen=True, slots=True)
class Target:
    """`host` is lower-case ASCII, an IPv6 address without brackets; `path` goes with its query."""

    scheme: str
    host: str
    port: int
    path: str

    @property
    def origin(self) -> tuple[str, str, int]:
        """Who may see what is meant for this target."""
        return self.scheme, self.host, self.port

    @property
    def authority(self) -> str:
        """Host and port as the header `Host` has them: without the port that the scheme has anyway."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def url(self) -> str:
        """The whole URL."""
        return f"{self.scheme}://{self.authority}{self.path}"

    @property
    def source(self) -> str:
        """The URL without its query, which is where secrets stand."""
        return self.url.partition("?")[0]

    def asking(self, pairs: Sequence[tuple[str, str]]) -> "Target":
        """The same with more in its query."""
        if not pairs:
            return self
        return replace(self, path=f"{self.path}{'&' if '?' in self.path else '?'}{urlencode(pairs)}")

    def to(self, location: str) -> "Target":
        """Where a redirect leads. Raises NotATarget."""
        try:
            joined = urljoin(self.url, location)
        except ValueError:
            raise NotATarget("is no URL") from None
        return read_target(joined)


def read_target(url: str) -> Target:
    """Where `url` leads. Raises NotATarget."""
    if len(url) > MAX_URL_CHARS:
        raise NotATarget(f"is longer than {MAX_URL_CHARS} characters")
    if not url.isprintable() or " " in url or "\\" in url:
        raise NotATarget("has a space, a line end, a backslash or a control character in it")
    try:
        parts = urlsplit(url)
        port = parts.port
        host = parts.hostname or ""
    except ValueError:
        raise NotATarget("is no URL") from None
    if parts.scheme not in _PORTS:
        raise NotATarget("must begin with http:// or https://")
    if "@" in parts.netloc:
        raise NotATarget("must not hold a user name or a password; use auth_type and auth_token")
    if port is not None and not 1 <= port <= _MAX_PORT:
        raise NotATarget("has an impossible port")
    path = quote(parts.path or "/", safe=_AS_IT_IS)
    query = f"?{quote(parts.query, safe=_AS_IT_IS)}" if parts.query else ""
    return Target(parts.scheme, _host(host, bracketed="[" in parts.netloc), port or _PORTS[parts.scheme], path + query)


def _host(host: str, *, bracketed: bool) -> str:
    if bracketed:
        try:
            address = IPv6Address(host)
        except AddressValueError:
            raise NotATarget("has an impossible host") from None
        if address.scope_id is not None:
            raise NotATarget("names a network interface")
        return address.compressed
    try:
        name = host.removesuffix(".").encode("idna").decode().lower()
    except UnicodeError:
        raise NotATarget("has an impossible host") from None
    if not _NAME.fullmatch(name):
        raise NotATarget("has an impossible host")
    return name
