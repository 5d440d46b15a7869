"""The provider's credentials."""

from typing import Any

from dify_plugin import ToolProvider

from kafka_bridge.dify import app


class KafkaBridge(ToolProvider):
    """A cluster, and what the tools may do besides."""

    def _validate_credentials(self, credentials: dict[str, Any]) -> None:
        app.runtime().validate(credentials)
