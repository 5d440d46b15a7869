"""`listen_sse` in the plugin's own process, as Dify would call it."""

import os
import threading
import time
from pathlib import Path

import pytest

from devhost.host import BackgroundHost
from devhost.tools import ToolFailed
from tests.e2e.consuming import fresh
from tests.e2e.topics import Topics
from tests.tooling.streams import Server, event

ALLOWED = {"allow_private_addresses": "enabled"}
# What Dify's daemon gives a call in these tests; the plugin ends its own fifteen seconds before that.
PLATFORM_S = 17


@pytest.fixture(scope="module")
def patient(embedded):
    """A host whose platform gives a call little time."""
    limits = {"PLUGIN_MAX_EXECUTION_TIMEOUT": str(PLATFORM_S)}
    with BackgroundHost(endpoints={}, bootstrap=embedded.bootstrap, environment=limits) as running:
        yield running


def url_of(server):
    return f"http://127.0.0.1:{server.port}/"


def said(messages):
    """The JSON of a call, its texts, and its variables."""
    json, texts, variables = [], [], {}
    for message in messages:
        match message["type"]:
            case "json":
                json.append(message["message"]["json_object"])
            case "text":
                texts.append(message["message"]["text"])
            case "variable":
                variables[message["message"]["variable_name"]] = message["message"]["variable_value"]
    return json, texts, variables


def test_events_arrive_one_by_one_and_the_summary_comes_last(host: BackgroundHost):
    told = threading.Semaphore(0)

    def one_by_one(peer):
        peer.answer()
        for number in range(3):
            peer.chunk(event(f"event {number}", id=str(number), event="tick"))
            # The next one goes out when the last one has come through the plugin's stdout.
            assert told.acquire(timeout=20)
        peer.send(b"0\r\n\r\n")

    messages = []
    with Server(one_by_one) as server:
        for message in host.tool("listen_sse", {"url": url_of(server), "reconnect_attempts": 0}, ALLOWED):
            messages.append(message)
            told.release()

    json, texts, variables = said(messages)
    assert [one["data"] for one in json[:-1]] == ["event 0", "event 1", "event 2"]
    assert {one["type"] for one in json[:-1]} == {"event"}
    assert (json[-1]["status"], json[-1]["total_events"]) == ("completed", 3)
    assert texts == [json[-1]["summary"]]
    assert variables["last_event_id"] == "2"
    assert len(variables["events"]) == 3


def test_an_address_inside_gets_no_connection_and_the_nodes_error_branch_a_text(host: BackgroundHost):
    with Server(lambda peer: peer.stream(event("secret"))) as server:
        messages = []
        with pytest.raises(ToolFailed) as failed:
            messages.extend(host.tool("listen_sse", {"url": url_of(server)}))

    assert server.connections == 0
    assert "nothing was sent to it" in str(failed.value)
    assert "kafka_bridge/" not in str(failed.value)


def test_what_is_wrong_with_the_parameters_is_said(host: BackgroundHost):
    with pytest.raises(ToolFailed, match="headers: host cannot be set"):
        list(host.tool("listen_sse", {"url": "https://example.com/", "headers": '{"Host": "x"}'}))


def test_every_event_lies_in_the_topic(host: BackgroundHost, topics: Topics):
    topic = fresh("events")
    with Server(lambda peer: peer.stream(event('{"n": 1}', id="a1", event="order"), event("text"))) as server:
        parameters = {"url": url_of(server), "forward_topic": topic, "reconnect_attempts": 0}
        json, _, variables = said(host.tool("listen_sse", parameters, ALLOWED))

    assert (json[-1]["status"], variables["forwarded"]) == ("completed", 2)
    first, second = topics.read(topic)
    assert (first.value(), second.value()) == (b'{"n": 1}', b"text")
    assert dict(first.headers())["ce_id"] == b"a1"
    assert dict(first.headers())["ce_type"] == b"order"
    assert first.key() == second.key() == url_of(server).encode()


def test_a_call_is_cut_before_the_platform_ends_it(patient: BackgroundHost):
    def on_and_on(peer):
        peer.answer()
        peer.chunk(event("a"))
        peer.until_gone()

    began = time.monotonic()
    with Server(on_and_on) as server:
        json, _, variables = said(patient.tool("listen_sse", {"url": url_of(server), "timeout": 600}, ALLOWED))

    assert [one.get("data") for one in json[:-1]] == ["a"]
    assert variables["status"] == "partial"
    assert time.monotonic() - began < PLATFORM_S


def test_a_flood_leaves_the_process_small_and_awake(host: BackgroundHost, client):
    line = b"x" * 65536

    def endless(peer):
        peer.answer()
        peer.chunk(b"data: ")
        while True:
            peer.chunk(line)

    before_kb = _rss_kb(host.pid)
    with Server(endless) as server, pytest.raises(ToolFailed, match="too large"):
        list(host.tool("listen_sse", {"url": url_of(server), "timeout": 20}, ALLOWED))

    assert _rss_kb(host.pid) - before_kb < 20 * 1024
    assert client.get(f"{host.url('shop')}/webhook").status_code == 200


def _rss_kb(pid):
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") // 1024


def test_events_of_the_largest_kind_pass_the_platforms_line(host: BackgroundHost):
    data = "é€𝄞" * 100_000
    with Server(lambda peer: peer.stream(event(data), event("small"))) as server:
        json, _, variables = said(host.tool("listen_sse", {"url": url_of(server), "reconnect_attempts": 0}, ALLOWED))

    assert [one["data"] for one in json[:-1]] == [data, "small"]
    assert (variables["total_events"], variables["events_omitted"]) == (2, 1)
