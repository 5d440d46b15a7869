"""`/webhook` and `/webhook/<source>`: where senders deliver."""

from http import HTTPStatus
from typing import Final

from kafka_bridge.broker.registry import ProducerRegistry
from kafka_bridge.clock import Clock
from kafka_bridge.dify.call import Call
from kafka_bridge.dify.journal import Journal
from kafka_bridge.errors import Cause, SettingsInvalid, Unavailable
from kafka_bridge.events.record import Delivery, Record
from kafka_bridge.http import Outbound, json_reply
from kafka_bridge.ingress.receive import answer, receive
from kafka_bridge.settings.sources import DEFAULT_SOURCE

# The delivery timeout is 8 s and expiry is scanned once a second: the report is there by then.
ANSWER_WITHIN_S: Final = 9.0
METHODS: Final = ("GET", "HEAD", "OPTIONS", "POST")


class Webhooks:
    """The handlers of a hook's webhook paths."""

    def __init__(self, registry: ProducerRegistry, journal: Journal, clock: Clock) -> None:
        self._registry = registry
        self._journal = journal
        self._clock = clock

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
            raise

        def send(record: Record) -> Delivery:
            if not call.hook.settings.publishing:
                raise Unavailable(Cause.PUBLISHING_DISABLED)
            return self._registry.lease(cluster).send(record, timeout_s=ANSWER_WITHIN_S)

        outcome = receive(call.inbound, source, send=send, clock=self._clock, limit_bytes=call.hook.limit_bytes)
        self._journal.record(call.endpoint, outcome)
        return answer(outcome)

    def probe(self, call: Call) -> Outbound:
        """GET and HEAD: whether the source is there and can work."""
        name = call.name or DEFAULT_SOURCE
        call.hook.source(name)
        return json_reply({"status": "healthy", "service": "kafka_bridge", "source": name})

    def options(self, call: Call) -> Outbound:
        """OPTIONS: the methods of the path."""
        call.hook.source(call.name or DEFAULT_SOURCE)
        return Outbound(HTTPStatus.NO_CONTENT, headers=(("Allow", ", ".join(METHODS)),))
