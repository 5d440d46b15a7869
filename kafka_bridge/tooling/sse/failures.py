"""Why there is no stream, or no more of it, in words for whoever asked for it. Pure.

Never a foreign exception's text, and of the server's answer no more than its status.
"""

from http import HTTPStatus
from typing import Final, NamedTuple

from kafka_bridge.settings.table import CREDENTIALS

# Worth another try, later; of all others the same request gets the same answer.
_PASSING_STATUS: Final = frozenset(
    {
        HTTPStatus.REQUEST_TIMEOUT,
        HTTPStatus.TOO_MANY_REQUESTS,
        HTTPStatus.INTERNAL_SERVER_ERROR,
        HTTPStatus.BAD_GATEWAY,
        HTTPStatus.SERVICE_UNAVAILABLE,
        HTTPStatus.GATEWAY_TIMEOUT,
    }
)
_DENIED: Final = frozenset({HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN})
_MAX_SHOWN: Final = 60
_ALLOWING: Final = CREDENTIALS["allow_private_addresses"].label


class Failure(NamedTuple):
    """`passing`: it may be over in a moment, or in `after_s` where the server says so."""

    text: str
    advice: str = ""
    passing: bool = False
    after_s: float = 0.0

    def __str__(self) -> str:
        return f"{self.text}. {self.advice}".rstrip() if self.advice else f"{self.text}."


class Broken(Exception):
    """The connection, or the attempt to make one, has come to an end."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(str(failure))
        self.failure = failure


class OutOfTime(Exception):
    """The time of the whole call is over."""


HOST_NOT_FOUND: Final = Failure("the host was not found", "Check the host in the url.", passing=True)
NO_CONNECTION: Final = Failure(
    "the server takes no connection", "Check host and port, or try again in a moment.", passing=True
)
NO_TLS: Final = Failure(
    "the TLS handshake failed",
    "The server's certificate is not trusted or not for this host, or the port does not speak TLS.",
)
BROKE: Final = Failure("the connection broke", "Try again in a moment.", passing=True)
NOT_HTTP: Final = Failure("the server does not speak HTTP, or broke its rules", "Check host and port.")
CORRUPT: Final = Failure("what the server sent as gzip is none", "Ask whoever runs the server.")
TOO_MANY_REDIRECTS: Final = Failure("the server redirects again and again", "Ask for the URL where the stream is.")
TOO_LARGE_EVENT: Final = Failure(
    "the server sent an event or a line that is too large (above 1 MiB), which was not read to its end",
    "Ask the server for smaller events.",
)
TOO_MUCH: Final = Failure("the server sent more than one call can take", "Ask for less, or filter at the server.")
NO_LOCATION: Final = Failure("the server redirects without saying where to", "Ask for the URL where the stream is.")


def refused_address(kind: str) -> Failure:
    """The host's address is one that nothing is sent to."""
    return Failure(
        f"the host has {kind}, so nothing was sent to it",
        f"Whoever manages the credentials of Kafka Bridge can switch “{_ALLOWING}” on.",
    )


def of_status(status: int, retry_after: str) -> Failure:
    """An answer that is no stream."""
    after_s = float(retry_after) if retry_after.isascii() and retry_after.isdigit() and len(retry_after) < 6 else 0.0  # noqa: PLR2004
    if status in _PASSING_STATUS:
        return Failure(f"the server answered HTTP {status}", "Try again in a moment.", passing=True, after_s=after_s)
    advice = "Check auth_type, auth_token and headers." if status in _DENIED else "Check url, method and parameters."
    return Failure(f"the server answered HTTP {status}", advice)


def of_content_type(content_type: str) -> Failure:
    """An answer of another kind."""
    shown = content_type if content_type.isprintable() and len(content_type) <= _MAX_SHOWN else "something else"
    return Failure(
        f"the server answered with {shown or 'no content type'} instead of text/event-stream",
        "Check the url: what is there is no event stream.",
    )


def of_encoding() -> Failure:
    """Content that nobody here can unpack."""
    return Failure("the server compresses the stream in a way that was not asked for", "Ask whoever runs the server.")
