"""`/health` and `/metrics`, where HTTP_PORT is set: a small WSGI app on the standard library's server, in threads."""

import socket
import threading
from collections.abc import Callable, Iterable
from http import HTTPStatus
from socketserver import TCPServer, ThreadingMixIn
from typing import Any, Final
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server
from wsgiref.types import StartResponse, WSGIEnvironment

import orjson
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

from kafka_bridge.standalone.look import Look

# Who says nothing for so long is hung up on.
TIMEOUT_S: Final = 10.0
# Each has a thread. Who comes when there are so many is hung up on.
MAX_CONNECTIONS: Final = 32
_METHODS: Final = frozenset({"GET", "HEAD"})

type Answer = tuple[HTTPStatus, str, bytes]


class MetricsApp:
    """A WSGI app."""

    def __init__(self, look: Callable[[], Look], registry: CollectorRegistry) -> None:
        self._look = look
        self._registry = registry

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        status, content_type, body = self._answer(environ)
        headers = [("Content-Type", content_type), ("Content-Length", str(len(body))), ("Cache-Control", "no-store")]
        if status is HTTPStatus.METHOD_NOT_ALLOWED:
            headers.append(("Allow", "GET, HEAD"))
        start_response(f"{status.value} {status.phrase}", headers)
        return [] if environ["REQUEST_METHOD"] == "HEAD" else [body]

    def _answer(self, environ: WSGIEnvironment) -> Answer:
        if environ["REQUEST_METHOD"] not in _METHODS:
            return HTTPStatus.METHOD_NOT_ALLOWED, "text/plain", b"GET and HEAD only\n"
        match environ.get("PATH_INFO"):
            case "/health":
                return self._health()
            case "/metrics":
                encode, content_type = choose_encoder(environ.get("HTTP_ACCEPT", ""))
                return HTTPStatus.OK, content_type, encode(self._registry)
            case _:
                return HTTPStatus.NOT_FOUND, "text/plain", b"/health and /metrics only\n"

    def _health(self) -> Answer:
        look = self._look()
        body: dict[str, object] = {
            "status": "unhealthy" if look.why_not else "healthy",
            "joined": look.joined,
            "partitions": look.partitions,
            "in_flight": look.in_flight,
            "buffered": look.buffered,
            "lag": look.lag,
        }
        if look.why_not:
            body["reason"] = look.why_not
        status = HTTPStatus.SERVICE_UNAVAILABLE if look.why_not else HTTPStatus.OK
        return status, "application/json", orjson.dumps(body)


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._places = threading.BoundedSemaphore(MAX_CONNECTIONS)

    def process_request(self, request: Any, client_address: Any) -> None:
        if self._places.acquire(blocking=False):
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._places.release()

    def server_bind(self) -> None:
        # The standard library's asks for the host's name here, which can take as long as a resolver likes.
        TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), self.server_address[1]
        self.setup_environ()


class _Server6(_Server):
    address_family = socket.AF_INET6


class _Quiet(WSGIRequestHandler):
    timeout = TIMEOUT_S

    def log_message(self, *_: Any) -> None:
        pass


class MetricsServer:
    """Listens from the start; raises OSError where the address cannot be had."""

    def __init__(self, app: MetricsApp, *, host: str, port: int) -> None:
        server = _Server6 if ":" in host else _Server
        self._server = make_server(host, port, app, server_class=server, handler_class=_Quiet)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        """Where it listens."""
        host = self._server.server_name
        return f"http://{f'[{host}]' if ':' in host else host}:{self._server.server_port}"

    def close(self) -> None:
        """Listen no more."""
        self._server.shutdown()
        self._server.server_close()
