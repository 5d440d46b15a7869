"""Senders that encrypt their messages: DingTalk and WeCom, which do it in one and the same way. Pure.

A request is signed by its query: SHA-1 of token, timestamp, nonce and encrypted message, sorted and joined. What is
inside is encrypted with a key of both sides and names the receiver. Nothing is decrypted before it is verified.
"""

import base64
import hashlib
import hmac
import secrets
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import orjson

from kafka_bridge.documents import at
from kafka_bridge.errors import Unverified
from kafka_bridge.http import JSON, Outbound, json_reply
from kafka_bridge.ingress.content import Content, Location
from kafka_bridge.ingress.handshakes import NoHandshake, echo
from kafka_bridge.ingress.keys import BadSecret, b64decode
from kafka_bridge.ingress.signatures import Timestamp
from kafka_bridge.ingress.xmltree import read_xml
from kafka_bridge.settings.sources import SourceSecret

XML: Final = "application/xml"
AES_BLOCK: Final = 16
_NAMES: Final = ("token", "aes_key", "receiver_id")
_AES_KEY: Final = 32
_AES_KEY_CHARS: Final = 43
# Both vendors pad to 32 bytes, twice the block of AES.
_PADDING: Final = 32
_SALT: Final = 16
# Nothing stands between the joined texts. Whole blocks are moved from the message to the nonce, or back, by 64
# characters of base64 and no fewer; real nonces have about ten.
_MAX_NONCE_CHARS: Final = 63


def decrypt(key: bytes, iv: bytes, data: bytes, padding: int) -> bytes:
    """AES-256-CBC with PKCS7 to a multiple of `padding` bytes. Raises Unverified."""
    # Imported by those who need it: it costs some megabytes.
    from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes  # noqa: PLC0415

    if not data or len(data) % AES_BLOCK:
        raise Unverified("the encrypted message is not whole")
    decryptor = Cipher(algorithms.AES(key), modes.CBC(iv)).decryptor()
    plain = decryptor.update(data) + decryptor.finalize()
    length = plain[-1]
    if not 1 <= length <= padding or not hmac.compare_digest(plain[-length:], bytes([length]) * length):
        raise Unverified("the message cannot be decrypted: another key")
    return plain[:-length]


class Box:
    """What both sides encrypt with: 16 random bytes, the message's length, the message, the receiver's id."""

    def __init__(self, aes_key: str, receiver_id: str) -> None:
        """Raises BadSecret."""
        try:
            self._key = b64decode(aes_key) if len(aes_key) == _AES_KEY_CHARS else b""
        except ValueError:
            self._key = b""
        if len(self._key) != _AES_KEY:
            raise BadSecret(f"aes_key must be {_AES_KEY_CHARS} letters and digits, as the vendor shows it")
        self._iv = self._key[:AES_BLOCK]
        self._receiver = _bytes(receiver_id)

    def open(self, text: str) -> bytes:
        """The message. Raises Unverified, also when it is for somebody else."""
        try:
            data = b64decode(text)
        except ValueError as error:
            raise Unverified("the encrypted message is not base64") from error
        plain = decrypt(self._key, self._iv, data, _PADDING)
        start = _SALT + 4
        end = start + int.from_bytes(plain[_SALT:start])
        if not start <= end <= len(plain):
            raise Unverified("the message cannot be decrypted: another key")
        if not hmac.compare_digest(plain[end:], self._receiver):
            raise Unverified("the message is for another receiver than receiver_id")
        return plain[start:end]

    def seal(self, message: bytes, salt: bytes) -> str:
        """The message, encrypted. `salt`: 16 random bytes."""
        from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes  # noqa: PLC0415

        plain = salt + struct.pack(">I", len(message)) + message + self._receiver
        length = _PADDING - len(plain) % _PADDING
        encryptor = Cipher(algorithms.AES(self._key), modes.CBC(self._iv)).encryptor()
        return base64.b64encode(encryptor.update(plain + bytes([length]) * length) + encryptor.finalize()).decode()


class Lock:
    """The secret of a source: the token signs, the box encrypts. `unit` is that of the vendor's timestamps."""

    def __init__(self, secret: SourceSecret, unit: str) -> None:
        """Raises BadSecret."""
        missing = [name for name in _NAMES if name not in secret.named]
        if missing:
            raise BadSecret(f"must be an object with {', '.join(_NAMES)}; missing: {', '.join(missing)}")
        token, aes_key, receiver_id = (secret.named[name].reveal().strip() for name in _NAMES)
        self._token = token
        self._timestamp = Timestamp(source="query", name="timestamp", unit=unit)
        self.box = Box(aes_key, receiver_id)

    def sign(self, timestamp: str, nonce: str, encrypted: str) -> str:
        """The signature in hexadecimal."""
        # Python sorts by code point; vendors sort what is ASCII.
        joined = "".join(sorted((self._token, timestamp, nonce, encrypted)))
        return hashlib.sha1(_bytes(joined)).hexdigest()  # noqa: S324 - the vendors' choice

    def verified(self, content: Content, encrypted: object, *, now: float) -> bytes:
        """What is in a message that the query signs. Raises Unverified."""
        query = content.query
        signature = query.get("msg_signature") or query.get("signature")
        timestamp, nonce = timestamp_of(content), query.get("nonce")
        if not signature or not timestamp or not nonce:
            raise Unverified("no signature: the query lacks msg_signature, timestamp or nonce")
        if len(nonce) > _MAX_NONCE_CHARS:
            raise Unverified("the nonce is too long")
        self._timestamp.check(timestamp, now)
        if not isinstance(encrypted, str) or not encrypted:
            raise Unverified("no encrypted message")
        if not hmac.compare_digest(_bytes(self.sign(timestamp, nonce, encrypted)), _bytes(signature)):
            raise Unverified("the signature does not match: another token, or the message was changed on the way")
        return self.box.open(encrypted)


