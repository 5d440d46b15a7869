"""The composition root: builds everything, once per process. `runtime()` is the only global of the code base."""

import gc
import logging
import os
import random
import secrets
import time
from collections.abc import Callable, Mapping
from functools import cache
from typing import Final

from dify_plugin.config.logger_format import plugin_logger_handler
from werkzeug import Request, Response

from kafka_bridge.broker import config
from kafka_bridge.broker.bridge import Connection
from kafka_bridge.broker.greenlets import GeventLoop
from kafka_bridge.broker.kafka.consumer import KafkaConsumer
from kafka_bridge.broker.kafka.producer import KafkaProducer
from kafka_bridge.broker.kafka.scanner import KafkaScanner
from kafka_bridge.broker.registry import ProducerRegistry
from kafka_bridge.broker.trust import default_ca_file
from kafka_bridge.clock import Clock
from kafka_bridge.dify import http
from kafka_bridge.dify.afterrun import AfterRun
from kafka_bridge.dify.apps import Apps
from kafka_bridge.dify.consume import Consume
from kafka_bridge.dify.consumers import Consumers
from kafka_bridge.dify.deadletters import DeadLetters
from kafka_bridge.dify.events import Events
from kafka_bridge.dify.health import Health
from kafka_bridge.dify.hooks import Hooks
from kafka_bridge.dify.journal import Journal
from kafka_bridge.dify.letters import Letters
from kafka_bridge.dify.recorder import EventRecorder
from kafka_bridge.dify.routes import Routes
from kafka_bridge.dify.runs import Runs
from kafka_bridge.dify.sessions import Sessions
from kafka_bridge.dify.webhooks import Webhooks
from kafka_bridge.dispatch.slots import Slots
from kafka_bridge.events.log.entry import WRITER_CHARS
from kafka_bridge.events.log.logs import EventLogs
from kafka_bridge.events.log.reader import Cache, Reader
from kafka_bridge.events.outcome import Recorders
from kafka_bridge.ingress.dedupe import Dedupe
from kafka_bridge.ingress.outside import Outside
from kafka_bridge.settings.cluster import Cluster
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
        recorder = Recorders(journal, events)
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
        letters = Letters(
            lambda cluster, group: KafkaScanner(config.consumer_properties(cluster, ca_file=ca_file, group_id=group)),
            registry,
            runs,
            recorder,
            loop=loop,
            clock=clock,
            name=lambda: secrets.token_hex(8),
        )
        self._hooks = Hooks(outside=Outside(fetch, loop.waiter))
        dedupe = Dedupe(waiter=loop.waiter)
        webhooks = Webhooks(registry, dedupe, AfterRun(runs, clock), journal=journal, recorder=recorder, clock=clock)
        self._deliver = events.around(webhooks.deliver)
        self._sessions = Sessions(clock)
        self._routes = Routes(
            webhooks,
            Health(registry, events),
            Consume(consumers, runs, clock),
            Events(events, Reader(Cache(), clock)),
            dead_letters=DeadLetters(letters),
            recorded=events.around,
        )

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
            self._routes.dispatch,
            self._hooks,
            request,
            values=values,
            settings=settings,
            session=session,
            sessions=self._sessions,
        )


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
    return Runtime()
