"""Who signs how: one row per vendor. Pure.

A vendor that is only data is a row here and nothing else. Sources of the rows:

- `hmac`                what most senders with a shared secret do; every parameter can be set (`scheme_options`)
- `github`              https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries
- `standard-webhooks`   https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
- `stripe`              https://docs.stripe.com/webhooks#verify-manually (the key is the whole secret, whsec_ included)
- `none`                no verification: only ever by explicit choice
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType
from typing import Final

from kafka_bridge.ingress.content import Content, Location
from kafka_bridge.ingress.signatures import Hmac, Timestamp


@dataclass(frozen=True, kw_only=True)
class Scheme:
    """One row. `signature` is None for a sender that does not sign.

    `type` and `id` are tried in order, the first that is found wins; the parts of a type are joined by a dot
    and the later ones may be missing (`issues.opened`, `push`).
    """

    signature: Hmac | None
    type: tuple[tuple[Location, ...], ...]
    id: tuple[Location, ...]
    configurable: bool = False

    @cached_property
    def signed_ids(self) -> frozenset[Location]:
        """The places of an id that the signature covers."""
        signature = self.signature
        return frozenset(location for location in self.id if signature is not None and signature.covers(location))

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
        """The event's id and whether it is under the signature; None when the request carries none."""
        for location in self.id:
            if found := location.find(content):
                return found, location in self.signed_ids
        return None


def _types(*alternatives: str) -> tuple[tuple[Location, ...], ...]:
    return tuple(tuple(Location(part) for part in text.split("+")) for text in alternatives)


def _ids(*locations: str) -> tuple[Location, ...]:
    return tuple(Location(text) for text in locations)


_GENERIC_TYPE: Final = _types("body:event_type", "body:type", "body:event")
_GENERIC_ID: Final = _ids("body:id", "body:event_id")

SCHEMES: Final[Mapping[str, Scheme]] = MappingProxyType(
    {
        "hmac": Scheme(
            signature=Hmac(prefix="sha256=", prefix_optional=True),
            type=_GENERIC_TYPE,
            id=_GENERIC_ID,
            configurable=True,
        ),
        "github": Scheme(
            signature=Hmac(header="x-hub-signature-256", prefix="sha256="),
            type=_types("header:x-github-event+body:action"),
            id=_ids("header:x-github-delivery"),
        ),
        "standard-webhooks": Scheme(
            signature=Hmac(
                header="webhook-signature",
                encoding="base64",
                prefix="v1,",
                separator=" ",
                key_encoding="whsec",
                template="{id}.{timestamp}.{body}",
                timestamp=Timestamp(source="header", name="webhook-timestamp"),
                id=Location("header:webhook-id"),
            ),
            type=_types("body:type"),
            id=_ids("header:webhook-id"),
        ),
        "stripe": Scheme(
            signature=Hmac(
                header="stripe-signature",
                separator=",",
                element="v1",
                template="{timestamp}.{body}",
                timestamp=Timestamp(source="element", name="t"),
            ),
            type=_types("body:type"),
            id=_ids("body:id"),
        ),
        "none": Scheme(signature=None, type=_GENERIC_TYPE, id=_GENERIC_ID),
    }
)
