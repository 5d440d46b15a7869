"""HTTP at `/e/<hook>/…`, into sessions of the plugin and back: an ASGI application."""

import asyncio
import contextlib
import uuid
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from dataclasses import dataclass
from typing import Any, Final

import orjson

from devhost.process import NotRunning, PluginProcess
from devhost.rewrite import BODY_LIMIT_BYTES, Received, rewrite
from devhost.streams import Body, PluginFailed, read_head

type Scope = MutableMapping[str, Any]
type Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
type SendEvent = Callable[[MutableMapping[str, Any]], Awaitable[None]]

# The daemon knows no PATCH.
METHODS: Final = frozenset({"HEAD", "POST", "GET", "PUT", "DELETE", "OPTIONS"})
_JSON: Final = (b"content-type", b"application/json; charset=utf-8")


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

    def __init__(self, plugin: PluginProcess, endpoints: MutableMapping[str, Endpoint]) -> None:
        self._plugin = plugin
        self.endpoints = endpoints

    async def __call__(self, scope: Scope, receive: Receive, send: SendEvent) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            return
        raw_path = bytes(scope["raw_path"])
        prefix, _, rest = raw_path.removeprefix(b"/e/").partition(b"/")
        hook = prefix.decode("ascii", "replace")
        if not raw_path.startswith(b"/e/") or scope["method"] not in METHODS:
            await _reply(send, 404, {"code": "not_found", "message": "route not found"})
        elif raw_path == b"/e/" + prefix:
            await _redirect(send, raw_path + b"/", scope)
        elif (endpoint := self.endpoints.get(hook)) is None:
            await _reply(send, 404, _error(-400, "PluginDaemonBadRequestError", "endpoint not found"))
        else:
            await self._serve(endpoint, b"/" + rest, scope, receive, send)

    async def _serve(
        self, endpoint: Endpoint, raw_path: bytes, scope: Scope, receive: Receive, send: SendEvent
    ) -> None:
        request = Received(
            method=scope["method"],
            raw_path=raw_path,
            raw_query=scope["query_string"],
            headers=[(bytes(name), bytes(value)) for name, value in scope["headers"]],
            body=await _read_body(receive),
        )
        try:
            session_id, answer = await self._plugin.invoke(
                endpoint.id, rewrite(request, endpoint.hook), endpoint.settings
            )
        except NotRunning as error:
            await _reply(send, 500, _error(-500, "PluginDaemonInternalServerError", str(error)))
            return
        # The client's disconnect ends the session at once, whatever the plugin is doing in it.
        gone = asyncio.create_task(_disconnected(receive))
        gone.add_done_callback(lambda _: answer.abandon())
        try:
            head = await read_head(answer)
            body = Body(answer, head.first)
            filling = asyncio.create_task(body.fill())
            headers = [(name.encode("latin-1", "replace"), value.encode()) for name, value in head.headers.items()]
            if head.first is None and head.status == 100:  # noqa: PLR2004 - Go's StatusContinue: nothing was said
                await _reply(send, 500, _error(-500, "PluginDaemonInternalServerError", ""))
                return
            await send({"type": "http.response.start", "status": head.status, "headers": headers})
            async for chunk in body.chunks():
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
            await send({"type": "http.response.body", "body": b"", "more_body": False})
            await filling
        except PluginFailed as error:
            await _reply(send, 500, _error(-500, "PluginDaemonInternalServerError", str(error)))
        finally:
            gone.cancel()
            self._plugin.forget(session_id)


async def _read_body(receive: Receive) -> bytes:
    parts, size = [], 0
    while True:
        event = await receive()
        if event["type"] != "http.request":
            break
        part = event.get("body", b"")
        # What is above the limit is read, so that the client can finish, and thrown away.
        parts.append(part[: max(0, BODY_LIMIT_BYTES - size)])
        size += len(part)
        if not event.get("more_body"):
            break
    return b"".join(parts)


async def _disconnected(receive: Receive) -> None:
    with contextlib.suppress(asyncio.CancelledError):
        while (await receive())["type"] != "http.disconnect":
            pass


async def _reply(send: SendEvent, status: int, document: object) -> None:
    await send({"type": "http.response.start", "status": status, "headers": [_JSON]})
    await send({"type": "http.response.body", "body": orjson.dumps(document)})


async def _redirect(send: SendEvent, location: bytes, scope: Scope) -> None:
    query = scope["query_string"]
    status = 301 if scope["method"] == "GET" else 307
    headers = [
        (b"location", location + (b"?" + query if query else b"")),
        (b"content-type", b"text/html; charset=utf-8"),
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": b""})


def _error(code: int, kind: str, text: str) -> dict[str, object]:
    message = orjson.dumps({"message": text, "error_type": kind, "args": None}).decode()
    return {"code": code, "message": message, "data": None}
