"""The composition root: builds everything, once per process. `runtime()` is the only global of the code base."""

import gc
import logging
import os
import random
import secrets
import time
import uuid
from collections.abc import Callable, Generator, Mapping
from functools import cache
from types import MappingProxyType
from typing import Final

from dify_plugin.config.logger_format import plugin_logger_handler
from dify_plugin.entities.tool import ToolInvokeMessage
from dify_plugin.errors import model as sdk_errors
from dify_plugin.errors.tool import ToolProviderCredentialValidationError
from werkzeug import Request, Response

from kafka_bridge.broker import config
from kafka_bridge.broker.bridge import Connection
from kafka_bridge.broker.greenlets import GeventLoop
from kafka_bridge.broker.kafka.admin import KafkaAdmin
from kafka_bridge.broker.kafka.consumer import KafkaConsumer
from kafka_bridge.broker.kafka.producer import KafkaProducer
from kafka_bridge.broker.kafka.reader import KafkaReader
from kafka_bridge.broker.kafka.scanner import KafkaScanner
from kafka_bridge.broker.registry import ProducerRegistry
from kafka_bridge.broker.trust import default_ca_file
from kafka_bridge.clock import Clock
from kafka_bridge.dashboard.page import Pages
from kafka_bridge.dify import http
from kafka_bridge.dify.afterrun import AfterRun
from kafka_bridge.dify.apps import Apps
from kafka_bridge.dify.consume import Consume
from kafka_bridge.dify.consumer import ConsumerState
from kafka_bridge.dify.consumers import Consumers
from kafka_bridge.dify.dashboard import Dashboard
from kafka_bridge.dify.deadletters import DeadLetters
from kafka_bridge.dify.events import Events
from kafka_bridge.dify.health import Health
from kafka_bridge.dify.hooks import Hooks
from kafka_bridge.dify.journal import Journal
from kafka_bridge.dify.letters import Letters
from kafka_bridge.dify.measures import Measures
from kafka_bridge.dify.meter import Meter
from kafka_bridge.dify.recorder import EventRecorder
from kafka_bridge.dify.replay import Replay
from kafka_bridge.dify.resend import Resend
from kafka_bridge.dify.routes import Routes
from kafka_bridge.dify.runs import Runs
from kafka_bridge.dify.sessions import Sessions
from kafka_bridge.dify.signin import SignIn
from kafka_bridge.dify.stream import Stream, lasts_s
from kafka_bridge.dify.tools import Kind, Toolbox, ToolFailed
from kafka_bridge.dify.trial import Trial
from kafka_bridge.dify.webhooks import Webhooks
from kafka_bridge.dispatch.slots import Slots
from kafka_bridge.events.log.entry import WRITER_CHARS
from kafka_bridge.events.log.logs import EventLogs
from kafka_bridge.events.log.reader import Cache, Reader
from kafka_bridge.events.outcome import Recorders
from kafka_bridge.ingress.dedupe import Dedupe
from kafka_bridge.ingress.outside import Outside
from kafka_bridge.metrics import Metrics
from kafka_bridge.settings.cluster import Cluster
from kafka_bridge.tooling.call import Tool
from kafka_bridge.tooling.consume import Consume as ConsumeTool
from kafka_bridge.tooling.errands import Errands
from kafka_bridge.tooling.listen_sse import ListenSse, longest_s
from kafka_bridge.tooling.messages import Json, Message, Text, Variable
from kafka_bridge.tooling.publish import Publish
from kafka_bridge.tooling.sse.connection import Connector
from kafka_bridge.tooling.sse.listening import World
from kafka_bridge.tooling.topics import CreateTopic, ListTopics
from kafka_bridge.tooling.validate import Validate
from kafka_bridge.tooling.wait import WaitForEvent
from kafka_bridge.web import fetch


