"""One persistent producer, shared by everybody who writes to the same cluster with the same credentials.

Callers queue a record without blocking and are parked until the report of *their* record arrives; a native thread, the
*pump*, does whatever blocks: builds the client, asks whether the cluster can be reached, waits for events, closes it.
While somebody waits for a report the loop itself looks for it, without waiting (`_look`): a thread would have to take
the interpreter's lock from a busy loop for every single report, and each time that costs more than the report.

    STARTING ──reached──▶ UP ──all brokers down, or a timeout──▶ SUSPECT ──reached──▶ UP
        │                  ▲                                        │
        └──no answer──▶ DOWN(cause) ◀──no answer────────────────────┘

Records are queued in state UP only. In DOWN a caller gets the cause at once; the pump goes on asking for as long as
anybody wants to write. In STARTING and SUSPECT a caller waits for the verdict, which takes about a second. So while a
cluster is away no queue of stale records builds up, whose senders have long been told to deliver again.
"""

import logging
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from typing import Final

from kafka_bridge.broker.batch import Batch
from kafka_bridge.broker.loops import Loop, Waiter
from kafka_bridge.broker.ports import ClientDead, Report
from kafka_bridge.broker.pump import IDLE_S, INTEREST_S, SILENCE_S, VERDICT_S, MakeClient, Pump, Situation, State
from kafka_bridge.clock import Clock
from kafka_bridge.errors import BridgeError, Cause, Refused, Unavailable
from kafka_bridge.events.record import Delivery, Record

logger = logging.getLogger(__name__)

# Each caller occupies one of the SDK's 1000 workers; a cluster that hangs must leave enough for everybody else.
MAX_WAITING: Final = 400
# Whoever only asks whether a cluster that hangs can be reached: more of them get the last verdict.
MAX_CHECKING: Final = 8
# A dead client (bad properties, a fatal error) is rebuilt at most once per this many seconds.
REBUILD_S: Final = 1.0
# Health asks the cluster again when the last sign of life is older than this.
FRESH_S: Final = 10.0


