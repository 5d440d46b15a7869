"""Where the dashboard is, as the browser sees it, and whether a form came from one of its pages. Pure.

Proxies stand between: the path may have a prefix, the port may be lost on the way, and the platform's own server knows
nothing of HTTPS. What is read here decides where a cookie goes and what is shown; it lets nobody in.
"""

import re
from typing import Final, NamedTuple
from urllib.parse import SplitResult, urlsplit

from kafka_bridge.http import Inbound

SAME_ORIGIN: Final = "same-origin"
MAX_URL_CHARS: Final = 2048
# What may stand in a cookie's Path without ending it (RFC 6265, 4.1.1), and stands in a URL's path as it is.
_PATH: Final = re.compile(r"/[A-Za-z0-9._~!$&'()*+=:@%/-]*", re.ASCII)
_WEBHOOK: Final = re.compile(r"/webhook(/[^/]*)?/?$")


class Address(NamedTuple):
    """`path` and `url` of the endpoint end with a slash; empty where nobody knows. `secure`: it came by HTTPS."""

    path: str
    url: str
    secure: bool


def address_of(inbound: Inbound) -> Address:
    """The endpoint's, by the page that the request came from, else by what the platform says."""
    hook = inbound.header("dify-hook-id")
    referer, told = _split(inbound.header("referer")), _split(inbound.header("dify-hook-url"))
    if referer is not None and not _is_ours(referer, inbound):
        referer = None
    forwarded = inbound.header("x-forwarded-proto").partition(",")[0].strip().lower()
    origin = inbound.header("origin")
    secure = "https" in {forwarded, told.scheme if told else "", origin.partition(":")[0].lower()}
    for url in (referer, told):
        if url is not None and hook and (path := _cut(url.path, hook)):
            scheme = "https" if secure else url.scheme
            return Address(path, f"{scheme}://{url.netloc}{path}", secure)
    return Address("", "", secure)


def public_base(public_url: str, hook: str) -> str:
    """The endpoint's URL with a slash at its end, of a setting that may name the webhook, or have a query."""
    url = _split(public_url)
    if url is None:
        return ""
    path = _cut(url.path, hook) if hook else ""
    return f"{url.scheme}://{url.netloc}{path or _WEBHOOK.sub('', url.path).rstrip('/') + '/'}"


def is_foreign(inbound: Inbound, public_url: str = "") -> bool:
    """Whether a browser says that another site's page has sent this (Fetch Metadata, else `Origin`)."""
    fetched = inbound.header("sec-fetch-site")
    if fetched in {SAME_ORIGIN, "none"}:
        return False
    if fetched:
        return True
    text = inbound.header("origin")
    if not text:
        return False
    origin = _split(text)
    return origin is None or not _is_ours(origin, inbound, public_url)


def _is_ours(url: SplitResult, inbound: Inbound, public_url: str = "") -> bool:
    """Whether it has the host of the request. The proxy that Dify ships takes the port off; a browser's has it."""
    told, public = _split(inbound.header("dify-hook-url")), _split(public_url)
    ours = {inbound.header("host"), told.netloc if told else "", public.netloc if public else ""} - {""}
    return url.netloc in ours or url.hostname in ours


def _split(text: str) -> SplitResult | None:
    if not text or len(text) > MAX_URL_CHARS:
        return None
    try:
        url = urlsplit(text)
        known = url.scheme in {"http", "https"} and url.hostname and "@" not in url.netloc
    except ValueError:
        return None
    return url if known else None


def _cut(path: str, hook: str) -> str:
    """The path down to the endpoint, when the endpoint is in it and it can stand in a cookie."""
    mark = f"/e/{hook}"
    at = f"{path}/".rfind(f"{mark}/")
    found = path[: at + len(mark)] + "/" if at >= 0 else ""
    return found if _PATH.fullmatch(found) else ""
