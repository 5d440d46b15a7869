"""Recordings of the real daemon: read, sent again, and compared. README.md explains their format."""

import base64
import json
import re
import select
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Self

from devhost.host import BackgroundHost
from devhost.storage import ROOT

RECORDINGS = Path(__file__).parent / "recordings"
PLUGIN = Path(__file__).parent / "plugin"
SETTINGS = {"secret": "s3cr3t-value", "text": "some text"}
# The host says when; who keeps the connection open, and how a body is framed, is compared apart from the headers.
IGNORED_HEADERS = {"date", "connection", "transfer-encoding"}
# Recorded with these lengths: some messages count positions in a URL.
HOOK_AND_PORT = 16 + len("5002")
TRACEBACK = re.compile(rb'(?<!\\)(\\*)"traceback\1":\1"(.*?)(?<!\\)\1"', re.DOTALL)
# What is different in every run of an app.
RUN = re.compile(
    rb'"(task_id|workflow_run_id|id|workflow_id|elapsed_time|created_at|finished_at|total_steps)": ("[^"]*"|[0-9.e-]+)'
)


@dataclass(frozen=True)
class Recording:
    """One request and what the daemon did with it."""

    name: str
    topic: str
    request: Mapping[str, Any]
    response: Mapping[str, Any]
    group: str | None = None
    settings: Mapping[str, object] | None = None
    before: str | None = None
    note: str = ""
    run: tuple[str, int] | None = None
    plugin_received_b64: str | None = None
    plugin_received_cut: bool = False

    @property
    def method(self) -> str:
        return base64.b64decode(self.request["raw_b64"]).split(b" ", 1)[0].decode()

    def document(self) -> Any:
        """The JSON in the recorded answer."""
        return json.loads(base64.b64decode(self.response["body_b64"]))


@cache
def recordings(topic: str) -> tuple[Recording, ...]:
    """The recordings of one file, in their order."""
    return tuple(Recording(topic=topic, **found) for found in json.loads((RECORDINGS / f"{topic}.json").read_text()))


class Daemon:
    """The local host with the probe in it, in the place of the daemon."""

    def __init__(self, host: BackgroundHost, received: list[bytes]) -> None:
        self.host = host
        self.received = received
        self.port = str(host.host.port)
        self.hook = "h" * (HOOK_AND_PORT - len(self.port))
        host.configure(self.hook, SETTINGS)

    def fill(self, text: bytes, run: tuple[str, int] | None = None) -> bytes:
        """`text` with this host's values in the places of its placeholders."""
        values = {
            b"<hook>": self.hook.encode(),
            b"<host>": f"127.0.0.1:{self.port}".encode(),
            b"<ip>": b"127.0.0.1",
            b"<port>": self.port.encode(),
            b"<storage>/persistence/<tenant>": ROOT.encode(),
        }
        for placeholder, value in values.items():
            text = text.replace(placeholder, value)
        return expanded(text, run)

    def open(self, recording: Recording) -> "Exchange":
        """Send the request of a recording."""
        raw = self.fill(base64.b64decode(recording.request["raw_b64"]), recording.run)
        character, times = recording.request.get("body_repeat", ("", 0))
        self.received.clear()
        return Exchange(int(self.port), raw + character.encode() * times)

    def get(self, path: str) -> "Exchange":
        """Send a request of the tests' own."""
        return Exchange(
            int(self.port), f"GET /e/{self.hook}{path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode()
        )

    def replay(self, recording: Recording) -> None:
        """Send a request and compare what comes back, and what the plugin was given."""
        if recording.settings is not None:
            self.host.configure(self.hook, recording.settings)
        try:
            with self.open(recording) as exchange:
                answer = parse(exchange.read(), recording.method)
        finally:
            self.host.configure(self.hook, SETTINGS)
        assert self.comparable(recording, answer) == self.expected(recording)
        if recording.plugin_received_b64 is not None:
            wanted = self.fill(base64.b64decode(recording.plugin_received_b64))
            (given,) = self.received
            assert (given[: len(wanted)] if recording.plugin_received_cut else given) == wanted

    def expected(self, recording: Recording) -> dict[str, Any]:
        """The recorded answer as this host would give it."""
        wanted = {name: value for name, value in recording.response.items() if not name.startswith("body")}
        character, times = recording.response.get("body_repeat", ("", 0))
        recorded = base64.b64decode(recording.response.get("body_b64", ""))
        body = self.fill(recorded, recording.run) + character.encode() * times
        if "headers" in wanted:
            # A recorded length counts the placeholders.
            length = str(len(expanded(recorded, recording.run)) + times)
            wanted["headers"] = sorted(
                (
                    name,
                    str(len(body))
                    if (name, value) == ("Content-Length", length)
                    else self.fill(value.encode("latin-1")).decode("latin-1"),
                )
                for name, value in wanted["headers"]
            )
        wanted["body"] = b"" if recording.method == "HEAD" else body
        return _without_chance(recording, wanted)

    def comparable(self, recording: Recording, answer: dict[str, Any]) -> dict[str, Any]:
        """Of an answer what was recorded too."""
        found = dict(answer, body=TRACEBACK.sub(rb'\1"traceback\1":\1"(traceback)\1"', answer["body"]))
        if b"(traceback)" in found["body"]:
            # Its length is a matter of the SDK's version.
            found["headers"] = [pair for pair in found["headers"] if pair[0] != "Content-Length"]
        left_out = {"headers", "framing", "chunks"} - set(recording.response)
        seldom = {"interim", "truncated"}
        return _without_chance(
            recording,
            {name: value for name, value in found.items() if name not in left_out and (value or name not in seldom)},
        )


