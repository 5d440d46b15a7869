"""Code, operations, monitoring. Pure."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from kafka_bridge.ingress.content import Location
from kafka_bridge.ingress.scheme import Scheme, ids, types
from kafka_bridge.ingress.signatures import Signature, Timestamp
from kafka_bridge.ingress.signing import UNIQUE_S, standard
from kafka_bridge.ingress.tokens import Token

_GITLAB_TYPE: Final = types("body:object_kind", "header:x-gitlab-event")
_HUB: Final = Signature(header="x-hub-signature", prefix="sha256=")

ROWS: Final[Mapping[str, Scheme]] = MappingProxyType(
    {
        # https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries
        "github": Scheme(
            proof=Signature(header="x-hub-signature-256", prefix="sha256="),
            type=types("header:x-github-event+body:action"),
            id=ids("header:x-github-delivery"),
            dedupe_s=UNIQUE_S,
        ),
        # https://docs.gitlab.com/user/project/integrations/webhooks/
        "gitlab-token": Scheme(
            proof=Token(place=Location("header:x-gitlab-token")),
            type=_GITLAB_TYPE,
            id=ids("header:idempotency-key", "header:x-gitlab-event-uuid"),
            dedupe_s=UNIQUE_S,
        ),
        "gitlab-signing-token": Scheme(
            proof=standard("webhook"),
            type=_GITLAB_TYPE,
            id=ids("header:webhook-id"),
            dedupe_s=UNIQUE_S,
        ),
        # https://support.atlassian.com/bitbucket-cloud/docs/manage-webhooks/
        "bitbucket": Scheme(
            proof=_HUB, type=types("header:x-event-key"), id=ids("header:x-request-uuid", "header:x-request-id")
        ),
        # https://developer.atlassian.com/cloud/jira/platform/webhooks/
        "jira": Scheme(
            proof=_HUB,
            type=types("body:webhookEvent"),
            id=ids("header:x-atlassian-webhook-identifier"),
            dedupe_s=UNIQUE_S,
        ),
        # https://linear.app/developers/webhooks
        "linear": Scheme(
            proof=Signature(
                header="linear-signature",
                timestamp=Timestamp(source="body", name="webhookTimestamp", unit="ms", tolerance=60),
            ),
            type=types("body:type+body:action"),
            id=ids("header:linear-delivery"),
            dedupe_s=UNIQUE_S,
        ),
        # https://docs.sentry.io/organization/integrations/integration-platform/webhooks/
        "sentry": Scheme(
            proof=Signature(header="sentry-hook-signature"),
            type=types("header:sentry-hook-resource+body:action"),
            id=ids("header:request-id"),
            dedupe_s=UNIQUE_S,
        ),
        # https://vercel.com/docs/webhooks/webhooks-api
        "vercel": Scheme(
            proof=Signature(header="x-vercel-signature", algorithm="sha1"),
            type=types("body:type"),
            id=ids("body:id"),
            dedupe_s=UNIQUE_S,
        ),
        # https://docs.pagerduty.com/developer/verifying-webhook-signatures
        "pagerduty": Scheme(
            proof=Signature(header="x-pagerduty-signature", prefix="v1=", separator=","),
            type=types("body:event.event_type"),
            id=ids("body:event.id"),
            dedupe_s=UNIQUE_S,
        ),
        # https://grafana.com/docs/grafana/latest/alerting/configure-notifications/manage-contact-points/integrations/webhook-notifier/
        "grafana": Scheme(
            proof=Signature(header="x-grafana-alerting-signature"),
            type=types("body:status"),
            options=frozenset({"header", "timestamp_header"}),
        ),
        # https://developers.cloudflare.com/stream/manage-video-library/using-webhooks/
        "cloudflare-stream": Scheme(
            proof=Signature(
                header="webhook-signature",
                separator=",",
                element="sig1",
                template="{timestamp}.{body}",
                timestamp=Timestamp(source="element", name="time"),
            ),
            type=types("body:status.state"),
            id=ids("body:uid"),
        ),
        # https://developers.cloudflare.com/notifications/reference/webhook-payload-schema/
        "cloudflare-notifications": Scheme(
            proof=Token(place=Location("header:cf-webhook-auth")),
            type=types("body:alert_type"),
            id=ids("body:alert_correlation_id"),
        ),
    }
)
