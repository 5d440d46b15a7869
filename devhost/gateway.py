"""HTTP at `/e/<hook>/…`, into sessions of the plugin and back: an ASGI application."""

import asyncio
import contextlib
import re
import uuid
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from dataclasses import dataclass
from email.utils import formatdate
from typing import Any, Final
from urllib.parse import unquote_to_bytes

from devhost import answers
from devhost.process import NotRunning, PluginProcess
from devhost.rewrite import BODY_LIMIT_BYTES, Headers, Received, broken, escape_path, rewrite, split_target
from devhost.streams import Answer, Body, Head, PluginFailed, read_head
from devhost.timing import Timing

type Scope = MutableMapping[str, Any]
type Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
type SendEvent = Callable[[MutableMapping[str, Any]], Awaitable[None]]
type OnRequest = Callable[[str, bytes], None]
"""Called with a hook and the raw request that is handed to the plugin."""

# The daemon knows no PATCH.
METHODS: Final = frozenset({"HEAD", "POST", "GET", "PUT", "DELETE", "OPTIONS"})
_ENDPOINT_NOT_FOUND: Final = answers.error(-400, "PluginDaemonBadRequestError", "endpoint not found")
_BAD_REQUEST: Final = b"400 Bad Request"
_PLAIN: Final = b"text/plain; charset=utf-8"
_CONTROL: Final = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One configured endpoint: its hook is the name in the URL, its id what the plugin sees."""

    hook: str
    settings: Mapping[str, object]

    @property
    def id(self) -> str:
        """Stable across restarts: what the plugin keeps per endpoint is found again."""
        return str(uuid.uuid5(uuid.NAMESPACE_URL, f"devhost:{self.hook}"))


class Gateway:
    """The ASGI application. `endpoints` may be changed while it runs."""

    def __init__(
        self,
        plugin: PluginProcess,
        endpoints: MutableMapping[str, Endpoint],
        *,
        timing: Timing,
        on_request: OnRequest,
    ) -> None:
        self._plugin = plugin
        self._timing = timing
        self._on_request = on_request
        self.endpoints = endpoints

    async def __call__(self, scope: Scope, receive: Receive, send: SendEvent) -> None:
        """Serve one request."""
        raw_path, headers = split_target(bytes(scope["raw_path"]), scope["headers"])
        client = _Client(scope["method"], send)
        path = unquote_to_bytes(raw_path)
        prefix, slash, rest = path.removeprefix(b"/e/").partition(b"/")
        hook = prefix.decode("utf-8", "replace")
        if refusal := _refused(raw_path, headers):
            await client.answer(*refusal)
        elif not path.startswith(b"/e/") or client.method not in METHODS or not (slash or prefix):
            await client.answer(404, answers.ROUTE_NOT_FOUND)
        elif not slash:
            query = bytes(scope["query_string"]).decode("ascii")
            location = escape_path(path + b"/").decode() + (f"?{query}" if query else "")
            await client.send(*answers.redirect(client.method, location))
        elif (endpoint := self.endpoints.get(hook)) is None:
            await client.answer(404, _ENDPOINT_NOT_FOUND)
        elif (body := await _read_body(receive)) is not None:
            request = Received(
                method=client.method,
                path=b"/" + rest,
                raw_query=bytes(scope["query_string"]),
                headers=headers,
                body=body,
                http_version=scope["http_version"],
            )
            await self._serve(endpoint, rewrite(request, hook), receive, client)

    async def _serve(self, endpoint: Endpoint, raw: bytes, receive: Receive, client: "_Client") -> None:
        answer, session_id = Answer(), ""
        # The client's disconnect ends the session at once, whatever the plugin is doing in it.
        gone = asyncio.create_task(_disconnected(receive))
        gone.add_done_callback(lambda _: answer.abandon())
        self._on_request(endpoint.hook, raw)
        try:
            session_id = await self._plugin.invoke(endpoint.id, raw, endpoint.settings, answer)
            head = await read_head(answer)
            await self._pass_on(answer, head, client)
        except (NotRunning, PluginFailed, answers.Unsendable) as error:
            await client.answer(500, answers.internal_error(str(error)))
        finally:
            self._plugin.forget(session_id, gone=gone.done())
            gone.cancel()

    async def _pass_on(self, answer: Answer, head: Head, client: "_Client") -> None:
        """Send what the plugin says. An answer that has begun is ended after PLUGIN_MAX_EXECUTION_TIMEOUT."""
        body = Body(answer, head.first)
        await client.begin(answers.outgoing(client.method, head.status, head.headers, empty=head.first is None))
        filling = asyncio.create_task(body.fill())
        try:
            async with asyncio.timeout(self._timing.execution_s):
                async for chunk in body.chunks():
                    await client.write(chunk)
        except TimeoutError:
            await client.write(answers.internal_error("killed by timeout"))
        finally:
            filling.cancel()
        await client.end()


class _Client:
    """The client's end of one request."""

    def __init__(self, method: str, send: SendEvent) -> None:
        self.method = method
        self._send = send
        self._outgoing: answers.Outgoing
        self._asked = 0
        self._sent = 0

    async def answer(self, status: int, body: bytes, content_type: bytes = answers.JSON) -> None:
        """A whole answer of the daemon's own."""
        await self.send(answers.document(status, body, content_type), body)

    async def send(self, outgoing: answers.Outgoing, body: bytes) -> None:
        """A whole answer."""
        await self.begin(outgoing)
        await self.write(body)
        await self.end()

    async def begin(self, outgoing: answers.Outgoing) -> None:
        """Send the head, with the time if the plugin has not set one."""
        self._outgoing, headers = outgoing, dict(outgoing.headers)
        headers.setdefault(b"Date", formatdate(usegmt=True).encode())
        await self._send({"type": "http.response.start", "status": outgoing.status, "headers": [*headers.items()]})

    async def write(self, chunk: bytes) -> None:
        """Send a part of the body, unless it goes beyond the declared length: then Go drops it."""
        length = self._outgoing.length
        self._asked += len(chunk)
        if self._outgoing.has_body and (length is None or self._asked <= length):
            self._sent += len(chunk)
            await self._send({"type": "http.response.body", "body": chunk, "more_body": True})

    async def end(self) -> None:
        """Complete the answer; one that is shorter than declared is broken off."""
        if self.method == "HEAD" or self._outgoing.length is None or self._outgoing.length == self._sent:
            await self._send({"type": "http.response.body", "body": b"", "more_body": False})


def _refused(raw_path: bytes, headers: Headers) -> tuple[int, bytes, bytes] | None:
    """What Go answers to a request before the daemon sees it."""
    expectations = [value.lower() for name, value in headers if name == b"expect"]
    if broken(raw_path) or any(_CONTROL.search(value) for _, value in headers):
        return 400, _BAD_REQUEST, _PLAIN
    if expectations and expectations != [b"100-continue"]:
        return 417, b"", _PLAIN
    return None


async def _read_body(receive: Receive) -> bytes | None:
    """The body up to the daemon's limit; None when the client has gone before its end."""
    parts, size = [], 0
    while True:
        event = await receive()
        if event["type"] != "http.request":
            return None
        part = event.get("body", b"")
        # What is above the limit is read, so that the client can finish, and thrown away.
        parts.append(part[: max(0, BODY_LIMIT_BYTES - size)])
        size += len(part)
        if not event.get("more_body"):
            return b"".join(parts)


async def _disconnected(receive: Receive) -> None:
    with contextlib.suppress(asyncio.CancelledError):
        while (await receive())["type"] != "http.disconnect":
            pass
