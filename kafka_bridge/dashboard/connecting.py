"""How a sender is connected: its URL, what is clicked there, and where its secret belongs. Pure."""

import shlex
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from kafka_bridge.dashboard.health import UNVERIFIED
from kafka_bridge.dashboard.labels import label_of
from kafka_bridge.dashboard.senders import GUIDES
from kafka_bridge.dashboard.shown import Words, one_line
from kafka_bridge.dashboard.words import Language
from kafka_bridge.ingress.scheme import Scheme
from kafka_bridge.ingress.signatures import Signature
from kafka_bridge.ingress.source import Source
from kafka_bridge.ingress.tokens import Token
from kafka_bridge.settings.endpoint import EndpointSettings
from kafka_bridge.settings.reader import Problem
from kafka_bridge.settings.sources import DEFAULT_SOURCE, SourceSettings

_PROBE: Final = '{"event_type":"order.paid","id":"order-1"}'


class SenderView(NamedTuple):
    """One source. `works`: it can take webhooks; else `problems` says why not."""

    name: str
    scheme: str
    verified: bool
    works: bool
    problems: Sequence[str]
    url: str
    where: str
    secret: str
    belongs: str
    note: str
    header: str
    type_from: str
    id_from: str
    example: str


def sender_views(
    settings: EndpointSettings,
    sources: Mapping[str, Source],
    problems: Sequence[Problem],
    base: str,
    *,
    words: Words,
    language: Language,
) -> Sequence[SenderView]:
    """All senders that somebody has set up. `base` is the endpoint's URL, or empty."""
    default = settings.sources.get(DEFAULT_SOURCE)
    unused = default is not None and default.untouched and len(settings.sources) > 1
    return [
        _view(
            entry,
            sources.get(name),
            [f"{label_of(p.setting, language)}: {p.text}." for p in problems if p.source == name],
            base=base,
            words=words,
            language=language,
        )
        for name, entry in settings.sources.items()
        if not (unused and name == DEFAULT_SOURCE)
    ]


def _view(
    entry: SourceSettings,
    source: Source | None,
    problems: Sequence[str],
    *,
    base: str,
    words: Words,
    language: Language,
) -> SenderView:
    guide = GUIDES.get(entry.scheme)
    url = url_of(base, entry.name)
    scheme = source.scheme if source else None
    return SenderView(
        name=entry.name,
        scheme=one_line(entry.scheme),
        verified=entry.scheme != UNVERIFIED,
        works=source is not None,
        problems=problems,
        url=url,
        where=language.of(guide.where) if guide else "",
        secret=language.of(guide.secret) if guide else "",
        belongs=_belongs(entry, words, language),
        note=language.of(guide.note) if guide else "",
        header=_header(scheme),
        type_from=_type_from(scheme, words) if scheme else "",
        id_from=_id_from(scheme, words) if scheme else "",
        example=_example(entry.scheme, scheme, url),
    )


def url_of(base: str, source: str) -> str:
    """Where a source's sender delivers; empty where the endpoint's address is not known."""
    if not base:
        return ""
    return f"{base}webhook" if source == DEFAULT_SOURCE else f"{base}webhook/{source}"


def _belongs(entry: SourceSettings, words: Words, language: Language) -> str:
    if entry.scheme == UNVERIFIED:
        return ""
    label = label_of(entry.secret_setting, language)
    if entry.name == DEFAULT_SOURCE:
        return words["paste_into_own"].format(label)
    return words["paste_into"].format(label, entry.name)


def _header(scheme: Scheme | None) -> str:
    """Where the proof stands, when it stands in a header."""
    proof = scheme.proof if scheme else None
    place = proof.place if isinstance(proof, Signature | Token) else None
    return place.name if place and place.where == "header" else ""


def _type_from(scheme: Scheme, words: Words) -> str:
    return words["or_else"].join(" + ".join(map(str, parts)) for parts in scheme.type) or words["untyped"]


def _id_from(scheme: Scheme, words: Words) -> str:
    return words["or_else"].join(map(str, scheme.id)) or words["digest"]


def _example(scheme_id: str, scheme: Scheme | None, url: str) -> str:
    """Lines for a terminal, where a shell alone can sign."""
    if scheme is None or not url:
        return ""
    post = f"curl -i {shlex.quote(url)} -d \"$BODY\" -H 'Content-Type: application/json'"
    body = f"BODY={shlex.quote(_PROBE)}"
    if scheme_id == UNVERIFIED:
        return f"{body}\n{post}"
    if scheme_id == "bearer":
        return f'{body}\n{post} -H "Authorization: Bearer $SECRET"'
    if scheme_id == "basic":
        return f'{body}\n{post} -u "$SECRET"'
    if scheme_id == "hmac" and isinstance(scheme.proof, Signature) and _is_plain(scheme.proof):
        sign = 'SIGNATURE=$(printf %s "$BODY" | openssl dgst -sha256 -hmac "$SECRET" | sed \'s/.* //\')'
        return f'{body}\n{sign}\n{post} -H "{scheme.proof.header}: $SIGNATURE"'
    return ""


def _is_plain(proof: Signature) -> bool:
    return proof == Signature(header=proof.header, prefix=proof.prefix, prefix_optional=proof.prefix_optional)
