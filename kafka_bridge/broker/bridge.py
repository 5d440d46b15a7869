"""One persistent producer, shared by everybody who writes to the same cluster with the same credentials.

A native thread, the *pump*, owns the client: it builds it, asks whether the cluster can be reached, serves delivery
reports, closes it. Callers queue a record without blocking and are parked until the report of *their* record arrives.

    STARTING ──reached──▶ UP ──all brokers down, or a timeout──▶ SUSPECT ──reached──▶ UP
        │                  ▲                                        │
        └──no answer──▶ DOWN(cause) ◀──no answer────────────────────┘

Records are queued in state UP only. In DOWN a caller gets the cause at once; the pump goes on asking for as long as
anybody wants to write. In STARTING and SUSPECT a caller waits for the verdict, which takes about a second. So while a
cluster is away no queue of stale records builds up, whose senders have long been told to deliver again.
"""

import logging
from collections.abc import Callable, Sequence
from enum import Enum, auto
from functools import partial
from typing import Final

from kafka_bridge.broker.causes import is_decisive
from kafka_bridge.broker.loops import Loop, Waiter
from kafka_bridge.broker.ports import ClientDead, ProducerClient, Report, Trouble
from kafka_bridge.clock import Clock
from kafka_bridge.errors import BridgeError, Cause, Internal, Unavailable
from kafka_bridge.events.record import Delivery, Record

logger = logging.getLogger(__name__)

# Each caller occupies one of the SDK's 1000 workers; a cluster that hangs must leave enough for everybody else.
MAX_WAITING: Final = 400
# A cause that the client knows is worth telling after this long ("about a second"); a refused port may recover.
VERDICT_S: Final = 1.0
# Without any word from the cluster (a frozen broker, a black hole) the verdict takes as long as a delivery.
SILENCE_S: Final = 8.0
POLL_S: Final = 0.1
REACH_S: Final = 0.3
# Pause between two questions while the cluster is away.
RETRY_S: Final = 0.3
# How long after the last caller the pump goes on asking whether a lost cluster is back.
INTEREST_S: Final = 30.0
# A dead client (bad properties, a fatal error) is rebuilt at most once per this many seconds.
REBUILD_S: Final = 1.0
# A connection that nobody used for this long is given up; the next caller pays the start again.
IDLE_S: Final = 600.0
# Health asks the cluster again when the last sign of life is older than this.
FRESH_S: Final = 10.0

type MakeClient = Callable[[Callable[[Trouble], None]], ProducerClient]
"""Builds a client (may block) that calls back, from `poll`, with what it learns about its connections."""


class State(Enum):
    """Whether records can be written."""

    STARTING = auto()
    UP = auto()
    SUSPECT = auto()
    DOWN = auto()
    CLOSED = auto()


class _Batch:
    """Records of one caller and what became of them."""

    __slots__ = ("error", "pending", "results", "waiter")

    def __init__(self, size: int, waiter: Waiter) -> None:
        self.results: list[Delivery | None] = [None] * size
        self.pending = size
        self.error: BridgeError | None = None
        self.waiter = waiter

    def settle(self, index: int, result: Delivery | BridgeError) -> None:
        """Note one report; the caller goes on when all are there. Reports after `fail` change nothing."""
        if self.pending <= 0:
            return
        if isinstance(result, Delivery):
            self.results[index] = result
        else:
            self.error = self.error or result
        self.pending -= 1
        if self.pending == 0:
            self.waiter.wake()

    def fail(self, error: BridgeError) -> None:
        """Let the caller go with `error`, whatever the reports may still say."""
        if self.pending > 0:
            self.pending = 0
            self.error = error
            self.waiter.wake()

    def deliveries(self) -> tuple[Delivery, ...]:
        if self.error is not None:
            raise self.error
        return tuple(delivery for delivery in self.results if delivery is not None)


