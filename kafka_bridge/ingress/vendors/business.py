"""Payments, shops, forms, documents, mail. Pure."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from kafka_bridge.ingress import canonical, handshakes
from kafka_bridge.ingress.content import Location
from kafka_bridge.ingress.scheme import Scheme, ids, types
from kafka_bridge.ingress.signatures import Signature, Timestamp
from kafka_bridge.ingress.signing import UNIQUE_S, in_header
from kafka_bridge.ingress.tokens import Token

ROWS: Final[Mapping[str, Scheme]] = MappingProxyType(
    {
        # https://docs.stripe.com/webhooks#verify-manually (the key is the whole secret, whsec_ included)
        "stripe": Scheme(
            proof=Signature(
                header="stripe-signature",
                separator=",",
                element="v1",
                template="{timestamp}.{body}",
                timestamp=Timestamp(source="element", name="t"),
            ),
            type=types("body:type"),
            id=ids("body:id"),
            dedupe_s=UNIQUE_S,
        ),
        # https://shopify.dev/docs/apps/build/webhooks/subscribe/https
        "shopify": Scheme(
            proof=Signature(header="x-shopify-hmac-sha256", encoding="base64"),
            type=types("header:x-shopify-topic"),
            id=ids("header:x-shopify-webhook-id", "header:x-shopify-event-id"),
            dedupe_s=UNIQUE_S,
        ),
        # https://developer.squareup.com/docs/webhooks/step3validate
        "square": Scheme(
            proof=Signature(header="x-square-hmacsha256-signature", encoding="base64", template="{url}{body}"),
            type=types("body:type"),
            id=ids("body:event_id"),
            dedupe_s=UNIQUE_S,
        ),
        # https://developers.hubspot.com/docs/apps/legacy-apps/authentication/validating-requests
        "hubspot-v3": Scheme(
            proof=Signature(
                header="x-hubspot-signature-v3",
                encoding="base64",
                template="{method}{url}{body}{timestamp}",
                timestamp=in_header("x-hubspot-request-timestamp", "ms"),
                variants=canonical.partly_decoded,
            ),
            type=types("body:subscriptionType", "body:0.subscriptionType"),
            id=ids("body:eventId"),
            items="",
        ),
        # https://developer.calendly.com/api-docs/ZG9jOjM2MzE2MDM4-webhook-signatures
        "calendly": Scheme(
            proof=Signature(
                header="calendly-webhook-signature",
                separator=",",
                element="v1",
                template="{timestamp}.{body}",
                timestamp=Timestamp(source="element", name="t"),
            ),
            type=types("body:event"),
        ),
        # https://www.typeform.com/developers/webhooks/secure-your-webhooks/
        "typeform": Scheme(
            proof=Signature(header="typeform-signature", encoding="base64", prefix="sha256="),
            type=types("body:event_type"),
            id=ids("body:event_id"),
            dedupe_s=UNIQUE_S,
        ),
        # https://developers.docusign.com/platform/webhooks/connect/validate/
        "docusign": Scheme(
            proof=Signature(header="x-docusign-signature-{n}", encoding="base64"), type=types("body:event")
        ),
        # https://www.contentful.com/developers/docs/webhooks/request-verification/ (an age of exactly 30 s has expired)
        "contentful": Scheme(
            proof=Signature(
                header="x-contentful-signature",
                template="{method}\n{path}\n{headers}\n{body}",
                timestamp=Timestamp(
                    source="header", name="x-contentful-timestamp", unit="ms", tolerance=30, strict=True
                ),
                signed_headers="x-contentful-signed-headers",
            ),
            type=types("header:x-contentful-topic"),
        ),
        # https://www.dropbox.com/developers/reference/webhooks
        "dropbox": Scheme(proof=Signature(header="x-dropbox-signature"), handshake=handshakes.Dropbox),
        # https://developer.zendesk.com/documentation/webhooks/verifying/
        "zendesk": Scheme(
            proof=Signature(
                header="x-zendesk-webhook-signature",
                encoding="base64",
                template="{timestamp}{body}",
                timestamp=in_header("x-zendesk-webhook-signature-timestamp", "rfc3339"),
            ),
            type=types("body:type"),
            id=ids("body:id"),
        ),
        # https://developers.intercom.com/docs/webhooks/webhook-notifications#signed-notifications
        "intercom": Scheme(
            proof=Signature(header="x-hub-signature", algorithm="sha1", prefix="sha1="),
            type=types("body:topic"),
            id=ids("body:id"),
            dedupe_s=UNIQUE_S,
        ),
        # https://documentation.mailgun.com/docs/mailgun/user-manual/webhooks/securing-webhooks (the rest is not signed)
        "mailgun": Scheme(
            proof=Signature(
                body_path="signature.signature",
                template="{timestamp}{id}",
                timestamp=Timestamp(source="body", name="signature.timestamp"),
                id=Location("body:signature.token"),
            ),
            type=types("body:event-data.event"),
            id=ids("body:event-data.id", "body:signature.token"),
        ),
        # https://learn.microsoft.com/en-us/graph/change-notifications-delivery-webhooks (clientState is no signature)
        "microsoft-graph": Scheme(
            proof=Token(place=Location("body:clientState"), each="value"),
            type=types("body:changeType", "body:value.0.changeType"),
            items="value",
            handshake=handshakes.Graph,
        ),
    }
)
