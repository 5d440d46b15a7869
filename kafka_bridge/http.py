"""A request and an answer as plain values, and errors as RFC 9457 problem documents. Pure."""

from collections.abc import Generator, Mapping
from http import HTTPStatus
from types import MappingProxyType
from typing import Final, NamedTuple

import orjson

from kafka_bridge.errors import BridgeError

# The platform cuts every body off at this many bytes and rewrites Content-Length, so a body of exactly
# this size must be taken for a truncated one.
PLATFORM_BODY_LIMIT_BYTES: Final = 10 * 1024 * 1024

JSON: Final = "application/json"
PROBLEM_JSON: Final = "application/problem+json"


class Inbound(NamedTuple):
    """One HTTP request as the platform hands it over.

    `path` is percent-decoded and relative to the endpoint; `query` is what the platform made of the query string;
    header names are lower case, and of a repeated header only the last value survives the way here.
    """

    method: str
    path: str
    query: str = ""
    headers: Mapping[str, str] = MappingProxyType({})
    body: bytes = b""

    def header(self, name: str) -> str:
        """The header's value, `""` when it is absent. `name` in lower case."""
        return self.headers.get(name, "")


class Outbound(NamedTuple):
    """One HTTP answer, whole."""

    status: int
    body: bytes = b""
    content_type: str = JSON
    headers: tuple[tuple[str, str], ...] = ()


class Streamed(NamedTuple):
    """One HTTP answer whose body comes bit by bit. `chunks` must not raise; nobody else would answer for it."""

    status: int
    chunks: Generator[bytes]
    content_type: str
    headers: tuple[tuple[str, str], ...] = ()


type Answer = Outbound | Streamed


def json_reply(value: object, status: HTTPStatus = HTTPStatus.OK) -> Outbound:
    """A JSON answer."""
    return Outbound(status, orjson.dumps(value))


def problem(error: BridgeError, *, instance: str = "") -> Outbound:
    """The error as `application/problem+json` (RFC 9457); `instance` is the event id, where one is known."""
    document = {
        "type": f"urn:kafka-bridge:{error.slug}",
        "title": error.title,
        "status": error.status.value,
        "detail": str(error),
    }
    if instance:
        document["instance"] = instance
    return Outbound(error.status, orjson.dumps(document), PROBLEM_JSON, error.headers)
