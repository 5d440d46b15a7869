"""Senders that do not sign: they show a secret that only they and the receiver know. Pure.

The body is not covered: whoever has once seen a request can send others.
"""

import base64
from dataclasses import dataclass

from kafka_bridge.documents import at, steps_of, text_of
from kafka_bridge.errors import Unverified
from kafka_bridge.ingress.content import Content, Location
from kafka_bridge.ingress.items import MAX_ITEMS
from kafka_bridge.ingress.keys import BadSecret, secrets_of
from kafka_bridge.settings.secret import Secret
from kafka_bridge.settings.sources import SourceSecret


@dataclass(frozen=True, kw_only=True)
class Token:
    """Where the secret stands. `each`: in every item of the array at this path of the body, under `place`'s name.

    `prefix` stands before it, in any case (`Bearer `); `encoded`: in base64, as HTTP Basic has it.
    """

    place: Location
    prefix: str = ""
    encoded: bool = False
    each: str = ""

    def covers(self, _location: Location) -> bool:
        """Whether a value is under a signature: none is."""
        return False

    def shows(self, location: Location) -> bool:
        """Whether the secret stands at `location`, seen from the body or from an item of its array."""
        if not self.each:
            return str(location) == str(self.place)
        shown, found = self.place.name, location.name
        within = f"{self.each}."
        return location.in_body and (
            found == shown or (found.startswith(within) and found.removeprefix(within).partition(".")[2] == shown)
        )

    def verifier(self, secret: SourceSecret) -> "TokenVerifier":
        """With the secrets of one source. Raises BadSecret, also for no secret at all."""
        return TokenVerifier(self, secrets_of(secret))


class TokenVerifier:
    """`Token` with the secrets of one source, of which any may be shown."""

    def __init__(self, spec: Token, secrets: tuple[Secret, ...]) -> None:
        if spec.encoded and not all(secret.reveal().partition(":")[2].strip() for secret in secrets):
            raise BadSecret("must be user:password, neither of them missing")
        self._spec = spec
        self._secrets = secrets

    def verify(self, content: Content, *, now: float) -> Content:  # noqa: ARG002
        """Returns when one of the secrets was shown. Raises Unverified."""
        for shown in self._shown(content):
            if not any(secret.matches(shown) for secret in self._secrets):
                raise Unverified("the token is not the one of the settings")
        return content

    def _shown(self, content: Content) -> list[str]:
        spec = self._spec
        if spec.each:
            items = at(content.document, steps_of(spec.each))
            items = items[: MAX_ITEMS + 1] if isinstance(items, list) else []
            found = [text_of(at(item, (spec.place.name,))) or "" for item in items]
        else:
            found = [spec.place.find(content) or ""]
        if len(found) > MAX_ITEMS or not found or not all(found):
            raise Unverified(f"no token: the {spec.place} is missing or empty")
        return [self._stripped(text) for text in found]

    def _stripped(self, text: str) -> str:
        spec = self._spec
        if text[: len(spec.prefix)].lower() != spec.prefix.lower():
            raise Unverified(f"the {spec.place} does not begin with {spec.prefix.strip()}")
        text = text[len(spec.prefix) :].strip() if spec.prefix else text
        if not spec.encoded:
            return text
        try:
            return base64.b64decode(text, validate=True).decode()
        except ValueError as error:
            raise Unverified("the credentials are not base64") from error
