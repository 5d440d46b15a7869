"""Certificates that are fetched: each once, however many ask for it, and few for those who prove nothing. Pure.

A certificate is asked for before its message is verified, so anybody who knows the topic can have it asked for, under
any name that a certificate may have. What was asked for is therefore remembered whether it came or not, and no more
is asked for while the memory is full. Only a certificate that has verified a message is kept beyond that: nobody who
forges can push it out.
"""

import warnings
from collections import OrderedDict
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final

from kafka_bridge.errors import CertificateUnreachable, Unverified
from kafka_bridge.ingress.dedupe import Waiter
from kafka_bridge.ingress.outside import FetchFailed, Outside

# Of one source: its topics' regions, and the next certificate of each.
MAX_CERTIFICATES: Final = 16
# At most so many are asked for within a minute without verifying anything.
MAX_ASKED: Final = 64
ASKED_S: Final = 60.0
# For what may be there again in a moment.
UNREACHABLE_S: Final = 10.0
# Whoever asks or waits occupies one of the platform's workers.
MAX_FETCHES: Final = 4
MAX_WAITERS: Final = 32
WAIT_S: Final = 4.0
# Somebody who asks may be cut off; then one of those who wait asks.
TRIES: Final = 2


class Certificate:
    """The key in an X.509 certificate, and when it is valid, as unix time."""

    def __init__(self, pem: bytes) -> None:
        """Raises Unverified."""
        # Imported by those who need it: it costs some megabytes.
        from cryptography.exceptions import UnsupportedAlgorithm  # noqa: PLC0415
        from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey  # noqa: PLC0415
        from cryptography.x509 import load_pem_x509_certificate  # noqa: PLC0415

        try:
            with warnings.catch_warnings():
                # What RFC 5280 forbids is only warned of so far.
                warnings.simplefilter("error")
                certificate = load_pem_x509_certificate(pem)
            self._key: Any = certificate.public_key()
            self.valid_from = certificate.not_valid_before_utc.timestamp()
            self.valid_until = certificate.not_valid_after_utc.timestamp()
        except (ValueError, UnsupportedAlgorithm, Warning) as error:
            raise Unverified("what was fetched is not a certificate") from error
        if not isinstance(self._key, RSAPublicKey):
            raise Unverified("the certificate's key is not RSA")

    def is_valid(self, now: float) -> bool:
        """Whether it may be used at this time."""
        return self.valid_from <= now <= self.valid_until

    def check(self, signature: bytes, data: bytes, *, sha1: bool) -> None:
        """Return if the key made the signature. Raises Unverified."""
        from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm  # noqa: PLC0415
        from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15  # noqa: PLC0415
        from cryptography.hazmat.primitives.hashes import SHA1, SHA256  # noqa: PLC0415

        try:
            self._key.verify(signature, data, PKCS1v15(), SHA1() if sha1 else SHA256())  # noqa: S303 - SNS's default
        except InvalidSignature as error:
            raise Unverified("the signature does not match: the message was changed on the way") from error
        except (ValueError, UnsupportedAlgorithm) as error:
            raise Unverified("the signature cannot be checked: set SignatureVersion 2 for the topic") from error


@dataclass(slots=True, frozen=True)
class _Asked:
    """What came when it was asked for. Not an exception, which would keep the request that met it."""

    at: float
    certificate: Certificate | None
    reason: str = ""
    lasting: bool = True

    def is_fresh(self, now: float) -> bool:
        """Whether it still counts, whichever way the clock was set meanwhile."""
        return abs(now - self.at) < (ASKED_S if self.lasting else UNREACHABLE_S)


@dataclass(slots=True)
class _Fetching:
    """Somebody asks for it right now; the others wait."""

    waiters: list[Waiter] = field(default_factory=list)
    over: bool = False


class Certificates:
    """Those of one source, by URL. May be used by greenlets and by threads: every step on shared state is atomic."""

    def __init__(self, outside: Outside) -> None:
        self._outside = outside
        self._proven: OrderedDict[str, Certificate] = OrderedDict()
        self._asked: dict[str, _Asked] = {}
        self._fetching: dict[str, _Fetching] = {}

    def get(self, url: str, *, now: float) -> Certificate:
        """The certificate at a URL, which was checked before. Raises Unverified, CertificateUnreachable."""
        for _ in range(TRIES):
            if (known := self._known(url, now)) is not None:
                return known
            self._make_room(url, now)
            mine = _Fetching()
            fetching = self._fetching.setdefault(url, mine)
            if fetching is mine:
                return self._lead(url, mine, now)
            self._wait(fetching)
        if (known := self._known(url, now)) is not None:
            return known
        raise CertificateUnreachable(hint="whoever asked for it was cut off")

    def proved(self, url: str, certificate: Certificate) -> None:
        """Keep a certificate that has verified a message."""
        self._proven[url] = certificate
        with suppress(KeyError):
            self._proven.move_to_end(url)
        self._asked.pop(url, None)
        while len(self._proven) > MAX_CERTIFICATES:
            self._proven.popitem(last=False)

    def _known(self, url: str, now: float) -> Certificate | None:
        """What is known without asking; None: nothing. Raises what was met when it was asked for."""
        proven = self._proven.get(url)
        if proven is not None:
            if proven.is_valid(now):
                return proven
            self._proven.pop(url, None)
        asked = self._asked.get(url)
        if asked is None or not asked.is_fresh(now):
            return None
        if asked.certificate is None:
            raise Unverified(asked.reason) if asked.lasting else CertificateUnreachable(hint=asked.reason)
        if not asked.certificate.is_valid(now):
            raise Unverified("the certificate has expired, or is not valid yet")
        return asked.certificate

    def _make_room(self, url: str, now: float) -> None:
        """Forget what counts no longer. Raises CertificateUnreachable when too much was asked for without any use."""
        for other, asked in list(self._asked.items()):
            if not asked.is_fresh(now):
                self._asked.pop(other, None)
        if url in self._fetching:
            return
        if len(self._fetching) >= MAX_FETCHES or len(self._asked) + len(self._fetching) >= MAX_ASKED:
            raise CertificateUnreachable(hint="too many other certificates were asked for, and verified nothing")

    def _lead(self, url: str, mine: _Fetching, now: float) -> Certificate:
        """Ask, for everybody who waits."""
        try:
            # Another thread may have asked between the look and the lead.
            known = self._known(url, now)
            if known is None:
                self._asked[url] = self._ask(url, now)
                known = self._known(url, now)
            assert known is not None
            return known
        finally:
            # Also when this one is cut off.
            self._fetching.pop(url, None)
            mine.over = True
            for waiter in mine.waiters:
                waiter.wake()

    def _ask(self, url: str, now: float) -> _Asked:
        try:
            return _Asked(now, Certificate(self._outside.fetch(url)))
        except FetchFailed as error:
            return _Asked(now, None, f"the certificate cannot be fetched: {error}", error.lasting)
        except Unverified as error:
            return _Asked(now, None, error.reason)

    def _wait(self, fetching: _Fetching) -> None:
        if len(fetching.waiters) >= MAX_WAITERS:
            raise CertificateUnreachable(hint="many wait for the same certificate already")
        waiter = self._outside.waiter()
        fetching.waiters.append(waiter)
        if fetching.over:
            # By another thread, since it was found: nobody else would wake this one.
            waiter.wake()
        if not waiter.wait(WAIT_S):
            raise CertificateUnreachable(hint="it takes too long to fetch")
