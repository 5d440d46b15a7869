"""What all parts of the plugin share: the connections, the event log, what is counted and said."""

import secrets
import time
from collections.abc import Callable
from typing import NamedTuple

from kafka_bridge.broker import config
from kafka_bridge.broker.bridge import Connection
from kafka_bridge.broker.greenlets import GeventLoop
from kafka_bridge.broker.kafka.producer import KafkaProducer
from kafka_bridge.broker.registry import ProducerRegistry
from kafka_bridge.broker.trust import default_ca_file
from kafka_bridge.clock import Clock
from kafka_bridge.dify.journal import Journal
from kafka_bridge.dify.meter import Meter
from kafka_bridge.dify.recorder import EventRecorder
from kafka_bridge.events.log.entry import WRITER_CHARS
from kafka_bridge.events.log.logs import EventLogs
from kafka_bridge.events.outcome import Recorder, Recorders
from kafka_bridge.metrics import Metrics
from kafka_bridge.settings.cluster import Cluster


class Shared(NamedTuple):
    """One of each in the process. `events` is among what `recorder` tells."""

    clock: Clock
    loop: GeventLoop
    ca_file: str
    registry: ProducerRegistry
    journal: Journal
    metrics: Metrics
    events: EventRecorder
    recorder: Recorder


def share() -> Shared:
    """All of it, made anew. For gevent's hub thread."""
    clock, loop, ca_file = Clock(now=time.time, monotonic=time.monotonic), GeventLoop(), default_ca_file()

    def connect(cluster: Cluster, on_idle: Callable[[], bool]) -> Connection:
        properties = config.producer_properties(cluster, ca_file=ca_file)
        return Connection(
            lambda on_trouble: KafkaProducer(properties, on_trouble),
            name=",".join(cluster.servers),
            loop=loop,
            clock=clock,
            on_idle=on_idle,
        )

    journal, metrics = Journal(clock), Metrics()
    events = EventRecorder(EventLogs(clock, lambda: secrets.token_hex(WRITER_CHARS // 2)), loop=loop, clock=clock)
    return Shared(
        clock=clock,
        loop=loop,
        ca_file=ca_file,
        registry=ProducerRegistry(connect),
        journal=journal,
        metrics=metrics,
        events=events,
        recorder=Recorders(Meter(metrics), journal, events),
    )