class Connection:
    """See the module's docstring. Implements `ports.Publisher`.

    `name` is for log lines (the servers, never a credential); `on_idle` is called on the loop when nobody has used the
    connection for `IDLE_S`, and answers whether it may go.
    """

    def __init__(
        self, make_client: MakeClient, *, name: str, loop: Loop, clock: Clock, on_idle: Callable[[], bool]
    ) -> None:
        self._make_client = make_client
        self._name = name
        self._loop = loop
        self._clock = clock
        self._on_idle = on_idle
        self._client: ProducerClient | None = None
        self._pumping = False
        self._state = State.STARTING
        self._error: BridgeError | None = None
        self._announced_up: bool | None = None
        self._batches: dict[_Batch, None] = {}
        self._callers: dict[Waiter, None] = {}
        self._waiting = 0
        # Written on the loop and read by the pump, or the reverse; single assignments, so a stale value is the worst.
        self._topic = ""
        self._wanted_at = clock.monotonic()
        self._alive_at = -FRESH_S
        self._suspect_at = clock.monotonic()
        self._dead_at = -REBUILD_S
        self._trouble: Trouble | None = None

    # What callers use.

    @property
    def state(self) -> State:
        """Whether records can be written now."""
        return self._state

    @property
    def waiting(self) -> int:
        """Callers that wait for an acknowledgement, or for the cluster."""
        return self._waiting

    def send(self, record: Record, *, timeout_s: float) -> Delivery:
        """Publish one record. Raises BridgeError."""
        return self.send_all((record,), timeout_s=timeout_s)[0]

    def send_all(self, records: Sequence[Record], *, timeout_s: float) -> tuple[Delivery, ...]:
        """Publish records together; returns when the broker has acknowledged all of them. Raises BridgeError.

        After an error any of them may still have been written: the outcome is unknown, and a retry is right.
        """
        deadline = self._clock.monotonic() + timeout_s
        with self._loop.lock:
            if self._waiting >= MAX_WAITING:
                raise Unavailable(Cause.QUEUE_FULL, f"{self._waiting} requests wait for {self._name}")
            self._waiting += 1
            self._want(records[0].topic)
        batch = _Batch(len(records), self._loop.waiter())
        try:
            self._until_up(deadline)
            with self._loop.lock:
                self._queue(records, batch)
            if not batch.waiter.wait(deadline - self._clock.monotonic()):
                raise Unavailable(Cause.NOT_ACKNOWLEDGED, "no delivery report")
            return batch.deliveries()
        finally:
            with self._loop.lock:
                self._waiting -= 1
                self._batches.pop(batch, None)
                batch.pending = 0

    def check(self, *, topic: str, timeout_s: float) -> None:
        """Return if the cluster can be reached; it is asked about `topic`, or about all. Raises BridgeError."""
        with self._loop.lock:
            self._want(self._topic or topic)
            if self._state is State.UP and self._clock.monotonic() - self._alive_at > FRESH_S:
                self._suspect()
        self._until_up(self._clock.monotonic() + timeout_s)

    def close(self) -> None:
        """Let go of the client; whoever still waits gets an error."""
        with self._loop.lock:
            self._go_down(Unavailable(Cause.NOT_ACKNOWLEDGED, "the connection was closed"), State.CLOSED)

    # On the loop.

    def _want(self, topic: str) -> None:
        now = self._clock.monotonic()
        if self._state is State.DOWN and now - self._wanted_at >= INTEREST_S:
            # Nobody asked for a while, so the last verdict is old: have the pump find a new one.
            self._state, self._suspect_at, self._trouble = State.SUSPECT, now, None
        self._wanted_at = now
        self._topic = topic or self._topic
        if not self._pumping and now - self._dead_at >= REBUILD_S and self._state is not State.CLOSED:
            self._pumping = True
            self._state, self._suspect_at, self._trouble = State.STARTING, now, None
            self._loop.start_thread(self._pump)

    def _until_up(self, deadline: float) -> None:
        while True:
            with self._loop.lock:
                if self._state is State.UP:
                    return
                if self._state in {State.DOWN, State.CLOSED} and self._error is not None:
                    raise self._error
                waiter = self._loop.waiter()
                self._callers[waiter] = None
            try:
                if not waiter.wait(deadline - self._clock.monotonic()):
                    raise Unavailable(self._likely_cause(), self._hint())
            finally:
                with self._loop.lock:
                    self._callers.pop(waiter, None)

    def _queue(self, records: Sequence[Record], batch: _Batch) -> None:
        client = self._client
        if client is None or self._state is not State.UP:
            raise self._error or Unavailable(self._likely_cause(), self._hint())
        self._batches[batch] = None
        try:
            for index, record in enumerate(records):
                client.produce(record, partial(self._on_report, batch, index))
        except ClientDead as dead:
            self._died(dead.error)
            raise dead.error from dead
        except BridgeError:
            self._batches.pop(batch, None)
            raise

    def _settle(self, batch: _Batch, index: int, report: Report) -> None:
        client = self._client
        if client is None:
            return
        result = client.read(report)
        if result is None:
            return
        if isinstance(result, Delivery):
            self._alive_at = self._clock.monotonic()
            if self._state is not State.UP:
                self._reached()
        elif isinstance(result, Unavailable) and result.cause is Cause.NOT_ACKNOWLEDGED:
            # The cluster has been silent for a whole delivery timeout already.
            self._suspect(silent_s=SILENCE_S - VERDICT_S)
        batch.settle(index, result)

    def _suspect(self, *, silent_s: float = 0.0) -> None:
        if self._state is State.UP:
            self._state, self._suspect_at = State.SUSPECT, self._clock.monotonic() - silent_s

    def _reached(self) -> None:
        if self._state is State.CLOSED:
            return
        self._state, self._error, self._alive_at = State.UP, None, self._clock.monotonic()
        self._trouble = None
        self._wake_callers()
        if self._announced_up is not True:
            words = "connected" if self._announced_up is None else "connection recovered"
            self._announced_up = True
            self._loop.log(partial(logger.info, "Kafka %s: %s", words, self._name))

    def _go_down(self, error: BridgeError, state: State = State.DOWN) -> None:
        if self._state is State.CLOSED:
            return
        self._state, self._error = state, error
        for batch in list(self._batches):
            batch.fail(error)
        self._batches.clear()
        self._wake_callers()
        if state is State.DOWN and self._announced_up is not False:
            self._announced_up = False
            hint = error.hint if isinstance(error, Unavailable) else ""
            self._loop.log(partial(logger.warning, "Kafka connection lost: %s: %s (%s)", self._name, error, hint))

    def _died(self, error: BridgeError) -> None:
        self._client = None
        self._dead_at = self._clock.monotonic()
        self._go_down(error)

    def _wake_callers(self) -> None:
        for waiter in list(self._callers):
            waiter.wake()
        self._callers.clear()

    def _likely_cause(self) -> Cause:
        trouble = self._trouble
        return trouble.cause if trouble and trouble.cause else Cause.NOT_ACKNOWLEDGED

    def _hint(self) -> str:
        return self._trouble.text if self._trouble else "no answer"

    # On the pump: a native thread, where nothing of gevent, of the session or of the log may be touched.

    def _on_report(self, batch: _Batch, index: int, error: object, message: object) -> None:
        self._loop.post(partial(self._settle, batch, index, (error, message)))

    def _on_trouble(self, trouble: Trouble) -> None:
        if trouble.cause is not None or self._trouble is None:
            self._trouble = trouble
        if trouble.all_brokers_down:
            self._loop.post(self._suspect)

    def _pump(self) -> None:
        client: ProducerClient | None = None
        try:
            client = self._make_client(self._on_trouble)
            self._client = client
            while self._state is not State.CLOSED and self._client is client:
                if self._state is State.UP:
                    client.poll(POLL_S)
                else:
                    self._ask(client)
                if self._clock.monotonic() - self._wanted_at > IDLE_S:
                    self._loop.post(self._retire)
        except ClientDead as dead:
            self._loop.post(partial(self._died, dead.error))
        except BridgeError as error:
            self._loop.post(partial(self._died, error))
        except Exception as error:  # noqa: BLE001 - a thread that dies silently would leave every caller waiting
            self._loop.post(partial(self._defect, error))
        finally:
            if client is not None:
                client.close()
            self._loop.post(self._stopped)

    def _ask(self, client: ProducerClient) -> None:
        """Ask whether the cluster can be reached, and tell the loop; then serve the client for a moment."""
        if self._clock.monotonic() - self._wanted_at < INTEREST_S and client.reach(self._topic, REACH_S):
            self._loop.post(self._reached)
            return
        elapsed = self._clock.monotonic() - self._suspect_at
        trouble = self._trouble
        known = trouble is not None and trouble.cause is not None
        if (known and (is_decisive(self._likely_cause()) or elapsed >= VERDICT_S)) or elapsed >= SILENCE_S:
            if self._state is not State.DOWN:
                client.drop_queued()
            self._loop.post(partial(self._go_down, Unavailable(self._likely_cause(), self._hint())))
        client.poll(RETRY_S if self._state is State.DOWN else POLL_S)

    def _retire(self) -> None:
        if not self._waiting and self._clock.monotonic() - self._wanted_at > IDLE_S and self._on_idle():
            self._state = State.CLOSED

    def _stopped(self) -> None:
        self._pumping = False

    def _defect(self, error: Exception) -> None:
        self._loop.log(partial(logger.error, "Kafka connection %s: a defect in the bridge", self._name, exc_info=error))
        self._died(Internal("kafka-pump"))
