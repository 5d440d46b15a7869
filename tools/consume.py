"""Records from Kafka."""

from collections.abc import Generator
from typing import Any

from dify_plugin import Tool
from dify_plugin.entities.tool import ToolInvokeMessage

from kafka_bridge.dify import app


class Consume(Tool):
    """`consume`."""

    def _invoke(self, tool_parameters: dict[str, Any]) -> Generator[ToolInvokeMessage]:
        return app.runtime().tool("consume", self.runtime.credentials, tool_parameters, self.session)
