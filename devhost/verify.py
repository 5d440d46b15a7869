"""Says whether a captured request verifies, and if it does not, why: by the plugin's own receive path.

What is wrong is found by trying: the same request with another body, secret, algorithm, URL, until one verifies. No
sentence quotes a value of the request or the secret: a signature that would be right is as good as the secret.
"""

import base64
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, Final
from urllib.parse import unquote, urlsplit, urlunsplit

from kafka_bridge.clock import Clock
from kafka_bridge.errors import BridgeError, Unverified
from kafka_bridge.events.outcome import Outcome, Verdict
from kafka_bridge.events.record import Delivery, Record
from kafka_bridge.http import Inbound, Outbound
from kafka_bridge.ingress.content import Content
from kafka_bridge.ingress.dedupe import Dedupe
from kafka_bridge.ingress.keys import KEY_ENCODINGS, BadSecret
from kafka_bridge.ingress.options import BadOptions, with_options
from kafka_bridge.ingress.outside import Alone, Fetch, FetchFailed, Outside
from kafka_bridge.ingress.publish import Publisher
from kafka_bridge.ingress.receive import ask, receive
from kafka_bridge.ingress.scheme import Proof
from kafka_bridge.ingress.schemes import SCHEMES
from kafka_bridge.ingress.signatures import ALGORITHMS, Signature, Timestamp
from kafka_bridge.ingress.sns import Sns
from kafka_bridge.ingress.source import compile_sources
from kafka_bridge.ingress.tokens import Token
from kafka_bridge.settings import endpoint
from kafka_bridge.settings.sources import NotASecret, SourceSecret, parse_secret

type SecretValue = str | list[str] | dict[str, str]

_NOTHING: Final[Mapping[str, Any]] = MappingProxyType({})
_LIMIT_BYTES: Final = 9_000_000
_ANY_AGE_S: Final = 10**15
_LIKE_A_SIGNATURE: Final = re.compile(r"sign|hmac|hash|digest|token|auth|secret|api-?key", re.IGNORECASE)
_SECONDS_DIGITS: Final = 10
_MILLISECONDS_DIGITS: Final = 13
_NAMES: Final = MappingProxyType({"sha1": "SHA-1", "sha256": "SHA-256", "sha512": "SHA-512"})
_HEX_DIGITS: Final = MappingProxyType({40: "sha1", 64: "sha256", 128: "sha512"})
_BASE64_CHARS: Final = MappingProxyType({27: "sha1", 43: "sha256", 86: "sha512"})
_WRITTEN: Final = MappingProxyType({"hex": "hexadecimal", "base64": "base64"})
_HEX: Final = re.compile(r"[0-9a-fA-F]+", re.ASCII)
_BASE64: Final = re.compile(r"[0-9a-zA-Z+/]+", re.ASCII)
_AN_ALGORITHM: Final = re.compile(r"(sha-?(?:1|256|512))=", re.IGNORECASE | re.ASCII)
# A shorter text stands in many an ordinary word.
_HIDDEN_CHARS: Final = 4


@dataclass(frozen=True, kw_only=True)
class Captured:
    """A request as it was recorded. Header names in lower case; `url` as the sender called it, or empty."""

    headers: Mapping[str, str]
    body: bytes
    method: str = "POST"
    url: str = ""

    def inbound(self) -> Inbound:
        """As the plugin gets it. The path is in the URL already."""
        return Inbound(self.method, "", urlsplit(self.url).query, self.headers, self.body)

    def content(self) -> Content:
        """As the plugin's proofs see it."""
        return Content(self.inbound(), public_url=self.url.partition("?")[0])


@dataclass(frozen=True, kw_only=True)
class Setup:
    """What the operator has set. `secret` as a JSON value, or as the text that is in the form."""

    scheme: str
    secret: SecretValue
    options: Mapping[str, object] = _NOTHING
    verbatim: bool = False
    """A text that looks like JSON is the secret itself."""

    def saved(self, url: str) -> Mapping[str, object]:
        """As the platform saves it."""
        text = self.secret
        if not isinstance(text, str) or (self.verbatim and text.lstrip().startswith(("[", "{"))):
            text = json.dumps(text if not isinstance(text, str) else [text])
        entry = {"scheme": self.scheme, "scheme_options": dict(self.options)}
        return {
            "bootstrap_servers": "localhost:9092",
            "topic": "captured",
            "public_url": url,
            "webhook_secret": text,
            "sources": json.dumps({"default": entry}),
        }

    def texts(self) -> list[str]:
        """Every text in the secret."""
        value: Any = self.value()
        found = value if isinstance(value, list) else value.values() if isinstance(value, dict) else [value]
        return [text for text in found if isinstance(text, str)]

    def parsed(self) -> SourceSecret | None:
        """As the plugin understands it; None when it does not."""
        return _parsed(self.value())

    def value(self) -> SecretValue:
        """The secret; a text that is JSON as its value, as the plugin reads it."""
        if isinstance(self.secret, str) and not self.verbatim and self.secret.lstrip().startswith(("[", "{")):
            try:
                found: SecretValue = json.loads(self.secret)
            except ValueError:
                return self.secret
            return found
        return self.secret