class Exchange:
    """A connection on which one request was sent."""

    def __init__(self, port: int, raw: bytes) -> None:
        self._connection = socket.create_connection(("127.0.0.1", port), timeout=60)
        self.seen = b""
        self._connection.sendall(raw)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def read(self) -> bytes:
        """The whole answer, until the host closes the connection."""
        while part := self._connection.recv(1 << 20):
            self.seen += part
        return self.seen

    def read_until(self, text: bytes) -> None:
        """Read on until `text` has come."""
        while text not in self.seen:
            part = self._connection.recv(1 << 20)
            assert part, f"the connection has ended after {self.seen!r}"
            self.seen += part

    @property
    def is_waiting(self) -> bool:
        """Whether there is nothing to read: no answer, and no end of the connection."""
        return not select.select([self._connection], [], [], 0)[0]


def expanded(text: bytes, run: tuple[str, int] | None) -> bytes:
    """`text` with its long run of one character."""
    return text.replace(b"<run>", run[0].encode() * run[1]) if run else text


def parse(answer: bytes, method: str) -> dict[str, Any]:
    """An answer in the form of the recordings."""
    interim = []
    while True:
        head, _, rest = answer.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        status = int(first.split(" ")[1])
        if status >= 200 or not rest:
            break
        interim.append(status)
        answer = rest
    headers = [(name, value.strip()) for name, _, value in (line.partition(":") for line in lines)]
    by_name = {name.lower(): value for name, value in headers}
    found: dict[str, Any] = {
        "status": status,
        "interim": interim,
        "headers": sorted(pair for pair in headers if pair[0].lower() not in IGNORED_HEADERS),
        "framing": "close",
        "body": rest,
    }
    if method == "HEAD" or status in (204, 304):
        found["framing"] = "none"
    elif by_name.get("transfer-encoding") == "chunked":
        chunks, ended = _unchunk(rest)
        found |= {"framing": "chunked", "body": b"".join(chunks), "chunks": [len(chunk) for chunk in chunks]}
        found |= {} if ended else {"truncated": True}
    elif "content-length" in by_name:
        found["framing"] = "length"
        found |= {} if len(rest) == int(by_name["content-length"]) else {"truncated": True}
    return found


def _unchunk(body: bytes) -> tuple[list[bytes], bool]:
    chunks: list[bytes] = []
    while body:
        size, _, body = body.partition(b"\r\n")
        if size == b"0":
            return chunks, True
        chunks.append(body[: int(size, 16)])
        body = body[int(size, 16) + 2 :]
    return chunks, False


def _without_chance(recording: Recording, answer: dict[str, Any]) -> dict[str, Any]:
    if recording.topic != "calls":
        return answer
    headers = [pair for pair in answer["headers"] if pair[0] != "Content-Length"]
    return answer | {"body": RUN.sub(rb'"\1": ...', answer["body"]), "headers": headers}
