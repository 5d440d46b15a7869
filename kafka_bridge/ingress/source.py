"""One sender, compiled from its settings: verifier, templates, allowed topics. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from kafka_bridge.events.envelope import Envelope
from kafka_bridge.events.record import is_topic_name
from kafka_bridge.ingress.options import BadOptions, with_options
from kafka_bridge.ingress.patterns import Pattern
from kafka_bridge.ingress.schemes import SCHEMES, Scheme
from kafka_bridge.ingress.signatures import BadSecret, HmacVerifier
from kafka_bridge.ingress.templates import BadTemplate, Template, compile_template
from kafka_bridge.settings.endpoint import EndpointSettings
from kafka_bridge.settings.reader import Problem
from kafka_bridge.settings.secret import Secret
from kafka_bridge.settings.sources import DEFAULT_SOURCE, SourceSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """What `receive` needs to know of a sender. `verifier` is None for the scheme `none` alone."""

    name: str
    scheme_id: str
    scheme: Scheme
    verifier: HmacVerifier | None
    envelope: Envelope
    topic: Template
    key: Template | None
    allowed: tuple[Pattern, ...] = ()

    def allows(self, topic: str) -> bool:
        """Whether `topic_allow` permits it."""
        return not self.allowed or any(pattern.matches(topic) for pattern in self.allowed)


def compile_sources(settings: EndpointSettings) -> tuple[Mapping[str, Source], Sequence[Problem]]:
    """The sources that can work, by name, and what is wrong with the others: one bad source leaves the rest alone."""
    sources: dict[str, Source] = {}
    problems: list[Problem] = []
    allowed = tuple(Pattern(name) for name in settings.topic_allow)
    verdicts: dict[str, bool] = {}
    for name, entry in settings.sources.items():
        found: list[Problem] = []
        source = _compile(entry, allowed, found)
        constant = source.topic.constant if source is not None else None
        if source is not None and constant is not None and not found:
            if constant not in verdicts:
                verdicts[constant] = source.allows(constant)
            if not verdicts[constant]:
                found.append(Problem("topic_allow", "does not allow the topic of this source", name))
        problems += found
        if source is not None and not found:
            sources[name] = source
    return sources, problems


def _compile(entry: SourceSettings, allowed: tuple[Pattern, ...], problems: list[Problem]) -> Source | None:
    default = entry.name == DEFAULT_SOURCE

    def problem(setting: str, text: str) -> None:
        # What belongs to the default source has a field of its own; the others are entries of the JSON field.
        problems.append(Problem(setting if default else "sources", text, entry.name))

    row = SCHEMES.get(entry.scheme)
    if row is None:
        problem("scheme", f"the scheme must be one of {', '.join(SCHEMES)}")
        return None
    try:
        scheme = with_options(row, entry.scheme_options)
    except BadOptions as error:
        problems.append(Problem("sources", str(error), entry.name))
        return None
    try:
        verifier = HmacVerifier(scheme.signature, _rotation(entry)) if scheme.signature else None
    except BadSecret as error:
        problems.append(Problem(entry.secret_setting, str(error), entry.name))
        return None
    setting = "topic"
    try:
        topic = compile_template(entry.topic, source=entry.name)
        setting = "key"
        key = compile_template(entry.key, source=entry.name) if entry.key else None
    except BadTemplate as error:
        problem(setting, str(error))
        return None
    if topic.constant is not None and not is_topic_name(topic.constant):
        problem("topic", "is not a legal topic name: letters, digits, dots, underscores and hyphens, at most 249")
        return None
    return Source(
        name=entry.name,
        scheme_id=entry.scheme,
        scheme=scheme,
        verifier=verifier,
        envelope=Envelope(source=entry.name, scheme=entry.scheme),
        topic=topic,
        key=key,
        allowed=allowed,
    )


def _rotation(entry: SourceSettings) -> tuple[Secret, ...]:
    if entry.secret.named:
        raise BadSecret(f"must be one text, or an array of texts, for the scheme {entry.scheme}")
    return entry.secret.rotation
