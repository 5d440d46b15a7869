"""The platform's request and answer, ours in between, and the one error boundary.

An exception that left `_invoke` would reach the caller: a `ValueError` as a 404 with its text, any other as a 500 with
its text. None leaves here.
"""

import logging
import secrets
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Final, Protocol

from werkzeug import Request, Response

from kafka_bridge.dify.apps import SessionApps
from kafka_bridge.dify.call import Call, Handler
from kafka_bridge.dify.hooks import Hooks
from kafka_bridge.dify.sessions import Sessions
from kafka_bridge.dify.storage import SessionStorage
from kafka_bridge.errors import BridgeError, Internal
from kafka_bridge.http import Answer, Inbound, Streamed, problem
from kafka_bridge.incidents import incident_of

logger = logging.getLogger(__name__)

# How an empty body arrives: the daemon writes it as an empty chunked one, and the SDK does not decode the chunks.
EMPTY_CHUNKED_BODY: Final = b"0\r\n\r\n"
# Senders choose the names of their headers: longer ones are not remembered.
MAX_KNOWN_CHARS: Final = 64
# An answer is one line of hex on stdout, and one above 5 MiB kills the process. No answer of ours comes near.
MAX_ANSWER_BYTES: Final = 1024 * 1024


class Session(Protocol):
    """What is used of the SDK's session."""

    endpoint_id: str | None
    app: SessionApps
    storage: SessionStorage


def serve(
    handler: Handler,
    hooks: Hooks,
    request: Request,
    *,
    values: Mapping[str, object],
    settings: Mapping[str, object] | None,
    session: Session,
    sessions: Sessions | None = None,
) -> Response:
    """Answer one request. Raises nothing."""
    try:
        call = Call(
            to_inbound(request),
            hooks.get(settings or {}),
            session.endpoint_id or "",
            str(values.get("source", "")),
            session.app,
            session.storage,
            # The daemon refuses an empty key before it looks anywhere: of all calls the one that costs the least.
            lambda: session.storage.exist(""),
            sessions,
        )
        return to_response(handler(call))
    except BridgeError as error:
        return to_response(problem(error))
    except Exception as error:  # noqa: BLE001 - the boundary; see above
        incident = incident_of(error)
        logger.error("%s", incident.line)  # noqa: TRY400
        return to_response(problem(incident.error))


class EnvironHeaders(Mapping[str, str]):
    """A request's headers by lower-case name, looked up where WSGI keeps them: most requests are asked for three."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ

    def __getitem__(self, name: str) -> str:
        return self._environ[_environ_key(name)]

    def get(self, name: str, default: str = "") -> str:  # type: ignore[override]
        """The header, or `default`: the way that every request goes, so it takes no detour by an exception."""
        return self._environ.get(_environ_key(name), default)

    def __iter__(self) -> Iterator[str]:
        return (header[0] for header in self.items())

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def items(self) -> Iterator[tuple[str, str]]:  # type: ignore[override]
        """All of them, without looking each up: the way of whoever records a request."""
        for key, value in self._environ.items():
            if key[:5] == "HTTP_":
                yield (_name(key) if len(key) <= MAX_KNOWN_CHARS else _name.__wrapped__(key)), value
            elif key == "CONTENT_TYPE" and value:
                yield "content-type", value


@lru_cache(maxsize=1024)
def _name(key: str) -> str:
    return key[5:].replace("_", "-").lower()


@lru_cache(maxsize=1024)
def _environ_key(name: str) -> str:
    key = name.upper().replace("-", "_")
    return key if key == "CONTENT_TYPE" else f"HTTP_{key}"


def to_inbound(request: Request) -> Inbound:
    """The SDK's request as a plain value."""
    environ = request.environ
    body = environ["wsgi.input"].read()
    return Inbound(
        method=environ["REQUEST_METHOD"],
        path=_path(environ["PATH_INFO"]),
        query=environ.get("QUERY_STRING", ""),
        headers=EnvironHeaders(environ),
        body=b"" if body == EMPTY_CHUNKED_BODY else body,
    )


def _path(path_info: str) -> str:
    # WSGI carries the decoded bytes as latin-1 (PEP 3333).
    return path_info if path_info.isascii() else path_info.encode("latin-1").decode("utf-8", "replace")


def to_response(outbound: Answer) -> Response:
    """Our answer as the SDK wants it."""
    if isinstance(outbound, Streamed):
        # The SDK streams what is a generator, and joins anything else.
        return Response(outbound.chunks, outbound.status, outbound.headers, content_type=outbound.content_type)
    if len(outbound.body) > MAX_ANSWER_BYTES:
        incident = secrets.token_hex(4)
        logger.error("incident %s: an answer of %d bytes", incident, len(outbound.body))
        outbound = problem(Internal(incident))
    return Response(outbound.body, outbound.status, outbound.headers, content_type=outbound.content_type)
