"""`/consumer`: what the endpoint's member of its group does, and its resident consumer; that one's `start` and `stop`.

Whoever looks joins nothing by that.
"""

from collections import Counter
from collections.abc import Mapping
from http import HTTPStatus
from types import MappingProxyType
from typing import Final

from kafka_bridge.dify.call import Call
from kafka_bridge.dify.consumers import Consumers
from kafka_bridge.dify.residents import FAILING, QUEUED, UNAVAILABLE, Residents
from kafka_bridge.dispatch.desk import Inquiry
from kafka_bridge.dispatch.ended import Ending
from kafka_bridge.dispatch.worker import Dispatcher
from kafka_bridge.errors import SettingsInvalid
from kafka_bridge.events.record import TopicPartition
from kafka_bridge.http import Outbound, json_reply
from kafka_bridge.readiness import OK, SETTINGS_INVALID, UNUSED

NOT_CONFIGURED: Final = "not configured"
IDLE: Final = "idle"
JOINED: Final = "joined"
RUNNING: Final = "running"
# The member answers between two polls, of half a second at the most; the brokers may take longer.
LAG_S: Final = 1.5
# Of partitions and of topics, in an answer; the sums are of all.
MAX_TOLD: Final = 500
# Why is told to whoever has the token.
_OF_RESIDENT: Final = MappingProxyType(
    {
        UNAVAILABLE: "this runtime cannot host a resident consumer",
        FAILING: "the resident consumer is failing",
        QUEUED: "the resident consumer waits for its turn",
    }
)


class ConsumerState:
    """The handlers, and the looks at the consumer that others share."""

    def __init__(self, consumers: Consumers, residents: Residents) -> None:
        self._consumers = consumers
        self._residents = residents

    def show(self, call: Call) -> Outbound:
        """The state as JSON."""
        call.authorize()
        return json_reply(self.state(call))

    def start(self, call: Call) -> Outbound:
        """Start the resident consumer. Raises SettingsInvalid."""
        call.authorize()
        self._residents.start(call)
        return self._answer(call)

    def stop(self, call: Call) -> Outbound:
        """Stop it."""
        call.authorize()
        self._residents.stop(call)
        return self._answer(call)

    def _answer(self, call: Call) -> Outbound:
        if "csrf" in call.form:
            # A form of ours: back to its page.
            return Outbound(HTTPStatus.SEE_OTHER, headers=(("Location", "../?view=consumer"),))
        return json_reply(self.state(call))

    def state(self, call: Call) -> dict[str, object]:
        """What is configured, and what the member does; waits for the lag, `LAG_S` at the most."""
        settings, problems = call.hook.settings.consume, self._problems(call)
        dispatcher = None if problems else self._consumers.find(call.endpoint)
        document: dict[str, object] = {
            "state": NOT_CONFIGURED if problems else _state_of(dispatcher),
            "resident": self._residents.told(call),
            "group_id": settings.group_id,
            "topics": settings.topics,
            "assigned": [],
            "lag": None,
            "in_flight": 0,
            "waiting": 0,
            "blocked": {},
            "circuit": None,
            "trouble": None,
            "dead_letter_topic": settings.dead_letter_topic,
            "result_topic": settings.result_topic,
            "problems": problems,
        }
        return document if dispatcher is None else {**document, **_told(dispatcher, _inquired(dispatcher))}

    def word(self, call: Call) -> str:
        """For probes: `ok`, `unused`, or what stands in the way."""
        settings = call.hook.settings.consume
        if not settings.app_id or not settings.topics:
            return UNUSED
        if self._problems(call):
            return SETTINGS_INVALID
        dispatcher = self._consumers.find(call.endpoint)
        trouble = OK if dispatcher is None else _trouble_of(dispatcher)
        if trouble != OK:
            return trouble
        return _OF_RESIDENT.get(self._residents.state(call)[0], OK)

    def lags(self, call: Call) -> Mapping[str, int]:
        """The lag per topic, of the partitions of this process; waits for it, `LAG_S` at the most."""
        dispatcher = self._consumers.find(call.endpoint)
        inquiry = _inquired(dispatcher) if dispatcher is not None else None
        topics = Counter[str]()
        for at, lag in ((inquiry and inquiry.lags) or {}).items():
            topics[at.topic] += lag
        return dict(sorted(topics.items())[:MAX_TOLD])

    @staticmethod
    def _problems(call: Call) -> tuple[str, ...]:
        try:
            call.hook.consumption(topics=True)
            call.hook.target()
        except SettingsInvalid as error:
            return error.problems
        return ()


def _state_of(dispatcher: Dispatcher | None) -> str:
    if dispatcher is None:
        return IDLE
    return RUNNING if dispatcher.busy else JOINED if dispatcher.member.joined else IDLE


def _inquired(dispatcher: Dispatcher) -> Inquiry | None:
    """The lag; one that has not joined would not answer in time."""
    return dispatcher.member.inquire(LAG_S) if dispatcher.member.joined else None


def _told(dispatcher: Dispatcher, inquiry: Inquiry | None) -> Mapping[str, object]:
    lags: Mapping[TopicPartition, int] = (inquiry and inquiry.lags) or {}
    with dispatcher.loop.lock:
        engine = dispatcher.engine
        circuit, error = engine.circuit, dispatcher.trouble.error
        positions = sorted(engine.positions.items())
        return {
            "assigned": [
                {"topic": at.topic, "partition": at.partition, "position": position, "lag": lags.get(at)}
                for at, position in positions[:MAX_TOLD]
            ],
            "more_assigned": max(0, len(positions) - MAX_TOLD),
            "lag": inquiry.lag if inquiry else None,
            "in_flight": engine.in_flight(),
            "waiting": engine.buffered,
            "blocked": {f"{at.topic}[{at.partition}]": why for at, why in sorted(engine.blocked.items())[:MAX_TOLD]},
            "circuit": circuit.reason if circuit else None,
            "trouble": str(error) if error else None,
        }


def _trouble_of(dispatcher: Dispatcher) -> str:
    """In our words alone: a probe shows no token, and what Dify says is not for everybody."""
    with dispatcher.loop.lock:
        engine, error = dispatcher.engine, dispatcher.trouble.error
        if error is not None:
            return str(error)
        if engine.circuit is not None:
            return "the app cannot be run" if engine.circuit.ending is Ending.MISCONFIGURED else "Dify is not available"
        return "results or dead letters cannot be written" if engine.blocked else OK
