"""The ASGI application, with a plugin that says what the test says. What the daemon answers is in the recordings."""

import asyncio
import json
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from devhost.frames import Message
from devhost.gateway import Endpoint, Gateway
from devhost.process import NotRunning
from devhost.streams import Answer
from devhost.timing import Timing

END = Message("session", "s", "end", {})


def said(status: int = 200, body: bytes = b"", **headers: str) -> list[Message]:
    """A whole answer of the plugin."""
    data = {"status": status, "headers": headers, "result": body.hex()}
    return [Message("session", "s", "stream", data), END]


class Plugin:
    """In the place of the process: puts messages into the answer, or raises."""

    def __init__(self, messages: list[Message], error: Exception | None = None) -> None:
        self.messages = messages
        self.error = error
        self.asked: list[tuple[str, bytes, Mapping[str, object]]] = []
        self.answer = Answer()
        self.forgotten: list[str] = []

    async def invoke(self, endpoint_id: str, raw: bytes, settings: Mapping[str, object], answer: Answer) -> str:
        self.asked.append((endpoint_id, raw, settings))
        self.answer = answer
        if self.error is not None:
            raise self.error
        for message in self.messages:
            answer.put(message)
        return "session"

    def forget(self, session_id: str, *, gone: bool = False) -> None:
        self.forgotten.append(session_id)


class Client:
    """An ASGI server's end: what was sent to it, and a disconnect when it is told."""

    def __init__(self, *body: bytes, complete: bool = True) -> None:
        self._events = [
            {"type": "http.request", "body": part, "more_body": number < len(body) - 1 or not complete}
            for number, part in enumerate(body or (b"",))
        ]
        self.gone = asyncio.Event()
        self.events: list[dict[str, Any]] = []

    async def receive(self) -> dict[str, Any]:
        if self._events:
            return self._events.pop(0)
        await self.gone.wait()
        return {"type": "http.disconnect"}

    async def send(self, event: dict[str, Any]) -> None:
        self.events.append(event)

    @property
    def status(self) -> int:
        return self.events[0]["status"]

    @property
    def headers(self) -> dict[bytes, bytes]:
        return dict(self.events[0]["headers"])

    @property
    def body(self) -> bytes:
        return b"".join(event["body"] for event in self.events[1:])

    @property
    def is_complete(self) -> bool:
        return not self.events[-1].get("more_body", True)


def ask(
    plugin: Plugin,
    path: bytes = b"/e/shop/x",
    *,
    method: str = "GET",
    headers: list[tuple[bytes, bytes]] | None = None,
    client: Callable[[], Client] = Client,
    meanwhile: Callable[[Client], object] = lambda _client: None,
    execution_s: float = 600.0,
) -> Client:
    """Send one request; `meanwhile` is called when the plugin has it."""

    async def run() -> Client:
        gateway = Gateway(
            plugin,  # type: ignore[arg-type]
            {"shop": Endpoint("shop", {"a": "b"})},
            timing=Timing(execution_s=execution_s),
            on_request=lambda _hook, _raw: None,
        )
        raw_path, _, query = path.partition(b"?")
        scope = {
            "type": "http",
            "method": method,
            "raw_path": raw_path,
            "query_string": query,
            "headers": headers or [(b"host", b"h")],
            "http_version": "1.1",
        }
        one = client()
        serving = asyncio.create_task(gateway(scope, one.receive, one.send))
        while not (plugin.asked or serving.done()):
            await asyncio.sleep(0)
        for _ in range(5):
            await asyncio.sleep(0)
        meanwhile(one)
        await asyncio.wait_for(serving, 10)
        return one

    return asyncio.run(run())


def test_the_plugin_gets_the_endpoints_settings_and_the_client_its_answer():
    plugin = Plugin(said(201, b"made", A="b"))

    client = ask(plugin)

    ((endpoint_id, raw, settings),) = plugin.asked
    assert (endpoint_id, settings) == (Endpoint("shop", {}).id, {"a": "b"})
    assert raw.startswith(b"GET /x HTTP/1.1\r\nHost: h\r\n")
    assert (client.status, client.headers[b"A"], client.body, client.is_complete) == (201, b"b", b"made", True)
    assert plugin.forgotten == ["session"]


def test_an_endpoint_has_the_same_id_for_ever_and_another_than_its_neighbour():
    assert Endpoint("shop", {}).id == Endpoint("shop", {"a": 1}).id == "54ac1c60-9624-5a4d-8846-ee47640bc619"
    assert Endpoint("shop", {}).id != Endpoint("shop2", {}).id


