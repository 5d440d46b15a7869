"""The plugin calls itself through the daemon that has started it, at the loopback address.

Not with the client that reads proxies from the environment, which the plugin has from the daemon: whatever an operator
lets others go through, this must not. Head and body leave in one piece; in two they may wait for each other.
"""

import socket
from collections.abc import Mapping
from contextlib import closing
from http.client import HTTPException, HTTPResponse, IncompleteRead
from typing import Final
from urllib.parse import quote

import orjson

from kafka_bridge.dify.visits import Answer

HOST: Final = "127.0.0.1"
CONNECT_S: Final = 3.0
# A window's answer has some hundred bytes.
MAX_ANSWER_BYTES: Final = 64 * 1024


class Unanswered(Exception):
    """Nobody has answered; `str()` says how far it got. `connected`: somebody listens there."""

    def __init__(self, text: str, *, connected: bool) -> None:
        super().__init__(text)
        self.connected = connected


class Loopback:
    """`port` is the daemon's."""

    def __init__(self, port: int) -> None:
        self._port = port

    @property
    def address(self) -> str:
        """For people."""
        return f"{HOST}:{self._port}"

    def post(
        self, hook: str, path: str, document: Mapping[str, object], headers: Mapping[str, str], *, silence_s: float
    ) -> Answer:
        """Send a document to a path of an endpoint, and wait for the answer. Raises Unanswered.

        `silence_s` is how long nothing may come; who wants a bound for the whole has one of his own.
        """
        try:
            connection = socket.create_connection((HOST, self._port), CONNECT_S)
        except OSError as error:
            raise Unanswered(f"nobody answers at {self.address} ({type(error).__name__})", connected=False) from error
        with closing(connection):
            try:
                connection.settimeout(silence_s)
                connection.sendall(self._request(hook, path, orjson.dumps(document), headers))
                response = HTTPResponse(connection, method="POST")
                with closing(response):
                    response.begin()
                    body = response.read(MAX_ANSWER_BYTES)
                    if response.length and len(body) < MAX_ANSWER_BYTES:
                        raise IncompleteRead(body, response.length)
            except (OSError, HTTPException) as error:
                raise Unanswered(
                    f"the connection to {self.address} broke off ({type(error).__name__})", connected=True
                ) from error
        return Answer(response.status, _document(body))

    def _request(self, hook: str, path: str, body: bytes, headers: Mapping[str, str]) -> bytes:
        lines = [
            f"POST /e/{quote(hook, safe='')}{path} HTTP/1.1",
            f"Host: {self.address}",
            "Content-Type: application/json",
            f"Content-Length: {len(body)}",
            "Connection: close",
            *(f"{name}: {value}" for name, value in headers.items()),
        ]
        return "\r\n".join(lines).encode("ascii") + b"\r\n\r\n" + body


def _document(body: bytes) -> Mapping[str, object]:
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError:
        return {}
    return document if isinstance(document, dict) else {}