class _OfBody:
    """Both prove what is in the body, and nothing else."""

    def covers(self, location: Location) -> bool:
        """Whether a value at `location` is under the signature."""
        return location.in_body

    def shows(self, _location: Location) -> bool:
        """Whether the secret stands at a place: nowhere."""
        return False


@dataclass(frozen=True)
class DingTalk(_OfBody):
    """https://github.com/open-dingtalk/DingTalk-Callback-Crypto."""

    def verifier(self, secret: SourceSecret) -> "DingTalkVerifier":
        """With the secret of one source. Raises BadSecret."""
        return DingTalkVerifier(secret)


class DingTalkVerifier:
    """`DingTalk` with the secret of one source."""

    def __init__(self, secret: SourceSecret) -> None:
        self._lock = Lock(secret, "ms")

    def verify(self, content: Content, *, now: float) -> Content:
        """The event that was encrypted. Raises Unverified."""
        message = self._lock.verified(content, at(content.document, ("encrypt",)), now=now)
        try:
            document = orjson.loads(message)
        except orjson.JSONDecodeError as error:
            raise Unverified("what was encrypted is not JSON") from error
        # Our own answers are signed in the same way: shown to us again, they are no events.
        if not isinstance(document, dict):
            raise Unverified("what was encrypted is not a JSON object")
        return content.opened(message, document, JSON)


class DingTalkAnswers(NoHandshake):
    """Every event, and every check of the URL, is answered with `success`, encrypted.

    https://open.dingtalk.com/document/orgapp/configure-event-subcription; the checks for a suite's URL:
    https://open-doc.dingtalk.com/microapp/isv/bmduxw
    """

    checks: Final = frozenset({"check_url", "check_create_suite_url", "check_update_suite_url"})

    def __init__(self, secret: SourceSecret, random: Callable[[int], bytes] = secrets.token_bytes) -> None:
        """Raises BadSecret. `random` gives as many random bytes as it is asked for."""
        super().__init__(secret)
        self._lock = Lock(secret, "ms")
        self._random = random

    def signed(self, content: Content) -> Outbound | None:
        if content.text_at(("EventType",)) not in self.checks:
            return None
        return self._answer(timestamp_of(content))

    def success(self, content: Content, *, now: float) -> Outbound | None:  # noqa: ARG002
        return self._answer(str(int(now * 1000)))

    def _answer(self, timestamp: str) -> Outbound:
        # The vendor's own libraries make a nonce of 16 characters.
        nonce, encrypted = self._random(8).hex(), self._lock.box.seal(b"success", self._random(_SALT))
        signature = self._lock.sign(timestamp, nonce, encrypted)
        return json_reply({"msg_signature": signature, "timeStamp": timestamp, "nonce": nonce, "encrypt": encrypted})


@dataclass(frozen=True)
class WeCom(_OfBody):
    """https://developer.work.weixin.qq.com/document/path/90968."""

    def verifier(self, secret: SourceSecret) -> "WeComVerifier":
        """With the secret of one source. Raises BadSecret."""
        return WeComVerifier(secret)


class WeComVerifier:
    """`WeCom` with the secret of one source."""

    def __init__(self, secret: SourceSecret) -> None:
        self._lock = Lock(secret, "s")

    def verify(self, content: Content, *, now: float) -> Content:
        """The message that was encrypted, its XML as data. Raises Unverified."""
        encrypted = at(read_xml(content.inbound.body), ("Encrypt",))
        text = encrypted.strip() if isinstance(encrypted, str) else None
        message = self._lock.verified(content, text, now=now)
        document = read_xml(message)
        if not isinstance(document, dict):
            raise Unverified("what was encrypted has no elements")
        return content.opened(message, document, XML)


class WeComAnswers(NoHandshake):
    """GET with an encrypted text that is to be shown in clear; what a message or a suite's event is answered with.

    https://developer.work.weixin.qq.com/document/path/90930
    """

    def __init__(self, secret: SourceSecret) -> None:
        """Raises BadSecret."""
        super().__init__(secret)
        self._lock = Lock(secret, "s")

    def unsigned(self, content: Content, *, now: float) -> Outbound | None:
        encrypted = content.query.get("echostr")
        if encrypted is None or content.inbound.method != "GET":
            return None
        text = self._lock.verified(content, encrypted, now=now)
        # Messages are signed in the same way: whoever has seen one must not have it decrypted here.
        if text.lstrip().startswith(b"<"):
            raise Unverified("a message is not answered with its text")
        return echo(text.decode("utf-8", "replace"))

    def success(self, content: Content, *, now: float) -> Outbound | None:  # noqa: ARG002
        # A text is an error to a suite unless it is this one, and a reply to a user who has sent a message.
        return echo("success" if content.text_at(("InfoType",)) else "")


def timestamp_of(content: Content) -> str:
    """The timestamp in the query, which is written in two ways; empty when there is none."""
    return content.query.get("timestamp") or content.query.get("timeStamp") or ""


def _bytes(text: str) -> bytes:
    # Of characters that are none, too: a comparison must never raise.
    return text.encode("utf-8", "surrogatepass")
