"""A request as it was recorded, and what the operator has set for it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final
from urllib.parse import urlsplit

from kafka_bridge.http import Inbound
from kafka_bridge.ingress.content import Content
from kafka_bridge.settings.sources import NotASecret, SourceSecret, parse_secret

type SecretValue = str | list[str] | dict[str, str]

_NOTHING: Final[Mapping[str, Any]] = MappingProxyType({})
# A shorter text stands in many an ordinary word.
_HIDDEN_CHARS: Final = 4


@dataclass(frozen=True, kw_only=True)
class Captured:
    """A request as it was recorded. Header names in lower case; `url` as the sender called it, or empty."""

    headers: Mapping[str, str]
    body: bytes
    method: str = "POST"
    url: str = ""

    def inbound(self) -> Inbound:
        """As the plugin gets it. The path is in the URL already."""
        return Inbound(self.method, "", urlsplit(self.url).query, self.headers, self.body)

    def content(self) -> Content:
        """As the plugin's proofs see it."""
        return Content(self.inbound(), public_url=self.url.partition("?")[0])


@dataclass(frozen=True, kw_only=True)
class Setup:
    """What the operator has set. `secret` as a JSON value, or as the text that is in the form."""

    scheme: str
    secret: SecretValue
    options: Mapping[str, object] = _NOTHING
    verbatim: bool = False
    """A text that looks like JSON is the secret itself."""

    def saved(self, url: str) -> Mapping[str, object]:
        """As the platform saves it."""
        text = self.secret
        if not isinstance(text, str) or (self.verbatim and text.lstrip().startswith(("[", "{"))):
            text = json.dumps(text if not isinstance(text, str) else [text])
        entry = {"scheme": self.scheme, "scheme_options": dict(self.options)}
        return {
            "bootstrap_servers": "localhost:9092",
            "topic": "captured",
            "public_url": url,
            "webhook_secret": text,
            "sources": json.dumps({"default": entry}),
        }

    def texts(self) -> list[str]:
        """Every text in the secret."""
        value: Any = self.value()
        found = value if isinstance(value, list) else value.values() if isinstance(value, dict) else [value]
        return [text for text in found if isinstance(text, str)]

    def parsed(self) -> SourceSecret | None:
        """As the plugin understands it; None when it does not."""
        return parsed(self.value())

    def value(self) -> SecretValue:
        """The secret; a text that is JSON as its value, as the plugin reads it."""
        if isinstance(self.secret, str) and not self.verbatim and self.secret.lstrip().startswith(("[", "{")):
            try:
                found: SecretValue = json.loads(self.secret)
            except ValueError:
                return self.secret
            return found
        return self.secret


def parsed(value: object) -> SourceSecret | None:
    """A secret as the plugin understands it; None when it does not."""
    try:
        return parse_secret(value)
    except NotASecret:
        return None


def hidden(text: str, setup: Setup) -> str:
    """`text` without any part of the secret."""
    for secret in sorted(setup.texts(), key=len, reverse=True):
        for part in {secret, secret.strip(), secret.strip().removeprefix("whsec_")}:
            if len(part) >= _HIDDEN_CHARS:
                text = text.replace(part, "***").replace(json.dumps(part)[1:-1], "***")
    return text