@dataclass(frozen=True, kw_only=True)
class Checked:
    """What the plugin said. `reason` is empty when the request verified, or a handshake was answered."""

    verified: bool
    reason: str = ""
    settings: bool = False
    """The settings were refused, so nothing was checked."""
    reply: Outbound | None = None
    outcome: Outcome | None = None

    opened: bytes = b""
    """What was verified: the body, or what was encrypted in it."""


def _parsed(value: object) -> SourceSecret | None:
    try:
        return parse_secret(value)
    except NotASecret:
        return None


def _kept(records: Sequence[Record]) -> Sequence[Delivery]:
    return [Delivery(record.topic, 0, offset, 0) for offset, record in enumerate(records)]


def certificates_only(fetch: Fetch) -> Fetch:
    """A fetch that confirms no subscription: whoever looks at a captured request wants nothing to happen."""

    def careful(url: str) -> bytes:
        if not url.endswith(".pem"):
            raise FetchFailed("a captured request confirms nothing")
        return fetch(url)

    return careful


def check(captured: Captured, setup: Setup, *, now: float, fetch: Fetch) -> Checked:
    """The plugin's verdict. Raises nothing."""
    settings = endpoint.parse(setup.saved(captured.url.partition("?")[0]))
    sources, problems = compile_sources(settings, outside=Outside(fetch))
    source = sources.get("default")
    if source is None:
        told = [str(problem) for problem in (*settings.problems, *problems)]
        return Checked(verified=False, settings=True, reason=" ".join(dict.fromkeys(told)))
    # Whole, as it came: the setting is trimmed, and the path of the request is in it.
    source = replace(source, public_url=captured.url.partition("?")[0])
    clock = Clock(now=lambda: now, monotonic=lambda: 0.0)
    if captured.method != "POST":
        try:
            reply = ask(captured.inbound(), source, clock=clock)
        except Unverified as error:
            return Checked(verified=False, reason=error.reason)
        reason = "" if reply else f"a {captured.method} is no event, and no handshake of this scheme"
        return Checked(verified=reply is not None, reason=reason, reply=reply)
    publisher = Publisher(send=_kept, dedupe=Dedupe(waiter=Alone), endpoint="", monotonic=clock.monotonic, deadline=0.0)
    outcome = receive(captured.inbound(), source, publisher=publisher, clock=clock, limit_bytes=_LIMIT_BYTES)
    verified = outcome.verdict is Verdict.VERIFIED or (outcome.reply is not None and outcome.error is None)
    if outcome.verdict is Verdict.UNCHECKED:
        return Checked(verified=False, reason=f"the scheme {setup.scheme} verifies nothing", outcome=outcome)
    reason = "" if verified else outcome.reason or _said(outcome.error)
    opened = captured.body
    if outcome.verdict is Verdict.VERIFIED and source.verifier is not None:
        opened = source.verifier.verify(captured.content(), now=now).inbound.body
    return Checked(verified=verified, reason=reason, reply=outcome.reply, outcome=outcome, opened=opened)


def _said(error: BridgeError | None) -> str:
    return f"{str(error).rstrip('.')} ({error.hint})" if error and error.hint else str(error)


def hidden(text: str, setup: Setup) -> str:
    """`text` without any part of the secret."""
    for secret in sorted(setup.texts(), key=len, reverse=True):
        for part in {secret, secret.strip(), secret.strip().removeprefix("whsec_")}:
            if len(part) >= _HIDDEN_CHARS:
                text = text.replace(part, "***").replace(json.dumps(part)[1:-1], "***")
    return text


