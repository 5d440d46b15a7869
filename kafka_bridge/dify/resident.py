"""A resident consumer: the plugin opens the windows of an endpoint itself, one after the other, by calling itself.

A plugin may use a session only while a request is open, so each window is a request of its own through the daemon,
which brings a fresh session and the settings as they are now. What runs at the end of one ends within it, while the
next one is open.
"""

import logging
from collections.abc import Callable, Mapping
from functools import partial
from typing import Final, NamedTuple

from kafka_bridge.broker.loops import Loop
from kafka_bridge.clock import Clock
from kafka_bridge.dify.course import Course, Fact
from kafka_bridge.dify.hooks import Hook
from kafka_bridge.dify.loopback import Loopback, Unanswered
from kafka_bridge.dify.places import Places
from kafka_bridge.dify.runs import RUN_S
from kafka_bridge.dify.visits import HEADER, Visit, Visits, judged
from kafka_bridge.dispatch.gate import Gate
from kafka_bridge.incidents import incident_of

logger = logging.getLogger(__name__)

# Windows whose last runs have not ended, and the open one.
MOST_OPEN: Final = 8
# Records are done one by one: nothing would be gained by fewer.
MAX_RECORDS: Final = 100_000
# After a window: a run that has just begun, its dead letter, the commit.
REST_S: Final = RUN_S + 30.0


class Surroundings(NamedTuple):
    """What all resident consumers of the process share. `leave` has the member of an endpoint leave its group."""

    visits: Visits
    loopback: Loopback
    places: Places
    leave: Callable[[str], None]
    wake_next: Callable[[], None]
    loop: Loop
    clock: Clock


class Resident:
    """That of one endpoint. `live` is the whole of it; `address` is what the endpoint is called in its URL.

    `on_end` is told, with the loop's lock held, that it must end, and why. `last` is the last window's answer.
    """

    def __init__(
        self,
        endpoint: str,
        address: str,
        hook: Hook,
        *,
        course: Course,
        around: Surroundings,
        on_end: "Callable[[Resident, str], None]",
    ) -> None:
        self.endpoint = endpoint
        self.hook = hook
        self.course = course
        self.since = around.clock.now()
        self.last: Mapping[str, object] = {}
        self.ended = False
        self._address = address
        self._around = around
        self._on_end = on_end
        self._gate = Gate(around.loop, around.clock.monotonic)
        self._visit: Visit | None = None
        self._has_arrived = False

    @property
    def owner(self) -> str:
        """Whoever has the same connection to Kafka."""
        return self.hook.cluster.fingerprint if self.hook.cluster is not None else ""

    @property
    def is_open(self) -> bool:
        """Whether records are started at this moment."""
        return self._visit is not None and self._visit.is_open

    @property
    def has_arrived(self) -> bool:
        """Whether the plugin has ever reached itself."""
        return self._has_arrived or any(visit.arrived for visit in self._visits)

    @property
    def _visits(self) -> list[Visit]:
        return self._around.visits.of(self.endpoint)

    def hurry(self, *, renew: bool = False) -> None:
        """Something has changed: what failed may not fail now. `renew`: the open window ends, the next one begins."""
        with self._around.loop.lock:
            for visit in self._visits if renew else ():
                visit.close()
            self.course.hurry(self._around.clock.monotonic())
            self._gate.open()

    def end(self) -> None:
        """Begin nothing more."""
        with self._around.loop.lock:
            self.ended = True
            for visit in self._visits:
                visit.revoke()
            self._gate.open()

    def wake(self) -> None:
        """Look again at what is waited for."""
        self._gate.open()

    def live(self) -> None:
        """Open windows until the end."""
        self.log("started")
        try:
            while not self.ended:
                self._go_on()
        except Exception as error:  # noqa: BLE001 - it would stand still, and nobody would know
            reason = self._defect(error)
            with self._around.loop.lock:
                self._on_end(self, reason)

    def _go_on(self) -> None:
        """Wait for what the next window needs, or open it and wait for its end."""
        visits, places, loop, clock = self._around.visits, self._around.places, self._around.loop, self._around.clock
        with loop.lock:
            placed = places.enter(self.endpoint, self.owner)
            due, now = self.course.next_at, clock.monotonic()
        if not placed:
            self._gate.wait(None, lambda: self.ended or places.has(self.endpoint))
        elif len(self._visits) >= MOST_OPEN:
            self._gate.wait(None, lambda: self.ended or len(self._visits) < MOST_OPEN)
        elif due > now:
            self._gate.wait(due, lambda: self.ended or self.course.next_at < due)
        else:
            with loop.lock:
                visit = self._visit = visits.begin(self.endpoint, self._gate.open)
                seconds = self.course.open(now)
            loop.spawn(partial(self._call, visit, seconds))
            self._gate.wait(None, lambda: self.ended or visit.over)
            self._take_turns()

    def _take_turns(self) -> None:
        """Let another endpoint have the place, once nothing runs any more: what runs for long would never end."""
        places = self._around.places
        if not places.is_wanted(self.endpoint):
            return
        self._gate.wait(None, lambda: self.ended or not self._visits)
        with self._around.loop.lock:
            if not self.ended and places.turn(self.endpoint):
                self._around.leave(self.endpoint)
            self._around.wake_next()

    def _call(self, visit: Visit, seconds: float) -> None:
        """One request of the plugin to itself."""
        document: Mapping[str, object] = {}
        asked = {"max_records": MAX_RECORDS, "max_seconds": seconds, "wait": True}
        patience_s = seconds + REST_S
        try:
            with self._around.loop.deadline(patience_s):
                answer = self._around.loopback.post(
                    self._address, "/consume", asked, {HEADER: visit.token}, silence_s=patience_s
                )
            fact, reason = judged(answer, arrived=visit.arrived)
            document = answer.document
        except Unanswered as unanswered:
            fact, reason = Fact.TROUBLE if unanswered.connected else Fact.UNREACHABLE, str(unanswered)
        except TimeoutError:
            fact, reason = Fact.TROUBLE, f"no answer within {patience_s:.0f} s"
        except Exception as error:  # noqa: BLE001 - whoever waits for it would wait for ever
            fact, reason = Fact.TROUBLE, self._defect(error)
        with self._around.loop.lock:
            self._has_arrived = self._has_arrived or visit.arrived
            if fact is Fact.WINDOW:
                self.last = document
            # How it goes is said by the newest; one before it has only let its last runs end.
            if visit is self._visit and not self.ended:
                self._hear(fact, reason)
            self._around.visits.finish(visit)

    def _hear(self, fact: Fact, reason: str) -> None:
        before = self.course.fact
        self.course.tell(fact, reason)
        if fact is Fact.STRANGER:
            # After an update of the plugin the other one may be this one's successor, and wants the partitions.
            self._around.leave(self.endpoint)
        if self.course.ended:
            self._on_end(self, reason)
        elif fact is not before and reason:
            self.log(reason, logging.INFO if fact is Fact.BUSY else logging.WARNING)
        elif fact is not before and before is not None:
            self.log("goes on")

    def _defect(self, error: Exception) -> str:
        incident = incident_of(error)
        self._around.loop.log(partial(logger.error, "%s", incident.line))
        return str(incident.error)

    def log(self, text: str, level: int = logging.INFO) -> None:
        """Say what has become of it."""
        self._around.loop.log(partial(logger.log, level, "endpoint %s: resident consumer: %s", self.endpoint, text))
