"""The resident consumers of the process: whose there are, what starts and ends them, what is told of them.

Nothing is remembered beyond the process: the first request to an endpoint starts its consumer, whoever sent it.
"""

import logging
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

from kafka_bridge.broker.loops import Loop
from kafka_bridge.clock import Clock
from kafka_bridge.dify.call import Call, Handler
from kafka_bridge.dify.consumers import Consumers
from kafka_bridge.dify.course import Course, Fact
from kafka_bridge.dify.hooks import Hook
from kafka_bridge.dify.hosting import ALTERNATIVES, Hosting
from kafka_bridge.dify.loopback import Loopback
from kafka_bridge.dify.places import Places
from kafka_bridge.dify.resident import Resident, Surroundings
from kafka_bridge.dify.visits import Visits
from kafka_bridge.errors import SettingsInvalid
from kafka_bridge.events.envelope import rfc3339
from kafka_bridge.http import Answer
from kafka_bridge.incidents import incident_of
from kafka_bridge.settings.reader import Problem
from kafka_bridge.settings.table import DISABLED

logger = logging.getLogger(__name__)

# Of the consumers that the process may have (`consumers.MAX_CONSUMERS`); the others are for whoever calls `/consume`.
MAX_AT_WORK: Final = 24
# Those that wait for a place included.
MAX_RESIDENTS: Final = 512
# Where the plugin has never reached itself, not every request tries again.
AGAIN_S: Final = 60.0
MAX_REMEMBERED: Final = 4096

UNAVAILABLE: Final = "unavailable"
STOPPED: Final = "stopped"
OFF: Final = "off"
QUEUED: Final = "queued"
WAITING: Final = "waiting"
FAILING: Final = "failing"
STARTING: Final = "starting"
RUNNING: Final = "running"

_BY_HAND: Final = "stopped by POST /consumer/stop; POST /consumer/start starts it, and so does a new process"
_NO_ADDRESS: Final = "the platform does not say where the endpoint is (Dify-Hook-Id)"
_CROWDED: Final = f"{MAX_RESIDENTS} endpoints of the process have one already"
_IN_LINE: Final = f"{MAX_AT_WORK} are at work in the process; it waits for its turn"


class Note(NamedTuple):
    """Why an endpoint has no resident consumer, and until when (monotonic seconds) no request starts one."""

    reason: str
    until: float = 0.0


