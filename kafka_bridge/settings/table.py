"""The settings of an endpoint, and the credentials of the tools: names, labels that people see, defaults. Pure.

`group/kafka_bridge.yaml` and `provider/kafka_bridge.yaml` are the same tables for the platform, with help texts in
four languages; `tests/test_manifest.py` holds them against each other.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto
from types import MappingProxyType
from typing import Final

AUTO: Final = "auto"
ENABLED: Final = "enabled"
DISABLED: Final = "disabled"


class Kind(Enum):
    """The platform's type of a setting."""

    TEXT = "text-input"
    SECRET = "secret-input"  # noqa: S105 - the platform's word for the type
    SELECT = "select"
    APP = "app-selector"


class Part(Enum):
    """What stops working when a setting of this part is wrong."""

    KAFKA = auto()
    WEBHOOK = auto()
    CONSUME = auto()
    MANAGE = auto()
    TOOLS = auto()


@dataclass(frozen=True, slots=True)
class Setting:
    """One row. `options` belong to a select; `default` is what the parser uses when nothing was saved."""

    label: str
    part: Part
    kind: Kind = Kind.TEXT
    default: str = ""
    options: tuple[str, ...] = ()


def _select(label: str, part: Part, *options: str, default: str = "") -> Setting:
    return Setting(label, part, Kind.SELECT, default or options[0], options)


PROTOCOLS: Final = ("PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL")
MECHANISMS: Final = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER")
# In the order of the list that the operator sees: `ingress.schemes` has a row for each.
SCHEMES: Final = (
    *("hmac", "github", "standard-webhooks", "stripe", "none"),
    *("svix", "bearer", "basic", "api-key"),
    *("gitlab-token", "gitlab-signing-token", "bitbucket", "jira", "linear", "sentry", "vercel", "pagerduty"),
    *("grafana", "cloudflare-stream", "cloudflare-notifications"),
    *("shopify", "square", "hubspot-v3", "calendly", "typeform", "docusign", "contentful", "dropbox", "zendesk"),
    *("intercom", "mailgun", "microsoft-graph"),
    *("slack", "twilio", "zoom", "meta", "twitter", "line", "discord"),
    *("feishu", "dingtalk", "wecom", "aws-sns"),
)

SETTINGS: Final[Mapping[str, Setting]] = MappingProxyType(
    {
        "bootstrap_servers": Setting("Bootstrap servers", Part.KAFKA),
        "security_protocol": _select("Security protocol", Part.KAFKA, AUTO, *PROTOCOLS),
        "sasl_mechanism": _select("SASL mechanism", Part.KAFKA, *MECHANISMS),
        "sasl_username": Setting("SASL user name", Part.KAFKA),
        "sasl_password": Setting("SASL password", Part.KAFKA, Kind.SECRET),
        "oauth_token_url": Setting("OAuth token URL", Part.KAFKA),
        "oauth_scope": Setting("OAuth scope", Part.KAFKA),
        "ssl_ca_pem": Setting("CA certificate (PEM)", Part.KAFKA),
        "ssl_certificate_pem": Setting("Client certificate (PEM)", Part.KAFKA),
        "ssl_key_pem": Setting("Client key (PEM)", Part.KAFKA, Kind.SECRET),
        "ssl_key_password": Setting("Client key password", Part.KAFKA, Kind.SECRET),
        "client_config": Setting("Extra client properties (JSON)", Part.KAFKA),
        "publishing": _select("Publishing", Part.WEBHOOK, ENABLED, DISABLED),
        "scheme": _select("Signature scheme", Part.WEBHOOK, *SCHEMES),
        "webhook_secret": Setting("Webhook secret", Part.WEBHOOK, Kind.SECRET),
        "topic": Setting("Topic", Part.WEBHOOK, default="webhooks.{source}"),
        "key": Setting("Record key", Part.WEBHOOK),
        "sources": Setting("Sources (JSON)", Part.WEBHOOK),
        "source_secrets": Setting("Source secrets (JSON)", Part.WEBHOOK, Kind.SECRET),
        "topic_allow": Setting("Allowed topics", Part.WEBHOOK),
        "public_url": Setting("Public URL", Part.MANAGE),
        "app": Setting("App to run", Part.CONSUME, Kind.APP),
        "consume_topics": Setting("Topics to consume", Part.CONSUME),
        "group_id": Setting("Consumer group", Part.CONSUME, default="kafka-bridge"),
        "ordering": _select("Ordering", Part.CONSUME, "key", "partition", "none"),
        "concurrency": Setting("Runs at once", Part.CONSUME, default="4"),
        "max_attempts": Setting("Attempts per record", Part.CONSUME, default="3"),
        "max_age_seconds": Setting("Maximum age (seconds)", Part.CONSUME),
        "offset_reset": _select("Where a new group starts", Part.CONSUME, "earliest", "latest", default="latest"),
        "dead_letter_topic": Setting("Dead-letter topic", Part.CONSUME, default="{topic}.dead-letter"),
        "result_topic": Setting("Result topic", Part.CONSUME),
        "input_mapping": Setting("Input mapping (JSON)", Part.CONSUME),
        "consumer": _select("Resident consumer", Part.CONSUME, ENABLED, DISABLED, default=DISABLED),
        "api_token": Setting("API token", Part.MANAGE, Kind.SECRET),
        "keep_events": Setting("Events to keep", Part.MANAGE, default="1000"),
        "mask_paths": Setting("Masked body paths", Part.MANAGE),
    }
)

# The tools connect by the same settings as the endpoints; what may be done besides is said of them alone.
CREDENTIALS: Final[Mapping[str, Setting]] = MappingProxyType(
    {
        **{name: setting for name, setting in SETTINGS.items() if setting.part is Part.KAFKA},
        "allow_admin": _select("Allow creating topics", Part.TOOLS, ENABLED, DISABLED, default=DISABLED),
        "allow_private_addresses": _select("Allow private addresses", Part.TOOLS, ENABLED, DISABLED, default=DISABLED),
    }
)
EVERY_SETTING: Final[Mapping[str, Setting]] = MappingProxyType({**SETTINGS, **CREDENTIALS})
