"""What must be known of a kind of sender: how it proves itself, where type and id stand, what it expects. Pure."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Protocol

from kafka_bridge.http import Outbound
from kafka_bridge.ingress.content import Content, Location
from kafka_bridge.settings.sources import SourceSecret


def types(*alternatives: str) -> tuple[tuple[Location, ...], ...]:
    """Where a type may stand: locations, whose parts are joined with a plus."""
    return tuple(tuple(Location(part) for part in text.split("+")) for text in alternatives)


def ids(*locations: str) -> tuple[Location, ...]:
    """Where an id may stand."""
    return tuple(Location(text) for text in locations)


class Verifier(Protocol):
    """A proof with the secrets of one source."""

    def verify(self, content: Content, *, now: float) -> Content:
        """What was verified: the request, or the message that was encrypted in it. Raises Unverified.

        A proof that fetches something may also raise CertificateUnreachable; nothing raises anything else.
        """


class Proof(Protocol):
    """How a sender proves itself: a signature, a token, an encrypted message."""

    def covers(self, location: Location) -> bool:
        """Whether a value at `location` is under the proof."""

    def shows(self, location: Location) -> bool:
        """Whether the secret itself stands at `location`, so that it must become no id, no type, no topic, no key."""

    def verifier(self, secret: SourceSecret) -> Verifier:
        """With the secrets of one source. Raises BadSecret."""


class Handshake(Protocol):
    """What a sender asks before, or instead of, delivering events. Every method gives None when it is not asked."""

    def unsigned(self, content: Content, *, now: float) -> Outbound | None:
        """The answer to a request that the sender does not sign. Raises Unverified when what it shows is wrong."""

    def signed(self, content: Content) -> Outbound | None:
        """The answer to a verified request that is no event."""

    def success(self, content: Content, *, now: float) -> Outbound | None:
        """What the sender must read once its event has been taken; None where any 2xx will do."""


type MakeHandshake = Callable[[SourceSecret], Handshake]
"""A handshake with the secrets of one source. Raises BadSecret."""


@dataclass(frozen=True, kw_only=True)
class Scheme:
    """One row. `proof` is None for a sender that proves nothing.

    `type` and `id` are tried in order, the first that is found wins; the parts of a type are joined by a dot
    and the later ones may be missing (`issues.opened`, `push`). `dedupe_s`: for how long the vendor's id is known to be
    one event's alone; 0 where it may be an entity's. `items` is the path of the array in a body with many events.
    `cloudevents`: a CloudEvent that such a sender sends keeps its own attributes. `options` are the parameters that the
    operator may set.
    """

    proof: Proof | None
    type: tuple[tuple[Location, ...], ...] = ()
    id: tuple[Location, ...] = ()
    dedupe_s: int = 0
    items: str | None = None
    handshake: MakeHandshake | None = None
    cloudevents: bool = False
    options: frozenset[str] = frozenset()

    @cached_property
    def signed_ids(self) -> frozenset[Location]:
        """The places of an id that the proof covers."""
        return frozenset(location for location in self.id if self.covers(location))

    def covers(self, location: Location) -> bool:
        """Whether a value at `location` is under the proof."""
        return self.proof is not None and self.proof.covers(location)

    def shows(self, location: Location) -> bool:
        """Whether the secret itself stands at `location`."""
        return self.proof is not None and self.proof.shows(location)

    @cached_property
    def body_is_signed(self) -> bool:
        """Whether nobody else can have written the body."""
        return self.covers(Location("body:*"))

    @cached_property
    def type_is_signed(self) -> bool:
        """Whether every place of the type is under the proof."""
        return all(self.covers(part) for parts in self.type for part in parts)

    def type_of(self, content: Content) -> str | None:
        """The event's type; None when the request names none."""
        for head, *tail in self.type:
            if found := head.find(content):
                for part in tail:
                    if more := part.find(content):
                        found = f"{found}.{more}"
                return found
        return None

    def id_of(self, content: Content) -> tuple[str, bool] | None:
        """The event's id and whether it is under the proof; None when the request carries none."""
        for location in self.id:
            if found := location.find(content):
                return found, location in self.signed_ids
        return None

    def changed(self, **fields: object) -> "Scheme":
        """With other values in some fields."""
        return replace(self, **fields)  # type: ignore[arg-type]
