"""Deliveries of every sender in the table, so that a new row is covered by being there."""

import json
from functools import cache

from devhost.signing import (
    CERTIFICATE_URL,
    public_part,
    sample_body,
    sample_headers,
    sample_secret,
    sign,
    sns_certificate,
)
from kafka_bridge.http import Inbound
from kafka_bridge.ingress.encrypted import WeCom
from kafka_bridge.ingress.feishu import SIGNATURE_HEADER, Feishu
from kafka_bridge.ingress.outside import FetchFailed, Outside
from kafka_bridge.ingress.schemes import SCHEMES
from kafka_bridge.ingress.signatures import Signature
from kafka_bridge.ingress.sns import Sns
from kafka_bridge.ingress.source import compile_sources
from kafka_bridge.ingress.tokens import Token
from kafka_bridge.settings import endpoint
from tests.stand_ins import NOW, saved

PUBLIC_URL = "https://example.com/hooks/e-1"
PATH = "/webhook"
URL = PUBLIC_URL + PATH
SIGNING = [name for name, row in SCHEMES.items() if isinstance(row.proof, Signature)]
PROVING = [name for name, row in SCHEMES.items() if row.proof is not None]
ROTATING = [name for name in PROVING if not isinstance(sample_secret(name), dict)]


def timestamp_of(scheme):
    return getattr(SCHEMES[scheme].proof, "timestamp", None)


TIMED = [name for name in SIGNING if timestamp_of(name) is not None]


def fetch(url):
    """The world outside, in which there is nothing but the certificate of our own messages."""
    if url != CERTIFICATE_URL:
        raise FetchFailed("HTTP 404", lasting=True)
    return sns_certificate()


def operators(scheme, secret):
    """A secret as it stands in the settings."""
    value = public_part(scheme, secret)
    return value if isinstance(value, str) else json.dumps(value)


def compiled(scheme, *, secret=None, **settings):
    secret = sample_secret(scheme) if secret is None else secret
    parsed = endpoint.parse(
        saved(
            **{"scheme": scheme, "webhook_secret": operators(scheme, secret), "public_url": PUBLIC_URL, "topic": "t"}
            | settings
        )
    )
    sources, problems = compile_sources(parsed, outside=Outside(fetch))
    assert ([str(problem) for problem in problems], parsed.problems) == ([], ())
    return sources["default"]


@cache
def source_for(scheme):
    """The source of a row with the secret that it signs with."""
    return compiled(scheme)


def delivery(scheme, body=None, *, now=NOW, secret=None, event_id="msg_1", stronger=False, headers=None, **fields):
    """What the sender of a row makes of a body, its own sample by default."""
    signed = sign(
        scheme,
        sample_secret(scheme) if secret is None else secret,
        sample_body(scheme) if body is None else body,
        now=now,
        event_id=event_id,
        url=fields.pop("url", URL),
        headers=sample_headers(scheme) | (headers or {}),
        stronger=stronger,
    )
    return Inbound(method="POST", path=PATH, query=signed.query, headers=signed.headers, body=signed.body)


def nearby(secret):
    """Secrets that differ from this one in one character."""
    if isinstance(secret, dict):
        return [secret | {name: text} for name, value in secret.items() for text in nearby(value)]
    start = len("whsec_") if secret.startswith("whsec_") else 0
    # The last characters of base64 hold bits that stand for nothing.
    return [secret[:n] + ("1" if secret[n] == "0" else "0") + secret[n + 1 :] for n in range(start, len(secret) - 2)]


def another(scheme):
    """A secret of the right form, and the wrong one."""
    return nearby(sample_secret(scheme))[-1]


def proving_headers(scheme):
    """The headers without any of which, or with any of which changed, nothing is proved."""
    proof = SCHEMES[scheme].proof
    match proof:
        case Signature():
            names = {proof.header.replace("{n}", "1")} if not proof.body_path else set()
            if proof.timestamp is not None and proof.timestamp.source == "header":
                names.add(proof.timestamp.name)
            if proof.id is not None and proof.id.where == "header" and "id" in proof.placeholders:
                names.add(proof.id.name)
            return names | ({proof.signed_headers} if proof.signed_headers else set())
        case Token():
            return set() if proof.place.in_body else {proof.place.name}
        case Feishu():
            return {SIGNATURE_HEADER, "x-lark-request-timestamp", "x-lark-request-nonce"}
        case _:
            return set()


def covered(scheme, inbound):
    """The positions of the body that are under the proof."""
    body, proof = inbound.body, SCHEMES[scheme].proof
    match proof:
        case Signature() if not proof.placeholders & {"body", "form"}:
            texts = [str(text) for text in json.loads(body)["signature"].values()]
        case Token():
            texts = [item["clientState"] for item in json.loads(body)["value"]] if proof.each else []
        case WeCom():
            texts = [body.partition(b"CDATA[")[2].partition(b"]")[0].decode()]
        case Sns():
            message = json.loads(body)
            texts = [message[name] for name in ("Message", "MessageId", "Timestamp", "TopicArn", "Type")]
        case _:
            return list(range(len(body)))
    starts = [
        (body.index(f'"{text}"'.encode()) + 1 if f'"{text}"'.encode() in body else body.index(text.encode()), text)
        for text in texts
    ]
    return [start + n for start, text in starts for n in range(len(text.encode()))]


def flipped(text, position):
    """With one bit of one character changed."""
    return text[:position] + chr(ord(text[position]) ^ 1) + text[position + 1 :]


def flipped_byte(body, position):
    """With one bit of one byte changed."""
    return body[:position] + bytes([body[position] ^ 1]) + body[position + 1 :]
