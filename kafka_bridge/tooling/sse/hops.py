"""The requests that lead to a stream: the first one, and one for each redirect. Pure.

What is meant for one server is not for another: from a redirect to another origin on, nothing goes along that whoever
asked for the stream has put into the request, the token least of all.
"""

from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import Final

from kafka_bridge.settings.secret import Secret
from kafka_bridge.tooling.sse.failures import Broken, Failure
from kafka_bridge.tooling.sse.target import NotATarget, Target

MAX_REDIRECTS: Final = 5
REDIRECTS: Final = frozenset(
    {
        HTTPStatus.MOVED_PERMANENTLY,
        HTTPStatus.FOUND,
        HTTPStatus.SEE_OTHER,
        HTTPStatus.TEMPORARY_REDIRECT,
        HTTPStatus.PERMANENT_REDIRECT,
    }
)
_SAME_REQUEST: Final = frozenset({HTTPStatus.TEMPORARY_REDIRECT, HTTPStatus.PERMANENT_REDIRECT})

type Headers = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Hop:
    """One request. `credential` is a header's name and its value."""

    target: Target
    method: str = "GET"
    headers: Headers = ()
    credential: tuple[str, Secret] | None = None
    body: bytes = b""

    def redirected(self, status: int, location: str) -> "Hop":
        """The request that a redirect asks for. Raises Broken."""
        try:
            target = self.target.to(location)
        except NotATarget as wrong:
            raise Broken(Failure(f"the server redirects to a URL that {wrong}")) from None
        if self.target.scheme == "https" and target.scheme == "http":
            raise Broken(Failure("the server redirects from https to http, where everybody can read along"))
        again = status in _SAME_REQUEST or self.method == "GET"
        hop = replace(self, target=target) if again else replace(self, target=target, method="GET", body=b"")
        if target.origin == self.target.origin:
            return hop
        if hop.body:
            raise Broken(Failure("the server redirects to another one, which the body is not meant for"))
        return replace(hop, headers=(), credential=None)

    def lines(self, last_event_id: str) -> Headers:
        """All headers of the request but those that its framing needs."""
        own = {name.lower() for name, _ in self.headers}
        ours = (
            ("Accept", "text/event-stream"),
            ("Cache-Control", "no-store"),
            # An event that waits in a compressor is late.
            ("Accept-Encoding", "identity"),
            ("User-Agent", "kafka-bridge-for-dify"),
            *((("Last-Event-ID", last_event_id),) if last_event_id else ()),
        )
        credential = ((self.credential[0], self.credential[1].reveal()),) if self.credential else ()
        return (
            ("Host", self.target.authority),
            *(line for line in ours if line[0].lower() not in own),
            *self.headers,
            *credential,
        )
