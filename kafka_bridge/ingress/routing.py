"""Where an event goes: routes by its type first, then the source's own topic. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from kafka_bridge.errors import Unroutable
from kafka_bridge.events.envelope import Event
from kafka_bridge.events.record import is_topic_name
from kafka_bridge.ingress.content import Content
from kafka_bridge.ingress.patterns import Pattern
from kafka_bridge.ingress.templates import MissingValue, Template

# Of a topic's name that is no good, in the log.
MAX_SHOWN_CHARS: Final = 100
# Keys are names of things; one that holds a document fills the memory of a batch.
MAX_KEY_CHARS: Final = 2048


@dataclass(frozen=True, slots=True)
class Target:
    """Topic and key of a record."""

    topic: str
    key: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """Events whose type matches go to `topic`, or nowhere when that is None."""

    pattern: Pattern
    topic: Template | None
    key: Template | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Routing:
    """One source's routes, its own topic and key, and what `topic_allow` permits (empty: everything)."""

    routes: tuple[Route, ...]
    topic: Template
    key: Template | None
    allowed: tuple[Pattern, ...]

    def allows(self, topic: str) -> bool:
        """Whether `topic_allow` permits it."""
        return not self.allowed or any(pattern.matches(topic) for pattern in self.allowed)

    def target(self, content: Content, event: Event) -> Target | None:
        """Topic and key; None when a route drops the event. Raises Unroutable."""
        topic, key = self.topic, self.key
        for route in self.routes:
            if event.type is not None and route.pattern.matches(event.type):
                if route.topic is None:
                    return None
                topic, key = route.topic, route.key
                break
        named = {"type": event.type, "id": event.id}
        name = topic.constant or self._topic(topic, content, named)
        try:
            rendered = key.render(content, named) if key else None
        except MissingValue:
            # An event without the key's value (a ping among orders) has no order to keep: it goes out without a key.
            return Target(name, None)
        if rendered is not None and len(rendered) > MAX_KEY_CHARS:
            raise Unroutable(f"The record key that the event leads to is longer than {MAX_KEY_CHARS} characters.")
        return Target(name, rendered)

    def _topic(self, template: Template, content: Content, named: Mapping[str, str | None]) -> str:
        """The topic that the event's own values lead to; a constant one was checked with the settings."""
        try:
            topic = template.render(content, named)
        except MissingValue as error:
            raise Unroutable(f"The topic cannot be made: {error}.") from error
        if not is_topic_name(topic):
            raise Unroutable("The topic that the event leads to is not a legal topic name.", hint=_shown(topic))
        if not self.allows(topic):
            raise Unroutable("The topic that the event leads to is not among the allowed topics.", hint=_shown(topic))
        return topic


def _shown(topic: str) -> str:
    return ascii(topic[:MAX_SHOWN_CHARS])
