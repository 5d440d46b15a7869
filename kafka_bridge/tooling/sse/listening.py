"""One call of `listen_sse`, from the first connection to the summary."""

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from typing import NamedTuple

from kafka_bridge.broker.loops import Loop
from kafka_bridge.clock import Clock
from kafka_bridge.errors import BridgeError, StreamFailed
from kafka_bridge.events.record import Record
from kafka_bridge.tooling.sse.account import Account, Ending
from kafka_bridge.tooling.sse.connection import Connector
from kafka_bridge.tooling.sse.failures import TOO_LARGE_EVENT, Broken, Failure, OutOfTime
from kafka_bridge.tooling.sse.network import Bounds
from kafka_bridge.tooling.sse.parser import Event, Parser, TooLarge
from kafka_bridge.tooling.sse.reconnection import Reconnection
from kafka_bridge.tooling.sse.records import record_of
from kafka_bridge.tooling.sse.subscription import Subscription, is_header_value

type Forward = Callable[[Sequence[Record]], object]
"""Writes records and waits for their acknowledgement. Raises BridgeError."""


class World(NamedTuple):
    """What a call needs besides the network. `random` gives numbers from 0 to 1, `new_id` ids of events."""

    loop: Loop
    clock: Clock
    random: Callable[[], float]
    new_id: Callable[[], str]


class Listening:
    """Listens until enough has come, the time is over, or there is no more to be had."""

    def __init__(
        self,
        subscription: Subscription,
        connector: Connector,
        world: World,
        *,
        most_s: float,
        private_addresses: bool,
        forward: Forward | None = None,
    ) -> None:
        """`most_s`: how long a call may take, whatever it asks for. `forward` is for all events that are wanted."""
        self.error: BridgeError | None = None
        self._subscription = subscription
        self._connector = connector
        self._world = world
        self._forward = forward
        self._began = world.clock.monotonic()
        self._most_s = most_s
        deadline = self._began + min(subscription.timeout_s, most_s)
        self._bounds = Bounds(deadline, private_addresses, world.clock.monotonic, world.loop)
        self._account = Account(subscription.hop.target.authority, subscription.token)
        self._reconnection = Reconnection(subscription.reconnects, method=subscription.hop.method, random=world.random)
        self._last_event_id = subscription.last_event_id
        self._retry_ms: int | None = None
        self._connected = False
        self._ending: Ending | None = None
        self._failure: Failure | None = None

    def messages(self) -> Iterator[Mapping[str, object]]:
        """One for each event, as it arrives, and the summary; then `error` is set if nothing came of it."""
        try:
            while self._ending is None:
                failure = yield from self._connection()
                if self._ending is None:
                    self._failure = failure
                    self._wait_or_end()
        except OutOfTime:
            self._out_of_time()
        assert self._ending is not None
        # One that no header can have is nothing to go on with, and may be too large to be told.
        self._account.last_event_id = self._resume_from
        duration_s = self._world.clock.monotonic() - self._began
        summary = self._account.summary(self._ending, self._failure, duration_s)
        if summary["status"] == "error" and self.error is None and self._failure is not None:
            self.error = StreamFailed(str(self._failure))
        yield summary

    @property
    def _resume_from(self) -> str:
        return self._last_event_id if is_header_value(self._last_event_id) else ""

    def _connection(self) -> Generator[Mapping[str, object], None, Failure | None]:
        """One connection, to its end; why it ended, None where the server ended it or nothing more is wanted."""
        self._account.attempts += 1
        self._failure = None
        parser = Parser(self._last_event_id)
        try:
            with self._connector.open(self._subscription.hop, self._resume_from, self._bounds) as pieces:
                if pieces is None:
                    self._connected, self._ending = True, Ending.SAID_SO
                    return None
                self._connected = True
                for piece in pieces:
                    yield from self._take(parser, piece)
                    if self._ending is not None:
                        break
        except Broken as broken:
            return broken.failure
        except TooLarge:
            return TOO_LARGE_EVENT
        finally:
            self._last_event_id = parser.last_event_id
            self._retry_ms = self._retry_ms if parser.retry_ms is None else parser.retry_ms
        return None

    def _take(self, parser: Parser, piece: bytes) -> Iterator[Mapping[str, object]]:
        messages: list[Mapping[str, object]] = []
        records: list[Record] = []
        too_large = False
        try:
            for event in parser.feed(piece):
                self._reconnection.received()
                if not self._wants(event):
                    continue
                now = self._world.clock.now()
                messages.append(self._account.add(shown := self._account.masked(event), now))
                records += self._records(shown, now)
                if self._account.total >= self._subscription.max_events:
                    self._ending = Ending.ENOUGH
                    break
        except TooLarge:
            # What came before it is as good as ever.
            too_large = True
        self._write(records)
        yield from messages
        if too_large:
            raise TooLarge
        if self._account.is_full and self._ending is None:
            self._ending = Ending.FULL

    def _wants(self, event: Event) -> bool:
        return not self._subscription.event_types or event.type in self._subscription.event_types

    def _records(self, event: Event, now: float) -> Iterator[Record]:
        if self._forward is not None:
            topic, source = self._subscription.forward_topic, self._subscription.hop.target.source
            yield record_of(event, topic=topic, source=source, now=now, new_id=self._world.new_id)

    def _write(self, records: Sequence[Record]) -> None:
        if not records or self._forward is None:
            return
        try:
            self._forward(records)
        except BridgeError as error:
            self.error, self._ending = error, Ending.LOST
            self._failure = Failure(f"{len(records)} could not be written to Kafka: {error}")
        else:
            self._account.forwarded += len(records)

    def _wait_or_end(self) -> None:
        resumable = bool(self._last_event_id) or self._retry_ms is not None
        delay_s = self._reconnection.delay_s(self._failure, resumable=resumable, retry_ms=self._retry_ms)
        if delay_s is None:
            self._ending = Ending.FAILED if self._failure else Ending.CLOSED
        elif self._world.clock.monotonic() + delay_s >= self._bounds.deadline:
            # Nothing can come in the time that is left.
            raise OutOfTime
        else:
            self._world.loop.waiter().wait(delay_s)

    def _out_of_time(self) -> None:
        if self._connected:
            self._ending = Ending.CUT if self._subscription.timeout_s > self._most_s else Ending.TIME
        else:
            self._ending = Ending.FAILED
            silent = Failure("the server gave no answer in time", "Check host and port, or set a longer timeout.")
            self._failure = self._failure or silent
