"""Verification by HMAC, as data: where the signature stands, how it is written, which bytes it covers. Pure.

A verifier returns, or raises `Unverified`, and nothing else, whatever the request holds.
The parameters have the names of `scheme_options`; `schemes.py` has a row of them per vendor.
"""

import base64
import hashlib
import hmac
import re
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Final

from kafka_bridge.errors import Unverified
from kafka_bridge.ingress.content import Content, Location
from kafka_bridge.settings.secret import Secret

# The longest real header (Stripe with several v1 elements, DocuSign's hundred keys) is a fraction of this.
MAX_SIGNATURE_CHARS: Final = 8192
# Vendors that give a window give five minutes: Stripe, Slack, Svix, HubSpot.
TOLERANCE_S: Final = 300

ALGORITHMS: Final = ("sha1", "sha256", "sha512")
ENCODINGS: Final = ("hex", "base64")
KEY_ENCODINGS: Final = ("utf-8", "base64", "hex", "whsec")
UNITS: Final = ("s", "ms", "rfc3339")
FIELDS: Final = ("body", "timestamp", "id", "method")

_PLACEHOLDER: Final = re.compile(r"\{([a-z]+)\}")
_DIGITS: Final = re.compile(r"[0-9]{1,15}", re.ASCII)


class BadSecret(Exception):
    """The secret does not have the form that the scheme needs; `str()` says why and quotes nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Timestamp:
    """Where the signed time stands (`header`, an `element` of the signature header, `body` path) and its unit."""

    source: str
    name: str
    unit: str = "s"
    tolerance: int = TOLERANCE_S


@dataclass(frozen=True, kw_only=True)
class Hmac:
    """How one sender signs. The defaults are those of the scheme `hmac`.

    `template` names the signed bytes over {body}, {timestamp}, {id} and {method}; `separator` splits a header that
    carries several signatures; `element` is the name of the `k=v` element that is the signature; `prefix` stands
    before it, and may be left out by the sender where `prefix_optional`; `id` feeds {id}.
    """

    header: str = "x-webhook-signature"
    algorithm: str = "sha256"
    encoding: str = "hex"
    prefix: str = ""
    prefix_optional: bool = False
    key_encoding: str = "utf-8"
    template: str = "{body}"
    timestamp: Timestamp | None = None
    separator: str = ""
    element: str = ""
    id: Location | None = None

    @cached_property
    def placeholders(self) -> frozenset[str]:
        """The names that stand in the template."""
        return frozenset(_PLACEHOLDER.findall(self.template))

    def covers(self, location: Location) -> bool:
        """Whether a value at `location` is under the signature."""
        if location.in_body:
            return "body" in self.placeholders
        return "id" in self.placeholders and self.id is not None and str(self.id) == str(location)


class HmacVerifier:
    """`Hmac` with the keys of one source. Any of them may have signed: that is how secrets are rotated."""

    def __init__(self, spec: Hmac, secrets: tuple[Secret, ...]) -> None:
        """Raises BadSecret, also for no secret at all: nothing is ever verified by an empty key."""
        if not secrets:
            raise BadSecret("missing")
        self._spec = spec
        self._keys = tuple(decode_key(secret.reveal(), spec.key_encoding) for secret in secrets)
        self._plain = spec.template == "{body}"
        self._literals = tuple(literal.encode() for literal in _PLACEHOLDER.split(spec.template)[::2])
        self._names = tuple(_PLACEHOLDER.findall(spec.template))

    def verify(self, content: Content, *, now: float) -> None:
        """Returns when one of the keys made one of the signatures. Raises Unverified. `now` is unix time, seconds."""
        header = content.inbound.header(self._spec.header)
        if not header:
            raise Unverified(f"no signature: the header {self._spec.header} is missing or empty")
        if len(header) > MAX_SIGNATURE_CHARS:
            raise Unverified("the signature header is too long")
        candidates = self._candidates(header)
        if not candidates:
            raise Unverified("the signature has not the form that the scheme gives it")
        timestamp = self._timestamp(content, header, now) if "timestamp" in self._spec.placeholders else ""
        signed = content.inbound.body if self._plain else self._signed(content, timestamp)
        if not any(self._matches(key, signed, candidates) for key in self._keys):
            raise Unverified("the signature does not match: another secret, or the body was changed on the way")
        if self._spec.timestamp and not timestamp:
            # It stands in the body, which is parsed only now: by whoever can sign.
            self._timestamp(content, header, now)

    def _matches(self, key: bytes, signed: bytes, candidates: list[bytes]) -> bool:
        digest = hmac.digest(key, signed, self._spec.algorithm)
        expected = digest.hex().encode() if self._spec.encoding == "hex" else base64.b64encode(digest).rstrip(b"=")
        return any(hmac.compare_digest(expected, candidate) for candidate in candidates)

    def _candidates(self, header: str) -> list[bytes]:
        spec = self._spec
        found: list[bytes] = []
        for item in header.split(spec.separator) if spec.separator else (header,):
            text = item.strip()
            if spec.element:
                name, _, text = text.partition("=")
                if name != spec.element:
                    continue
            if text.startswith(spec.prefix):
                text = text[len(spec.prefix) :]
            elif not spec.prefix_optional:
                continue
            if text:
                # Bytes, never str: compare_digest raises on str that is not ASCII. Hex is written in either case,
                # base64 with or without its padding.
                raw = text.encode("utf-8", "replace")
                found.append(raw.lower() if spec.encoding == "hex" else raw.rstrip(b"="))
        return found

    def _timestamp(self, content: Content, header: str, now: float) -> str:
        where = self._spec.timestamp
        assert where is not None
        if where.source == "element":
            text = _element(header, self._spec.separator, where.name)
        else:
            text = Location(f"{where.source}:{where.name}").find(content)
        if not text:
            raise Unverified("no timestamp beside the signature")
        age = now - _seconds(text, where.unit)
        if abs(age) > where.tolerance:
            which = f"{age:.0f} s old" if age > 0 else f"{-age:.0f} s ahead of our clock"
            raise Unverified(f"the timestamp is {which}; the tolerance is {where.tolerance} s")
        return text

    def _signed(self, content: Content, timestamp: str) -> bytes:
        parts = [self._literals[0]]
        for name, literal in zip(self._names, self._literals[1:], strict=True):
            match name:
                case "body":
                    parts.append(content.inbound.body)
                case "timestamp":
                    parts.append(timestamp.encode("utf-8", "replace"))
                case "method":
                    parts.append(content.inbound.method.encode())
                case _:
                    parts.append(self._id(content, literal.decode()).encode("utf-8", "replace"))
            parts.append(literal)
        return b"".join(parts)

    def _id(self, content: Content, separator: str) -> str:
        found = self._spec.id.find(content) if self._spec.id else None
        if not found:
            raise Unverified("no event id beside the signature")
        if separator and separator in found and "timestamp" in self._spec.placeholders:
            # Otherwise the border between id, timestamp and body could be moved, and an old event get a new time.
            raise Unverified("the event id contains the character that separates it from what follows")
        return found


def decode_key(text: str, encoding: str) -> bytes:
    """The bytes of a secret. Raises BadSecret."""
    if encoding == "whsec" and text.startswith("v1,"):
        raise BadSecret("starts with v1, which belongs to signatures: paste it from whsec_ on")
    try:
        match encoding:
            case "utf-8":
                key = text.encode("utf-8", "surrogatepass")
            case "hex":
                key = bytes.fromhex(text)
            case "whsec":
                key = _b64decode(text.strip().removeprefix("whsec_"))
            case _:
                key = _b64decode(text.strip())
    except ValueError as error:
        raise BadSecret(f"is not {'hexadecimal' if encoding == 'hex' else 'base64'}") from error
    if not key:
        raise BadSecret("is empty")
    return key


def _b64decode(text: str) -> bytes:
    return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)


def _element(header: str, separator: str, name: str) -> str | None:
    for item in header.split(separator):
        key, _, value = item.strip().partition("=")
        if key == name:
            return value
    return None


def _seconds(text: str, unit: str) -> float:
    if unit == "rfc3339":
        try:
            moment = datetime.fromisoformat(text)
        except ValueError as error:
            raise Unverified("the timestamp is not RFC 3339") from error
        if moment.tzinfo is None:
            raise Unverified("the timestamp has no time zone")
        return moment.timestamp()
    if not _DIGITS.fullmatch(text):
        raise Unverified("the timestamp is not a number")
    return int(text) / (1000 if unit == "ms" else 1)


def fingerprint(source: str, body: bytes) -> str:
    """The id of an event that carries none: the SHA-256 of source and body."""
    return hashlib.sha256(source.encode() + b"\x00" + body).hexdigest()
