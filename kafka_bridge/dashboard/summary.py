"""The settings of an endpoint without its secrets. Pure."""

from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from kafka_bridge.dashboard.health import UNVERIFIED
from kafka_bridge.dashboard.labels import label_of
from kafka_bridge.dashboard.shown import VALUE_CHARS, Words, one_line
from kafka_bridge.dashboard.words import Language
from kafka_bridge.settings.cluster import Cluster
from kafka_bridge.settings.endpoint import ConsumeSettings, EndpointSettings
from kafka_bridge.settings.reader import Problem
from kafka_bridge.settings.sources import DEFAULT_SOURCE, SourceSettings
from kafka_bridge.settings.table import DISABLED, ENABLED, SETTINGS, Part

TEMPLATE_CHARS: Final = 160
PARTS: Final = (Part.KAFKA, Part.WEBHOOK, Part.CONSUME, Part.MANAGE)

type Value = str | None
"""None where there is none."""


class Line(NamedTuple):
    """One setting. `plain`: the value is the page's word, not the operator's text. `alarming`: to be seen in red."""

    label: str
    value: str
    plain: bool = False
    alarming: bool = False


class SourceLine(NamedTuple):
    """One sender of the settings."""

    name: str
    scheme: str
    alarming: bool
    secret: str
    topic: str
    key: str
    routes: int
    details: str


class SettingsView(NamedTuple):
    """Settings by part, and the senders."""

    groups: Sequence[Sequence[Line]]
    sources: Sequence[SourceLine]


def settings_view(
    settings: EndpointSettings, problems: Sequence[Problem], *, words: Words, language: Language
) -> SettingsView:
    """What the bridge makes of what was saved."""
    values = {
        **_of_cluster(settings.cluster, words),
        **_of_webhooks(settings, words),
        **_of_consuming(settings.consume),
        "public_url": _without_query(settings.public_url),
        "api_token": _secret(settings.api_token, words),
        "keep_events": str(settings.keep_events),
        "mask_paths": _joined(settings.mask_paths),
    }
    wrong = {problem.setting for problem in problems if problem.source in {None, DEFAULT_SOURCE}}

    def line(name: str) -> Line:
        label = label_of(name, language)
        value = values.get(name)
        if name in wrong or (name not in values and settings.cluster is None):
            return Line(label, words["invalid"], plain=True, alarming=True)
        alarming = value == UNVERIFIED and name == "scheme"
        plain = value in {None, words["any"], words["set"], words["not_set"]}
        return Line(label, one_line(value or words["none"], VALUE_CHARS), plain=plain, alarming=alarming)

    return SettingsView(
        [[line(name) for name, row in SETTINGS.items() if row.part is part] for part in PARTS],
        [_source(source, words) for source in settings.sources.values()],
    )


def _of_cluster(cluster: Cluster | None, words: Words) -> dict[str, Value]:
    if cluster is None:
        return {}
    return {
        "bootstrap_servers": _joined(cluster.servers),
        "security_protocol": cluster.protocol,
        "sasl_mechanism": cluster.mechanism or None,
        "sasl_username": cluster.username or None,
        "sasl_password": _secret(cluster.password, words),
        "oauth_token_url": _without_query(cluster.oauth_token_url),
        "oauth_scope": cluster.oauth_scope or None,
        "ssl_ca_pem": _secret(cluster.ca_pem, words),
        "ssl_certificate_pem": _secret(cluster.certificate_pem, words),
        "ssl_key_pem": _secret(cluster.key_pem, words),
        "ssl_key_password": _secret(cluster.key_password, words),
        "client_config": _joined(name for name, _ in cluster.client_config),
    }


def _of_webhooks(settings: EndpointSettings, words: Words) -> dict[str, Value]:
    default = settings.sources.get(DEFAULT_SOURCE)
    others = [name for name in settings.sources if name != DEFAULT_SOURCE]
    return {
        "publishing": ENABLED if settings.publishing else DISABLED,
        "scheme": default.scheme if default else None,
        "webhook_secret": _secret(default and default.secret, words),
        "topic": _template(default.topic) if default else None,
        "key": _template(default.key) if default else None,
        "sources": _joined(others),
        "source_secrets": _secret(any(settings.sources[name].secret for name in others), words),
        "topic_allow": _joined(settings.topic_allow) or words["any"],
    }


def _of_consuming(consume: ConsumeSettings) -> dict[str, Value]:
    return {
        "app": consume.app_id or None,
        "consume_topics": _joined(consume.topics),
        "group_id": consume.group_id,
        "ordering": consume.ordering,
        "concurrency": str(consume.concurrency),
        "max_attempts": str(consume.max_attempts),
        "max_age_seconds": str(consume.max_age_s) if consume.max_age_s else None,
        "offset_reset": consume.offset_reset,
        "dead_letter_topic": consume.dead_letter_topic or None,
        "result_topic": consume.result_topic or None,
        "input_mapping": _joined(consume.input_mapping),
        "consumer": ENABLED if consume.resident else DISABLED,
    }


def _source(source: SourceSettings, words: Words) -> SourceLine:
    details = {
        "format": source.record_format,
        "dedupe_seconds": source.dedupe_s,
        "split": source.split or None,
        "run": source.run or None,
        "scheme_options": _joined(source.scheme_options),
    }
    shown = [name if value is True else f"{name}: {value}" for name, value in details.items() if value is not None]
    return SourceLine(
        name=source.name,
        scheme=one_line(source.scheme),
        alarming=source.scheme == UNVERIFIED,
        secret=_secret(source.secret, words),
        topic=_template(source.topic) or words["none"],
        key=_template(source.key) or words["none"],
        routes=len(source.routes),
        details=one_line(" · ".join(shown), VALUE_CHARS),
    )


def _secret(value: object, words: Words) -> str:
    return words["set" if value else "not_set"]


def _joined(names: Iterable[str]) -> Value:
    return ", ".join(names) or None


def _template(text: str) -> Value:
    return one_line(text, TEMPLATE_CHARS) or None


def _without_query(url: str) -> Value:
    """Without what may hold a token: a query, or a user's name."""
    address, question, _ = url.partition("?")
    scheme, slashes, rest = address.partition("://")
    host, slash, path = rest.partition("/")
    return f"{scheme}{slashes}{host.rpartition('@')[2]}{slash}{path}{question and '?…'}" or None