@pytest.mark.parametrize("status", [101, 600, 999])
def test_a_status_that_the_server_cannot_send_is_said_to_be_one(status):
    client = ask(Plugin(said(status)))

    assert client.status == 500
    assert f"cannot answer with the status {status}" in json.loads(client.body)["message"]


@pytest.mark.parametrize("status", [100, 102, 103])
def test_an_interim_status_is_followed_by_the_answer(status):
    client = ask(Plugin(said(status, b"body")))

    assert (client.status, client.body, client.is_complete) == (200, b"body", True)


def test_the_plugins_date_counts_and_otherwise_there_is_one():
    assert ask(Plugin(said(200, Date="today"))).headers[b"Date"] == b"today"
    assert ask(Plugin(said(200))).headers[b"Date"].endswith(b" GMT")
    assert b"Date" in ask(Plugin([]), b"/nowhere").headers


@pytest.mark.parametrize(
    ("length", "sent", "complete"), [("4", b"body", True), ("5", b"body", False), ("3", b"", False)]
)
def test_a_body_that_is_not_as_long_as_declared_is_broken_off(length, sent, complete):
    client = ask(Plugin(said(200, b"body", **{"Content-Length": length})))

    assert (client.body, client.is_complete) == (sent, complete)


@pytest.mark.parametrize(
    ("path", "headers", "status", "body"),
    [
        (b"/e/shop/%zz", [], 400, b"400 Bad Request"),
        (b"/e/shop/x", [(b"a", b"b\x01")], 400, b"400 Bad Request"),
        (b"/e/shop/x", [(b"a", b"b\x7f")], 400, b"400 Bad Request"),
        (b"/e/shop/x", [(b"expect", b"miracles")], 417, b""),
    ],
)
def test_what_go_refuses_never_reaches_the_plugin(path, headers, status, body):
    plugin = Plugin([])

    client = ask(plugin, path, headers=headers)

    assert (client.status, client.body, plugin.asked) == (status, body, [])


def test_a_tab_in_a_header_is_no_control_character():
    assert ask(Plugin(said()), headers=[(b"a", b"b\tc")]).status == 200


def test_a_path_is_decoded_before_it_is_routed():
    plugin = Plugin(said())

    assert ask(plugin, b"/%65/sh%6Fp%2Fx%20y?a=1").status == 200
    assert plugin.asked[0][1].startswith(b"GET /x%20y?a=1 ")


def test_an_upload_whose_client_goes_in_the_middle_never_reaches_the_plugin():
    plugin = Plugin([])

    def leaving() -> Client:
        client = Client(b"half", complete=False)
        client.gone.set()
        return client

    assert ask(plugin, method="POST", client=leaving).events == []
    assert plugin.asked == []


def test_a_body_above_the_limit_is_read_to_its_end_and_cut():
    plugin, mebibyte = Plugin(said()), b"x" * 1024 * 1024

    ask(plugin, method="POST", client=lambda: Client(*[mebibyte] * 12))

    head, _, body = plugin.asked[0][1].partition(b"\r\n\r\n")
    assert (len(body), b"Content-Length: 10485760" in head) == (10 * 1024 * 1024, True)


def test_a_client_that_goes_ends_its_session():
    plugin = Plugin([])

    client = ask(plugin, meanwhile=lambda one: one.gone.set())

    assert plugin.answer.ended
    assert plugin.forgotten == ["session"]
    assert client.status == 200, "what is sent then, nobody reads"


def test_a_plugin_that_is_not_there_is_a_500():
    client = ask(Plugin([], NotRunning("no proper instance")))

    assert client.status == 500
    assert json.loads(json.loads(client.body)["message"])["message"] == "no proper instance"


def test_an_answer_that_has_begun_is_ended_after_the_limit():
    begun = said(200, b"first")[:1]

    client = ask(Plugin(begun), execution_s=0.05)

    first, _, error = client.body.partition(b"{")
    assert (first, client.is_complete) == (b"first", True)
    assert json.loads(json.loads(b"{" + error)["message"])["message"] == "killed by timeout"


def test_an_answer_that_has_not_begun_is_not():
    def answer_later(_client: Client) -> None:
        async def later() -> None:
            await asyncio.sleep(0.1)
            for message in said(200, b"late"):
                plugin.answer.put(message)

        tasks.append(asyncio.create_task(later()))

    tasks: list[asyncio.Task[None]] = []
    plugin = Plugin([])

    assert ask(plugin, meanwhile=answer_later, execution_s=0.01).body == b"late"
