"""What the sender of a row makes of a body. Rows that are only data need nothing here."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from devhost.signing.draft import CannotSign, Draft, SecretValue, Signed, content_type_of
from devhost.signing.keys import public_key
from devhost.signing.sealed import dingtalk, feishu, wecom
from devhost.signing.signature import Signer
from devhost.signing.sns import sns
from devhost.signing.token import shown
from kafka_bridge.ingress.encrypted import DingTalk, WeCom
from kafka_bridge.ingress.feishu import Feishu
from kafka_bridge.ingress.options import BadOptions, with_options
from kafka_bridge.ingress.scheme import Scheme
from kafka_bridge.ingress.schemes import SCHEMES
from kafka_bridge.ingress.signatures import Signature
from kafka_bridge.ingress.sns import Sns
from kafka_bridge.ingress.tokens import Token

NOTHING: Final[Mapping[str, Any]] = MappingProxyType({})
NO_HEADERS: Final[Mapping[str, str]] = MappingProxyType({})


def sign(
    scheme_id: str,
    secret: SecretValue,
    body: bytes,
    *,
    now: float,
    event_id: str,
    url: str = "",
    method: str = "POST",
    options: Mapping[str, object] = NOTHING,
    headers: Mapping[str, str] = NO_HEADERS,
    stronger: bool = False,
    fallback: bool = False,
) -> Signed:
    """The request that the sender of a row makes of `body`. Raises CannotSign.

    `headers` go along, and are signed where the sender signs headers; `stronger`: with the better of two algorithms;
    `fallback`: under the other names that the row allows.
    Of an array of secrets each signs where the sender may send several signatures, else the first.
    """
    scheme = row(scheme_id, options)
    if fallback:
        if not isinstance(scheme.proof, Signature) or scheme.proof.fallback is None:
            raise CannotSign("the row has no other names")
        scheme = scheme.changed(proof=scheme.proof.fallback)
    draft = Draft(
        body=body,
        headers={"content-type": content_type_of(body), **{name.lower(): value for name, value in headers.items()}},
        url=url,
        method=method,
        now=now,
        event_id=event_id,
        stronger=stronger,
    )
    return sign_row(scheme, secret, draft)


def sign_row(scheme: Scheme, secret: SecretValue, draft: Draft) -> Signed:
    """The same for a row that is at hand."""
    match scheme.proof:
        case None:
            signed = Signed(draft.headers, draft.body, draft.url)
        case Signature() as signature:
            signed = Signer(signature, secret, draft).signed()
        case Token() as token:
            signed = shown(token, scheme, secret, draft)
        case Feishu():
            signed = feishu(secret, draft)
        case DingTalk():
            signed = dingtalk(secret, draft)
        case WeCom():
            signed = wecom(secret, draft)
        case Sns():
            signed = sns(secret, draft)
        case _:
            raise CannotSign(f"nobody has written here how {type(scheme.proof).__name__} signs")
    return signed


def row(scheme_id: str, options: Mapping[str, object] = NOTHING) -> Scheme:
    """A row of the table with its options. Raises CannotSign."""
    if scheme_id not in SCHEMES:
        raise CannotSign(f"the scheme must be one of {', '.join(SCHEMES)}")
    try:
        return with_options(SCHEMES[scheme_id], options)
    except BadOptions as error:
        raise CannotSign(str(error)) from error


def public_part(scheme_id: str, secret: SecretValue, *, options: Mapping[str, object] = NOTHING) -> SecretValue:
    """What the operator pastes: the secret itself, or the public key of a sender that has a key pair."""
    proof = row(scheme_id, options).proof
    if not isinstance(proof, Signature):
        return secret
    if isinstance(secret, list):
        return [public_key(proof, text) for text in secret]
    if isinstance(secret, dict):
        return {name: public_key(proof, text) if name == "secret" else text for name, text in secret.items()}
    return public_key(proof, secret)