class Residents:
    """`see` is told of every request; `start` and `stop` are for people."""

    def __init__(
        self,
        consumers: Consumers,
        visits: Visits,
        hosting: Hosting,
        *,
        loop: Loop,
        clock: Clock,
        random: Callable[[], float],
        loopback: Loopback | None = None,
    ) -> None:
        self._consumers = consumers
        self._hosting = hosting
        self._loop = loop
        self._clock = clock
        self._random = random
        self._loopback = loopback or Loopback(hosting.port)
        self._places = Places(MAX_AT_WORK)
        self._around = Surroundings(
            visits, self._loopback, self._places, consumers.leave, self._wake_next, loop=loop, clock=clock
        )
        self._residents: dict[str, Resident] = {}
        # A process that has so many endpoints forgets why the first one has none.
        self._stopped: OrderedDict[str, None] = OrderedDict()
        self._notes: OrderedDict[str, Note] = OrderedDict()

    def around(self, handler: Handler) -> Handler:
        """The handler, with every call of it seen."""

        def seen(call: Call) -> Answer:
            self.see(call)
            return handler(call)

        return seen

    def see(self, call: Call) -> None:
        """A request has come, with the settings as they are now. Every webhook passes here. Raises nothing."""
        resident = self._residents.get(call.endpoint)
        try:
            if resident is None:
                if call.hook.settings.consume.resident:
                    self._begin(call)
            elif resident.hook is not call.hook:
                self._settle(resident, call.hook)
        except Exception as error:  # noqa: BLE001 - it is not what the request is about
            logger.error("%s", incident_of(error).line)  # noqa: TRY400

    def start(self, call: Call) -> None:
        """Start it, also after `stop`. Raises SettingsInvalid where the settings or the runtime do not allow one."""
        if not call.hook.settings.consume.resident:
            raise _invalid(DISABLED)
        call.hook.consumption(topics=True)
        call.hook.target()
        for remembered in (self._stopped, self._notes):
            remembered.pop(call.endpoint, None)
        if (resident := self._residents.get(call.endpoint)) is not None:
            resident.hurry()
            return
        self._begin(call)
        if call.endpoint not in self._residents:
            raise _invalid(self._hosting.obstacle or self._note(call.endpoint))

    def stop(self, call: Call) -> None:
        """Stop it, until `start` or the end of the process."""
        _remember(self._stopped, call.endpoint, None)
        if (resident := self._residents.get(call.endpoint)) is not None:
            self._end(resident, Note(_BY_HAND))

    def state(self, call: Call) -> tuple[str, str]:
        """One word, and why."""
        resident = self._residents.get(call.endpoint)
        if resident is None or not call.hook.settings.consume.resident:
            return self._why_none(call)
        if not self._places.has(call.endpoint):
            return QUEUED, _IN_LINE
        course = resident.course
        if course.failing and not resident.is_open:
            return WAITING if course.fact is Fact.BUSY else FAILING, course.reason
        return RUNNING if resident.has_arrived else STARTING, ""

    def _why_none(self, call: Call) -> tuple[str, str]:
        if not call.hook.settings.consume.resident:
            return DISABLED, ""
        if self._hosting.obstacle:
            return UNAVAILABLE, self._hosting.obstacle
        if call.endpoint in self._stopped:
            return STOPPED, _BY_HAND
        return OFF, self._note(call.endpoint)

    def told(self, call: Call) -> Mapping[str, object]:
        """What people are told of it."""
        state, reason = self.state(call)
        document: dict[str, object] = {"state": state}
        if reason:
            document["reason"] = reason
        resident = self._residents.get(call.endpoint)
        if resident is not None and state != DISABLED:
            course = resident.course
            document |= {"since": rfc3339(resident.since), "windows": course.windows, "failures": course.failures}
            if state == FAILING:
                document["next_try_s"] = round(max(0.0, course.next_at - self._clock.monotonic()), 1)
            if resident.last:
                document["last_window"] = resident.last
        if state == UNAVAILABLE or (resident is not None and not resident.has_arrived and state == FAILING):
            document |= {"address": self._loopback.address, "alternatives": ALTERNATIVES}
        return document

    # Beginning and end.

    def _begin(self, call: Call) -> None:
        endpoint, now = call.endpoint, self._clock.monotonic()
        if self._hosting.obstacle or not endpoint or endpoint in self._stopped:
            return
        if (note := self._notes.get(endpoint)) is not None and now < note.until:
            return
        address = call.inbound.header("dify-hook-id")
        if not address or len(self._residents) >= MAX_RESIDENTS:
            _remember(self._notes, endpoint, Note(_CROWDED if address else _NO_ADDRESS, now + AGAIN_S))
            return
        course = Course(random=self._random, window_s=self._hosting.window_s)
        resident = Resident(endpoint, address, call.hook, course=course, around=self._around, on_end=self._must_end)
        self._residents[endpoint] = resident
        with self._loop.lock:
            self._places.enter(endpoint, resident.owner)
        self._loop.spawn(resident.live)

    def _settle(self, resident: Resident, hook: Hook) -> None:
        """Take the settings that a request has brought."""
        before, resident.hook = resident.hook, hook
        if not hook.settings.consume.resident:
            self._end(resident, Note("the setting is disabled"))
        elif before.settings != hook.settings:
            resident.hurry(renew=True)

    def _must_end(self, resident: Resident, reason: str) -> None:
        until = 0.0 if resident.has_arrived else self._clock.monotonic() + AGAIN_S
        self._end(resident, Note(reason, until))

    def _end(self, resident: Resident, note: Note) -> None:
        """Leave nothing behind but why."""
        with self._loop.lock:
            if resident.ended:
                return
            resident.end()
            del self._residents[resident.endpoint]
            _remember(self._notes, resident.endpoint, note)
            self._consumers.leave(resident.endpoint)
            self._places.leave(resident.endpoint)
            self._wake_next()
        resident.log(f"ended: {note.reason}")

    def _wake_next(self) -> None:
        for endpoint in self._places.given():
            if (resident := self._residents.get(endpoint)) is not None:
                resident.wake()

    def _note(self, endpoint: str) -> str:
        note = self._notes.get(endpoint)
        return note.reason if note is not None else ""


def _invalid(reason: str) -> SettingsInvalid:
    return SettingsInvalid([str(Problem("consumer", reason))])


def _remember[T](memory: OrderedDict[str, T], endpoint: str, what: T) -> None:
    memory[endpoint] = what
    memory.move_to_end(endpoint)
    while len(memory) > MAX_REMEMBERED:
        memory.popitem(last=False)
