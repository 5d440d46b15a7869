"""What the worker is doing right now, for whoever looks: the progress line, `/health`, `/metrics`, the log."""

from collections.abc import Mapping
from dataclasses import dataclass

from kafka_bridge.dispatch.worker import Dispatcher
from kafka_bridge.events.record import TopicPartition
from kafka_bridge.standalone.tally import Tally


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """`why_not` is empty while records are run, or would be if there were any. `lags` is the last that is known."""

    why_not: str
    circuit_open: bool
    joined: bool
    partitions: int
    in_flight: int
    buffered: int
    blocked: Mapping[TopicPartition, str]
    lags: Mapping[TopicPartition, int]
    succeeded: int
    failed: int
    retried: int
    dead_lettered: int

    @property
    def lag(self) -> int | None:
        """That of all partitions; None while it is not known."""
        return sum(self.lags.values()) if self.lags or (self.joined and not self.partitions) else None


class Watch:
    """Asks the dispatcher. `stopping` is set by whoever ends it."""

    def __init__(self, dispatcher: Dispatcher, tally: Tally) -> None:
        self._dispatcher = dispatcher
        self._tally = tally
        self._lags: Mapping[TopicPartition, int] = {}
        self.stopping = False

    @property
    def tally(self) -> Tally:
        """What has happened."""
        return self._tally

    def ask_for_lag(self) -> None:
        """Ask the brokers; waits for a few seconds at the most."""
        lags = self._dispatcher.member.inquire().lags
        if lags is not None:
            self._lags = lags

    def look(self) -> Look:
        """Now."""
        dispatcher, tally = self._dispatcher, self._tally
        with dispatcher.loop.lock:
            engine = dispatcher.engine
            assigned = frozenset(engine.assigned)
            return Look(
                why_not=self._why_not(),
                circuit_open=engine.circuit is not None,
                joined=dispatcher.member.joined,
                partitions=len(assigned),
                in_flight=engine.in_flight(),
                buffered=engine.buffered,
                blocked=engine.blocked,
                lags={at: lag for at, lag in self._lags.items() if at in assigned},
                succeeded=tally.succeeded,
                failed=tally.failed,
                retried=tally.retried,
                dead_lettered=tally.dead_letters,
            )

    def _why_not(self) -> str:
        dispatcher, engine = self._dispatcher, self._dispatcher.engine
        if self.stopping:
            return "stopping"
        if dispatcher.trouble.error is not None:
            return str(dispatcher.trouble.error)
        if not dispatcher.member.joined:
            return "not a member of the group yet"
        if engine.circuit is not None:
            return engine.circuit.reason
        blocked = sorted(engine.blocked.items())
        return "; ".join(f"{at.topic}[{at.partition}] is paused: {reason}" for at, reason in blocked[:3])