def explain(captured: Captured, setup: Setup, checked: Checked, *, now: float, fetch: Fetch) -> list[str]:
    """Sentences on why a request does not verify, the plugin's own first, the most probable next."""
    found = [f"{checked.reason[:1].upper()}{checked.reason[1:].rstrip('.')}."]
    if setup.scheme in SCHEMES and SCHEMES[setup.scheme].proof is None:
        return found
    diagnosis = _Diagnosis(captured, setup, now, fetch)
    found += diagnosis.sentences(settings=checked.settings)
    return list(dict.fromkeys(found))


class _Diagnosis:
    """One request that did not verify, and what is tried with it."""

    def __init__(self, captured: Captured, setup: Setup, now: float, fetch: Fetch) -> None:
        self._captured = captured
        self._setup = setup
        self._now = now
        self._fetch = fetch
        self._secret = setup.parsed()
        try:
            proof = self._connected(with_options(SCHEMES[setup.scheme], setup.options).proof)
            self._proof = _chosen(proof, captured)
        except (KeyError, BadOptions):
            self._proof = None

    def sentences(self, *, settings: bool) -> list[str]:
        """All that was found. `settings`: they were refused."""
        if settings:
            return list(_first(self._secrets()))
        if self._verifies(now_only=True):
            # It is not refused for its signature.
            return []
        present = list(self._presence())
        # The first that verifies explains it; what merely looks odd is told beside it.
        exact = list(_first(self._age()))
        if not exact:
            ways = (self._bodies, self._secrets, self._algorithms, self._urls, self._methods)
            exact = [*_first(sentence for way in ways for sentence in way()), *self._others()]
        looks = [] if exact else list(self._looks())
        told = [*present, *exact, *looks]
        if not exact and not looks and not present:
            told.append(
                "Nothing that was tried makes it match: another secret, or a body that was changed in a way that cannot"
                " be undone (order of keys, spacing, numbers)"
                + (", or another URL" if isinstance(self._proof, Signature) and self._proof.signs_url else "")
                + ". Copy the secret anew from the sender's page, of this very webhook, and record the body as bytes."
            )
        return told

    # What can be tried.

    def _connected(self, proof: Proof | None) -> Proof | None:
        return proof.within(Outside(self._fetch)) if isinstance(proof, Sns) else proof

    def _verifies(
        self,
        captured: Captured | None = None,
        secret: SourceSecret | None = None,
        proof: Proof | None = None,
        *,
        now_only: bool = False,
    ) -> bool:
        """Whether it verifies at the time that it bears, with something else than was given."""
        proof, secret = proof or self._proof, secret or self._secret
        if proof is None or secret is None:
            return False
        captured = captured or self._captured
        try:
            verifier = (proof if now_only else _of_any_age(proof)).verifier(secret)
        except BadSecret:
            return False
        for now in [self._now] if now_only else self._moments(captured):
            try:
                verifier.verify(captured.content(), now=now)
            except (BridgeError, BadSecret):
                continue
            return True
        return False

    def _moments(self, captured: Captured) -> list[float]:
        """Now, and the times that the request bears: proofs that are more than a row check them by themselves."""
        if isinstance(self._proof, Signature | Token):
            return [self._now]
        texts = [
            *captured.headers.values(),
            *(part.partition("=")[2] for part in urlsplit(captured.url).query.split("&")),
        ]
        numbers = [text for text in texts if text.isascii() and text.isdecimal()]
        found = [int(text) / 1.0 for text in numbers if len(text) == _SECONDS_DIGITS]
        found += [int(text) / 1000 for text in numbers if len(text) == _MILLISECONDS_DIGITS]
        return [self._now, *found]

    def _age(self) -> Iterator[str]:
        if self._verifies():
            proof = self._proof
            if isinstance(proof, Signature) and proof.timestamp and proof.timestamp.source == "header":
                yield from _unit(proof.timestamp, self._captured.headers.get(proof.timestamp.name, ""))
            yield (
                "Secret and body are right: only the time is not. A request that was captured earlier is checked as"
                " of then with --now; if it came just now, one of the two clocks is wrong."
            )

    def _bodies(self) -> Iterator[str]:
        for body, sentence in _other_bodies(self._captured.body):
            if self._verifies(replace(self._captured, body=body)):
                yield sentence

    def _secrets(self) -> Iterator[str]:
        for text in self._setup.texts():
            for other, sentence in _other_secrets(text):
                if other.strip() and self._verifies(secret=self._with(text, other)):
                    yield sentence
        proof = self._proof
        if isinstance(proof, Signature):
            for encoding in KEY_ENCODINGS:
                if encoding != proof.key_encoding and self._verifies(proof=replace(proof, key_encoding=encoding)):
                    yield _KEYS[encoding]

    def _with(self, text: str, other: str) -> SourceSecret | None:
        """The secret with another text in the place of one."""
        secret = self._secret
        if secret is None or not secret.named:
            return _parsed(other)
        named = {name: other if value.reveal() == text else value.reveal() for name, value in secret.named.items()}
        return _parsed(named)

    def _algorithms(self) -> Iterator[str]:
        proof = self._proof
        if not isinstance(proof, Signature) or proof.algorithm not in ALGORITHMS:
            return
        for algorithm in ALGORITHMS:
            for encoding in ("hex", "base64"):
                for prefix in dict.fromkeys((proof.prefix, "", f"{algorithm}=")):
                    if (algorithm, encoding, prefix) == (proof.algorithm, proof.encoding, proof.prefix):
                        continue
                    other = replace(proof, algorithm=algorithm, encoding=encoding, prefix=prefix, prefix_optional=False)
                    if self._verifies(proof=other):
                        yield _difference(proof, algorithm, encoding, prefix)

    def _urls(self) -> Iterator[str]:
        if not isinstance(self._proof, Signature) or not self._proof.signs_url:
            return
        if not self._captured.url:
            yield "Give the URL that the sender calls with --url: it is under the signature."
            return
        for url, sentence in _other_urls(self._captured.url):
            if self._verifies(replace(self._captured, url=url)):
                yield sentence

    def _methods(self) -> Iterator[str]:
        if isinstance(self._proof, Signature) and "method" in self._proof.placeholders:
            for method in ("POST", "PUT", "GET", "DELETE", "PATCH"):
                if method != self._captured.method and self._verifies(replace(self._captured, method=method)):
                    yield f"The sender signed the method {method}, and the request has another one: set --method."

    def _others(self) -> Iterator[str]:
        """Rows of the table that the request satisfies."""
        matching = [
            name
            for name, scheme in SCHEMES.items()
            if scheme.proof is not None and name != self._setup.scheme and self._verifies(proof=self._of(scheme.proof))
        ]
        if matching:
            yield f"It verifies as {_listed(matching)}: choose that scheme instead of {self._setup.scheme}."

    def _of(self, proof: Proof) -> Proof:
        return self._connected(proof) or proof

    # What can be seen.

    def _presence(self) -> Iterator[str]:
        """What is missing, and what is there instead."""
        headers = self._captured.headers
        wanted = _wanted_headers(self._proof)
        missing = [name for name in wanted if not headers.get(name)]
        if not missing:
            return
        for name in missing:
            written = next((other for other in headers if _plain(other) == _plain(name)), None)
            if written:
                yield f"The header {written} is {name} as a program writes it: give the header's own name."
                return
        alike = sorted(name for name in headers if _LIKE_A_SIGNATURE.search(name) and name not in wanted)
        if alike:
            yield f"Missing: {_listed(missing)}. Of the headers that came these look like signatures: {_listed(alike)}."
        else:
            yield (
                f"Missing: {_listed(missing)}; no header looks like a signature. Either the sender was given no secret,"
                " or something on the way drops its headers."
            )
        rows = _rows_with(headers, but=self._setup.scheme)
        if rows:
            yield f"The headers are those of {_listed(rows)}: is it the right scheme?"

    def _looks(self) -> Iterator[str]:
        """What is odd about a signature that is there."""
        proof = self._proof
        if not isinstance(proof, Signature):
            return
        try:
            text = proof.place.find(self._captured.content()) or ""
        except ValueError:
            text = ""
        text = _bare(proof, text)
        named = _AN_ALGORITHM.match(text)
        if named:
            algorithm = named[1].lower().replace("-", "")
            text = text[named.end() :]
            if algorithm != proof.algorithm and proof.algorithm in _NAMES:
                yield f"This is a {_NAMES[algorithm]} signature; the scheme wants {_NAMES[proof.algorithm]}."
                return
        yield from _form(proof, text.removeprefix(proof.prefix))
        if proof.timestamp and proof.timestamp.source == "header":
            yield from _unit(proof.timestamp, self._captured.headers.get(proof.timestamp.name, ""))


