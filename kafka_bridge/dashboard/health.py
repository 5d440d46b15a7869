"""What is wrong, and which setting mends it. Pure."""

from collections.abc import Sequence
from typing import Final, NamedTuple

from kafka_bridge.dashboard.advice import ADVICE
from kafka_bridge.dashboard.labels import label_of
from kafka_bridge.dashboard.shown import VALUE_CHARS, Badge, Words, badge, one_line
from kafka_bridge.dashboard.words import Language
from kafka_bridge.errors import MAX_TOLD, SettingsInvalid, Unavailable
from kafka_bridge.readiness import OK, SETTINGS_INVALID, UNUSED, Readiness
from kafka_bridge.settings.secret import Secret
from kafka_bridge.settings.sources import DEFAULT_SOURCE

# Whoever guesses it is in, and a guess costs nothing.
SHORT_TOKEN_CHARS: Final = 16
MAX_WARNINGS: Final = 50
UNVERIFIED: Final = "none"


class Finding(NamedTuple):
    """One thing that is wrong. `settings` are labels; `technical` is what a library said."""

    what: str
    advice: str = ""
    settings: Sequence[str] = ()
    technical: str = ""


class SourceState(NamedTuple):
    """One sender: whether it can work, and how it is verified."""

    name: str
    scheme: str
    verified: bool
    works: bool


class HealthView(NamedTuple):
    """All of it. `more` problems are not told: who mends the first ones sees the next."""

    status: Badge
    parts: Sequence[tuple[str, Badge]]
    findings: Sequence[Finding]
    more: int
    warnings: Sequence[str]
    sources: Sequence[SourceState]


def health_view(found: Readiness, token: Secret | None, *, words: Words, language: Language) -> HealthView:
    """A look at the endpoint, for a person."""
    findings = [
        *_of_kafka(found, words, language),
        *_of_settings(found, language),
        *_of_storage(found, words, language),
    ]
    warnings = [*found.warnings]
    if token is not None and len(token.reveal()) < SHORT_TOKEN_CHARS:
        text = words["short_token"].format(SHORT_TOKEN_CHARS)
        warnings.insert(0, f"{label_of('api_token', language)}: {text}")
    broken = {problem.source: None for problem in found.problems if problem.source}
    names = [*found.sources, *(name for name in broken if name not in found.sources)]
    return HealthView(
        status=badge(found.status, words),
        parts=(
            (words["kafka"], _part(found.kafka, words)),
            (words["storage"], _part(found.storage, words)),
            (words["consumer"], _part(found.consumer, words)),
        ),
        findings=findings[:MAX_TOLD],
        more=max(0, len(findings) - MAX_TOLD),
        warnings=warnings[:MAX_WARNINGS],
        sources=[_source(name, found) for name in names],
    )


def _part(state: str, words: Words) -> Badge:
    if state in {OK, UNUSED}:
        return badge(state, words)
    shown = words["settings_invalid"] if state == SETTINGS_INVALID else one_line(state, VALUE_CHARS)
    return Badge(state, shown, "bad")


def _source(name: str, found: Readiness) -> SourceState:
    scheme = found.sources.get(name, "")
    return SourceState(one_line(name), scheme, scheme != UNVERIFIED, name in found.sources)


def _of_kafka(found: Readiness, words: Words, language: Language) -> Sequence[Finding]:
    error = found.error
    if error is None:
        return ()
    if isinstance(error, SettingsInvalid):
        return [Finding(text) for text in found.refused]
    what = f"{words['kafka']}: {error}"
    technical = one_line(error.hint, VALUE_CHARS)
    if not isinstance(error, Unavailable):
        return (Finding(what, technical=technical),)
    advice = ADVICE[error.cause]
    settings = [label_of(name, language) for name in advice.settings]
    return (Finding(what, language.of(advice.text), settings, technical),)


def _of_settings(found: Readiness, language: Language) -> Sequence[Finding]:
    findings = []
    for problem in dict.fromkeys(found.problems):
        label = label_of(problem.setting, language)
        where = f" ({problem.source})" if problem.source not in {None, DEFAULT_SOURCE} else ""
        findings.append(Finding(f"{label}{where}: {problem.text}.", settings=[label]))
    return findings


def _of_storage(found: Readiness, words: Words, language: Language) -> Sequence[Finding]:
    if found.storage in {OK, UNUSED}:
        return ()
    return (
        Finding(f"{words['storage']}: {found.storage}", words["storage_advice"], [label_of("keep_events", language)]),
    )
