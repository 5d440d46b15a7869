"""What the pump of a connection knows and does. A native thread: nothing of gevent, of a session or of the log here.

It builds the client, asks whether the cluster can be reached while that is in doubt, serves delivery reports and
troubles, and closes the client. What it finds it posts to the loop; what the loop wants it reads from the `Situation`.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto
from functools import partial
from typing import Final, Protocol

from kafka_bridge.broker.causes import is_decisive
from kafka_bridge.broker.loops import Loop
from kafka_bridge.broker.ports import ClientDead, ProducerClient, Trouble
from kafka_bridge.clock import Clock
from kafka_bridge.errors import BridgeError, Cause, Unavailable
from kafka_bridge.incidents import incident_of

logger = logging.getLogger(__name__)

# A cause that the client knows is worth telling after this long ("about a second"); a refused port may recover.
VERDICT_S: Final = 1.0
# Without any word from the cluster (a frozen broker, a black hole) the verdict takes as long as a delivery.
SILENCE_S: Final = 8.0
POLL_S: Final = 0.1
# A question waits this long for its answer at first, and longer each time: the library throws a late one away. Not that
# long while callers wait for a cause that is known in part: more of it is learnt only between two questions.
REACH_S: Final = 0.3
REACH_SILENT_S: Final = 3.0
REACH_HURRIED_S: Final = 0.6
# Pause between two questions while the cluster is away.
RETRY_S: Final = 0.3
# How long after the last caller the pump goes on asking whether a lost cluster is back.
INTEREST_S: Final = 30.0
# A connection that nobody used for this long is given up; the next caller pays the start again.
IDLE_S: Final = 600.0

type MakeClient = Callable[[Callable[[Trouble], None]], ProducerClient]
"""Builds a client (may block) that calls back, from `poll`, with what it learns about its connections."""


class State(Enum):
    """Whether records can be written."""

    STARTING = auto()
    UP = auto()
    SUSPECT = auto()
    DOWN = auto()
    CLOSED = auto()


@dataclass(slots=True)
class Situation:
    """What loop and pump tell each other. Single assignments of plain values: a stale one is the worst that can be.

    Times are the clock's monotonic seconds. `trouble` is written by the pump, the rest on the loop.
    """

    state: State
    topic: str
    wanted_at: float
    doubted_at: float
    trouble: Trouble | None = None
    client: ProducerClient | None = None
    served: bool = False
    """The loop serves the client's reports itself for now."""

    @property
    def likely(self) -> Unavailable:
        """Why the cluster is probably away."""
        trouble = self.trouble
        if trouble is None:
            return Unavailable(Cause.NOT_ACKNOWLEDGED, "no answer")
        return Unavailable(trouble.cause or Cause.NOT_ACKNOWLEDGED, trouble.text)


class Listener(Protocol):
    """The loop's side; every method runs on the loop."""

    def reported(self) -> None:
        """Delivery reports may be there."""

    def reached(self) -> None:
        """The cluster has answered."""

    def doubted(self) -> None:
        """All brokers are down, says the client: perhaps for a moment only."""

    def lost(self, error: BridgeError) -> None:
        """The cluster is away."""

    def died(self, error: BridgeError) -> None:
        """The client is gone for good."""

    def idle(self) -> None:
        """Nobody has written for a long time."""

    def stopped(self) -> None:
        """The thread has ended."""


class Pump:
    """The thread of one client. `run` is its whole life."""

    def __init__(
        self, make_client: MakeClient, *, situation: Situation, listener: Listener, loop: Loop, clock: Clock
    ) -> None:
        self._make_client = make_client
        self._situation = situation
        self._listener = listener
        self._loop = loop
        self._clock = clock
        self._patience_s = REACH_S

    def run(self) -> None:
        """Serve one client until it is closed, or dead."""
        client: ProducerClient | None = None
        try:
            client = self._make_client(self._on_trouble)
            self._situation.client = client
            self._serve(client)
        except ClientDead as dead:
            self._loop.post(partial(self._listener.died, dead.error))
        except BridgeError as error:
            self._loop.post(partial(self._listener.died, error))
        except Exception as error:  # noqa: BLE001 - a thread that dies silently would leave every caller waiting
            self._loop.post(partial(self._defect, error))
        finally:
            try:
                if client is not None:
                    client.close()
            finally:
                self._loop.post(self._listener.stopped)

    def _serve(self, client: ProducerClient) -> None:
        situation = self._situation
        while situation.state is not State.CLOSED and situation.client is client:
            if situation.state is not State.UP:
                self._ask(client)
            elif situation.served:
                self._loop.rest(POLL_S)
            else:
                self._poll(client, POLL_S)
            if self._clock.monotonic() - situation.wanted_at > IDLE_S:
                self._loop.post(self._listener.idle)

    def _ask(self, client: ProducerClient) -> None:
        """Ask whether the cluster can be reached, and tell the loop; then serve the client for a moment."""
        situation = self._situation
        if self._clock.monotonic() - situation.wanted_at < INTEREST_S:
            if client.reach(situation.topic, self._patience_s):
                self._patience_s = REACH_S
                self._loop.post(self._listener.reached)
                return
            hurried = situation.trouble is not None and situation.state is not State.DOWN
            self._patience_s = min(self._patience_s * 2, REACH_HURRIED_S if hurried else REACH_SILENT_S)
        trouble, elapsed = situation.trouble, self._clock.monotonic() - situation.doubted_at
        known = trouble is not None and trouble.cause is not None
        if (known and (is_decisive(situation.likely.cause) or elapsed >= VERDICT_S)) or elapsed >= SILENCE_S:
            if situation.state is not State.DOWN:
                # Their senders are told now; written after all, each of them would be there twice.
                client.drop_queued()
            self._loop.post(partial(self._listener.lost, situation.likely))
        self._poll(client, RETRY_S if situation.state is State.DOWN else POLL_S)

    def _poll(self, client: ProducerClient, timeout_s: float) -> None:
        client.poll(timeout_s)
        self._loop.post(self._listener.reported)

    def _on_trouble(self, trouble: Trouble) -> None:
        if trouble.cause is not None or self._situation.trouble is None:
            self._situation.trouble = trouble
        if trouble.all_brokers_down:
            self._loop.post(self._listener.doubted)

    def _defect(self, error: Exception) -> None:
        incident = incident_of(error)
        self._loop.log(partial(logger.error, "%s", incident.line))
        self._listener.died(incident.error)
