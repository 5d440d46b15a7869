"""A reverse proxy that has the endpoints under another path, as an operator's may have them."""

import contextlib
import http.client
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self

PREFIX = "/some/prefix"
# RFC 9110 §7.6.1: said to one connection, not to be passed on.
HOP = frozenset({"connection", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade", "content-length"})


class PrefixProxy:
    """`/some/prefix/e/<hook>/…` to `/e/<hook>/…` of a host on this machine. Use it as a context manager."""

    def __init__(self, port: int) -> None:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self._pass_on()

            def do_POST(self) -> None:
                self._pass_on()

            def _pass_on(self) -> None:
                if not self.path.startswith(f"{PREFIX}/e/"):
                    self.send_error(404)
                    return
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                headers = {name: value for name, value in self.headers.items() if name.lower() not in HOP}
                with (
                    contextlib.closing(http.client.HTTPConnection("127.0.0.1", port, timeout=60)) as upstream,
                    # Either end may leave a stream at any time.
                    contextlib.suppress(OSError, http.client.HTTPException),
                ):
                    upstream.request(self.command, self.path.removeprefix(PREFIX), body, headers)
                    with upstream.getresponse() as answer:
                        self.send_response(answer.status)
                        for name, value in answer.getheaders():
                            if name.lower() not in HOP:
                                self.send_header(name, value)
                        self.end_headers()
                        while part := answer.read1(65536):
                            self.wfile.write(part)

            def log_message(self, *_: object) -> None:
                pass

        class Server(ThreadingHTTPServer):
            block_on_close = False

        self._server = Server(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    def url(self, hook: str) -> str:
        """Where an endpoint is, without a slash at the end."""
        return f"http://127.0.0.1:{self._server.server_address[1]}{PREFIX}/e/{hook}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
