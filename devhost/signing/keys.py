"""Keys as a row reads them out of a secret, and what a sender with a key pair shows of its own."""

import base64
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from devhost.signing.draft import CannotSign, SecretValue
from kafka_bridge.ingress.signatures import Signature

_PRIVATE: Final = "whsk_"
_ED25519_BYTES: Final = 32


def public_key(spec: Signature, secret: str) -> str:
    """What the operator pastes: the public key in the row's spelling, or the shared secret itself."""
    if not is_private(spec, secret):
        return secret
    raw = private_key(spec, secret).public_key().public_bytes_raw()
    if spec.key_encoding == "whsec":
        return "whpk_" + base64.b64encode(raw).decode()
    return raw.hex() if spec.key_encoding == "hex" else base64.b64encode(raw).decode()


def is_private(spec: Signature, secret: str) -> bool:
    """Whether the secret is the private half of a key pair."""
    return spec.algorithm == "ed25519" or (spec.key_encoding == "whsec" and secret.startswith(_PRIVATE))


def private_key(spec: Signature, secret: str) -> Ed25519PrivateKey:
    """The key that signs. Raises CannotSign."""
    # A private key is written as its seed, or as seed and public key together.
    raw = raw_key(secret.removeprefix(_PRIVATE), "base64" if spec.key_encoding == "whsec" else spec.key_encoding)
    if len(raw) not in {_ED25519_BYTES, 2 * _ED25519_BYTES}:
        raise CannotSign("the secret is not an Ed25519 private key of 32 bytes")
    return Ed25519PrivateKey.from_private_bytes(raw[:_ED25519_BYTES])


def raw_key(text: str, encoding: str) -> bytes:
    """The bytes that a secret stands for. Raises CannotSign."""
    try:
        match encoding:
            case "utf-8":
                raw = text.encode("utf-8", "surrogatepass")
            case "hex":
                raw = bytes.fromhex(text)
            case _:
                bare = text.strip().removeprefix("whsec_") if encoding == "whsec" else text.strip()
                raw = base64.b64decode(bare + "=" * (-len(bare) % 4), validate=True)
    except ValueError as error:
        raise CannotSign(f"the secret is not {'hexadecimal' if encoding == 'hex' else 'base64'}") from error
    if not raw:
        raise CannotSign("the secret is empty")
    return raw


def texts(secret: SecretValue) -> list[str]:
    """The secrets that may sign."""
    if isinstance(secret, dict):
        if "secret" not in secret:
            raise CannotSign("the secret must be a text, an array of texts, or an object with secret")
        return [secret["secret"]]
    texts = secret if isinstance(secret, list) else [secret]
    if not texts or not all(texts):
        raise CannotSign("the secret is empty")
    return texts
