"""Events of a stream, as they arrive."""

from collections.abc import Generator
from typing import Any

from dify_plugin import Tool
from dify_plugin.entities.tool import ToolInvokeMessage

from kafka_bridge.dify import app


class ListenSse(Tool):
    """`listen_sse`."""

    def _invoke(self, tool_parameters: dict[str, Any]) -> Generator[ToolInvokeMessage]:
        return app.runtime().tool("listen_sse", self.runtime.credentials, tool_parameters, self.session)
