"""Verification of a signature, as data: where it stands, how it is written, which bytes it covers. Pure.

A verifier returns, or raises `Unverified`, and nothing else, whatever the request holds.
The parameters have the names of `scheme_options`; `schemes.py` has a row of them per vendor.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property, partial
from typing import Final

from kafka_bridge.errors import Unverified
from kafka_bridge.ingress import canonical
from kafka_bridge.ingress.content import Content, Location
from kafka_bridge.ingress.keys import Key, make_key, secrets_of
from kafka_bridge.settings.secret import Secret
from kafka_bridge.settings.sources import SourceSecret

# The longest real header (Stripe with several v1 elements, DocuSign's hundred keys) is a fraction of this.
MAX_SIGNATURE_CHARS: Final = 8192
# Vendors that give a window give five minutes: Stripe, Slack, Svix, HubSpot.
TOLERANCE_S: Final = 300
# DocuSign sends a header per active key: X-DocuSign-Signature-1, -2 …
_NUMBERED: Final = "{n}"
_MAX_NUMBERED: Final = 100

ALGORITHMS: Final = ("sha1", "sha256", "sha512")
ENCODINGS: Final = ("hex", "base64")
UNITS: Final = ("s", "ms", "rfc3339")
FIELDS: Final = ("body", "timestamp", "id", "url", "method", "path")
"""What a template may name; rows of the table may also name `form` and `headers` (see `canonical`)."""

_PLACEHOLDER: Final = re.compile(r"\{([a-z]+)\}")
_DIGITS: Final = re.compile(r"[0-9]{1,15}", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Timestamp:
    """Where the signed time stands (`header`, an `element` of the signature header, `body` path) and its unit.

    `strict`: an age of exactly the tolerance has expired.
    """

    source: str
    name: str
    unit: str = "s"
    tolerance: int = TOLERANCE_S
    strict: bool = False

    def check(self, text: str, now: float) -> None:
        """Return if the time is within the tolerance, on either side. Raises Unverified."""
        age = now - _seconds(text, self.unit)
        if abs(age) > self.tolerance or (self.strict and abs(age) == self.tolerance):
            which = f"{age:.0f} s old" if age > 0 else f"{-age:.0f} s ahead of our clock"
            raise Unverified(f"the timestamp is {which}; the tolerance is {self.tolerance} s")


@dataclass(frozen=True, slots=True, kw_only=True)
class Stronger:
    """A header by which the sender says that it signs with a better algorithm than it used to."""

    header: str
    says: str
    algorithm: str


@dataclass(frozen=True, kw_only=True)
class Signature:
    """How one sender signs. The defaults are those of the scheme `hmac`.

    `template` names the signed bytes over the `FIELDS`; `separator` splits a header that carries several signatures;
    `element` is the name of the `k=v` element that is the signature; `prefix` stands before it, and may be left out by
    the sender where `prefix_optional`, `public_prefix` before that of a public key; `id` feeds {id}; `body_path` is the
    place of a signature that stands in the body; `variants` are the forms in which the sender may have signed its URL.
    """

    header: str = "x-webhook-signature"
    body_path: str = ""
    algorithm: str = "sha256"
    encoding: str = "hex"
    prefix: str = ""
    prefix_optional: bool = False
    public_prefix: str = ""
    key_encoding: str = "utf-8"
    template: str = "{body}"
    timestamp: Timestamp | None = None
    separator: str = ""
    element: str = ""
    id: Location | None = None
    variants: canonical.Variants = canonical.as_is
    signed_headers: str = ""
    stronger: Stronger | None = None
    fallback: "Signature | None" = None
    """How the sender signs when the signature is not at its place: the same under other names."""

    @cached_property
    def placeholders(self) -> frozenset[str]:
        """The names that stand in the template."""
        return frozenset(_PLACEHOLDER.findall(self.template))

    @cached_property
    def signs_url(self) -> bool:
        """Whether the URL is under the signature, or a part of it."""
        return bool(self.placeholders & {"url", "path"})

    @cached_property
    def place(self) -> Location:
        """Where the signature stands."""
        return Location(f"body:{self.body_path}" if self.body_path else f"header:{self.header}")

    def shows(self, _location: Location) -> bool:
        """Whether the secret stands at a place: it signs, and is not shown."""
        return False

    def covers(self, location: Location) -> bool:
        """Whether a value at `location` is under the signature."""
        if location.in_body:
            return bool(self.placeholders & {"body", "form"})
        if location.where == "query":
            return self.signs_url
        own = "id" in self.placeholders and self.id is not None and str(self.id) == str(location)
        return own or (self.fallback is not None and self.fallback.covers(location))

    def verifier(self, secret: SourceSecret) -> "SignatureVerifier":
        """With the keys of one source. Raises BadSecret, also for no secret at all."""
        return SignatureVerifier(self, secrets_of(secret))


class SignatureVerifier:
    """`Signature` with the keys of one source. Any of them may have signed: that is how secrets are rotated."""

    def __init__(self, spec: Signature, secrets: tuple[Secret, ...]) -> None:
        self._spec = spec
        self._keys = _keys(spec, secrets, spec.algorithm)
        self._stronger = _keys(spec, secrets, spec.stronger.algorithm) if spec.stronger else ()
        self._fallback = SignatureVerifier(spec.fallback, secrets) if spec.fallback else None
        self._plain = spec.template == "{body}"
        self._literals = tuple(literal.encode() for literal in _PLACEHOLDER.split(spec.template)[::2])
        self._names = tuple(_PLACEHOLDER.findall(spec.template))
        self._numbered = tuple(spec.header.replace(_NUMBERED, str(n + 1)) for n in range(_MAX_NUMBERED))
        time = spec.timestamp
        self._time_place = Location(f"{time.source}:{time.name}") if time and time.source != "element" else None

    def verify(self, content: Content, *, now: float) -> Content:
        """Returns when one of the keys made one of the signatures. Raises Unverified. `now` is unix time, seconds."""
        spec = self._spec
        if self._fallback is not None and not spec.place.find(content):
            if spec.id and spec.id.find(content):
                # It would be taken for the event's id, and be under no signature.
                raise Unverified(f"no signature: the {spec.place} is missing, and the {spec.id} is not")
            return self._fallback.verify(content, now=now)
        items = self._items(content)
        timestamp = self._timestamp(content, items, now) if "timestamp" in spec.placeholders else ""
        keys = self._keys
        if spec.stronger and spec.stronger.says in content.inbound.header(spec.stronger.header):
            keys = self._stronger
        shared = self._candidates(items, spec.prefix)
        public = self._candidates(items, spec.public_prefix) if spec.public_prefix else shared
        if not (shared or public):
            raise Unverified("the signature has not the form that the scheme gives it")
        signed = (content.inbound.body,) if self._plain else self._signed(content, timestamp)
        if not _matches(keys, signed, shared, public):
            url = ", or it is another URL than the one that was signed: set the public URL" if spec.signs_url else ""
            raise Unverified(f"the signature does not match: another secret, or the body was changed on the way{url}")
        if spec.timestamp and not timestamp:
            # It stands in the body, which is parsed only now: by whoever can sign.
            self._timestamp(content, items, now)
        return content

    def _items(self, content: Content) -> list[str]:
        """The signatures as they stand there, each still with its prefix or its element's name."""
        spec = self._spec
        if _NUMBERED in spec.header:
            headers = content.inbound.headers
            items = [text for name in self._numbered if (text := headers.get(name))]
            header = "".join(items)
        else:
            header = spec.place.find(content) or ""
            items = header.split(spec.separator) if spec.separator else [header]
        if not header:
            raise Unverified(f"no signature: the {spec.place} is missing or empty")
        if len(header) > MAX_SIGNATURE_CHARS:
            raise Unverified("the signature is too long")
        return [item.strip() for item in items]

    def _candidates(self, items: list[str], prefix: str) -> list[bytes]:
        spec = self._spec
        found: list[bytes] = []
        for item in items:
            text = item
            if spec.element:
                name, _, text = text.partition("=")
                if name != spec.element:
                    continue
            if text.startswith(prefix):
                text = text[len(prefix) :]
            elif not spec.prefix_optional:
                continue
            if text:
                # Hex is written in either case, base64 with or without its padding.
                raw = text.encode("utf-8", "replace")
                found.append(raw.lower() if spec.encoding == "hex" else raw.rstrip(b"="))
        return found

    def _timestamp(self, content: Content, items: list[str], now: float) -> str:
        where = self._spec.timestamp
        assert where is not None
        if self._time_place is None:
            text = next((item[len(where.name) + 1 :] for item in items if item.startswith(f"{where.name}=")), None)
        else:
            text = self._time_place.find(content)
        if not text:
            raise Unverified("no timestamp beside the signature")
        where.check(text, now)
        return text

    def _signed(self, content: Content, timestamp: str) -> Iterator[bytes]:
        """What may have been signed: one text for each URL that the sender may have called."""
        if not self._spec.signs_url:
            yield self._fill(content, timestamp, "")
            return
        urls = canonical.urls_of(content, self._spec.variants)
        if not urls:
            raise Unverified("the sender signs the URL, and it is not known: set the public URL")
        for url in urls:
            yield self._fill(content, timestamp, url)

    def _fill(self, content: Content, timestamp: str, url: str) -> bytes:
        parts = [self._literals[0]]
        for name, literal in zip(self._names, self._literals[1:], strict=True):
            if name == "body":
                value = content.inbound.body
            else:
                value = self._value(name, content, timestamp, url).encode("utf-8", "replace")
            if name == "id" and literal and literal in value and "timestamp" in self._names:
                # Otherwise the border between id, timestamp and body could be moved, and an old event get a new time.
                raise Unverified("the event id contains the character that separates it from what follows")
            parts += (value, literal)
        return b"".join(parts)

    def _value(self, name: str, content: Content, timestamp: str, url: str) -> str:
        match name:
            case "timestamp":
                value = timestamp
            case "method":
                value = content.inbound.method
            case "url":
                value = url
            case "path":
                value = canonical.path_of(url)
            case "form":
                value = canonical.form_of(content, url)
            case "headers":
                assert self._spec.timestamp is not None
                listed, must_have = self._spec.signed_headers, self._spec.timestamp.name
                value = canonical.headers_of(content, listed_in=listed, must_have=must_have)
            case _:
                value = self._id(content)
        return value

    def _id(self, content: Content) -> str:
        found = self._spec.id.find(content) if self._spec.id else None
        if not found:
            raise Unverified("no event id beside the signature")
        return found


def _matches(keys: Iterable[Key], signed: Iterable[bytes], shared: list[bytes], public: list[bytes]) -> bool:
    for data in signed:
        for key in keys:
            if key.signed(data, public if key.public else shared):
                return True
    return False


def _keys(spec: Signature, secrets: tuple[Secret, ...], algorithm: str) -> tuple[Key, ...]:
    make: Callable[[Secret], Key] = partial(
        make_key, algorithm=algorithm, encoding=spec.encoding, key_encoding=spec.key_encoding
    )
    return tuple(make(secret) for secret in secrets)


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