def _of_any_age(proof: Proof) -> Proof:
    if isinstance(proof, Signature) and proof.timestamp:
        timestamp = replace(proof.timestamp, tolerance=_ANY_AGE_S, strict=False)
        other = _of_any_age(proof.fallback) if proof.fallback else None
        return replace(proof, timestamp=timestamp, fallback=other if isinstance(other, Signature) else None)
    return proof


def _chosen(proof: Proof | None, captured: Captured) -> Proof | None:
    """The names that the request goes by, of a sender that has two sets of them."""
    if not isinstance(proof, Signature) or proof.fallback is None:
        return proof
    other = any(captured.headers.get(name) for name in _wanted_headers(proof.fallback))
    own = any(captured.headers.get(name) for name in _wanted_headers(proof))
    return proof.fallback if other and not own else replace(proof, fallback=None)


def _bare(proof: Signature, text: str) -> str:
    """The first signature in a header, without its element's name."""
    items = [item.strip() for item in (text.split(proof.separator) if proof.separator else [text])]
    if proof.element:
        items = [item.partition("=")[2] for item in items if item.startswith(f"{proof.element}=")] or [""]
    return next((item for item in items if item), "")


def _form(proof: Signature, text: str) -> Iterator[str]:
    """What a signature's length and letters say."""
    bare = text.rstrip("=")
    if not bare or proof.algorithm not in _NAMES:
        return
    if _HEX.fullmatch(bare) and len(bare) in _HEX_DIGITS:
        algorithm, encoding = _HEX_DIGITS[len(bare)], "hex"
    elif _BASE64.fullmatch(bare) and len(bare) in _BASE64_CHARS:
        algorithm, encoding = _BASE64_CHARS[len(bare)], "base64"
    else:
        yield (
            f"The signature is no {_NAMES[proof.algorithm]} in {_WRITTEN[proof.encoding]} by its length and letters:"
            " was it cut off, or masked by whoever recorded it?"
        )
        return
    if algorithm != proof.algorithm:
        yield f"By its length this is a {_NAMES[algorithm]} signature; the scheme wants {_NAMES[proof.algorithm]}."
    if encoding != proof.encoding:
        yield f"The signature is written in {_WRITTEN[encoding]}; the scheme wants {_WRITTEN[proof.encoding]}."


