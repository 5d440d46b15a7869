"""What stands in the place of the edges: a clock, a broker, a request, saved settings, a log."""

import json
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import MappingProxyType, SimpleNamespace
from typing import Any

from kafka_bridge.broker.loops import ThreadLoop
from kafka_bridge.broker.pump import State
from kafka_bridge.clock import Clock
from kafka_bridge.dify.events import Events
from kafka_bridge.dify.hosting import Hosting
from kafka_bridge.dify.recorder import EventRecorder
from kafka_bridge.dify.residents import Residents
from kafka_bridge.dify.visits import Visits
from kafka_bridge.errors import BridgeError
from kafka_bridge.events.log.logs import EventLogs
from kafka_bridge.events.log.reader import Cache, Reader
from kafka_bridge.events.outcome import Outcome
from kafka_bridge.events.record import Delivery, Record
from kafka_bridge.http import Inbound
from kafka_bridge.ingress.dedupe import Dedupe
from kafka_bridge.ingress.publish import Publisher
from kafka_bridge.ingress.receive import receive
from kafka_bridge.ingress.source import Source, compile_sources
from kafka_bridge.settings import endpoint
from kafka_bridge.settings.cluster import Cluster

NOW = 1_700_000_000
SECRET = "not-a-real-secret"


def clock_at(now: float) -> Clock:
    """A clock that stands still."""
    return Clock(now=lambda: now, monotonic=lambda: 0.0)


@dataclass
class Ticking:
    """A clock that a test moves by hand."""

    at: float = 0.0

    @property
    def clock(self) -> Clock:
        return Clock(now=lambda: NOW + self.at, monotonic=lambda: self.at)


@dataclass
class Broker:
    """In the place of `send`: acknowledges every record, or raises `error`."""

    error: BridgeError | None = None
    records: list[Record] = field(default_factory=list)

    def __call__(self, records: Sequence[Record]) -> Sequence[Delivery]:
        self.records += records
        if self.error is not None:
            raise self.error
        return [Delivery(record.topic, 3, 41 + n, 1_700_000_000_000) for n, record in enumerate(records)]


class Disk:
    """In the place of a session's storage: what it is given, in memory."""

    def __init__(self) -> None:
        self.values: dict[str, bytes] = {}
        self.writes = 0

    def get(self, key: str) -> bytes:
        if key not in self.values:
            raise Exception("load data failed")  # noqa: TRY002 - as the SDK has it
        return self.values[key]

    def set(self, key: str, val: bytes) -> None:
        self.writes += 1
        self.values[key] = val

    def delete(self, key: str) -> None:
        if self.values.pop(key, None) is None:
            raise Exception("delete data failed")  # noqa: TRY002 - as the SDK has it

    def exist(self, key: str) -> bool:
        return key in self.values


def event_log(clock: Clock) -> tuple[EventRecorder, Events]:
    """The event log of all endpoints, and its handlers."""
    names = iter(f"{number:08x}" for number in range(1 << 20))
    recorder = EventRecorder(EventLogs(clock, lambda: next(names)), loop=ThreadLoop(), clock=clock)
    return recorder, Events(recorder, Reader(Cache(), clock))


def residents(hosting: Hosting | None = None) -> Residents:
    """No resident consumers, as the runtime cannot host any."""
    nobody: Any = SimpleNamespace(leave=lambda _endpoint: None)
    hosting = hosting or Hosting(obstacle="there is no daemon")
    return Residents(nobody, Visits(), hosting, loop=ThreadLoop(), clock=clock_at(NOW), random=lambda: 0.5)


class NoWaiter:
    """In the place of a waiter: nobody else is there to wake anybody."""

    def wait(self, timeout_s: float) -> bool:
        return False

    def wake(self) -> None:
        pass


def publisher_to(broker: Broker, *, dedupe: Dedupe | None = None, now: float = 0.0) -> Publisher:
    """What `receive` publishes with; without a `dedupe` nothing is remembered."""
    return Publisher(
        send=broker,
        dedupe=Dedupe(waiter=NoWaiter) if dedupe is None else dedupe,
        endpoint="endpoint-1",
        monotonic=lambda: now,
        deadline=now + 9.0,
    )


def receive_at(
    inbound: Inbound, source: Source, broker: Broker, *, now: float, limit_bytes: int = 1_000_000
) -> Outcome:
    """One request, with the clock standing still."""
    return receive(inbound, source, publisher=publisher_to(broker), clock=clock_at(now), limit_bytes=limit_bytes)


@dataclass
class Connection:
    """In the place of `broker.bridge.Connection`."""

    broker: Broker
    checked: list[tuple[str, float]] = field(default_factory=list)
    state = State.UP
    queued = waiting = 0

    def send_all(self, records: Sequence[Record], *, timeout_s: float) -> Sequence[Delivery]:
        return self.broker(records)

    def send_each(self, records: Sequence[Record], *, timeout_s: float) -> Sequence[Delivery | BridgeError]:
        return self.broker(records)

    def check(self, *, topic: str, timeout_s: float) -> None:
        self.checked.append((topic, timeout_s))
        if self.broker.error is not None:
            raise self.broker.error


class Registry:
    """In the place of `broker.registry.ProducerRegistry`: one connection, whatever the cluster."""

    def __init__(self, error: BridgeError | None = None) -> None:
        self.broker = Broker(error)
        self.connection = Connection(self.broker)
        self.leased: list[Cluster] = []

    def lease(self, cluster: Cluster) -> Connection:
        self.leased.append(cluster)
        return self.connection

    def find(self, cluster: Cluster) -> Connection | None:
        return self.connection if cluster in self.leased else None


def saved(**settings: object) -> Mapping[str, object]:
    """Settings as the platform saves them, enough of them to receive webhooks."""
    return {"bootstrap_servers": "broker.example.com:9092", "webhook_secret": SECRET, **settings}


def source_of(**settings: object) -> Source:
    """The default source of saved settings; fails when it cannot be compiled."""
    sources, problems = compile_sources(parsed := endpoint.parse(saved(**settings)))
    assert ([str(problem) for problem in problems], parsed.problems) == ([], ())
    return sources["default"]


def hmac_source(options: Mapping[str, object], secret: str = SECRET) -> Source:
    """The default source with `scheme_options`."""
    return source_of(webhook_secret=secret, sources=json.dumps({"default": {"scheme_options": options}}))


def request(body: bytes = b"{}", headers: Mapping[str, str] = MappingProxyType({}), **fields: str) -> Inbound:
    """A delivery; header names in any case."""
    lower = {name.lower(): value for name, value in headers.items()}
    return Inbound(**{"method": "POST", "path": "/webhook", **fields}, headers=lower, body=body)


@contextmanager
def log_of(name: str) -> Iterator[list[str]]:
    """The lines that a logger writes meanwhile, whatever its propagation was set to."""
    lines: list[str] = []
    logger, handler = logging.getLogger(name), _Lines(lines.append)
    propagate, logger.propagate = logger.propagate, False
    logger.addHandler(handler)
    try:
        yield lines
    finally:
        logger.removeHandler(handler)
        logger.propagate = propagate


class _Lines(logging.Handler):
    def __init__(self, take: Callable[[str], None]) -> None:
        super().__init__()
        self._take = take

    def emit(self, record: logging.LogRecord) -> None:
        self._take(record.getMessage())
