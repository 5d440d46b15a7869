"""Senders that encrypt: Feishu, DingTalk, WeCom. Each has a function, for their rows are more than data."""

import base64
import hashlib
import json
import secrets
import struct
from typing import Final

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from devhost.signing.draft import JSON, XML, CannotSign, Draft, Places, SecretValue, Signed, object_of, set_at, written
from devhost.signing.keys import raw_key, texts
from kafka_bridge.ingress.content import Location

_AES_BLOCK: Final = 16
# DingTalk and WeCom pad to 32 bytes, twice the block of AES.
_BOX_PADDING: Final = 32


def _aes(key: bytes, iv: bytes, plain: bytes, block: int) -> bytes:
    length = block - len(plain) % block
    encryptor = Cipher(algorithms.AES(key), modes.CBC(iv)).encryptor()
    return encryptor.update(plain + bytes([length]) * length) + encryptor.finalize()


def feishu(secret: SecretValue, draft: Draft) -> Signed:
    """With an encrypt key the body is encrypted and signed; a token stands in what is inside."""
    keys = secret.get("encrypt_key", "") if isinstance(secret, dict) else texts(secret)[0]
    token = secret.get("token", "") if isinstance(secret, dict) else ""
    key, token = keys.strip(), token.strip()
    if not key and not token:
        raise CannotSign("the secret must be the encrypt key, or an object with encrypt_key, token or both")
    body, headers = draft.body, dict(draft.headers)
    if token:
        document = object_of(body)
        set_at(document, ["header", "token"], token)
        body = json.dumps(document).encode()
    if key:
        iv = secrets.token_bytes(_AES_BLOCK)
        sealed = iv + _aes(hashlib.sha256(key.encode()).digest(), iv, body, _AES_BLOCK)
        body = json.dumps({"encrypt": base64.b64encode(sealed).decode()}).encode()
        timestamp, nonce = written(draft.now, "s"), secrets.token_hex(8)
        digest = hashlib.sha256((timestamp + nonce + key).encode() + body).hexdigest()
        headers |= {
            "x-lark-request-timestamp": timestamp,
            "x-lark-request-nonce": nonce,
            "x-lark-signature": digest,
        }
    return Signed(headers, body, draft.url)


def _boxed(secret: SecretValue, draft: Draft, unit: str) -> tuple[str, str]:
    """What DingTalk and WeCom have in common: the encrypted message, and the URL that signs it."""
    if not isinstance(secret, dict) or not {"token", "aes_key", "receiver_id"} <= secret.keys():
        raise CannotSign("the secret must be an object with token, aes_key, receiver_id")
    token, aes_key, receiver = (secret[name].strip() for name in ("token", "aes_key", "receiver_id"))
    key = raw_key(aes_key, "base64")
    if len(key) != 2 * _AES_BLOCK:
        raise CannotSign("aes_key must be 43 letters and digits")
    plain = secrets.token_bytes(16) + struct.pack(">I", len(draft.body)) + draft.body + receiver.encode()
    sealed = base64.b64encode(_aes(key, key[:_AES_BLOCK], plain, _BOX_PADDING)).decode()
    timestamp, nonce = written(draft.now, unit), secrets.token_hex(5)
    joined = "".join(sorted((token, timestamp, nonce, sealed)))
    digest = hashlib.sha1(joined.encode()).hexdigest()  # noqa: S324 - the vendors' choice
    places = Places(draft)
    for name, text in (("msg_signature", digest), ("timestamp", timestamp), ("nonce", nonce)):
        places.put(Location(f"query:{name}"), text)
    return sealed, places.url


def dingtalk(secret: SecretValue, draft: Draft) -> Signed:
    """The encrypted message in JSON, signed in the query."""
    sealed, url = _boxed(secret, draft, "ms")
    return Signed({**draft.headers, "content-type": JSON}, json.dumps({"encrypt": sealed}).encode(), url)


def wecom(secret: SecretValue, draft: Draft) -> Signed:
    """The encrypted message in XML, signed in the query."""
    sealed, url = _boxed(secret, draft, "s")
    body = f"<xml><ToUserName>sample</ToUserName><Encrypt><![CDATA[{sealed}]]></Encrypt></xml>".encode()
    return Signed({**draft.headers, "content-type": XML}, body, url)
