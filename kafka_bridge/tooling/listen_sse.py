"""The tool `listen_sse`: events of a stream as they arrive, written to Kafka where the call says so, then a summary."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from kafka_bridge.broker.registry import ProducerRegistry
from kafka_bridge.dispatch.slots import Slots
from kafka_bridge.errors import Busy
from kafka_bridge.events.record import Record
from kafka_bridge.tooling.call import ToolCall
from kafka_bridge.tooling.credentials import read_permissions, read_target
from kafka_bridge.tooling.messages import Json, Message, Text, Variable
from kafka_bridge.tooling.sse.connection import Connector
from kafka_bridge.tooling.sse.listening import Forward, Listening, World
from kafka_bridge.tooling.sse.subscription import read_subscription

# Each may hold two megabytes, a socket and one of the SDK's workers, for minutes.
MAX_LISTENERS: Final = 32
# The platform ends a call after ten minutes unless its operator says otherwise, and what it ended has no result.
MOST_S: Final = 240.0
LEAST_MOST_S: Final = 1.0
# What comes after the last event: its acknowledgement by Kafka, and the summary.
AFTERWARDS_S: Final = 15.0
# As for webhooks: the client itself gives up after eight seconds.
SEND_S: Final = 9.0
OUTPUTS: Final = (
    "status",
    "total_events",
    "connection_duration",
    "events",
    "summary",
    "events_omitted",
    "last_event_id",
    "reconnects",
    "forwarded",
    "error",
)


class ListenSse:
    """Listens for as many calls at once as the process can hold."""

    def __init__(
        self, registry: ProducerRegistry, connector: Connector, world: World, *, most_s: float = MOST_S
    ) -> None:
        """`most_s`: how long one call may listen, whatever it asks for."""
        self._registry = registry
        self._connector = connector
        self._world = world
        self._most_s = most_s
        self._slots = Slots(MAX_LISTENERS, world.loop)

    def __call__(self, call: ToolCall) -> Iterator[Message]:
        subscription = read_subscription(call.parameters)
        permissions = read_permissions(call.saved)
        forward = self._forward(call.saved, subscription.forward_topic) if subscription.forward_topic else None
        if not self._slots.acquire(0):
            raise Busy(f"{MAX_LISTENERS} streams are listened to already, the most at once for all workspaces")
        try:
            listening = Listening(
                subscription,
                self._connector,
                self._world,
                most_s=self._most_s,
                private_addresses=permissions.private_addresses,
                forward=forward,
            )
            yield from _told(listening)
        finally:
            self._slots.release()

    def _forward(self, saved: Mapping[str, object], topic: str) -> Forward:
        cluster = read_target(saved)
        # Before anything is listened to: events that then cannot be written would have come for nothing.
        self._registry.lease(cluster).check(topic=topic, timeout_s=SEND_S)

        def forward(records: Sequence[Record]) -> object:
            return self._registry.lease(cluster).send_all(records, timeout_s=SEND_S)

        return forward


def _told(listening: Listening) -> Iterator[Message]:
    message: Mapping[str, object] = {}
    for message in listening.messages():
        yield Json(message)
    yield Text(str(message["summary"]))
    for name in OUTPUTS:
        yield Variable(name, message[name])
    if listening.error is not None:
        raise listening.error


def longest_s(environment: Mapping[str, str]) -> float:
    """How long a call may listen, in seconds: well within what the platform gives it (PLUGIN_MAX_EXECUTION_TIMEOUT)."""
    text = environment.get("PLUGIN_MAX_EXECUTION_TIMEOUT", "").strip()
    if not text.isascii() or not text.isdigit() or len(text) > len("999999"):
        return MOST_S
    return max(LEAST_MOST_S, min(MOST_S, int(text) - AFTERWARDS_S))
