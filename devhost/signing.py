"""Signs a request as any sender of the plugin's table does, the row being all that is known of the sender.

The reverse of the plugin's verification: what a row says is read here a second time. Rows that are more than data
(Feishu, DingTalk, WeCom, Amazon SNS) have a function each.
"""

import base64
import hashlib
import hmac
import json
import secrets
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from types import MappingProxyType
from typing import Any, Final, NamedTuple
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from kafka_bridge.ingress.canonical import path_of
from kafka_bridge.ingress.content import Location
from kafka_bridge.ingress.encrypted import DingTalk, WeCom
from kafka_bridge.ingress.feishu import Feishu
from kafka_bridge.ingress.options import BadOptions, with_options
from kafka_bridge.ingress.scheme import Scheme
from kafka_bridge.ingress.schemes import SCHEMES
from kafka_bridge.ingress.signatures import Signature
from kafka_bridge.ingress.sns import Sns
from kafka_bridge.ingress.tokens import Token

type SecretValue = str | list[str] | dict[str, str]
"""A secret as the operator writes it; for a sender with a key pair the private key."""

JSON: Final = "application/json"
FORM: Final = "application/x-www-form-urlencoded"
XML: Final = "application/xml"
CERTIFICATE_URL: Final = "https://sns.us-east-1.amazonaws.com/SimpleNotificationService-sample.pem"
_PRIVATE: Final = "whsk_"
_ED25519_BYTES: Final = 32
_AES_BLOCK: Final = 16
# DingTalk and WeCom pad to 32 bytes, twice the block of AES.
_BOX_PADDING: Final = 32
_NOTHING: Final[Mapping[str, Any]] = MappingProxyType({})
_NO_HEADERS: Final[Mapping[str, str]] = MappingProxyType({})


class CannotSign(Exception):
    """`str()` says why, in words that quote no secret."""


class Signed(NamedTuple):
    """A request as its sender sends it. `url` and `body` may be others than were given: some senders sign in them."""

    headers: dict[str, str]
    body: bytes
    url: str

    @property
    def query(self) -> str:
        """The query of the URL."""
        return urlsplit(self.url).query


@dataclass(frozen=True, kw_only=True)
class Draft:
    """What is to be signed."""

    body: bytes
    headers: dict[str, str]
    url: str
    method: str
    now: float
    event_id: str
    stronger: bool


