"""The tool `listen_sse` on threads, with a network in which a test has its own names and addresses."""

import secrets
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import httpcore

from kafka_bridge.broker.loops import ThreadLoop, Waiter
from kafka_bridge.broker.trust import default_ca_file
from kafka_bridge.clock import Clock
from kafka_bridge.errors import BridgeError
from kafka_bridge.tooling.call import ToolCall
from kafka_bridge.tooling.listen_sse import OUTPUTS, ListenSse
from kafka_bridge.tooling.messages import Json, Message, Text, Variable
from kafka_bridge.tooling.parameters import Parameters
from kafka_bridge.tooling.sse.connection import Connector
from kafka_bridge.tooling.sse.listening import World
from tests.stand_ins import Registry

PUBLIC = "93.184.215.14"
ALLOWED = {"allow_private_addresses": "enabled"}


@dataclass
class Names:
    """In the place of a name server; what it says of a name is used up, the last one stays."""

    known: dict[str, list[Sequence[str]]]
    asked: list[str] = field(default_factory=list)

    def __call__(self, host: str) -> Sequence[str]:
        self.asked.append(host)
        if host not in self.known:
            raise OSError
        answers = self.known[host]
        return answers.pop(0) if len(answers) > 1 else answers[0]


@dataclass
class Dial(httpcore.NetworkBackend):
    """In the place of the internet: whatever address is called, loopback answers. Notes who was called."""

    called: list[str] = field(default_factory=list)

    def connect_tcp(self, host: str, port: int, **options: Any) -> httpcore.NetworkStream:
        self.called.append(host)
        return httpcore.SyncBackend().connect_tcp("127.0.0.1", port, **options)


@dataclass
class Heard:
    """What a call has said."""

    messages: list[Message] = field(default_factory=list)
    error: BridgeError | None = None

    @property
    def json(self) -> list[Mapping[str, Any]]:
        return [message.value for message in self.messages if isinstance(message, Json)]

    @property
    def events(self) -> list[Mapping[str, Any]]:
        return [value for value in self.json if value.get("type") == "event"]

    @property
    def data(self) -> list[str]:
        return [event["data"] for event in self.events]

    @property
    def summary(self) -> Mapping[str, Any]:
        *_, last = self.json
        assert last["type"] == "summary"
        return last

    @property
    def status(self) -> str:
        return self.summary["status"]


class Loop(ThreadLoop):
    """Notes how long it is waited for what may come later."""

    def __init__(self) -> None:
        super().__init__()
        self.waits: list[float] = []

    def waiter(self) -> Waiter:
        waiter = super().waiter()
        wait = waiter.wait

        def noted(timeout_s: float) -> bool:
            if timeout_s:
                self.waits.append(timeout_s)
            return wait(timeout_s)

        return SimpleNamespace(wait=noted, wake=waiter.wake)


class Listener:
    """Calls the tool. Without `names` or `dial` it has the system's."""

    def __init__(
        self, *, registry: Registry | None = None, most_s: float = 20.0, ca_file: str = "", **network: Any
    ) -> None:
        self.registry = registry or Registry()
        self.loop = Loop()
        clock = Clock(now=time.time, monotonic=time.monotonic)
        world = World(self.loop, clock, random=lambda: 0.0, new_id=lambda: f"new-{secrets.token_hex(4)}")
        self.tool = ListenSse(self.registry, Connector(ca_file or default_ca_file(), **network), world, most_s=most_s)

    def start(self, url: str, credentials: Mapping[str, object] = ALLOWED, **parameters: object) -> Iterator[Message]:
        """The messages as they come. Raises BridgeError."""
        saved = {"bootstrap_servers": "broker.example.com:9092", **credentials}
        return self.tool(ToolCall(saved, Parameters({"url": url, **parameters})))

    def __call__(self, url: str, credentials: Mapping[str, object] = ALLOWED, **parameters: object) -> Heard:
        """All that a call says, and how it ended."""
        heard = Heard()
        try:
            for message in self.start(url, credentials, **parameters):
                heard.messages.append(message)
        except BridgeError as error:
            heard.error = error
        return heard


def listen(url: str, credentials: Mapping[str, object] = ALLOWED, **parameters: object) -> Heard:
    """One call."""
    return Listener()(url, credentials, **parameters)


def outputs_of(heard: Heard) -> Mapping[str, object]:
    """The variables of a call, all of them."""
    variables = {message.name: message.value for message in heard.messages if isinstance(message, Variable)}
    assert tuple(variables) == OUTPUTS
    assert [message for message in heard.messages if isinstance(message, Text)] == [Text(str(variables["summary"]))]
    return variables
