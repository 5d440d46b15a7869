"""What a signature is checked with: a shared secret, or the sender's public key. Pure."""

import base64
import hashlib
import hmac
from collections.abc import Iterable
from itertools import islice
from typing import Any, Final, Protocol

from kafka_bridge.settings.secret import Secret
from kafka_bridge.settings.sources import SourceSecret

KEY_ENCODINGS: Final = ("utf-8", "base64", "hex", "whsec")
_PUBLIC: Final = "whpk_"
# Each costs a millisecond; a sender that changes its key signs with two.
MAX_PUBLIC: Final = 4


class BadSecret(Exception):
    """The secret does not have the form that the scheme needs; `str()` says why and quotes nothing."""


class Key(Protocol):
    """One key. `public` says that it is the sender's own, so that nobody else can have signed."""

    public: bool

    def signed(self, data: bytes, candidates: Iterable[bytes]) -> bool:
        """Whether one of the candidates is this key's signature of `data`. Raises nothing."""


class SharedKey:
    """HMAC. Candidates are hex in lower case or base64 without padding, as bytes."""

    public = False

    def __init__(self, raw: bytes, algorithm: str, encoding: str) -> None:
        self._raw = raw
        self._algorithm = algorithm
        self._hex = encoding == "hex"

    def signed(self, data: bytes, candidates: Iterable[bytes]) -> bool:
        digest = hmac.digest(self._raw, data, self._algorithm)
        expected = digest.hex().encode() if self._hex else base64.b64encode(digest).rstrip(b"=")
        # Bytes, never str: compare_digest raises on str that is not ASCII.
        return any(hmac.compare_digest(expected, candidate) for candidate in candidates)


# The points of small order without the bit of the sign, and their second spellings: under them anybody can sign. A
# placeholder of zeros is one of them.
_SMALL_ORDER: Final = frozenset(
    bytes.fromhex(text)
    for text in (
        "00" * 32,
        "01" + "00" * 31,
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
        "ec" + "ff" * 30 + "7f",
        "ed" + "ff" * 30 + "7f",
        "ee" + "ff" * 30 + "7f",
    )
)


class PublicKey:
    """Ed25519 (RFC 8032)."""

    public = True

    def __init__(self, raw: bytes, encoding: str) -> None:
        """Raises BadSecret."""
        # Imported by those who need it: it costs some megabytes.
        from cryptography.exceptions import InvalidSignature  # noqa: PLC0415
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey  # noqa: PLC0415

        try:
            self._key: Any = Ed25519PublicKey.from_public_bytes(raw)
        except ValueError as error:
            raise BadSecret("is not an Ed25519 public key of 32 bytes") from error
        if raw[:-1] + bytes([raw[-1] & 0x7F]) in _SMALL_ORDER:
            raise BadSecret("is no public key of anybody: anybody can sign under it")
        self._invalid = InvalidSignature
        self._hex = encoding == "hex"

    def signed(self, data: bytes, candidates: Iterable[bytes]) -> bool:
        for candidate in islice(candidates, MAX_PUBLIC):
            try:
                text = candidate.decode("ascii")
                self._key.verify(bytes.fromhex(text) if self._hex else b64decode(text), data)
            except (ValueError, self._invalid):
                continue
            return True
        return False


# The name of the signing secret where a sender needs other values beside it.
SECRET: Final = "secret"  # noqa: S105 - the name of a field


def secrets_of(secret: SourceSecret) -> tuple[Secret, ...]:
    """The secrets of which any may have signed. Raises BadSecret when there is none."""
    if secret.named and SECRET not in secret.named:
        raise BadSecret(f"must be one text, an array of texts, or an object with {SECRET}")
    found = secret.rotation or tuple(secret.named[name] for name in (SECRET,) if name in secret.named)
    if not found:
        raise BadSecret("missing")
    return found


def make_key(secret: Secret, *, algorithm: str, encoding: str, key_encoding: str) -> Key:
    """The key in a secret. Raises BadSecret, also for an empty one: nothing is ever verified by an empty key."""
    text = secret.reveal()
    if key_encoding == "whsec" and text.strip().startswith(_PUBLIC):
        return PublicKey(_decoded(text.strip().removeprefix(_PUBLIC), "base64"), encoding)
    raw = _decoded(text, key_encoding)
    return PublicKey(raw, encoding) if algorithm == "ed25519" else SharedKey(raw, algorithm, encoding)


def _decoded(text: str, encoding: str) -> bytes:
    if encoding == "whsec" and text.startswith("v1,"):
        raise BadSecret("starts with v1, which belongs to signatures: paste it from whsec_ on")
    try:
        match encoding:
            case "utf-8":
                raw = text.encode("utf-8", "surrogatepass")
            case "hex":
                raw = bytes.fromhex(text)
            case "whsec":
                raw = b64decode(text.strip().removeprefix("whsec_"))
            case _:
                raw = b64decode(text.strip())
    except ValueError as error:
        raise BadSecret(f"is not {'hexadecimal' if encoding == 'hex' else 'base64'}") from error
    if not raw.strip(b"\0"):
        # HMAC fills a key up with zeros: one of nothing else is the empty key.
        raise BadSecret("is empty, or nothing but zeros")
    return raw


def b64decode(text: str) -> bytes:
    """Base64 with or without its padding. Raises ValueError."""
    return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)


def fingerprint(source: str, body: bytes) -> str:
    """The id of an event that carries none: the SHA-256 of source and body."""
    return hashlib.sha256(source.encode() + b"\x00" + body).hexdigest()
