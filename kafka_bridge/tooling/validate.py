"""What happens when somebody saves the provider's credentials: the tools connect with them."""

from collections.abc import Iterator
from contextlib import closing
from typing import Final

from kafka_bridge.clock import Clock
from kafka_bridge.tooling.call import ToolCall
from kafka_bridge.tooling.credentials import read_permissions, read_target
from kafka_bridge.tooling.errands import Errand, Errands
from kafka_bridge.tooling.messages import Message
from kafka_bridge.tooling.places import REACH_MOST_S, reach
from kafka_bridge.tooling.readers import MakeReader

# For closing the client, too.
_GRACE_S: Final = 4.0


class Validate:
    """Connects, and writes nothing. As a reader: whoever may only read cannot even start an idempotent producer."""

    def __init__(self, make_reader: MakeReader, errands: Errands, clock: Clock) -> None:
        self._make_reader = make_reader
        self._errands = errands
        self._clock = clock

    def __call__(self, call: ToolCall) -> Iterator[Message]:
        read_permissions(call.saved)
        cluster = read_target(call.saved)

        def task(_: Errand[None]) -> None:
            with closing(self._make_reader(cluster, "")) as reader:
                reach(reader, "", self._clock)

        self._errands.run(task, timeout_s=REACH_MOST_S + _GRACE_S)
        yield from ()