def _unit(timestamp: Timestamp, text: str) -> Iterator[str]:
    lengths = {"s": _MILLISECONDS_DIGITS, "ms": _SECONDS_DIGITS}
    if text.isdecimal() and len(text) == lengths.get(timestamp.unit):
        came, wanted = ("milliseconds", "seconds") if timestamp.unit == "s" else ("seconds", "milliseconds")
        yield f"The timestamp is in {came}; the scheme wants {wanted}."


def _first(sentences: Iterable[str]) -> Iterator[str]:
    for sentence in sentences:
        yield sentence
        return


def _listed(names: Sequence[str]) -> str:
    return f"{', '.join(names[:-1])} or {names[-1]}" if len(names) > 1 else names[0]


def _plain(name: str) -> str:
    return name.lower().replace("_", "-").removeprefix("http-")


def _wanted_headers(proof: Proof | None) -> list[str]:
    """The headers without which nothing verifies."""
    match proof:
        case Signature():
            places = [] if proof.body_path else [proof.header.replace("{n}", "1")]
            if proof.timestamp and proof.timestamp.source == "header" and "timestamp" in proof.placeholders:
                places.append(proof.timestamp.name)
            if proof.id and proof.id.where == "header" and "id" in proof.placeholders:
                places.append(proof.id.name)
            return [*places, proof.signed_headers] if proof.signed_headers else places
        case Token() if proof.place.where == "header" and not proof.each:
            return [proof.place.name]
        case _:
            return []


def _rows_with(headers: Mapping[str, str], *, but: str) -> list[str]:
    """The rows whose headers are all there."""
    rows = {name: _wanted_headers(scheme.proof) for name, scheme in SCHEMES.items() if name != but}
    return [name for name, wanted in rows.items() if wanted and all(headers.get(header) for header in wanted)]


def _difference(proof: Signature, algorithm: str, encoding: str, prefix: str) -> str:
    if algorithm != proof.algorithm:
        return f"This is a {_NAMES[algorithm]} signature; the scheme wants {_NAMES[proof.algorithm]}."
    if encoding != proof.encoding:
        return f"The signature is written in {_WRITTEN[encoding]}; the scheme wants {_WRITTEN[proof.encoding]}."
    came = f"begins with {prefix}" if prefix else "has nothing before it"
    return f"The signature is right, but it {came}; the scheme wants {proof.prefix or 'nothing before it'}."


_KEYS: Final = MappingProxyType(
    {
        "utf-8": "The sender's key is the secret as text, as it stands there; the scheme decodes it.",
        "base64": "The sender's key is the secret decoded from base64; the scheme takes it as text.",
        "hex": "The sender's key is the secret decoded from hexadecimal; the scheme takes it otherwise.",
        "whsec": "The sender's key is the secret without whsec_, decoded from base64; the scheme takes it otherwise.",
    }
)


