"""One call of a tool. Pure."""

from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

from kafka_bridge.tooling.messages import Message
from kafka_bridge.tooling.parameters import Parameters


class ToolCall(NamedTuple):
    """`saved` are the provider's credentials as the platform saved them; `parameters` reads those of the call."""

    saved: Mapping[str, object]
    parameters: Parameters


type Tool = Callable[[ToolCall], Iterator[Message]]
"""Does what was asked for and says what came of it, message by message. Raises BridgeError."""
