"""The plugin under the three ways in which the platform runs it; the local one is what every other test here uses."""

import binascii
import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import httpx

from tests.brokers import REPOSITORY, Broker, wait_until

RAW = b"POST /webhook HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}"
LOOK = b"GET /consumer HTTP/1.1\r\nHost: x\r\nDify-Hook-Id: hook\r\nAuthorization: Bearer token\r\n\r\n"
RESIDENT = {"api_token": "token", "app": {"app_id": "a"}, "consume_topics": "orders", "consumer": "enabled"}


def request_line(bootstrap: str, raw: bytes = RAW, **settings: object) -> dict[str, object]:
    return {
        "session_id": "s-1",
        "event": "request",
        "data": {
            "user_id": "",
            "type": "endpoint",
            "action": "invoke_endpoint",
            "endpoint_id": "endpoint-1",
            "raw_http_request": binascii.hexlify(raw).decode(),
            "settings": {"scheme": "none", "topic": "install-methods", "bootstrap_servers": bootstrap, **settings},
        },
    }


def answer_in(lines: list[bytes]) -> dict[str, object]:
    """The body of the endpoint's answer among the plugin's messages."""
    for line in lines:
        message = json.loads(line)
        data = message.get("data") or {}
        if message.get("event") == "session" and data.get("type") == "stream":
            assert data["data"]["status"] == 200, data
            return json.loads(binascii.unhexlify(data["data"]["result"]))
    raise AssertionError(f"no answer in {lines!r}")


@contextmanager
def plugin(**environment: str) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(
        [sys.executable, "-m", "main"],
        cwd=REPOSITORY,
        env={**os.environ, **environment},
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    with process:
        try:
            yield process
        finally:
            process.kill()


def test_the_plugin_serves_under_serverless(embedded: Broker):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    url = f"http://127.0.0.1:{port}"

    with (
        plugin(INSTALL_METHOD="serverless", SERVERLESS_HOST="127.0.0.1", SERVERLESS_PORT=str(port)),
        httpx.Client(trust_env=False, timeout=30) as client,
    ):
        wait_until(lambda: healthy(client, url), 30)
        answers = [
            answer_in([line for line in client.post(f"{url}/invoke", json=asked).content.split(b"\n") if line])
            for asked in (request_line(embedded.bootstrap), request_line(embedded.bootstrap, LOOK, **RESIDENT))
        ]

    assert answers[0]["topic"] == "install-methods"
    cannot_host(answers[1], "serverless")


def test_the_plugin_serves_under_remote_debugging(embedded: Broker):
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(30)
        port = server.getsockname()[1]
        with plugin(INSTALL_METHOD="remote", REMOTE_INSTALL_URL=f"127.0.0.1:{port}", REMOTE_INSTALL_KEY="key"):
            connection, _ = server.accept()
            with connection, connection.makefile("rb") as stream:
                connection.settimeout(30)
                declared = []
                for line in stream:
                    if line.strip():
                        declared.append(json.loads(line))
                        if declared[-1].get("type") == "end":
                            break
                answers = []
                for asked in (request_line(embedded.bootstrap), request_line(embedded.bootstrap, LOOK, **RESIDENT)):
                    connection.sendall(json.dumps(asked).encode() + b"\n")
                    lines: list[bytes] = []
                    for line in stream:
                        if line.strip():
                            lines.append(line)
                            if b'"end"' in line and b'"session"' in line:
                                break
                    answers.append(answer_in(lines))

    assert {"handshake", "manifest_declaration", "endpoint_declaration", "asset_chunk"} <= {d["type"] for d in declared}
    assert answers[0]["topic"] == "install-methods"
    cannot_host(answers[1], "remote")


def cannot_host(told: dict[str, object], method: str) -> None:
    """A resident consumer is nothing for this runtime, and it says what is."""
    resident = told["resident"]
    assert isinstance(resident, dict)
    assert resident["state"] == "unavailable"
    assert method in resident["reason"]
    assert any("/consume" in each for each in resident["alternatives"])
    assert any("kafka_bridge.worker" in each for each in resident["alternatives"])


def healthy(client: httpx.Client, url: str) -> bool:
    try:
        return client.get(f"{url}/health").status_code == 200
    except httpx.TransportError:
        return False