def _other_secrets(text: str) -> Iterator[tuple[str, str]]:
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


def _other_bodies(body: bytes) -> Iterator[tuple[bytes, str]]:
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


def _other_urls(url: str) -> Iterator[tuple[str, str]]:
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


# Vectors.


@dataclass(frozen=True)
class Failed:
    """A vector that did not give what it says."""

    id: str
    scheme: str
    sentence: str


class BadVectors(Exception):
    """`str()` says what is wrong with a file of vectors."""


_VECTOR_FIELDS: Final = frozenset(
    {
        *("id", "scheme", "source", "note", "official", "secret", "headers", "method", "url", "body", "body_b64"),
        *("now", "valid", "either", "expect", "config"),
    }
)


def run_vectors(document: object, *, fetch: Fetch) -> tuple[int, list[Failed]]:
    """How many vectors passed, and the others. Raises BadVectors."""
    if not isinstance(document, list) or not document or not all(isinstance(vector, dict) for vector in document):
        raise BadVectors("must be a JSON array of objects, and not an empty one")
    failed: list[Failed] = []
    for number, vector in enumerate(document, 1):
        name, scheme = str(vector.get("id", number)), str(vector.get("scheme", "?"))
        try:
            sentence = _failure(vector, fetch)
        except BadVectors as error:
            raise BadVectors(f"vector {name}: {error}") from error
        except Exception as error:  # noqa: BLE001 - an exception is what a vector may find
            sentence = f"raised {type(error).__name__}"
        if sentence:
            failed.append(Failed(name, scheme, sentence))
    return len(document) - len(failed), failed


def _failure(vector: Mapping[str, Any], fetch: Fetch) -> str:
    """What is wrong, empty when nothing is."""
    if unknown := vector.keys() - _VECTOR_FIELDS:
        raise BadVectors(f"has fields that nobody knows: {', '.join(sorted(unknown))}")
    if not isinstance(vector.get("valid"), bool):
        raise BadVectors("valid must be true or false")
    if vector.get("scheme") not in SCHEMES:
        raise BadVectors("its scheme is none of the table")
    captured, setup = _captured(vector), _setup(vector)
    checked = check(captured, setup, now=float(vector.get("now") or 0), fetch=fetch)
    if vector.get("either"):
        return ""
    if checked.verified is not bool(vector.get("valid")):
        if checked.verified:
            return "must not verify, and does"
        return hidden(f"must verify, and does not: {checked.reason}", setup)
    return _unexpected(vector.get("expect") or {}, checked)


def _captured(vector: Mapping[str, Any]) -> Captured:
    url, headers = vector.get("url") or "", vector.get("headers") or {}
    try:
        encoded = vector.get("body_b64")
        body = base64.b64decode(encoded, validate=True) if encoded is not None else (vector.get("body") or "").encode()
    except (ValueError, TypeError, AttributeError) as error:
        raise BadVectors("body must be a text, body_b64 base64") from error
    if not isinstance(url, str) or not isinstance(headers, dict):
        raise BadVectors("url must be a text, headers an object")
    lower = {str(name).lower(): str(value) for name, value in headers.items()}
    return Captured(headers=lower, body=body, method=str(vector.get("method") or "POST").upper(), url=url)


def _setup(vector: Mapping[str, Any]) -> Setup:
    secret, config = vector.get("secret"), vector.get("config") or {}
    if not isinstance(secret, str | list | dict | None) or not isinstance(config, dict):
        raise BadVectors("secret must be a text, an array or an object; config must be an object")
    return Setup(scheme=str(vector.get("scheme")), secret=secret or "", options=config, verbatim=True)


def _unexpected(expect: Mapping[str, Any], checked: Checked) -> str:
    reply = checked.reply
    for name, wanted in expect.items():
        match name:
            case "response_body":
                same = reply is not None and reply.body.decode("utf-8", "replace") == wanted
            case "response_json":
                same = reply is not None and _json(reply.body) == wanted
            case "response_status":
                same = reply is not None and int(reply.status) == wanted
            case "plaintext":
                same = checked.opened.decode("utf-8", "replace") == wanted
            case _:
                return f"expects {name}, which nobody knows here"
        if not same:
            return f"{name} is not the one that is expected"
    return ""


def _json(body: bytes) -> object:
    try:
        return json.loads(body)
    except ValueError:
        return None
