"""One connection to a stream: through its redirects to an answer that is one, and its bytes as they come."""

import ssl
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from http import HTTPStatus
from typing import Final

import httpcore

from kafka_bridge.tooling.sse.failures import (
    BROKE,
    CORRUPT,
    NO_LOCATION,
    NOT_HTTP,
    TOO_MANY_REDIRECTS,
    TOO_MUCH,
    Broken,
    Failure,
    of_content_type,
    of_encoding,
    of_status,
)
from kafka_bridge.tooling.sse.hops import MAX_REDIRECTS, REDIRECTS, Hop
from kafka_bridge.tooling.sse.inflate import ENCODINGS, Corrupt, Inflater
from kafka_bridge.tooling.sse.network import Bounds, Outbound, Resolve, resolve

# What a connection may cost, in bytes: of the content as it is when unpacked, and for each piece and line as much as it
# takes to understand one.
MAX_COST: Final = 32 * 1024 * 1024
PIECE_COST: Final = 256
LINE_COST: Final = 16
_EVENT_STREAM: Final = "text/event-stream"
_AS_IT_IS: Final = frozenset({"", "identity"})


class Connector:
    """Connects to streams, each call on its own: no connection, cookie or credential outlives the call."""

    def __init__(
        self, ca_file: str, *, resolve: Resolve = resolve, dial: httpcore.NetworkBackend | None = None
    ) -> None:
        """`dial` makes connections to addresses; the system's unless a test has its own."""
        self._ca_file = ca_file
        self._resolve = resolve
        self._dial = dial or httpcore.SyncBackend()
        self._trust: ssl.SSLContext | None = None

    @contextmanager
    def open(self, hop: Hop, last_event_id: str, bounds: Bounds) -> Iterator[Iterator[bytes] | None]:
        """The pieces of the stream; None where the server says that there is none any more (204).

        Raises Broken or OutOfTime, as the pieces do.
        """
        with ExitStack() as stack, _in_our_words(NOT_HTTP):
            for _ in range(MAX_REDIRECTS + 1):
                response = stack.enter_context(self._answer(hop, last_event_id, bounds))
                if response.status not in REDIRECTS:
                    break
                if not (location := _header(response, b"location")):
                    raise Broken(NO_LOCATION)
                hop = hop.redirected(response.status, location)
                stack.close()
            else:
                raise Broken(TOO_MANY_REDIRECTS)
            yield None if response.status == HTTPStatus.NO_CONTENT else _pieces(response, bounds)

    @contextmanager
    def _answer(self, hop: Hop, last_event_id: str, bounds: Bounds) -> Iterator[httpcore.Response]:
        target = hop.target
        url = httpcore.URL(scheme=target.scheme, host=target.host, port=target.port, target=target.path)
        headers = [(name.encode(), value.encode()) for name, value in hop.lines(last_event_id)]
        context = self._context() if target.scheme == "https" else None
        sockets = Outbound(bounds, self._resolve, self._dial)
        with (
            httpcore.HTTPConnection(url.origin, ssl_context=context, network_backend=sockets) as connection,
            connection.stream(hop.method, url, headers=headers, content=hop.body or None) as response,
        ):
            yield response

    def _context(self) -> ssl.SSLContext:
        # Once, and not before it is needed: reading the bundle takes a while.
        if self._trust is None:
            self._trust = ssl.create_default_context(cafile=self._ca_file)
        return self._trust


def _pieces(response: httpcore.Response, bounds: Bounds) -> Iterator[bytes]:
    if response.status != HTTPStatus.OK:
        raise Broken(of_status(response.status, _header(response, b"retry-after")))
    content_type = _header(response, b"content-type")
    if content_type.partition(";")[0].strip().lower() != _EVENT_STREAM:
        raise Broken(of_content_type(content_type))
    encoding = _header(response, b"content-encoding").lower()
    if encoding not in ENCODINGS | _AS_IT_IS:
        raise Broken(of_encoding())
    return _bounded(response, Inflater() if encoding in ENCODINGS else None, bounds)


def _bounded(response: httpcore.Response, inflater: Inflater | None, bounds: Bounds) -> Iterator[bytes]:
    cost = 0
    with _in_our_words(BROKE):
        for content in response.iter_stream():
            for piece in inflater.feed(content) if inflater else (content,):
                cost += len(piece) + PIECE_COST + LINE_COST * (piece.count(b"\n") + piece.count(b"\r"))
                if cost > MAX_COST:
                    raise Broken(TOO_MUCH)
                yield piece
                if inflater:
                    # Of the wire, one read has a turn of its own; of what was packed, every piece.
                    bounds.rest()


def _header(response: httpcore.Response, name: bytes) -> str:
    values = [value for header, value in response.headers if header.lower() == name]
    return values[-1].decode("utf-8", "replace").strip() if values else ""


@contextmanager
def _in_our_words(broken_rules: Failure) -> Iterator[None]:
    try:
        yield
    except Corrupt:
        raise Broken(CORRUPT) from None
    except httpcore.NetworkError:
        raise Broken(BROKE) from None
    except httpcore.ProtocolError:
        raise Broken(broken_rules) from None