class Runtime:
    """What the endpoint files hand requests to."""

    def __init__(self) -> None:
        clock = Clock(now=time.time, monotonic=time.monotonic)
        loop = GeventLoop()
        ca_file = default_ca_file()

        def connect(cluster: Cluster, on_idle: Callable[[], bool]) -> Connection:
            properties = config.producer_properties(cluster, ca_file=ca_file)
            return Connection(
                lambda on_trouble: KafkaProducer(properties, on_trouble),
                name=",".join(cluster.servers),
                loop=loop,
                clock=clock,
                on_idle=on_idle,
            )

        registry = ProducerRegistry(connect)
        journal = Journal(clock)
        events = EventRecorder(EventLogs(clock, lambda: secrets.token_hex(WRITER_CHARS // 2)), loop=loop, clock=clock)
        metrics = Metrics()
        recorder = Recorders(Meter(metrics), journal, events)
        slots = Slots(max_runs(os.environ), loop)
        runs = Runs(Apps(loop, clock), slots, recorder, loop=loop, clock=clock, keep_up=events.keep_up)
        consumers = Consumers(
            lambda cluster, plan: KafkaConsumer(
                config.consumer_properties(cluster, ca_file=ca_file, group_id=plan.group_id)
            ),
            registry,
            recorder,
            loop=loop,
            clock=clock,
            random=random.random,
        )
        dead_letters = DeadLetters(
            Letters(
                lambda cluster, group: KafkaScanner(
                    config.consumer_properties(cluster, ca_file=ca_file, group_id=group)
                ),
                registry,
                runs,
                recorder,
                loop=loop,
                clock=clock,
                name=lambda: secrets.token_hex(8),
            )
        )
        self._hooks = Hooks(outside=Outside(fetch, loop.waiter))
        dedupe = Dedupe(waiter=loop.waiter)
        webhooks = Webhooks(
            registry,
            dedupe,
            AfterRun(runs, clock),
            journal=journal,
            recorder=recorder,
            clock=clock,
            metrics=metrics,
        )
        self._deliver = events.around(webhooks.deliver)
        self._sessions = Sessions(clock)
        looks = Events(events, Reader(Cache(), clock))
        consumer = ConsumerState(consumers)
        health = Health(registry, events, consumer)
        sign_in = SignIn(pages := Pages(), self._sessions, clock)
        dashboard = Dashboard(pages, sign_in, looks, health, clock=clock, consumer=consumer, dead_letters=dead_letters)
        stream = Stream(events, loop=loop, clock=clock, lasts_s=lasts_s(os.environ))
        resend = Resend(looks, events, registry, runs, clock=clock, published=metrics.published)
        routes = Routes(
            webhooks,
            health,
            Consume(consumers, runs, clock),
            looks,
            dead_letters=dead_letters,
            replay=Replay(looks, resend),
            stream=stream,
            measures=Measures(metrics, registry=registry, recorder=events, runs=runs, consumer=consumer, stream=stream),
            consumer=consumer,
            dashboard=dashboard,
            sign_in=sign_in,
            trial=Trial(webhooks, recorder, events, clock),
            recorded=events.around,
        )
        self._dispatch = dashboard.around(routes.dispatch)
        self._tools = _toolbox(registry, ca_file, loop=loop, clock=clock)

    def webhook(
        self, request: Request, values: Mapping[str, object], settings: Mapping[str, object], session: http.Session
    ) -> Response:
        """A delivery: the path that must be fast, so it does not pass the route table."""
        return http.serve(self._deliver, self._hooks, request, values=values, settings=settings, session=session)

    def route(
        self, request: Request, values: Mapping[str, object], settings: Mapping[str, object], session: http.Session
    ) -> Response:
        """Everything else."""
        return http.serve(
            self._dispatch,
            self._hooks,
            request,
            values=values,
            settings=settings,
            session=session,
            sessions=self._sessions,
        )

    def tool(
        self,
        name: str,
        credentials: Mapping[str, object],
        parameters: Mapping[str, object],
        session: http.Session,  # noqa: ARG002 - for what a tool asks of Dify; it ends with the last message
    ) -> Generator[ToolInvokeMessage]:
        """A tool's messages, as it says them. Raises the SDK's exception of the failure's kind."""
        try:
            for message in self._tools.call(name, credentials, parameters):
                yield _to_sdk(message)
        except ToolFailed as failed:
            failure = _SDK_ERRORS[failed.kind](str(failed))
        else:
            return
        # Here and not where it was caught: the SDK sends the whole traceback along, and what it came of.
        raise failure

    def validate(self, credentials: Mapping[str, object]) -> None:
        """Return if the tools can work with these credentials. Raises the SDK's exception for those that are wrong."""
        try:
            self._tools.validate(credentials)
        except ToolFailed as failed:
            failure = ToolProviderCredentialValidationError(str(failed))
        else:
            return
        raise failure


# Dify shows the text of these, and no other's, as it is: without the name of an exception and a traceback around it.
_SDK_ERRORS: Final = MappingProxyType(
    {
        Kind.BAD_REQUEST: sdk_errors.InvokeBadRequestError,
        Kind.AUTHORIZATION: sdk_errors.InvokeAuthorizationError,
        Kind.CONNECTION: sdk_errors.InvokeConnectionError,
        Kind.RATE_LIMIT: sdk_errors.InvokeRateLimitError,
        Kind.UNAVAILABLE: sdk_errors.InvokeServerUnavailableError,
    }
)


def _to_sdk(message: Message) -> ToolInvokeMessage:
    kinds = ToolInvokeMessage.MessageType
    match message:
        case Json(value):
            return ToolInvokeMessage(type=kinds.JSON, message=ToolInvokeMessage.JsonMessage(json_object=value))
        case Text(text):
            return ToolInvokeMessage(type=kinds.TEXT, message=ToolInvokeMessage.TextMessage(text=text))
        case Variable(name, value):
            variable = ToolInvokeMessage.VariableMessage(variable_name=name, variable_value=value)
            return ToolInvokeMessage(type=kinds.VARIABLE, message=variable)


def _toolbox(registry: ProducerRegistry, ca_file: str, *, loop: GeventLoop, clock: Clock) -> Toolbox:
    def make_reader(cluster: Cluster, group_id: str) -> KafkaReader:
        return KafkaReader(config.reader_properties(cluster, ca_file=ca_file, group_id=group_id))

    def make_admin(cluster: Cluster) -> KafkaAdmin:
        return KafkaAdmin(config.admin_properties(cluster, ca_file=ca_file))

    errands = Errands(loop)
    tools: dict[str, Tool] = {
        "publish": Publish(registry, clock),
        "consume": ConsumeTool(make_reader, errands, loop=loop, clock=clock),
        "wait_for_event": WaitForEvent(
            make_reader, registry, errands, loop=loop, clock=clock, new_id=lambda: str(uuid.uuid4())
        ),
        "list_topics": ListTopics(make_reader, errands, loop=loop, clock=clock),
        "create_topic": CreateTopic(make_admin, errands, clock),
        "listen_sse": ListenSse(
            registry,
            Connector(ca_file),
            World(loop, clock, random.random, lambda: str(uuid.uuid4())),
            most_s=longest_s(os.environ),
        ),
    }
    return Toolbox(tools, Validate(make_reader, errands, clock))


# Ten blocking runs stop a default Dify, webhooks included: of all endpoints together no more than these.
DEFAULT_RUNS: Final = 4
MOST_RUNS: Final = 500


def max_runs(environment: Mapping[str, str]) -> int:
    """How many runs there may be at once: KAFKA_BRIDGE_MAX_RUNS of the daemon's environment."""
    text = environment.get("KAFKA_BRIDGE_MAX_RUNS", "").strip()
    if text.isascii() and text.isdigit() and len(text) <= len(str(MOST_RUNS)) and 1 <= int(text) <= MOST_RUNS:
        return int(text)
    if text:
        logging.getLogger(__name__).warning("KAFKA_BRIDGE_MAX_RUNS must be a number from 1 to %d", MOST_RUNS)
    return DEFAULT_RUNS


# Objects that may come into being before the youngest generation is looked through. The default (700) means once for
# every few requests here, each of which parses a document and leaves nothing behind for the collector to find.
GC_THRESHOLD: Final = 10_000


@cache
def runtime() -> Runtime:
    """The runtime of this process. First called within a request, so on gevent's hub thread."""
    # What the SDK has loaded by now stays for ever: the collector need not walk it again and again.
    gc.freeze()
    gc.set_threshold(GC_THRESHOLD, 10, 10)
    log = logging.getLogger("kafka_bridge")
    log.setLevel(logging.INFO)
    log.addHandler(plugin_logger_handler)
    log.propagate = False
    # At its lowest level it repeats what servers answer, and a server may repeat what it was sent.
    logging.getLogger("httpcore").setLevel(logging.WARNING)
    return Runtime()
