"""One sender, compiled from its settings: verifier, handshake, routing, envelope. Pure."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain

from kafka_bridge.documents import steps_of
from kafka_bridge.events.envelope import Envelope
from kafka_bridge.events.record import is_topic_name
from kafka_bridge.ingress.content import Location
from kafka_bridge.ingress.feishu import Feishu
from kafka_bridge.ingress.keys import BadSecret
from kafka_bridge.ingress.options import BadOptions, with_options
from kafka_bridge.ingress.outside import NOWHERE, Outside
from kafka_bridge.ingress.patterns import Pattern
from kafka_bridge.ingress.routing import Route, Routing
from kafka_bridge.ingress.scheme import Handshake, Scheme, Verifier
from kafka_bridge.ingress.schemes import SCHEMES
from kafka_bridge.ingress.signatures import Signature
from kafka_bridge.ingress.sns import Sns
from kafka_bridge.ingress.templates import Template, compile_template
from kafka_bridge.placeholders import BadTemplate
from kafka_bridge.settings.endpoint import EndpointSettings
from kafka_bridge.settings.reader import Problem
from kafka_bridge.settings.sources import DEFAULT_SOURCE, RouteSettings, SourceSecret, SourceSettings

type Blame = Callable[[str, str], Problem]
"""A setting and what is wrong with it, to a problem of the source that is compiled."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """What `receive` needs to know of a sender. `verifier` is None for the scheme `none` alone.

    `split` is where a body has its array of events; `dedupe_s` is None where the scheme decides; `run`: the app is run
    for each event, within the request. `warnings` are sentences for the operator about what works, and may surprise.
    """

    name: str
    scheme_id: str
    scheme: Scheme
    verifier: Verifier | None
    handshake: Handshake | None
    envelope: Envelope
    routing: Routing
    split: tuple[str, ...] | None
    dedupe_s: int | None
    public_url: str
    warnings: tuple[str, ...]
    run: bool = False

    @property
    def takes_many(self) -> bool:
        """Whether a body may hold many events. What must be parsed before it is verified may not be that long."""
        proof = self.scheme.proof
        parsed_first = self.handshake is not None or (isinstance(proof, Signature) and bool(proof.body_path))
        return self.scheme.cloudevents or (self.split is not None and not parsed_first)

    def window_s(self, *, own_id: bool) -> int:
        """For how long an event counts as the same. An id that is only a digest counts where the operator says so."""
        if self.dedupe_s is not None:
            return self.dedupe_s
        return self.scheme.dedupe_s if own_id else 0


class _Bad(Exception):
    """What is wrong with a source; it stops there."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem)
        self.problem = problem


def compile_sources(
    settings: EndpointSettings, *, outside: Outside = NOWHERE
) -> tuple[Mapping[str, Source], Sequence[Problem]]:
    """The sources that can work, by name, and what is wrong with the others: one bad source leaves the rest alone."""
    sources: dict[str, Source] = {}
    problems: list[Problem] = []
    allowed = _Allowed(tuple(Pattern(name) for name in settings.topic_allow))
    for name, entry in settings.sources.items():
        try:
            sources[name] = _compile(entry, allowed, settings.public_url, outside)
        except _Bad as bad:
            problems.append(bad.problem)
    return sources, problems


class _Allowed:
    """`topic_allow`. A constant topic is looked at once, however many sources have it."""

    def __init__(self, patterns: tuple[Pattern, ...]) -> None:
        self.patterns = patterns
        self._verdicts: dict[str, bool] = {}

    def __call__(self, topic: str) -> bool:
        if topic not in self._verdicts:
            fits = any(pattern.matches(topic) for pattern in self.patterns)
            self._verdicts[topic] = fits or not self.patterns
        return self._verdicts[topic]


def _compile(entry: SourceSettings, allowed: _Allowed, public_url: str, outside: Outside) -> Source:
    default = entry.name == DEFAULT_SOURCE

    def blame(setting: str, text: str) -> Problem:
        # What belongs to the default source has a field of its own; the others are entries of the JSON field.
        return Problem(setting if default or setting == "topic_allow" else "sources", text, entry.name)

    row = SCHEMES.get(entry.scheme)
    if row is None:
        raise _Bad(blame("scheme", f"the scheme must be one of {', '.join(SCHEMES)}"))
    try:
        scheme = _with_ports(with_options(row, entry.scheme_options), entry.secret, outside)
    except BadOptions as error:
        raise _Bad(Problem("sources", str(error), entry.name)) from error
    try:
        verifier = scheme.proof.verifier(entry.secret) if scheme.proof else None
        handshake = scheme.handshake(entry.secret) if scheme.handshake else None
    except BadSecret as error:
        raise _Bad(Problem(entry.secret_setting, str(error), entry.name)) from error
    routing = _routing(entry, allowed, blame)
    _check_secrecy(scheme, routing, blame)
    return Source(
        name=entry.name,
        scheme_id=entry.scheme,
        scheme=scheme,
        verifier=verifier,
        handshake=handshake,
        envelope=Envelope(source=entry.name, scheme=entry.scheme, record_format=entry.record_format),
        routing=routing,
        split=_split(entry, scheme, blame),
        dedupe_s=entry.dedupe_s,
        public_url=public_url,
        warnings=tuple(_warnings(scheme, routing)),
        run=entry.run,
    )


