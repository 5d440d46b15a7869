"""Feishu and Lark: a SHA-256 that is no HMAC, a body that may be encrypted, a token in it. Pure.

https://open.feishu.cn/document/event-subscription-guide/event-subscriptions/event-subscription-configure-/encrypt-key-encryption-configuration-case
"""

import hashlib
import hmac
from dataclasses import dataclass, replace
from typing import Final

import orjson

from kafka_bridge.documents import at, text_of
from kafka_bridge.errors import Unverified
from kafka_bridge.http import JSON, Outbound, json_reply
from kafka_bridge.ingress.content import FORM, Content, Location
from kafka_bridge.ingress.encrypted import AES_BLOCK, decrypt
from kafka_bridge.ingress.handshakes import TOKEN, NoHandshake
from kafka_bridge.ingress.keys import BadSecret, b64decode
from kafka_bridge.ingress.signatures import Timestamp
from kafka_bridge.settings.secret import Secret
from kafka_bridge.settings.sources import SourceSecret

ENCRYPT_KEY: Final = "encrypt_key"
SIGNATURE_HEADER: Final = "x-lark-signature"


@dataclass(frozen=True)
class Feishu:
    """With an encrypt key every event is signed; with a verification token alone none is (`signed` is then False).

    The row says the less of the two; `having` says what it is for one source.
    """

    signed: bool = False

    def having(self, secret: SourceSecret) -> "Feishu":
        """What it proves with this secret."""
        return replace(self, signed=bool(secret.rotation) or ENCRYPT_KEY in secret.named)

    def covers(self, location: Location) -> bool:
        """Whether a value at `location` is under the signature."""
        return self.signed and location.in_body

    def shows(self, location: Location) -> bool:
        """Whether the verification token stands at `location`; Feishu sends it whatever is set here."""
        return location.in_body and location.name in {TOKEN, f"header.{TOKEN}"}

    def verifier(self, secret: SourceSecret) -> "FeishuVerifier":
        """With the secret of one source. Raises BadSecret."""
        return FeishuVerifier(_Lock(secret))


class FeishuVerifier:
    """`Feishu` with the secret of one source."""

    def __init__(self, lock: "_Lock") -> None:
        self._lock = lock

    def verify(self, content: Content, *, now: float) -> Content:
        """The event, decrypted if it was encrypted. Raises Unverified."""
        if content.media_type == FORM:
            # A SHA-256 of key and body can be extended by whoever has seen one; what comes out is never JSON.
            raise Unverified("an event is JSON, not a form")
        if self._lock.keys:
            self._lock.check_signature(content, now)
        opened = self._lock.opened(content) or content
        if not isinstance(opened.document, dict):
            raise Unverified("the body is not a JSON object")
        self._lock.check_token(opened.document)
        return opened


class FeishuChallenge(NoHandshake):
    """`url_verification`, which is not signed: it shows the token, or is encrypted. It is an answer, never an event."""

    def __init__(self, secret: SourceSecret) -> None:
        """Raises BadSecret."""
        super().__init__(secret)
        self._lock = _Lock(secret)

    def unsigned(self, content: Content, *, now: float) -> Outbound | None:  # noqa: ARG002
        # What is signed is verified first; so no event is decrypted twice.
        if content.inbound.method != "POST" or content.inbound.header(SIGNATURE_HEADER):
            return None
        opened = self._lock.opened(content)
        document = (opened or content).document
        if at(document, ("type",)) != "url_verification":
            return None
        if self._lock.token is None and opened is None:
            raise Unverified("the URL's verification is not encrypted, and an encrypt key is set")
        self._lock.check_token(document)
        return _challenge(document)

    def signed(self, content: Content) -> Outbound | None:
        document = content.document
        return _challenge(document) if at(document, ("type",)) == "url_verification" else None


class _Lock:
    """The secret of a source: encrypt keys, of which any may be the one; a token, or None."""

    def __init__(self, secret: SourceSecret) -> None:
        """Raises BadSecret."""
        if not secret or secret.named.keys() - {ENCRYPT_KEY, TOKEN}:
            # A name that is not understood may be the encrypt key's: without it nothing would be signed.
            raise BadSecret(f"must be the encrypt key, or an object with {ENCRYPT_KEY}, {TOKEN} or both")
        named = (secret.named[ENCRYPT_KEY],) if ENCRYPT_KEY in secret.named else ()
        self.keys: tuple[bytes, ...] = tuple(_bytes(key.reveal().strip()) for key in secret.rotation or named)
        token = secret.named.get(TOKEN)
        self.token: Secret | None = Secret(token.reveal().strip()) if token else None
        self._timestamp = Timestamp(source="header", name="x-lark-request-timestamp")

    def check_signature(self, content: Content, now: float) -> None:
        """Return if one of the keys signed the body as it came. Raises Unverified."""
        inbound = content.inbound
        signature = inbound.header(SIGNATURE_HEADER)
        timestamp = inbound.header(self._timestamp.name)
        if not signature or not timestamp:
            raise Unverified(f"no signature: {SIGNATURE_HEADER} or {self._timestamp.name} is missing or empty")
        self._timestamp.check(timestamp, now)
        head = _bytes(timestamp + inbound.header("x-lark-request-nonce"))
        digests = [hashlib.sha256(head + key + inbound.body).hexdigest().encode() for key in self.keys]
        if not any(hmac.compare_digest(digest, _bytes(signature)) for digest in digests):
            raise Unverified("the signature does not match: another encrypt key, or the body was changed on the way")

    def opened(self, content: Content) -> Content | None:
        """What is encrypted in the body; None when nothing is. Raises Unverified when it cannot be decrypted."""
        encrypted = at(content.document, ("encrypt",))
        if encrypted is None:
            return None
        if not self.keys:
            raise Unverified(f"the body is encrypted, and the secret has no {ENCRYPT_KEY}")
        try:
            data = b64decode(encrypted if isinstance(encrypted, str) else "?")
        except ValueError as error:
            raise Unverified("the encrypted body is not base64") from error
        for key in self.keys:
            try:
                body = decrypt(hashlib.sha256(key).digest(), data[:AES_BLOCK], data[AES_BLOCK:], AES_BLOCK)
                return content.opened(body, orjson.loads(body), JSON)
            except (Unverified, orjson.JSONDecodeError):
                continue
        raise Unverified("the body cannot be decrypted: another encrypt key")

    def check_token(self, document: object) -> None:
        """Return if the body shows the token, or if none is set. Raises Unverified."""
        if self.token is None:
            return
        shown = at(document, ("header", TOKEN)) or at(document, (TOKEN,))
        if not self.token.matches(text_of(shown) or ""):
            raise Unverified("the verification token is not the one of the settings")


def _challenge(document: object) -> Outbound:
    challenge = at(document, ("challenge",))
    if not isinstance(challenge, str):
        raise Unverified("the URL's verification has no challenge")
    return json_reply({"challenge": challenge})


def _bytes(text: str) -> bytes:
    # Of characters that are none, too: a comparison must never raise.
    return text.encode("utf-8", "surrogatepass")
