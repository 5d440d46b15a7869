"""A topic for Kafka."""

from collections.abc import Generator
from typing import Any

from dify_plugin import Tool
from dify_plugin.entities.tool import ToolInvokeMessage

from kafka_bridge.dify import app


class CreateTopic(Tool):
    """`create_topic`."""

    def _invoke(self, tool_parameters: dict[str, Any]) -> Generator[ToolInvokeMessage]:
        return app.runtime().tool("create_topic", self.runtime.credentials, tool_parameters, self.session)
