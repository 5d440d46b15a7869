"""The local Dify host: HTTP server, plugin process, storage, apps and embedded broker in one."""

import asyncio
import contextlib
import socket
import sys
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final, Self

import uvicorn

from devhost.apps import App, Apps
from devhost.broker import EmbeddedBroker
from devhost.calls import AroundStorage, Calls, undisturbed
from devhost.gateway import Endpoint, Gateway, OnRequest
from devhost.instance import OnLine
from devhost.manifest import Tool, read_manifest
from devhost.process import PluginProcess
from devhost.storage import Accounting, Storage
from devhost.timing import Timing
from devhost.tools import Message, Tools

REPOSITORY: Final = Path(__file__).resolve().parent.parent
# As Go's HTTP server has it.
_MAX_HEADER_BYTES: Final = 1024 * 1024
# Requests in flight get this long when the host stops; then their connections are cut.
_GRACE_S: Final = 1.0
# The setting that a host fills in with its own broker, in a plugin that declares it.
_BROKER_SETTING: Final = "bootstrap_servers"
# The same for an only app: which one is meant is clear.
_APP_SETTING: Final = "app"


@dataclass(kw_only=True)
class HostOptions:
    """What a host is made of. Port 0 is any free one; without `bootstrap` the broker is the embedded one.

    The quota is the manifest's where that is smaller than the accounting's; a `Storage`, which hosts may share, has its
    own and stays open. `tells_canceled` is the process's.
    """

    endpoints: Mapping[str, Mapping[str, object]]
    port: int = 0
    bootstrap: str = ""
    apps: Mapping[str, App] = field(default_factory=dict)
    storage: Path | Storage | None = None
    around_storage: AroundStorage = undisturbed
    accounting: Accounting = field(default_factory=Accounting)
    timing: Timing = field(default_factory=Timing)
    tells_canceled: bool = False
    plugin: Path = REPOSITORY
    python: Path = Path(sys.executable)
    environment: Mapping[str, str] = field(default_factory=dict)
    on_line: OnLine = lambda _kind, _line: None
    on_request: OnRequest = lambda _hook, _raw: None


class Host:
    """Runs inside an asyncio loop; `port` and `bootstrap` are known once it has started. Raises NoPlugin."""

    def __init__(self, options: HostOptions) -> None:
        self._options = options
        self._manifest = read_manifest(options.plugin)
        self._broker: EmbeddedBroker | None = None
        self.bootstrap = options.bootstrap
        self.storage = options.storage if isinstance(options.storage, Storage) else self._make_storage(options.storage)
        self.plugin: PluginProcess
        self.gateway: Gateway
        self.tools: Tools
        self.port = options.port
        self._server: uvicorn.Server
        self._serving: asyncio.Task[None] | None = None

    @property
    def declared(self) -> frozenset[str]:
        """The names of the plugin's settings."""
        return self._manifest.settings

    @property
    def declared_tools(self) -> Mapping[str, Tool]:
        """The plugin's tools, by name."""
        return self._manifest.tools

    @property
    def declared_credentials(self) -> frozenset[str]:
        """The names of the tools' credentials."""
        return self._manifest.credentials

    async def start(self) -> None:
        """Start all of it, and return when requests are served. Raises NotRunning, and OSError for a taken port."""
        options = self._options
        listener = _listen(options.port)
        # The port must be known before the plugin starts: it reads it from its environment.
        self.port = listener.getsockname()[1]
        try:
            if any(self._lacks_broker(settings) for settings in options.endpoints.values()):
                self.need_broker()
            endpoints = {hook: self.endpoint(hook, settings) for hook, settings in options.endpoints.items()}
            self.plugin = PluginProcess(
                options.plugin,
                python=options.python,
                environment={"INSTALL_METHOD": "local", "SERVER_PORT": str(self.port), **options.environment},
                calls=Calls(
                    self.storage,
                    Apps(options.apps),
                    self._manifest.permissions,
                    around_storage=options.around_storage,
                ),
                on_line=options.on_line,
                timing=options.timing,
                tells_canceled=options.tells_canceled,
            )
            self.tools = Tools(self.plugin, self._manifest)
            self.gateway = Gateway(self.plugin, endpoints, timing=options.timing, on_request=options.on_request)
            await self.plugin.start()
        except BaseException:
            listener.close()
            raise
        self._server = _Server(_server_config(self._application))
        self._serving = asyncio.create_task(self._server.serve(sockets=[listener]))
        while not self._server.started:
            await asyncio.sleep(0.01)

    async def stop(self) -> None:
        """Stop all of it. Requests that are not answered within a second are cut off."""
        if self._serving is not None:
            self._server.should_exit = True
            await asyncio.wait({self._serving}, timeout=_GRACE_S)
            for connection in list(self._server.server_state.connections):
                connection.transport.abort()
            await self._serving
            await self.plugin.stop()
        if self.storage is not self._options.storage:
            self.storage.close()
        if self._broker is not None:
            self._broker.close()

    def endpoint(self, hook: str, settings: Mapping[str, object]) -> Endpoint:
        """An endpoint with these settings; without servers it writes to this host's broker, without an app runs its."""
        defaults: dict[str, object] = {_BROKER_SETTING: self.bootstrap} if self._lacks_broker(settings) else {}
        if _APP_SETTING in self._manifest.settings and len(self._options.apps) == 1:
            defaults[_APP_SETTING] = {"app_id": next(iter(self._options.apps))}
        return Endpoint(hook, {**defaults, **settings})

    def credentials(self, saved: Mapping[str, object]) -> Mapping[str, object]:
        """The tools' credentials with these values; without servers they are for this host's broker."""
        if _BROKER_SETTING not in self._manifest.credentials or _BROKER_SETTING in saved:
            return saved
        self.need_broker()
        return {_BROKER_SETTING: self.bootstrap, **saved}

    def need_broker(self) -> None:
        """Start the embedded broker, unless there is one already."""
        if not self.bootstrap:
            self._broker = EmbeddedBroker()
            self.bootstrap = self._broker.bootstrap

    def _make_storage(self, path: Path | None) -> Storage:
        accounting = self._options.accounting
        quota = min(accounting.quota_bytes, self._manifest.storage_bytes or accounting.quota_bytes)
        return Storage(path, replace(accounting, quota_bytes=quota), plugin=self._manifest.plugin)

    def _lacks_broker(self, settings: Mapping[str, object]) -> bool:
        return _BROKER_SETTING in self._manifest.settings and _BROKER_SETTING not in settings

    async def _application(self, scope: Any, receive: Any, send: Any) -> None:
        await self.gateway(scope, receive, send)


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Signals are the command's business."""
        yield


