"""`/webhook` and `/webhook/<source>`: where senders deliver."""

from collections.abc import Callable, Sequence
from http import HTTPStatus
from typing import Final

from kafka_bridge.broker.registry import ProducerRegistry
from kafka_bridge.clock import Clock
from kafka_bridge.dify.call import Call
from kafka_bridge.dify.journal import Journal
from kafka_bridge.errors import Cause, SettingsInvalid, Unavailable, Unverified
from kafka_bridge.events.outcome import Outcome, Recorder
from kafka_bridge.events.record import Delivery, Record
from kafka_bridge.http import Outbound, json_reply
from kafka_bridge.ingress.dedupe import Dedupe
from kafka_bridge.ingress.publish import Publisher
from kafka_bridge.ingress.receive import answer, ask, receive
from kafka_bridge.metrics import Metrics
from kafka_bridge.settings.cluster import Cluster
from kafka_bridge.settings.sources import DEFAULT_SOURCE

# The delivery timeout is 8 s and expiry is scanned once a second: the report is there by then.
ANSWER_WITHIN_S: Final = 9.0
METHODS: Final = ("GET", "HEAD", "OPTIONS", "POST")

type AfterRun = Callable[[Call, Outcome], Outbound]
"""Runs the app for what was just written; gives the whole answer."""


class Webhooks:
    """The handlers of a hook's webhook paths."""

    def __init__(
        self,
        registry: ProducerRegistry,
        dedupe: Dedupe,
        after_run: AfterRun,
        *,
        journal: Journal,
        recorder: Recorder,
        clock: Clock,
        metrics: Metrics | None = None,
    ) -> None:
        self._after_run = after_run
        self._registry = registry
        self._dedupe = dedupe
        self._journal = journal
        self._recorder = recorder
        self._clock = clock
        self._metrics = metrics or Metrics()

    def deliver(self, call: Call) -> Outbound:
        """POST: verify, route, publish, record, answer."""
        name = call.name or DEFAULT_SOURCE
        try:
            source = call.hook.source(name)
            cluster = call.hook.target()
        except SettingsInvalid as error:
            # A name that is not configured came with the request: it is neither logged nor counted apart.
            known = name if call.hook.knows(name) else "unknown"
            self._journal.misconfigured(call.endpoint, known, error)
            self._metrics.of(call.endpoint).request(known, "misconfigured")
            raise

        publisher = self.publisher(call, cluster)
        limit_bytes = call.hook.limit_bytes
        outcome = receive(call.inbound, source, publisher=publisher, clock=self._clock, limit_bytes=limit_bytes)
        self._recorder.record(call.endpoint, outcome)
        if source.run and outcome.error is None:
            return self._after_run(call, outcome)
        return answer(outcome)

    def publisher(self, call: Call, cluster: Cluster) -> Publisher:
        """What a request publishes with; it has to be done soon."""

        def send(records: Sequence[Record]) -> Sequence[Delivery]:
            began = monotonic()
            deliveries = self._registry.lease(cluster).send_all(records, timeout_s=deadline - began)
            self._metrics.published(call.endpoint, len(records), monotonic() - began)
            return deliveries

        monotonic = self._clock.monotonic
        deadline = monotonic() + ANSWER_WITHIN_S
        return Publisher(
            send=send,
            dedupe=self._dedupe,
            endpoint=call.endpoint,
            monotonic=monotonic,
            deadline=deadline,
            refusal=None if call.hook.settings.publishing else Unavailable(Cause.PUBLISHING_DISABLED),
        )

    def probe(self, call: Call) -> Outbound:
        """GET and HEAD: a handshake, or whether the source is there and can work."""
        name = call.name or DEFAULT_SOURCE
        source = call.hook.source(name)
        try:
            reply = ask(call.inbound, source, clock=self._clock)
        except Unverified as error:
            self._journal.refused(call.endpoint, name, error)
            self._metrics.of(call.endpoint).request(name, "rejected")
            raise
        return reply or json_reply({"status": "healthy", "service": "kafka_bridge", "source": name})

    def options(self, call: Call) -> Outbound:
        """OPTIONS: the methods of the path, and the consent that a CloudEvents sender asks for.

        https://github.com/cloudevents/spec/blob/main/cloudevents/http-webhook.md, section 4
        """
        call.hook.source(call.name or DEFAULT_SOURCE)
        headers = [("Allow", ", ".join(METHODS))]
        if origin := call.inbound.header("webhook-request-origin"):
            headers += [("WebHook-Allowed-Origin", origin), ("WebHook-Allowed-Rate", "*")]
        return Outbound(HTTPStatus.NO_CONTENT, headers=tuple(headers))
