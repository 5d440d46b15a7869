"""What happens when somebody saves the provider's credentials: the tools connect with them."""

from collections.abc import Iterator
from typing import Final

from kafka_bridge.broker.registry import ProducerRegistry
from kafka_bridge.tooling.call import ToolCall
from kafka_bridge.tooling.credentials import read_permissions, read_target
from kafka_bridge.tooling.messages import Message

# Whoever saves them waits for it.
CONNECT_S: Final = 8.0


class Validate:
    """Connects as the tools will, over the connection that they will then use."""

    def __init__(self, registry: ProducerRegistry) -> None:
        self._registry = registry

    def __call__(self, call: ToolCall) -> Iterator[Message]:
        read_permissions(call.saved)
        self._registry.lease(read_target(call.saved)).check(topic="", timeout_s=CONNECT_S)
        yield from ()
