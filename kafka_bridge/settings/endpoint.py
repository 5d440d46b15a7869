"""The settings of one endpoint, parsed once. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from kafka_bridge.settings.cluster import Cluster, read_cluster
from kafka_bridge.settings.reader import Problem, Reader
from kafka_bridge.settings.secret import Secret
from kafka_bridge.settings.sources import SourceSettings, read_sources
from kafka_bridge.settings.table import ENABLED


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsumeSettings:
    """What the dispatcher works with. Times in seconds; `app_id` is empty until an app was chosen."""

    app_id: str
    app_inputs: Mapping[str, object]
    topics: tuple[str, ...]
    group_id: str
    ordering: str
    concurrency: int
    max_attempts: int
    max_age_s: int | None
    offset_reset: str
    dead_letter_topic: str
    result_topic: str
    input_mapping: Mapping[str, str]
    resident: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointSettings:
    """All of it. `cluster` is None when the connection settings are wrong; `problems` says everything that is."""

    cluster: Cluster | None
    publishing: bool
    sources: Mapping[str, SourceSettings]
    topic_allow: tuple[str, ...]
    public_url: str
    consume: ConsumeSettings
    api_token: Secret | None
    keep_events: int
    mask_paths: tuple[str, ...]
    problems: tuple[Problem, ...] = ()


def parse(saved: Mapping[str, object]) -> EndpointSettings:
    """Parse what the platform saved. Never raises: a wrong part is absent, and `problems` names it by its label."""
    reader = Reader(saved)
    settings = EndpointSettings(
        cluster=read_cluster(reader),
        publishing=reader.choice("publishing") == ENABLED,
        sources=read_sources(reader),
        topic_allow=_topic_allow(reader),
        public_url=_public_url(reader),
        consume=_consume(reader),
        api_token=_token(reader),
        keep_events=reader.integer("keep_events", low=0, high=100_000) or 0,
        mask_paths=reader.names("mask_paths"),
    )
    return replace(settings, problems=tuple(dict.fromkeys(reader.problems)))


def _topic_allow(reader: Reader) -> tuple[str, ...]:
    before = len(reader.problems)
    names = reader.names("topic_allow")
    if reader.text("topic_allow") and not names and len(reader.problems) == before:
        # No name means that every topic is allowed: nobody who wrote something into the field wants that.
        reader.problem("topic_allow", "names no topic")
    return names


def _public_url(reader: Reader) -> str:
    url = reader.text("public_url")
    # One with a query is the whole URL, to be taken as it is.
    return url if "?" in url else url.rstrip("/")


def _token(reader: Reader) -> Secret | None:
    # It travels in a header, where white space at the ends does not survive.
    token = reader.secret("api_token")
    return Secret(token.reveal().strip()) if token else None


def _consume(reader: Reader) -> ConsumeSettings:
    app_id, app_inputs = _app(reader)
    return ConsumeSettings(
        app_id=app_id,
        app_inputs=app_inputs,
        topics=reader.names("consume_topics"),
        group_id=reader.text("group_id"),
        ordering=reader.choice("ordering"),
        concurrency=reader.integer("concurrency", low=1, high=1000) or 1,
        max_attempts=reader.integer("max_attempts", low=1, high=1000) or 1,
        max_age_s=reader.integer("max_age_seconds", low=1, high=10**9),
        offset_reset=reader.choice("offset_reset"),
        dead_letter_topic=reader.text("dead_letter_topic"),
        result_topic=reader.text("result_topic"),
        input_mapping=_mapping(reader),
        resident=reader.choice("consumer") == ENABLED,
    )


def _app(reader: Reader) -> tuple[str, Mapping[str, object]]:
    value = reader.raw("app")
    if not value:
        return "", {}
    app_id = value.get("app_id") if isinstance(value, dict) else None
    if not isinstance(app_id, str):
        reader.problem("app", "must be chosen from the list")
        return "", {}
    inputs = value.get("inputs") if isinstance(value, dict) else None
    return app_id, inputs if isinstance(inputs, dict) else {}


def _mapping(reader: Reader) -> Mapping[str, str]:
    mapping = reader.json_object("input_mapping")
    if not all(isinstance(template, str) for template in mapping.values()):
        reader.problem("input_mapping", "every value must be a template text")
        return {}
    return {name: str(template) for name, template in mapping.items()}
