"""The local Dify host: HTTP server, plugin process, storage, apps and embedded broker in one."""

import asyncio
import socket
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Self

import uvicorn
import yaml

from devhost.apps import App, Apps
from devhost.broker import EmbeddedBroker
from devhost.calls import Calls
from devhost.gateway import Endpoint, Gateway
from devhost.process import OnLine, PluginProcess
from devhost.storage import Accounting, Storage

REPOSITORY: Final = Path(__file__).resolve().parent.parent
# As Go's HTTP server has it.
_MAX_HEADER_BYTES: Final = 1024 * 1024


@dataclass(kw_only=True)
class HostOptions:
    """What a host is made of. Port 0 is any free one; without `bootstrap` the broker is the embedded one."""

    endpoints: Mapping[str, Mapping[str, object]]
    port: int = 0
    bootstrap: str = ""
    apps: Mapping[str, App] = field(default_factory=dict)
    storage: Path | None = None
    accounting: Accounting = field(default_factory=Accounting)
    plugin: Path = REPOSITORY
    environment: Mapping[str, str] = field(default_factory=dict)
    on_line: OnLine = lambda _kind, _line: None


class Host:
    """Runs inside an asyncio loop; `port` and `bootstrap` are known once it has started."""

    def __init__(self, options: HostOptions) -> None:
        self._options = options
        self._broker: EmbeddedBroker | None = None
        self.bootstrap = options.bootstrap
        self.storage = Storage(options.storage, options.accounting)
        self.plugin: PluginProcess
        self.gateway: Gateway
        self.port = options.port
        self._server: uvicorn.Server
        self._serving: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Start all of it, and return when requests are served."""
        options = self._options
        if any("bootstrap_servers" not in settings for settings in options.endpoints.values()) and not self.bootstrap:
            self._broker = EmbeddedBroker()
            self.bootstrap = self._broker.bootstrap
        endpoints = {hook: self.endpoint(hook, settings) for hook, settings in options.endpoints.items()}
        manifest = yaml.safe_load((options.plugin / "manifest.yaml").read_text())
        permissions = manifest.get("resource", {}).get("permission", {})
        calls = Calls(self.storage, Apps(options.apps), permissions)
        # The port must be known before the plugin starts: it reads it from its environment.
        config = uvicorn.Config(
            self._application,
            interface="asgi3",
            proxy_headers=False,
            http="h11",
            lifespan="off",
            log_level="error",
            server_header=False,
            h11_max_incomplete_event_size=_MAX_HEADER_BYTES,
            timeout_graceful_shutdown=1,
        )
        self._server = uvicorn.Server(config)
        listener = _listen(options.port)
        self.port = listener.getsockname()[1]
        environment = {"INSTALL_METHOD": "local", "SERVER_PORT": str(self.port), **options.environment}
        self.plugin = PluginProcess(options.plugin, environment=environment, calls=calls, on_line=options.on_line)
        self.gateway = Gateway(self.plugin, endpoints)
        await self.plugin.start()
        self._serving = asyncio.create_task(self._server.serve(sockets=[listener]))
        while not self._server.started:
            await asyncio.sleep(0.01)

    async def stop(self) -> None:
        """Stop all of it."""
        self._server.should_exit = True
        if self._serving is not None:
            await self._serving
        await self.plugin.stop()
        self.storage.close()
        if self._broker is not None:
            self._broker.close()

    def endpoint(self, hook: str, settings: Mapping[str, object]) -> Endpoint:
        """An endpoint with these settings; without servers it writes to this host's broker."""
        defaults = {} if "bootstrap_servers" in settings else {"bootstrap_servers": self.bootstrap}
        return Endpoint(hook, {**defaults, **settings})

    async def _application(self, scope: Any, receive: Any, send: Any) -> None:
        await self.gateway(scope, receive, send)


def _listen(port: int) -> socket.socket:
    # With its protocol named, asyncio switches Nagle's algorithm off; uvicorn's own socket costs 40 ms per answer.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", port))
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
        self._call(self.host.start())
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
