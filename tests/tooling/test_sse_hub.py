"""On the gevent hub, where whoever keeps it keeps everybody: no server's stream does, and every wait has an end."""

import json
import subprocess
import sys
import zlib

import pytest

from kafka_bridge.broker.trust import default_ca_file
from tests.brokers import REPOSITORY
from tests.tooling.streams import STREAM, Server, dripping, event

# Far above the work of a turn, and far below that of a flood.
WORST_S = 0.1
MEGABYTE = 1024 * 1024


def probe(url, **parameters):
    call = json.dumps({"url": url, **parameters})
    command = [sys.executable, "-m", "tests.tooling.hub_probe", default_ca_file(), call]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout.splitlines()[-1])


def forever(data, head=True, **headers):
    def script(peer):
        if head:
            peer.answer(headers={**STREAM, **headers})
        while True:
            peer.send(data)

    return script


def chunk(data):
    return b"%x\r\n%b\r\n" % (len(data), data)


def bomb(block):
    packer = zlib.compressobj(9, wbits=31)
    packed = b"".join([*(packer.compress(block * (MEGABYTE // len(block))) for _ in range(100)), packer.flush()])
    return lambda peer: peer.stream(packed, headers={**STREAM, "Content-Encoding": "gzip"})


@pytest.mark.parametrize(
    "script",
    [
        pytest.param(forever(chunk(b":\n" * 20_000)), id="comments"),
        pytest.param(forever(chunk(b":") * 4_000), id="tiny chunks"),
        pytest.param(forever(chunk(b"event: unwanted\ndata\n\n" * 2_000)), id="events"),
        pytest.param(forever(b"HTTP/1.1 103 Early Hints\r\n\r\n" * 500, head=False), id="no last answer"),
        pytest.param(bomb(b":\n"), id="packed comments"),
        pytest.param(bomb(b"event: unwanted\ndata\n\n"), id="packed events"),
        pytest.param(bomb(b"data\n"), id="a packed event"),
        pytest.param(bomb(b"\0"), id="a packed line"),
    ],
)
def test_a_flood_leaves_the_hub_to_the_others(script, figures, request):
    with Server(script) as server:
        said = probe(f"http://127.0.0.1:{server.port}/", timeout=3, event_types="wanted")

    flood, figure = request.node.callspec.id, f"{said['worst_s'] * 1000:.0f} ms"
    figures(
        f"a stream of {flood}: the hub was kept for {figure} at most, memory grew by {said['grown_kb'] / 1024:.1f} MB"
    )
    assert said["total_events"] == 0
    assert said["worst_s"] < WORST_S
    assert said["took_s"] < 60
    assert said["grown_kb"] < 16 * 1024


@pytest.mark.parametrize(
    ("scheme", "script", "status"),
    [
        ("http", lambda peer: peer.until_gone(), "error"),
        ("https", lambda peer: peer.until_gone(), "error"),
        ("http", dripping(b": still here\n", every_s=0.01), "timeout"),
        ("http", dripping(b"HTTP/1.1 200 OK\r\nX: ", every_s=0.01), "timeout"),
    ],
)
def test_every_wait_ends_with_the_timeout(scheme, script, status):
    with Server(script) as server:
        said = probe(f"{scheme}://127.0.0.1:{server.port}/", timeout=2)

    assert said["status"] == status
    assert 1.9 < said["took_s"] < 15
    assert said["worst_s"] < WORST_S


def test_events_arrive_over_the_hub():
    with Server(lambda peer: peer.stream(event("a", id="1"), event("é€𝄞"))) as server:
        said = probe(f"http://localhost:{server.port}/", timeout=5, reconnect_attempts=1)

    assert [told["data"] for told in said["events"]] == ["a", "é€𝄞"] * 2
    assert [request.headers.get("last-event-id") for request in server.requests] == [None, "1"]
