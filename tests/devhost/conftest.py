"""Plugins for tests of the host: a few lines of Python that speak the protocol, and start at once."""

from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest

from devhost.verify import Captured

MANIFEST = """author: me
name: mine
resource: {permission: {endpoint: {enabled: true}, storage: {enabled: true, size: 2048}}}
plugins: {endpoints: [group.yaml]}
"""
# Every request is answered with its settings.
TALKS = """
import json, sys

def say(**message):
    print(json.dumps(message), flush=True)

def answer(session, body, **head):
    data = {"status": 200, "headers": {}, **head, "result": body.encode().hex()}
    say(event="session", session_id=session, data={"type": "stream", "data": data})
    say(event="session", session_id=session, data={"type": "end", "data": {}})

say(event="heartbeat", session_id=None, data={})
for line in sys.stdin:
    message = json.loads(line)
    answer(message["session_id"], json.dumps(message["data"]["settings"]))
"""
LISTENS = TALKS[: TALKS.index("for line")] + "for line in sys.stdin: pass\n"

type MakePlugin = Callable[..., Path]


@pytest.fixture
def plugin(tmp_path: Path) -> MakePlugin:
    """A plugin's folder with this main.py, declaring these settings."""

    def make(main: str = TALKS, *, settings: tuple[str, ...] = ()) -> Path:
        folder = tmp_path / "plugin"
        folder.mkdir()
        (folder / "manifest.yaml").write_text(MANIFEST)
        (folder / "group.yaml").write_text("\n".join(["settings:", *(f"  - name: {name}" for name in settings)]))
        (folder / "main.py").write_text(main)
        return folder

    return make


@pytest.fixture
def receiver():
    """Takes requests, answers as it is told, and echoes a header."""
    taken = []

    class Handler(BaseHTTPRequestHandler):
        status = 200

        def do_POST(self):
            body = self.rfile.read(int(self.headers["content-length"]))
            taken.append(Captured(headers={n.lower(): v for n, v in self.headers.items()}, body=body, url=self.path))
            self.send_response(Handler.status)
            self.end_headers()
            self.wfile.write(b"taken " + self.headers.get("authorization", "").encode())

        def log_message(self, *_args):
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    server.taken, server.handler, server.url = taken, Handler, f"http://127.0.0.1:{server.server_port}/hook"
    yield server
    server.shutdown()
    thread.join()
    server.server_close()
