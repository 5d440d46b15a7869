"""An OAuth token issuer on loopback: client credentials in, an unsecured JSON Web Token out (RFC 6749, RFC 7515 A.5).

Brokers without a validator of their own accept such tokens; that is for tests, and what they say in their logs.
"""

import base64
import json
import threading
import time
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self
from urllib.parse import parse_qs


class TokenIssuer:
    """Use it as a context manager; `scopes` are those that were asked for."""

    def __init__(self, clients: Mapping[str, str], *, lifetime_s: int = 300) -> None:
        self.scopes: set[str] = set()
        self.tokens = 0
        issuer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                form = parse_qs(self.rfile.read(int(self.headers.get("Content-Length", 0))).decode())
                kind, _, basic = self.headers.get("Authorization", "").partition(" ")
                client, _, secret = base64.b64decode(basic).decode().partition(":") if kind == "Basic" else ("", "", "")
                if not client or clients.get(client) != secret:
                    self._answer(401, {"error": "invalid_client"})
                    return
                issuer.tokens += 1
                issuer.scopes |= set(form.get("scope", []))
                now = int(time.time())
                claims = {"sub": client, "iat": now, "exp": now + lifetime_s, "scope": form.get("scope", [""])[0]}
                token = f"{_part({'alg': 'none'})}.{_part(claims)}."
                self._answer(200, {"access_token": token, "token_type": "Bearer", "expires_in": lifetime_s})

            def _answer(self, status: int, document: object) -> None:
                body = json.dumps(document).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    @property
    def url(self) -> str:
        """Where tokens are asked for."""
        return f"http://127.0.0.1:{self._server.server_address[1]}/token"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def _part(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()
