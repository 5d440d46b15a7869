"""`GET /metrics`: what was counted of an endpoint, and what there is at this moment, for Prometheus."""

import hashlib
from http import HTTPStatus
from typing import Final

from kafka_bridge.broker.pump import State
from kafka_bridge.broker.registry import ProducerRegistry
from kafka_bridge.dify.call import Call
from kafka_bridge.dify.consumer import ConsumerState
from kafka_bridge.dify.recorder import EventRecorder
from kafka_bridge.dify.runs import Runs
from kafka_bridge.dify.stream import Stream
from kafka_bridge.http import Outbound
from kafka_bridge.metrics import Gauges, Metrics

TEXT: Final = "text/plain; version=0.0.4; charset=utf-8"
LABEL_CHARS: Final = 12


class Measures:
    """The handler. An endpoint sees its own numbers alone; of a connection that it shares, those of the connection."""

    def __init__(
        self,
        metrics: Metrics,
        *,
        registry: ProducerRegistry,
        recorder: EventRecorder,
        runs: Runs,
        consumer: ConsumerState,
        stream: Stream,
    ) -> None:
        self._metrics = metrics
        self._registry = registry
        self._recorder = recorder
        self._runs = runs
        self._consumer = consumer
        self._stream = stream

    def show(self, call: Call) -> Outbound:
        """The text exposition format."""
        call.authorize()
        from kafka_bridge.dify.metrics import exposition  # noqa: PLC0415 - most endpoints are never asked

        body = exposition(label_of(call.endpoint), self._metrics.of(call.endpoint), self._gauges(call))
        return Outbound(HTTPStatus.OK, body, TEXT)

    def _gauges(self, call: Call) -> Gauges:
        cluster = call.hook.cluster
        connection = None if cluster is None else self._registry.find(cluster)
        log = self._recorder.log(call)
        return Gauges(
            recorded=log.counters.recorded,
            written=log.counters.written,
            commits=log.counters.commits,
            failures=log.counters.failures,
            dropped=log.pending.dropped,
            pending=len(log.pending),
            connected=connection is not None and connection.state is State.UP,
            queued=0 if connection is None else connection.queued,
            waiting=0 if connection is None else connection.waiting,
            runs=self._runs.in_flight(call.endpoint),
            streams=self._stream.open_at(call.endpoint),
            lags=self._consumer.lags(call),
        )


def label_of(endpoint: str) -> str:
    """What stands for an endpoint where its id should not."""
    return hashlib.sha256(endpoint.encode()).hexdigest()[:LABEL_CHARS]