def _check_secrecy(scheme: Scheme, routing: Routing, blame: Blame) -> None:
    """What a sender shows as its secret must not become what everybody sees: an id, a type, a topic, a key."""
    own = [("sources", "id or type", place) for place in (*scheme.id, *chain.from_iterable(scheme.type))]
    made = [
        (setting, "topic or key", place)
        for setting, template in (
            ("topic", routing.topic),
            ("key", routing.key),
            *(("sources", each) for route in routing.routes for each in (route.topic, route.key)),
        )
        for place in (template.places if template else ())
    ]
    for setting, what, place in (*own, *made):
        if isinstance(place, Location) and scheme.shows(place):
            raise _Bad(blame(setting, f"{what} must not be made of {place}: the sender shows its secret there"))


def _with_ports(scheme: Scheme, secret: SourceSecret, outside: Outside) -> Scheme:
    """The row with what its proof needs besides the secret: the world outside, or whether there is a key at all."""
    match scheme.proof:
        case Sns() as sns:
            connected = sns.within(outside)
            return scheme.changed(proof=connected, handshake=connected.handshake)
        case Feishu() as feishu:
            return scheme.changed(proof=feishu.having(secret))
        case _:
            return scheme


def _routing(entry: SourceSettings, allowed: _Allowed, blame: Blame) -> Routing:
    topic = _topic(entry.topic, entry.name, allowed, blame, "topic")
    key = _template(entry.key, entry.name, blame, "key") if entry.key else None

    def compiled(route: RouteSettings) -> Route:
        pattern = Pattern(route.pattern)
        if route.drop:
            return Route(pattern=pattern, topic=None, key=None)
        return Route(
            pattern=pattern,
            topic=_topic(route.topic, entry.name, allowed, blame, "sources") if route.topic else topic,
            key=_template(route.key, entry.name, blame, "sources") if route.key else key,
        )

    return Routing(
        routes=tuple(compiled(route) for route in entry.routes), topic=topic, key=key, allowed=allowed.patterns
    )


def _topic(text: str, source: str, allowed: _Allowed, blame: Blame, setting: str) -> Template:
    template = _template(text, source, blame, setting)
    if template.constant is not None:
        if not is_topic_name(template.constant):
            what = "is not a legal topic name: letters, digits, dots, underscores and hyphens, at most 249"
            raise _Bad(blame(setting, what if setting == "topic" else f"a route's topic {what}"))
        if not allowed(template.constant):
            raise _Bad(blame("topic_allow", "does not allow the topic of this source"))
    return template


def _template(text: str, source: str, blame: Blame, setting: str) -> Template:
    try:
        return compile_template(text, source=source)
    except BadTemplate as error:
        raise _Bad(blame(setting, str(error))) from error


def _split(entry: SourceSettings, scheme: Scheme, blame: Blame) -> tuple[str, ...] | None:
    if entry.split is False:
        return None
    path = scheme.items if entry.split is True else str(entry.split)
    if path is None:
        raise _Bad(blame("sources", "split must be the path of an array in the body: the scheme has none of its own"))
    return steps_of(path) if path else ()


def _warnings(scheme: Scheme, routing: Routing) -> list[str]:
    """Values that lead an event somewhere, and that whoever replays a request could change."""
    if scheme.proof is None:
        return []
    places = {place for template in _templates(routing) for place in template.places}
    found = [str(place) for place in places if isinstance(place, Location) and not scheme.covers(place)]
    # In binary mode the attributes of a CloudEvent are headers, which no signature of these covers.
    if ("type" in places or routing.routes) and (scheme.cloudevents or not scheme.type_is_signed):
        found.append("{type}")
    if "id" in places and (scheme.cloudevents or scheme.signed_ids != frozenset(scheme.id)):
        found.append("{id}")
    return [f"routing uses {value}, which the sender does not sign" for value in sorted(set(found))]


def _templates(routing: Routing) -> list[Template]:
    every = [routing.topic, routing.key, *(t for route in routing.routes for t in (route.topic, route.key))]
    return [template for template in every if template is not None]