def sign(
    scheme_id: str,
    secret: SecretValue,
    body: bytes,
    *,
    now: float,
    event_id: str,
    url: str = "",
    method: str = "POST",
    options: Mapping[str, object] = _NOTHING,
    headers: Mapping[str, str] = _NO_HEADERS,
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
        headers={"content-type": content_type_of(body), **_lower(headers)},
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
            signed = _Signer(signature, secret, draft).signed()
        case Token() as token:
            signed = _shown(token, scheme, secret, draft)
        case Feishu():
            signed = _feishu(secret, draft)
        case DingTalk():
            signed = _dingtalk(secret, draft)
        case WeCom():
            signed = _wecom(secret, draft)
        case Sns():
            signed = _sns(secret, draft)
        case _:
            raise CannotSign(f"nobody has written here how {type(scheme.proof).__name__} signs")
    return signed


def row(scheme_id: str, options: Mapping[str, object] = _NOTHING) -> Scheme:
    """A row of the table with its options. Raises CannotSign."""
    if scheme_id not in SCHEMES:
        raise CannotSign(f"the scheme must be one of {', '.join(SCHEMES)}")
    try:
        return with_options(SCHEMES[scheme_id], options)
    except BadOptions as error:
        raise CannotSign(str(error)) from error


def public_part(scheme_id: str, secret: SecretValue, *, options: Mapping[str, object] = _NOTHING) -> SecretValue:
    """What the operator pastes: the secret itself, or the public key of a sender that has a key pair."""
    proof = row(scheme_id, options).proof
    if not isinstance(proof, Signature):
        return secret
    if isinstance(secret, list):
        return [_public(proof, text) for text in secret]
    if isinstance(secret, dict):
        return {name: _public(proof, text) if name == "secret" else text for name, text in secret.items()}
    return _public(proof, secret)


def _public(spec: Signature, secret: str) -> str:
    if not _is_private(spec, secret):
        return secret
    raw = _private_key(spec, secret).public_key().public_bytes_raw()
    if spec.key_encoding == "whsec":
        return "whpk_" + base64.b64encode(raw).decode()
    return raw.hex() if spec.key_encoding == "hex" else base64.b64encode(raw).decode()


def _is_private(spec: Signature, secret: str) -> bool:
    return spec.algorithm == "ed25519" or (spec.key_encoding == "whsec" and secret.startswith(_PRIVATE))


def _private_key(spec: Signature, secret: str) -> Ed25519PrivateKey:
    # A private key is written as its seed, or as seed and public key together.
    raw = _raw(secret.removeprefix(_PRIVATE), "base64" if spec.key_encoding == "whsec" else spec.key_encoding)
    if len(raw) not in {_ED25519_BYTES, 2 * _ED25519_BYTES}:
        raise CannotSign("the secret is not an Ed25519 private key of 32 bytes")
    return Ed25519PrivateKey.from_private_bytes(raw[:_ED25519_BYTES])


def _raw(text: str, encoding: str) -> bytes:
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


def _texts(secret: SecretValue) -> list[str]:
    """The secrets that may sign."""
    if isinstance(secret, dict):
        if "secret" not in secret:
            raise CannotSign("the secret must be a text, an array of texts, or an object with secret")
        return [secret["secret"]]
    texts = secret if isinstance(secret, list) else [secret]
    if not texts or not all(texts):
        raise CannotSign("the secret is empty")
    return texts


class _Signer:
    """One `Signature` at work."""

    def __init__(self, spec: Signature, secret: SecretValue, draft: Draft) -> None:
        self._spec = spec
        self._draft = draft
        self._secrets = _texts(secret)
        self._places = _Places(draft)
        self._timestamp = ""
        self._stronger = spec.stronger if draft.stronger else None

    def signed(self) -> Signed:
        """Everything that is signed first, then the signature."""
        spec, places = self._spec, self._places
        if spec.timestamp:
            self._timestamp = _written(self._draft.now, spec.timestamp.unit)
            if spec.timestamp.source != "element":
                place = Location(f"{spec.timestamp.source}:{spec.timestamp.name}")
                places.put(place, self._timestamp, number=spec.timestamp.unit != "rfc3339")
        if spec.id and "id" in spec.placeholders:
            places.put(spec.id, self._draft.event_id)
        if self._stronger:
            places.headers[self._stronger.header] = f"key=sample,{self._stronger.says}"
        if "form" in spec.placeholders and not places.is_form and places.body:
            places.put(Location("query:bodySHA256"), hashlib.sha256(places.body).hexdigest())
        if "headers" in spec.placeholders:
            assert spec.timestamp is not None
            places.headers[spec.signed_headers] = ",".join(
                sorted({spec.signed_headers, spec.timestamp.name, *places.headers})
            )
        self._write(self._fill())
        return places.signed()

    def _write(self, data: bytes) -> None:
        spec, places = self._spec, self._places
        items = [self._item(secret, data) for secret in self._secrets]
        if "{n}" in spec.header:
            places.headers |= {spec.header.replace("{n}", str(n + 1)): item for n, item in enumerate(items)}
            return
        if not spec.separator:
            items = items[:1]
        if spec.timestamp and spec.timestamp.source == "element":
            items.insert(0, f"{spec.timestamp.name}={self._timestamp}")
        places.put(spec.place, spec.separator.join(items))

    def _item(self, secret: str, data: bytes) -> str:
        spec = self._spec
        if _is_private(spec, secret):
            prefix, digest = spec.public_prefix or spec.prefix, _private_key(spec, secret).sign(data)
        else:
            algorithm = self._stronger.algorithm if self._stronger else spec.algorithm
            prefix, digest = spec.prefix, hmac.digest(_raw(secret, spec.key_encoding), data, algorithm)
        text = digest.hex() if spec.encoding == "hex" else base64.b64encode(digest).decode()
        return f"{spec.element}={prefix}{text}" if spec.element else f"{prefix}{text}"

    def _fill(self) -> bytes:
        """The template, filled. Rows know its names; a name that is not known here is a part that must be written."""
        draft, places = self._draft, self._places
        parts: Mapping[str, Callable[[], str | bytes]] = {
            "body": lambda: places.body,
            "timestamp": lambda: self._timestamp,
            "id": lambda: draft.event_id,
            "method": lambda: draft.method,
            "url": lambda: places.url,
            "path": lambda: path_of(places.url),
            "form": lambda: "".join(name + value for name, value in sorted(set(places.form))),
            "headers": self._headers,
        }
        if unknown := self._spec.placeholders - parts.keys():
            raise CannotSign(f"nobody has written here how {', '.join(sorted(unknown))} is signed")
        if self._spec.signs_url and not places.url:
            raise CannotSign("the sender signs the URL: give it")
        found = b""
        rest = self._spec.template
        while rest:
            literal, _, rest = rest.partition("{")
            name, _, rest = rest.partition("}")
            value = parts[name]() if name else ""
            found += literal.encode() + (value if isinstance(value, bytes) else value.encode("utf-8", "surrogatepass"))
        return found

    def _headers(self) -> str:
        headers = self._places.headers
        names = headers[self._spec.signed_headers].split(",")
        return ";".join(f"{name}:{headers[name].strip()}" for name in sorted(names))


class _Places:
    """A request whose headers, query and body are being filled."""

    def __init__(self, draft: Draft) -> None:
        self.headers = dict(draft.headers)
        self.body = draft.body
        self.url = draft.url

    @property
    def is_form(self) -> bool:
        """Whether the body is a form."""
        return self.headers.get("content-type", "").startswith(FORM)

    @property
    def form(self) -> list[tuple[str, str]]:
        """The form's fields."""
        text = self.body.decode("utf-8", "replace")
        return parse_qsl(text, keep_blank_values=True, errors="replace") if self.is_form else []

    def put(self, location: Location, text: str, *, number: bool = False) -> None:
        """Write a value to its place, in a body as a number. Raises CannotSign when the body has no room for it."""
        match location.where:
            case "header":
                self.headers[location.name] = text
            case "query":
                parts = urlsplit(self.url)
                query = urlencode([*parse_qsl(parts.query, keep_blank_values=True), (location.name, text)])
                self.url = urlunsplit(parts._replace(query=query))
            case _:
                document = _object_of(self.body)
                _set(document, location.name.split("."), int(text) if number else text)
                self.body = json.dumps(document).encode()

    def signed(self) -> Signed:
        """What became of it."""
        return Signed(self.headers, self.body, self.url)


def _object_of(body: bytes) -> dict[str, Any]:
    try:
        document = json.loads(body or b"{}")
    except ValueError as error:
        raise CannotSign("the sender signs in the body: it must be a JSON object") from error
    if not isinstance(document, dict):
        raise CannotSign("the sender signs in the body: it must be a JSON object")
    return document


def _set(document: dict[str, Any], steps: list[str], value: object) -> None:
    for step in steps[:-1]:
        inner = document.get(step)
        document[step] = inner if isinstance(inner, dict) else {}
        document = document[step]
    document[steps[-1]] = value


def _written(now: float, unit: str) -> str:
    if unit == "rfc3339":
        return datetime.fromtimestamp(int(now), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return str(int(now * 1000) if unit == "ms" else int(now))


def _shown(token: Token, scheme: Scheme, secret: SecretValue, draft: Draft) -> Signed:
    """A token where its row wants it."""
    text, places = _texts(secret)[0], _Places(draft)
    text = base64.b64encode(text.encode()).decode() if token.encoded else text
    if not token.each:
        places.put(token.place, token.prefix + text)
        return places.signed()
    document = _object_of(draft.body)
    items = document.setdefault(token.each, [{}])
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        raise CannotSign(f"{token.each} in the body must be an array of objects")
    for item in items or [{}]:
        _set(item, token.place.name.split("."), token.prefix + text)
    assert scheme.proof is token
    places.body = json.dumps(document).encode()
    return places.signed()


def _aes(key: bytes, iv: bytes, plain: bytes, block: int) -> bytes:
    length = block - len(plain) % block
    encryptor = Cipher(algorithms.AES(key), modes.CBC(iv)).encryptor()
    return encryptor.update(plain + bytes([length]) * length) + encryptor.finalize()


def _feishu(secret: SecretValue, draft: Draft) -> Signed:
    """With an encrypt key the body is encrypted and signed; a token stands in what is inside."""
    keys = secret.get("encrypt_key", "") if isinstance(secret, dict) else _texts(secret)[0]
    token = secret.get("token", "") if isinstance(secret, dict) else ""
    key, token = keys.strip(), token.strip()
    if not key and not token:
        raise CannotSign("the secret must be the encrypt key, or an object with encrypt_key, token or both")
    body, headers = draft.body, dict(draft.headers)
    if token:
        document = _object_of(body)
        _set(document, ["header", "token"], token)
        body = json.dumps(document).encode()
    if key:
        iv = secrets.token_bytes(_AES_BLOCK)
        sealed = iv + _aes(hashlib.sha256(key.encode()).digest(), iv, body, _AES_BLOCK)
        body = json.dumps({"encrypt": base64.b64encode(sealed).decode()}).encode()
        timestamp, nonce = _written(draft.now, "s"), secrets.token_hex(8)
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
    key = _raw(aes_key, "base64")
    if len(key) != 2 * _AES_BLOCK:
        raise CannotSign("aes_key must be 43 letters and digits")
    plain = secrets.token_bytes(16) + struct.pack(">I", len(draft.body)) + draft.body + receiver.encode()
    sealed = base64.b64encode(_aes(key, key[:_AES_BLOCK], plain, _BOX_PADDING)).decode()
    timestamp, nonce = _written(draft.now, unit), secrets.token_hex(5)
    joined = "".join(sorted((token, timestamp, nonce, sealed)))
    digest = hashlib.sha1(joined.encode()).hexdigest()  # noqa: S324 - the vendors' choice
    places = _Places(draft)
    for name, text in (("msg_signature", digest), ("timestamp", timestamp), ("nonce", nonce)):
        places.put(Location(f"query:{name}"), text)
    return sealed, places.url


def _dingtalk(secret: SecretValue, draft: Draft) -> Signed:
    sealed, url = _boxed(secret, draft, "ms")
    return Signed({**draft.headers, "content-type": JSON}, json.dumps({"encrypt": sealed}).encode(), url)


def _wecom(secret: SecretValue, draft: Draft) -> Signed:
    sealed, url = _boxed(secret, draft, "s")
    body = f"<xml><ToUserName>sample</ToUserName><Encrypt><![CDATA[{sealed}]]></Encrypt></xml>".encode()
    return Signed({**draft.headers, "content-type": XML}, body, url)


@cache
def _rsa_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


@cache
def sns_certificate() -> bytes:
    """The certificate of our own messages, as PEM: what a fetch of `CERTIFICATE_URL` is to give in a test."""
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "sns.amazonaws.com")])
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(_rsa_key().public_key())
    start = datetime(2001, 1, 1, tzinfo=UTC)
    builder = builder.serial_number(1).not_valid_before(start).not_valid_after(start + timedelta(days=36_500))
    return builder.sign(_rsa_key(), hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def _sns(secret: SecretValue, draft: Draft) -> Signed:
    """A message of our own making: only who trusts `sns_certificate` takes it."""
    message = _object_of(draft.body)
    moment = datetime.fromtimestamp(draft.now, UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")
    message = {"Type": "Notification", "Message": "", "MessageId": draft.event_id} | message
    message |= {"TopicArn": _texts(secret)[0].strip(), "Timestamp": moment, "SignatureVersion": "2"}
    names = ["Message", "MessageId", "Subject", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"]
    if message["Type"] == "Notification":
        names = [name for name in names if name not in {"SubscribeURL", "Token"}]
    data = "".join(f"{name}\n{message[name]}\n" for name in names if name in message).encode()
    signature = _rsa_key().sign(data, padding.PKCS1v15(), hashes.SHA256())
    message |= {"Signature": base64.b64encode(signature).decode(), "SigningCertURL": CERTIFICATE_URL}
    headers = {**draft.headers, "content-type": "text/plain; charset=UTF-8", "x-amz-sns-message-type": message["Type"]}
    return Signed(headers, json.dumps(message).encode(), draft.url)


# What vendors call an event, where it is not the generic name.
_TYPES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "github": "issues",
        "gitlab-token": "push",
        "gitlab-signing-token": "push",
        "bitbucket": "repo:push",
        "jira": "jira:issue_created",
        "linear": "Issue",
        "sentry": "issue",
        "vercel": "deployment.created",
        "pagerduty": "incident.triggered",
        "grafana": "firing",
        "cloudflare-stream": "ready",
        "stripe": "invoice.paid",
        "shopify": "orders/create",
        "square": "payment.updated",
        "calendly": "invitee.created",
        "typeform": "form_response",
        "docusign": "envelope-completed",
        "contentful": "ContentManagement.Entry.publish",
        "zendesk": "zen:event-type:user.created",
        "intercom": "conversation.user.created",
        "mailgun": "delivered",
        "slack": "message",
        "zoom": "meeting.started",
        "meta": "whatsapp_business_account",
        "discord": "APPLICATION_AUTHORIZED",
    }
)
_GENERIC: Final = "sample.created"
# Bodies whose form the row does not tell. {id} is the event's id.
_BODIES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "github": '{"action": "opened", "issue": {"number": 1}, "repository": {"full_name": "acme/shop"}}',
        "stripe": (
            '{"id": "{id}", "object": "event", "type": "invoice.paid", "data": {"object": {"customer": "cus_1"}}}'
        ),
        "discord": '{"version": 1, "type": 1, "event": {"type": "APPLICATION_AUTHORIZED", "data": {}}}',
        "hubspot-v3": '[{"eventId": "{id}", "subscriptionType": "contact.creation", "objectId": 1}]',
        "line": '{"destination": "U1", "events": [{"type": "message", "webhookEventId": "{id}"}]}',
        "microsoft-graph": '{"value": [{"subscriptionId": "{id}", "changeType": "updated", "resource": "me/events"}]}',
        "feishu": '{"schema": "2.0", "header": {"event_id": "{id}", "event_type": "im.message", "tenant_key": "t"}}',
        "dingtalk": '{"EventType": "user_add_org", "eventId": "{id}"}',
        "wecom": "<xml><FromUserName>u</FromUserName><MsgType>text</MsgType><MsgId>{id}</MsgId></xml>",
        "aws-sns": '{"Type": "Notification", "MessageId": "{id}", "Message": "Hello"}',
        "twilio": "MessageSid={id}&SmsStatus=received&Body=Hello+World",
        "dropbox": '{"list_folder": {"accounts": ["dbid:sample"]}}',
        "twitter": '{"for_user_id": "1", "tweet_create_events": [{"id_str": "{id}"}]}',
    }
)
_AES_KEY: Final = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG"


