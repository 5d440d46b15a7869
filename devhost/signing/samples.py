"""A sample of every row: a secret of its form, a body and headers in which type and id are found."""

import base64
import hashlib
import json
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from devhost.signing.draft import SecretValue, set_at
from devhost.signing.rows import NOTHING, row
from kafka_bridge.ingress.content import Location
from kafka_bridge.ingress.encrypted import DingTalk, WeCom
from kafka_bridge.ingress.feishu import Feishu
from kafka_bridge.ingress.scheme import Scheme
from kafka_bridge.ingress.signatures import Signature
from kafka_bridge.ingress.sns import Sns
from kafka_bridge.ingress.tokens import Token

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


def sample_secret(scheme_id: str, *, options: Mapping[str, object] = NOTHING) -> SecretValue:
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


def sample_body(scheme_id: str, *, event_id: str = "evt_1", options: Mapping[str, object] = NOTHING) -> bytes:
    """A body in which the plugin finds the type, and the id where the vendor has it in the body."""
    if scheme_id in _BODIES and not options:
        return _BODIES[scheme_id].replace("{id}", event_id).encode()
    scheme = row(scheme_id, options)
    document: dict[str, Any] = {"data": {"note": "A sample, sent by hand."}}
    for place, text in _first_places(scheme, scheme_id, event_id):
        if place.in_body:
            set_at(document, place.name.split("."), text)
    return json.dumps(document).encode()


def sample_headers(
    scheme_id: str, *, event_id: str = "evt_1", options: Mapping[str, object] = NOTHING
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
