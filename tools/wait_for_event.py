"""Request and reply over Kafka."""

from collections.abc import Generator
from typing import Any

from dify_plugin import Tool
from dify_plugin.entities.tool import ToolInvokeMessage

from kafka_bridge.dify import app


class WaitForEvent(Tool):
    """`wait_for_event`."""

    def _invoke(self, tool_parameters: dict[str, Any]) -> Generator[ToolInvokeMessage]:
        return app.runtime().tool("wait_for_event", self.runtime.credentials, tool_parameters, self.session)
