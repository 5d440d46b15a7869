"""Senders of any make: a signature with parameters, open standards, tokens, nothing. Pure."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from kafka_bridge.ingress.content import Location
from kafka_bridge.ingress.scheme import Scheme, ids, types
from kafka_bridge.ingress.signatures import Signature
from kafka_bridge.ingress.signing import UNIQUE_S, standard
from kafka_bridge.ingress.tokens import Token

_CHOSEN: Final = frozenset(
    {
        *("header", "algorithm", "encoding", "prefix", "key_encoding", "template"),
        *("timestamp", "separator", "element", "id", "type"),
    }
)
_GENERIC_TYPE: Final = types("body:event_type", "body:type", "body:event")
_GENERIC_ID: Final = ids("body:id", "body:event_id")

ROWS: Final[Mapping[str, Scheme]] = MappingProxyType(
    {
        "hmac": Scheme(
            proof=Signature(prefix="sha256=", prefix_optional=True),
            type=_GENERIC_TYPE,
            id=_GENERIC_ID,
            cloudevents=True,
            options=_CHOSEN,
        ),
        # https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
        "standard-webhooks": Scheme(
            proof=standard("webhook"),
            type=types("body:type"),
            id=ids("header:webhook-id"),
            dedupe_s=UNIQUE_S,
        ),
        # https://docs.svix.com/receiving/verifying-payloads/how-manual
        "svix": Scheme(
            # Also with the names of Standard Webhooks.
            proof=standard("svix", standard("webhook")),
            type=types("body:type", "body:event_type", "body:eventType"),
            id=ids("header:svix-id", "header:webhook-id"),
            dedupe_s=UNIQUE_S,
        ),
        # RFC 6750
        "bearer": Scheme(
            proof=Token(place=Location("header:authorization"), prefix="Bearer "),
            type=_GENERIC_TYPE,
            id=_GENERIC_ID,
            cloudevents=True,
        ),
        # RFC 7617; the secret is user:password
        "basic": Scheme(
            proof=Token(place=Location("header:authorization"), prefix="Basic ", encoded=True),
            type=_GENERIC_TYPE,
            id=_GENERIC_ID,
            cloudevents=True,
        ),
        "api-key": Scheme(
            proof=Token(place=Location("header:x-api-key")),
            type=_GENERIC_TYPE,
            id=_GENERIC_ID,
            cloudevents=True,
            options=frozenset({"header", "id", "type"}),
        ),
        # No verification: only ever by explicit choice.
        "none": Scheme(proof=None, type=_GENERIC_TYPE, id=_GENERIC_ID, cloudevents=True),
    }
)