def _server_config(application: Any) -> uvicorn.Config:
    return uvicorn.Config(
        application,
        interface="asgi3",
        proxy_headers=False,
        http="h11",
        ws="none",
        lifespan="off",
        log_level="error",
        server_header=False,
        date_header=False,
        h11_max_incomplete_event_size=_MAX_HEADER_BYTES,
    )


def _listen(port: int) -> socket.socket:
    # With its protocol named, asyncio switches Nagle's algorithm off; uvicorn's own socket costs 40 ms per answer.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(("127.0.0.1", port))
    except OSError:
        listener.close()
        raise
    listener.setblocking(False)
    return listener


class BackgroundHost:
    """A host on a thread with a loop of its own: for tests and the demo.

    Use it as a context manager; `url(hook)` is where its endpoint is.
    """

    def __init__(self, **options: Any) -> None:
        self.lines: list[tuple[str, str]] = []
        on_line = options.pop("on_line", lambda _kind, _line: None)

        def note(kind: str, line: str) -> None:
            self.lines.append((kind, line))
            on_line(kind, line)

        self.host = Host(HostOptions(**options, on_line=note))
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        try:
            self._call(self.host.start())
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._call(self.host.stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    @property
    def bootstrap(self) -> str:
        """The broker that endpoints without servers of their own write to."""
        return self.host.bootstrap

    @property
    def pid(self) -> int | None:
        """The plugin's process."""
        return self.host.plugin.pid

    def url(self, hook: str) -> str:
        """The endpoint's URL, without a slash at the end."""
        return f"http://127.0.0.1:{self.host.port}/e/{hook}"

    def tool(
        self, name: str, parameters: Mapping[str, object], credentials: Mapping[str, object] | None = None
    ) -> Iterator[Message]:
        """What a tool says, as it says it. Raises NoTool, ToolFailed and NotRunning."""
        messages = self.host.tools.call(name, parameters, self.host.credentials(credentials or {}))

        async def following() -> Message | None:
            return await anext(messages, None)

        try:
            while (message := self._call(following())) is not None:
                yield message
        finally:
            self._call(messages.aclose())

    def validate(self, credentials: Mapping[str, object]) -> None:
        """Have the plugin look at the tools' credentials. Raises NoTool, ToolFailed and NotRunning."""
        self._call(self.host.tools.validate(self.host.credentials(credentials)))

    def configure(self, hook: str, settings: Mapping[str, object]) -> None:
        """Save other settings for a hook, or add one."""
        self.host.gateway.endpoints[hook] = self.host.endpoint(hook, settings)

    def remove(self, hook: str) -> None:
        """Delete a hook."""
        del self.host.gateway.endpoints[hook]

    def kill_plugin(self) -> None:
        """SIGKILL the plugin's process; the host starts it again."""
        self._loop.call_soon_threadsafe(self.host.plugin.kill)

    def _call(self, coroutine: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result()
