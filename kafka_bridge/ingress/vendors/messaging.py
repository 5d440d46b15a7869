"""Chats, phones, social networks. Pure."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from kafka_bridge.ingress import canonical, handshakes
from kafka_bridge.ingress.scheme import Scheme, ids, types
from kafka_bridge.ingress.signatures import Signature, Stronger
from kafka_bridge.ingress.signing import UNIQUE_S, in_header

ROWS: Final[Mapping[str, Scheme]] = MappingProxyType(
    {
        # https://docs.slack.dev/authentication/verifying-requests-from-slack
        "slack": Scheme(
            proof=Signature(
                header="x-slack-signature",
                prefix="v0=",
                template="v0:{timestamp}:{body}",
                timestamp=in_header("x-slack-request-timestamp"),
            ),
            type=types("body:event.type", "body:command", "body:type"),
            id=ids("body:event_id"),
            dedupe_s=UNIQUE_S,
            handshake=handshakes.Slack,
        ),
        # https://www.twilio.com/docs/usage/security#validating-requests
        "twilio": Scheme(
            proof=Signature(
                header="x-twilio-signature",
                algorithm="sha1",
                encoding="base64",
                template="{url}{form}",
                variants=canonical.with_and_without_port,
                stronger=Stronger(
                    header="x-twilio-webhooks-signature-settings", says="algorithm=HMAC_SHA256", algorithm="sha256"
                ),
            ),
            type=types("body:SmsStatus", "body:MessageStatus", "body:CallStatus", "body:EventType"),
            id=ids("header:i-twilio-idempotency-token"),
        ),
        # https://developers.zoom.us/docs/api/webhooks/#verify-webhook-events
        "zoom": Scheme(
            proof=Signature(
                header="x-zm-signature",
                prefix="v0=",
                template="v0:{timestamp}:{body}",
                timestamp=in_header("x-zm-request-timestamp"),
            ),
            type=types("body:event"),
            handshake=handshakes.Zoom,
        ),
        # https://developers.facebook.com/docs/graph-api/webhooks/getting-started
        "meta": Scheme(
            proof=Signature(header="x-hub-signature-256", prefix="sha256="),
            type=types("body:object"),
            handshake=handshakes.Meta,
        ),
        # https://docs.x.com/x-api/webhooks/quickstart
        "twitter": Scheme(
            proof=Signature(header="x-twitter-webhooks-signature", encoding="base64", prefix="sha256="),
            handshake=handshakes.X,
        ),
        # https://developers.line.biz/en/docs/messaging-api/verify-webhook-signature/
        "line": Scheme(
            proof=Signature(header="x-line-signature", encoding="base64"),
            type=types("body:type", "body:events.0.type"),
            id=ids("body:webhookEventId", "body:events.0.webhookEventId"),
            items="events",
        ),
        # https://discord.com/developers/docs/events/webhook-events (the secret is the application's public key)
        "discord": Scheme(
            proof=Signature(
                header="x-signature-ed25519",
                algorithm="ed25519",
                key_encoding="hex",
                template="{timestamp}{body}",
                timestamp=in_header("x-signature-timestamp"),
            ),
            type=types("body:event.type", "body:type"),
            handshake=handshakes.Discord,
        ),
    }
)
