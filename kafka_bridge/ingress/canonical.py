"""What some senders sign besides the body: the URL, the form's fields, chosen headers. Pure.

Behind Dify's proxy the plugin does not see the URL that the sender called, so there may be several candidates; each is
under the sender's key, and a signature over any of them verifies.
"""

import hashlib
import hmac
import re
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final
from urllib.parse import parse_qsl, quote, urlsplit, urlunsplit

from kafka_bridge.errors import Unverified
from kafka_bridge.ingress.content import Content

type Variants = Callable[[str], tuple[str, ...]]
"""A URL to the forms in which a vendor may have signed it."""

# The last parameter of the URL that is verified: of no other is it known that the sender has signed it.
_DIGEST: Final = re.compile(r"[?&]bodySHA256=([0-9a-fA-F]{64})$", re.ASCII)
_PORT: Final = re.compile(r":[0-9]*$", re.ASCII)
_PORTS: Final = MappingProxyType({"https": 443, "http": 80})
# https://developers.hubspot.com/docs/apps/legacy-apps/authentication/validating-requests
_DECODED_BY_HUBSPOT: Final = re.compile("%(?:3A|2F|3F|40|26|3D|2B|24|60|22|2C|3B|3E|3C)", re.IGNORECASE)


def urls_of(content: Content, variants: Variants) -> tuple[str, ...]:
    """The URLs that the sender may have called, the most probable first."""
    found: dict[str, None] = {}
    for url in filter(_is_url, _called(content)):
        for variant in (url, *variants(url)):
            found[variant] = None
    return tuple(found)


def _called(content: Content) -> tuple[str, ...]:
    inbound, base = content.inbound, content.public_url
    query = f"?{inbound.query}" if inbound.query else ""
    if "?" in base:
        # The platform sorts and re-encodes a query: an operator whose sender has one gives the URL whole.
        return (base,)
    if base:
        # With or without the path, and whatever slash the sender's URL ends with.
        path = inbound.path.rstrip("/")
        root = base.removesuffix(path) if path else base
        return (f"{root}{inbound.path}{query}",)
    hook = inbound.header("dify-hook-url")
    if not hook or not _is_url(hook):
        return ()
    # Without a proxy before it the platform takes the header from the sender: it must name this very path and query.
    # The platform leaves the query out and sorts it, the proxy does neither.
    parts = urlsplit(hook)
    if not parts.path.endswith(inbound.path) or (parts.query and not _same(parts.query, inbound.query)):
        return ()
    whole = hook if parts.query or not query else hook + query
    other = "https" if whole.startswith("http:") else "http"
    return (whole, f"{other}:{whole.partition(':')[2]}")


def _same(query: str, other: str) -> bool:
    return sorted(parse_qsl(query, keep_blank_values=True)) == sorted(parse_qsl(other, keep_blank_values=True))


def _is_url(text: str) -> bool:
    # A header may hold anything.
    try:
        urlsplit(text)
    except ValueError:
        return False
    return True


def as_is(_url: str) -> tuple[str, ...]:
    """No other form."""
    return ()


def with_and_without_port(url: str) -> tuple[str, ...]:
    """Twilio signs with the standard port for some calls and without it for others (its libraries try both)."""
    parts = urlsplit(url)
    standard = _PORTS.get(parts.scheme)
    if standard is None or not parts.netloc:
        return ()
    shorter = _PORT.sub("", parts.netloc)
    if shorter == parts.netloc and ":" in parts.netloc.rpartition("]")[2].rpartition("@")[2]:
        # A port that is no number.
        return ()
    return (urlunsplit(parts._replace(netloc=shorter if shorter != parts.netloc else f"{shorter}:{standard}")),)


def partly_decoded(url: str) -> tuple[str, ...]:
    """HubSpot decodes some escapes before it signs, and leaves the others."""
    return (_DECODED_BY_HUBSPOT.sub(lambda match: chr(int(match[0][1:], 16)), url),)


def path_of(url: str) -> str:
    """Path and query of a URL, encoded as Contentful does (contentful/node-apps-toolkit, `requests/utils`)."""
    parts = urlsplit(url)
    query = f"?{parts.query}" if parts.query else ""
    return quote(f"{parts.path}{query}", safe="%/:=&?~#+!$,;'@()*[]")


def form_of(content: Content, url: str) -> str:
    """Twilio's part after the URL: every field with each of its values, sorted, each pair once. Raises Unverified.

    A JSON body is not in it; the URL then carries its SHA-256 (https://www.twilio.com/docs/usage/security).
    """
    digest = _DIGEST.search(url)
    if digest is not None and not content.form:
        if not hmac.compare_digest(
            hashlib.sha256(content.inbound.body).hexdigest().encode(), digest[1].lower().encode()
        ):
            raise Unverified("the body is not the one whose SHA-256 stands in the URL")
        return ""
    if content.inbound.body and not content.form:
        raise Unverified("the body is neither a form nor is its SHA-256 in the URL: nothing signs it")
    return "".join(f"{name}{value}" for name, value in sorted(set(content.form)))


def headers_of(content: Content, *, listed_in: str, must_have: str) -> str:
    """Contentful's signed headers, as the request lists them: `name:value`, sorted, joined with `;`. Raises Unverified.

    Source: contentful/node-apps-toolkit, `requests/sign-request`.
    """
    names = {name.strip().lower() for name in content.inbound.header(listed_in).split(",")}
    if not {listed_in, must_have} <= names:
        raise Unverified(f"{listed_in} does not list itself and {must_have}: they are not under the signature")
    values: Mapping[str, str] = {name: content.inbound.header(name).strip() for name in names}
    return ";".join(f"{name}:{values[name]}" for name in sorted(values))
