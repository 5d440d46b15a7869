"""Calls of tools, as the daemon makes them: one line in, messages until the end."""

from collections.abc import AsyncGenerator, Callable, Mapping
from typing import Any

import orjson

from devhost import frames
from devhost.manifest import Manifest
from devhost.process import PluginProcess
from devhost.streams import Messages, PluginFailed

type Message = Mapping[str, Any]
"""As Dify gets it: `type`, `message` and `meta`."""


class NoTool(Exception):
    """The plugin has no tool of that name; `str()` names those that it has."""


class ToolFailed(Exception):
    """The call ended with an error: `kind` is the name of the plugin's exception, `str()` its text.

    `said` is all of what the plugin sent, the traceback included.
    """

    def __init__(self, error: str) -> None:
        told = orjson.loads(error)
        super().__init__(told.get("message", ""))
        self.kind = str(told.get("error_type", ""))
        self.said = error


class Tools:
    """The tools of a plugin. A call whose iterator is closed is over for the plugin as well."""

    def __init__(self, plugin: PluginProcess, manifest: Manifest) -> None:
        self._plugin = plugin
        self._manifest = manifest

    def call(
        self, name: str, parameters: Mapping[str, object], credentials: Mapping[str, object]
    ) -> AsyncGenerator[Message]:
        """What the tool says, as it says it. Raises NoTool, ToolFailed and NotRunning."""
        tool = self._manifest.tools.get(name)
        if tool is None:
            raise NoTool(f"the plugin has no tool {name}; it has {', '.join(self._manifest.tools) or 'none'}")
        return self._session(
            lambda session_id: frames.tool_request(session_id, tool.provider, name, parameters, credentials),
            frames.tool_message,
        )

    async def validate(self, credentials: Mapping[str, object]) -> None:
        """Have the plugin look at credentials, as before they are saved. Raises NoTool, ToolFailed and NotRunning."""
        providers = {tool.provider for tool in self._manifest.tools.values()}
        if not providers:
            raise NoTool("the plugin has no tools")
        for provider in providers:

            def line(session_id: str, provider: str = provider) -> bytes:
                return frames.credentials_request(session_id, provider, credentials)

            async for _ in self._session(line, lambda data: data):
                pass

    async def _session[Part](
        self, line: Callable[[str], bytes], read: Callable[[object], Part]
    ) -> AsyncGenerator[Part]:
        messages, session_id = Messages(read), ""
        try:
            session_id = await self._plugin.open(line, messages)
            while (part := await messages.next()) is not None:
                yield part
        except PluginFailed as error:
            raise ToolFailed(str(error)) from error
        finally:
            self._plugin.forget(session_id, gone=not messages.ended)