def sample_secret(scheme_id: str, *, options: Mapping[str, object] = _NOTHING) -> SecretValue:
    """A secret of the form that a row asks for; of a sender with a key pair the private key. No secret at all."""
    raw = hashlib.sha256(f"a sample for {scheme_id}".encode()).digest()
    match row(scheme_id, options).proof:
        case Signature(key_encoding="whsec" | "base64" as encoding):
            return ("whsec_" if encoding == "whsec" else "") + base64.b64encode(raw).decode()
        case Token(encoded=True):
            return f"sample:{raw.hex()}"
        case Feishu():
            return {"encrypt_key": raw.hex(), "token": raw.hex()[::-1]}
        case DingTalk() | WeCom():
            return {"token": raw.hex(), "aes_key": _AES_KEY, "receiver_id": "sample"}
        case Sns():
            return "arn:aws:sns:us-east-1:123456789012:sample"
        case _:
            return raw.hex()


def sample_body(scheme_id: str, *, event_id: str = "evt_1", options: Mapping[str, object] = _NOTHING) -> bytes:
    """A body in which the plugin finds the type, and the id where the vendor has it in the body."""
    if scheme_id in _BODIES and not options:
        return _BODIES[scheme_id].replace("{id}", event_id).encode()
    scheme = row(scheme_id, options)
    document: dict[str, Any] = {"data": {"note": "A sample, sent by hand."}}
    for place, text in _first_places(scheme, scheme_id, event_id):
        if place.in_body:
            _set(document, place.name.split("."), text)
    return json.dumps(document).encode()


def sample_headers(
    scheme_id: str, *, event_id: str = "evt_1", options: Mapping[str, object] = _NOTHING
) -> dict[str, str]:
    """The headers beside the signature in which the vendor has type and id."""
    scheme = row(scheme_id, options)
    found = [(place, text) for place, text in _first_places(scheme, scheme_id, event_id) if place.where == "header"]
    return {place.name: text for place, text in found}


def _first_places(scheme: Scheme, scheme_id: str, event_id: str) -> list[tuple[Location, str]]:
    parts = scheme.type[0] if scheme.type else ()
    texts = (_TYPES.get(scheme_id, _GENERIC), "created")
    found = list(zip(parts, texts, strict=False))
    return [*found, (scheme.id[0], event_id)] if scheme.id else found


def content_type_of(body: bytes) -> str:
    """What a body looks like."""
    start = body.lstrip()[:1]
    if start == b"<":
        return XML
    if start not in {b"{", b"[", b""} and b"=" in body and b"\n" not in body and b" " not in body:
        return FORM
    return JSON


def _lower(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}
