"""The endpoints' members of consumer groups, which stay joined between windows."""

from collections.abc import Callable
from dataclasses import replace
from typing import Final

from kafka_bridge.broker import config
from kafka_bridge.broker.loops import Loop
from kafka_bridge.broker.ports import Consumer
from kafka_bridge.broker.registry import ProducerRegistry
from kafka_bridge.clock import Clock
from kafka_bridge.dify.runs import ran
from kafka_bridge.dispatch.ended import Ended
from kafka_bridge.dispatch.payload import read
from kafka_bridge.dispatch.plan import Plan
from kafka_bridge.dispatch.task import Task
from kafka_bridge.dispatch.worker import Dispatcher
from kafka_bridge.errors import Busy
from kafka_bridge.events.outcome import Recorder
from kafka_bridge.settings.cluster import Cluster
from kafka_bridge.settings.endpoint import ConsumeSettings

# Each has a thread, a few sockets and up to 8 MiB of what it has fetched.
MAX_CONSUMERS: Final = 32
# What one may have read and not run yet: many share the process's memory.
BUFFER_BYTES: Final = 4 * 1024 * 1024
# Longer than the pause between two calls of whoever calls often; shorter, and each would join anew.
IDLE_S: Final = 30.0
SEND_S: Final = 9.0

type MakeConsumer = Callable[[Cluster, Plan], Consumer]


class Consumers:
    """One dispatcher per endpoint, made anew when its settings change, stopped when nobody opens a window for long."""

    def __init__(
        self,
        make_consumer: MakeConsumer,
        registry: ProducerRegistry,
        recorder: Recorder,
        *,
        loop: Loop,
        clock: Clock,
        random: Callable[[], float],
    ) -> None:
        self._make_consumer = make_consumer
        self._registry = registry
        self._recorder = recorder
        self._loop = loop
        self._clock = clock
        self._random = random
        self._dispatchers: dict[str, tuple[object, Dispatcher]] = {}

    def lease(self, endpoint: str, plan: Plan, settings: ConsumeSettings, cluster: Cluster) -> Dispatcher:
        """The endpoint's dispatcher. Raises Busy when there are too many of them at work."""
        # What the app gets may change without leaving the group.
        identity = cluster.fingerprint, replace(settings, app_id="", app_inputs={}, input_mapping={})
        found = self._dispatchers.get(endpoint)
        if found is not None and found[0] == identity and not found[1].member.has_left:
            return found[1]
        if found is not None:
            found[1].stop()
            del self._dispatchers[endpoint]
        self._make_room()
        dispatcher = self._make(endpoint, plan, cluster)
        try:
            dispatcher.start()
        except RuntimeError as error:
            raise Busy("The process has no thread left.") from error
        self._dispatchers[endpoint] = identity, dispatcher
        return dispatcher

    def leave(self, endpoint: str) -> None:
        """Leave the group now, unless somebody has a window open."""
        found = self._dispatchers.get(endpoint)
        if found is not None and not found[1].is_open:
            found[1].stop()
            del self._dispatchers[endpoint]

    def find(self, endpoint: str) -> Dispatcher | None:
        """The endpoint's dispatcher, if there is one that is in its group, or will be."""
        found = self._dispatchers.get(endpoint)
        return None if found is None or found[1].member.has_left else found[1]

    def _make(self, endpoint: str, plan: Plan, cluster: Cluster) -> Dispatcher:
        roomy = config.roomy(cluster)
        dispatcher = Dispatcher(
            replace(plan, name=f"endpoint {endpoint}", policy=replace(plan.policy, buffer_bytes=BUFFER_BYTES)),
            make_consumer=lambda: self._make_consumer(cluster, plan),
            send=lambda records: self._registry.lease(roomy).send_all(records, timeout_s=SEND_S),
            listener=_Listener(endpoint, self._recorder, self._clock),
            loop=self._loop,
            clock=self._clock,
            random=self._random,
            idle_s=IDLE_S,
            on_idle=lambda: self._forget(endpoint, dispatcher),
        )
        return dispatcher

    def _forget(self, endpoint: str, dispatcher: Dispatcher) -> None:
        # One that was replaced may find out later that nobody has used it for long.
        if (found := self._dispatchers.get(endpoint)) is not None and found[1] is dispatcher:
            del self._dispatchers[endpoint]

    def _make_room(self) -> None:
        if len(self._dispatchers) < MAX_CONSUMERS:
            return
        idle = [(found.used_at, endpoint) for endpoint, (_, found) in self._dispatchers.items() if not found.busy]
        if not idle:
            raise Busy(f"{MAX_CONSUMERS} endpoints consume at this moment.")
        _, endpoint = min(idle)
        self._dispatchers.pop(endpoint)[1].stop()


class _Listener:
    """Tells the recorder of one endpoint's runs."""

    def __init__(self, endpoint: str, recorder: Recorder, clock: Clock) -> None:
        self._endpoint = endpoint
        self._recorder = recorder
        self._clock = clock

    def ran(self, task: Task, ended: Ended) -> None:
        self._tell(task, ended, dead_lettered=False)

    def dead_lettered(self, task: Task) -> None:
        if task.last is not None:
            self._tell(task, task.last, dead_lettered=True)

    def _tell(self, task: Task, ended: Ended, *, dead_lettered: bool) -> None:
        told = ran(
            read(task.consumed),
            ended,
            time=self._clock.now(),
            attempt=max(1, task.attempts),
            dead_lettered=dead_lettered,
        )
        self._recorder.ran(self._endpoint, told)
