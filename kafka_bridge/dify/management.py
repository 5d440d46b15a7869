"""Everything but webhooks: runs of the app, and the paths for people and scripts. Loaded by the first who needs it."""

import logging
import os
import random
import secrets
from collections.abc import Mapping
from functools import partial
from typing import Final

from kafka_bridge.broker import config
from kafka_bridge.broker.kafka.consumer import KafkaConsumer
from kafka_bridge.broker.kafka.scanner import KafkaScanner
from kafka_bridge.broker.loops import Loop
from kafka_bridge.dashboard.page import Pages
from kafka_bridge.dify.afterrun import AfterRun
from kafka_bridge.dify.apps import Apps
from kafka_bridge.dify.consume import Consume
from kafka_bridge.dify.consumer import ConsumerState
from kafka_bridge.dify.consumers import Consumers
from kafka_bridge.dify.dashboard import Dashboard
from kafka_bridge.dify.deadletters import DeadLetters
from kafka_bridge.dify.events import Events
from kafka_bridge.dify.health import Health
from kafka_bridge.dify.hosting import hosting_of
from kafka_bridge.dify.letters import Letters
from kafka_bridge.dify.measures import Measures
from kafka_bridge.dify.replay import Replay
from kafka_bridge.dify.resend import Resend
from kafka_bridge.dify.residents import Residents
from kafka_bridge.dify.routes import Routes
from kafka_bridge.dify.runs import Runs
from kafka_bridge.dify.sessions import Sessions
from kafka_bridge.dify.shared import Shared
from kafka_bridge.dify.signin import SignIn
from kafka_bridge.dify.stream import Stream, lasts_s
from kafka_bridge.dify.trial import Trial
from kafka_bridge.dify.visits import Visits
from kafka_bridge.dify.webhooks import Webhooks
from kafka_bridge.dispatch.plan import Plan
from kafka_bridge.dispatch.slots import Slots
from kafka_bridge.events.log.reader import Cache, Reader
from kafka_bridge.settings.cluster import Cluster

logger = logging.getLogger(__name__)


class Management:
    """`dispatch` answers whatever is no delivery; `after_run` runs the app for an event that was just written.

    `residents` want to see deliveries, too.
    """

    def __init__(self, shared: Shared, webhooks: Webhooks) -> None:
        clock, loop, events, registry = shared.clock, shared.loop, shared.events, shared.registry
        slots = Slots(max_runs(os.environ, loop), loop)
        runs = Runs(Apps(loop, clock), slots, shared.recorder, loop=loop, clock=clock, keep_up=events.keep_up)
        consumers, visits = _consumers(shared), Visits()
        self.residents = _residents(shared, consumers, visits)
        self.after_run = AfterRun(runs, clock)
        self.sessions = Sessions(clock)
        looks = Events(events, Reader(Cache(), clock))
        consumer = ConsumerState(consumers, self.residents)
        health = Health(registry, events, consumer)
        sign_in = SignIn(pages := Pages(), self.sessions, clock)
        dead_letters = DeadLetters(_letters(shared, runs))
        dashboard = Dashboard(pages, sign_in, looks, health, clock=clock, consumer=consumer, dead_letters=dead_letters)
        stream = Stream(events, loop=loop, clock=clock, lasts_s=lasts_s(os.environ))
        resend = Resend(looks, events, registry, runs, clock=clock, published=shared.metrics.published)
        routes = Routes(
            webhooks,
            health,
            Consume(consumers, runs, visits, clock),
            looks,
            dead_letters=dead_letters,
            replay=Replay(looks, resend),
            stream=stream,
            measures=Measures(
                shared.metrics, registry=registry, recorder=events, runs=runs, consumer=consumer, stream=stream
            ),
            consumer=consumer,
            dashboard=dashboard,
            sign_in=sign_in,
            trial=Trial(webhooks, shared.recorder, events, clock),
            recorded=events.around,
        )
        self.dispatch = self.residents.around(dashboard.around(routes.dispatch))


def _consumers(shared: Shared) -> Consumers:
    def make_consumer(cluster: Cluster, plan: Plan) -> KafkaConsumer:
        return KafkaConsumer(config.consumer_properties(cluster, ca_file=shared.ca_file, group_id=plan.group_id))

    return Consumers(
        make_consumer,
        shared.registry,
        shared.recorder,
        loop=shared.loop,
        clock=shared.clock,
        random=random.random,
    )


def _letters(shared: Shared, runs: Runs) -> Letters:
    def make_scanner(cluster: Cluster, group: str) -> KafkaScanner:
        return KafkaScanner(config.consumer_properties(cluster, ca_file=shared.ca_file, group_id=group))

    return Letters(
        make_scanner,
        shared.registry,
        runs,
        shared.recorder,
        loop=shared.loop,
        clock=shared.clock,
        name=lambda: secrets.token_hex(8),
    )


def _residents(shared: Shared, consumers: Consumers, visits: Visits) -> Residents:
    hosting = hosting_of(os.environ)
    for warning in hosting.warnings:
        shared.loop.log(partial(logger.warning, "%s", warning))
    return Residents(consumers, visits, hosting, loop=shared.loop, clock=shared.clock, random=random.random)


# Ten blocking runs stop a default Dify, webhooks included: of all endpoints together no more than these.
DEFAULT_RUNS: Final = 4
MOST_RUNS: Final = 500


def max_runs(environment: Mapping[str, str], loop: Loop) -> int:
    """How many runs there may be at once: KAFKA_BRIDGE_MAX_RUNS of the daemon's environment."""
    text = environment.get("KAFKA_BRIDGE_MAX_RUNS", "").strip()
    if text.isascii() and text.isdigit() and len(text) <= len(str(MOST_RUNS)) and 1 <= int(text) <= MOST_RUNS:
        return int(text)
    if text:
        # Not here and now: whoever writes a line waits, and the next request would make all of this a second time.
        loop.log(partial(logger.warning, "KAFKA_BRIDGE_MAX_RUNS must be a number from 1 to %d", MOST_RUNS))
    return DEFAULT_RUNS