class Connection:
    """See the module's docstring. Implements `ports.Publisher`, and is the pump's listener.

    `name` is for log lines (the servers, never a credential); `on_idle` is called on the loop when nobody has used the
    connection for a long time, and answers whether it may go.
    """

    def __init__(
        self, make_client: MakeClient, *, name: str, loop: Loop, clock: Clock, on_idle: Callable[[], bool]
    ) -> None:
        now = clock.monotonic()
        self._name = name
        self._loop = loop
        self._clock = clock
        self._on_idle = on_idle
        self._now = Situation(State.STARTING, topic="", wanted_at=now, doubted_at=now)
        self._pump = Pump(make_client, situation=self._now, listener=self, loop=loop, clock=clock)
        self._pumping = False
        self._error: BridgeError | None = None
        self._announced_up: bool | None = None
        self._batches: dict[Batch, None] = {}
        self._callers: dict[Waiter, None] = {}
        self._reports: deque[tuple[Batch, int, Report]] = deque()
        self._lookout = loop.lookout(self._look)
        self._waiting = 0
        self._checking = 0
        self._alive_at = now - FRESH_S
        self._dead_at = now - REBUILD_S

    # What callers use.

    @property
    def state(self) -> State:
        """Whether records can be written now."""
        return self._now.state

    @property
    def waiting(self) -> int:
        """Callers that wait for an acknowledgement, or for the cluster."""
        return self._waiting + self._checking

    @property
    def queued(self) -> int:
        """Records that are not acknowledged yet."""
        with self._loop.lock:
            return sum(batch.pending for batch in self._batches)

    def send(self, record: Record, *, timeout_s: float) -> Delivery:
        """Publish one record. Raises BridgeError."""
        return self.send_all((record,), timeout_s=timeout_s)[0]

    def send_all(self, records: Sequence[Record], *, timeout_s: float) -> tuple[Delivery, ...]:
        """Publish records together; returns when the broker has acknowledged all of them. Raises BridgeError.

        After an error any of them may still have been written: the outcome is unknown, and a retry is right.
        """
        return self._send(records, timeout_s, each=False).deliveries()

    def send_each(self, records: Sequence[Record], *, timeout_s: float) -> tuple[Delivery | BridgeError, ...]:
        """Publish records together; what has become of each. Raises BridgeError when none was even tried.

        One that is refused keeps none of the others from being written.
        """
        return self._send(records, timeout_s, each=True).outcomes()

    def _send(self, records: Sequence[Record], timeout_s: float, *, each: bool) -> Batch:
        deadline = self._clock.monotonic() + timeout_s
        with self._loop.lock:
            if self._waiting >= MAX_WAITING:
                raise Unavailable(Cause.QUEUE_FULL, f"{self._waiting} requests wait for {self._name}")
            self._waiting += 1
        batch = Batch(len(records), self._loop.waiter())
        try:
            with self._loop.lock:
                self._want(records[0].topic)
            self._until_up(deadline)
            with self._loop.lock:
                self._queue(records, batch, each=each)
            if batch.pending and not batch.waiter.wait(deadline - self._clock.monotonic()):
                batch.fail(Unavailable(Cause.NOT_ACKNOWLEDGED, "no delivery report"))
            return batch
        finally:
            with self._loop.lock:
                self._waiting -= 1
                self._batches.pop(batch, None)
                batch.pending = 0

    def check(self, *, topic: str, timeout_s: float) -> None:
        """Return if the cluster can be reached; it is asked about `topic`, or about all. Raises BridgeError."""
        with self._loop.lock:
            self._want(self._now.topic or topic)
            if self._clock.monotonic() - self._alive_at > FRESH_S:
                self.doubted()
            if self._checking >= MAX_CHECKING and self._now.state is not State.UP:
                raise self._error or self._now.likely
            self._checking += 1
        try:
            self._until_up(self._clock.monotonic() + timeout_s)
        finally:
            with self._loop.lock:
                self._checking -= 1

    def close(self) -> None:
        """Let go of the client; whoever still waits gets an error."""
        with self._loop.lock:
            self._leave(State.CLOSED, Unavailable(Cause.NOT_ACKNOWLEDGED, "the connection was closed"))

    # What the pump tells, on the loop.

    def reported(self) -> None:
        """Settle what was reported."""
        while self._reports:
            self._settle(*self._reports.popleft())

    def reached(self) -> None:
        """Records can be written."""
        if self._now.state is State.CLOSED:
            return
        self._now.state, self._now.trouble = State.UP, None
        self._error, self._alive_at = None, self._clock.monotonic()
        self._wake_callers()
        if self._announced_up is not True:
            words = "connected" if self._announced_up is None else "connection recovered"
            self._announced_up = True
            self._loop.log(partial(logger.info, "Kafka %s: %s", words, self._name))

    def doubted(self, *, silent_s: float = 0.0) -> None:
        """Queue nothing until the pump has asked; the cluster has been silent for `silent_s` seconds already."""
        if self._now.state is State.UP:
            self._now.state, self._now.doubted_at = State.SUSPECT, self._clock.monotonic() - silent_s

    def lost(self, error: BridgeError) -> None:
        """Tell everybody who waits."""
        self._leave(State.DOWN, error)

    def died(self, error: BridgeError) -> None:
        """As `lost`; the next caller, after a moment, gets another client."""
        self._now.client = None
        self._dead_at = self._clock.monotonic()
        self._leave(State.DOWN, error)

    def idle(self) -> None:
        """Go, if nobody has come meanwhile and the registry agrees."""
        if not self._waiting and self._clock.monotonic() - self._now.wanted_at > IDLE_S and self._on_idle():
            self._now.state = State.CLOSED

    def stopped(self) -> None:
        """The thread has ended; another one may be started."""
        self._pumping = False

    # On the loop.

    def _want(self, topic: str) -> None:
        now, situation = self._clock.monotonic(), self._now
        if situation.state is State.DOWN and now - situation.wanted_at >= INTEREST_S:
            # Nobody asked for a while, so the last verdict is old: have the pump find a new one.
            situation.state, situation.doubted_at, situation.trouble = State.SUSPECT, now, None
        situation.wanted_at = now
        situation.topic = topic or situation.topic
        if not self._pumping and now - self._dead_at >= REBUILD_S and situation.state is not State.CLOSED:
            situation.state, situation.doubted_at, situation.trouble = State.STARTING, now, None
            try:
                self._loop.start_thread(self._pump.run)
            except RuntimeError as error:
                self.died(Unavailable(Cause.QUEUE_FULL, "the process has no thread left"))
                raise Unavailable(Cause.QUEUE_FULL, "the process has no thread left") from error
            self._pumping = True

    def _until_up(self, deadline: float) -> None:
        while self._now.state is not State.UP:
            with self._loop.lock:
                if self._now.state in {State.DOWN, State.CLOSED} and self._error is not None:
                    raise self._error
                waiter = self._loop.waiter()
                self._callers[waiter] = None
            try:
                if not waiter.wait(deadline - self._clock.monotonic()):
                    raise self._now.likely
            finally:
                with self._loop.lock:
                    self._callers.pop(waiter, None)

    def _queue(self, records: Sequence[Record], batch: Batch, *, each: bool) -> None:
        client = self._now.client
        if client is None or self._now.state is not State.UP:
            raise self._error or self._now.likely
        self._batches[batch] = None
        if self._lookout is not None and not self._now.served:
            self._now.served = True
            self._lookout.start()
        for index, record in enumerate(records):
            try:
                client.produce(record, partial(self._on_report, batch, index))
            except ClientDead as dead:
                # Whoever waits is told of it, this caller too.
                self.died(dead.error)
                return
            except BridgeError as error:
                if not each:
                    error.index = index if isinstance(error, Refused) else None
                    raise
                batch.settle(index, error)

    def _look(self) -> None:
        """Serve reports on the loop, without waiting, for as long as somebody waits for one."""
        client = self._now.client
        try:
            if client is not None:
                client.poll(0)
        except ClientDead as dead:
            self.died(dead.error)
        self.reported()
        if not self._batches and self._lookout is not None:
            self._lookout.stop()
            self._now.served = False

    def _on_report(self, batch: Batch, index: int, error: object, message: object) -> None:
        # Inside the client's poll, on whatever thread that is: nobody is woken from here.
        self._reports.append((batch, index, (error, message)))

    def _settle(self, batch: Batch, index: int, report: Report) -> None:
        client = self._now.client
        result = client.read(report) if client is not None else None
        if result is None:
            # Dropped on purpose, by us or by a client that dies: whoever did it tells the callers why.
            return
        if isinstance(result, Delivery):
            self._alive_at = self._clock.monotonic()
            if self._now.state is not State.UP:
                self.reached()
        elif isinstance(result, Unavailable) and result.cause is Cause.NOT_ACKNOWLEDGED:
            # The cluster has been silent for a whole delivery timeout already.
            self.doubted(silent_s=SILENCE_S - VERDICT_S)
        batch.settle(index, result)

    def _leave(self, state: State, error: BridgeError) -> None:
        if self._now.state is State.CLOSED:
            return
        self._now.state, self._error = state, error
        for batch in list(self._batches):
            batch.fail(error)
        self._batches.clear()
        self._wake_callers()
        if state is State.DOWN and self._announced_up is not False:
            words = "no connection" if self._announced_up is None else "connection lost"
            self._announced_up = False
            self._loop.log(partial(logger.warning, "Kafka %s: %s: %s (%s)", words, self._name, error, error.hint))

    def _wake_callers(self) -> None:
        for waiter in list(self._callers):
            waiter.wake()
        self._callers.clear()
