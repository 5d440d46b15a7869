"""Why a request does not verify.

Found by trying: the same request with another body, secret, algorithm, URL, until one verifies. No sentence quotes a
value of the request or the secret: a signature that would be right is as good as the secret.
"""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Final
from urllib.parse import urlsplit

from devhost.verify.captured import Captured, Setup, parsed
from devhost.verify.looks import (
    MILLISECONDS_DIGITS,
    SECONDS_DIGITS,
    difference,
    listed,
    missing,
    odd,
    unit,
    wanted_headers,
)
from devhost.verify.mistakes import KEYS, other_bodies, other_secrets, other_urls
from devhost.verify.verdict import Checked
from kafka_bridge.errors import BridgeError
from kafka_bridge.ingress.keys import KEY_ENCODINGS, BadSecret
from kafka_bridge.ingress.options import BadOptions, with_options
from kafka_bridge.ingress.outside import Fetch, Outside
from kafka_bridge.ingress.scheme import Proof
from kafka_bridge.ingress.schemes import SCHEMES
from kafka_bridge.ingress.signatures import ALGORITHMS, Signature
from kafka_bridge.ingress.sns import Sns
from kafka_bridge.ingress.tokens import Token
from kafka_bridge.settings.sources import SourceSecret

_ANY_AGE_S: Final = 10**15


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
        present = list(missing(self._proof, self._captured.headers, scheme=self._setup.scheme))
        # The first that verifies explains it; what merely looks odd is told beside it.
        exact = list(_first(self._age()))
        if not exact:
            ways = (self._bodies, self._secrets, self._algorithms, self._urls, self._methods)
            exact = [*_first(sentence for way in ways for sentence in way()), *self._others()]
        looks = [] if exact else list(odd(self._proof, self._captured))
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
        found = [int(text) / 1.0 for text in numbers if len(text) == SECONDS_DIGITS]
        found += [int(text) / 1000 for text in numbers if len(text) == MILLISECONDS_DIGITS]
        return [self._now, *found]

    def _age(self) -> Iterator[str]:
        if self._verifies():
            proof = self._proof
            if isinstance(proof, Signature) and proof.timestamp and proof.timestamp.source == "header":
                yield from unit(proof.timestamp, self._captured.headers.get(proof.timestamp.name, ""))
            yield (
                "Secret and body are right: only the time is not. A request that was captured earlier is checked as"
                " of then with --now; if it came just now, one of the two clocks is wrong."
            )

    def _bodies(self) -> Iterator[str]:
        for body, sentence in other_bodies(self._captured.body):
            if self._verifies(replace(self._captured, body=body)):
                yield sentence

    def _secrets(self) -> Iterator[str]:
        for text in self._setup.texts():
            for other, sentence in other_secrets(text):
                if other.strip() and self._verifies(secret=self._with(text, other)):
                    yield sentence
        proof = self._proof
        if isinstance(proof, Signature):
            for encoding in KEY_ENCODINGS:
                if encoding != proof.key_encoding and self._verifies(proof=replace(proof, key_encoding=encoding)):
                    yield KEYS[encoding]

    def _with(self, text: str, other: str) -> SourceSecret | None:
        """The secret with another text in the place of one."""
        secret = self._secret
        if secret is None or not secret.named:
            return parsed(other)
        named = {name: other if value.reveal() == text else value.reveal() for name, value in secret.named.items()}
        return parsed(named)

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
                        yield difference(proof, algorithm, encoding, prefix)

    def _urls(self) -> Iterator[str]:
        if not isinstance(self._proof, Signature) or not self._proof.signs_url:
            return
        if not self._captured.url:
            yield "Give the URL that the sender calls with --url: it is under the signature."
            return
        for url, sentence in other_urls(self._captured.url):
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
            yield f"It verifies as {listed(matching)}: choose that scheme instead of {self._setup.scheme}."

    def _of(self, proof: Proof) -> Proof:
        return self._connected(proof) or proof


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
    other = any(captured.headers.get(name) for name in wanted_headers(proof.fallback))
    own = any(captured.headers.get(name) for name in wanted_headers(proof))
    return proof.fallback if other and not own else replace(proof, fallback=None)


def _first(sentences: Iterable[str]) -> Iterator[str]:
    for sentence in sentences:
        yield sentence
        return
