"""`GET /health`: whether this hook can do its work, for probes; why not, for whoever has the token."""

from collections.abc import Iterable, Iterator
from http import HTTPStatus
from typing import Final

from kafka_bridge.broker.registry import ProducerRegistry
from kafka_bridge.dify.call import Call
from kafka_bridge.dify.consumer import OK, SETTINGS_INVALID, UNUSED, ConsumerState
from kafka_bridge.dify.recorder import EventRecorder
from kafka_bridge.errors import BridgeError, Cause, SettingsInvalid, Unavailable, first_of
from kafka_bridge.http import Outbound, json_reply
from kafka_bridge.ingress.source import Source
from kafka_bridge.settings.table import SETTINGS

# Probes give up after a few seconds; a cluster that is away is known within about one.
CHECK_S: Final = 3.0


class Health:
    """The handler of `/health`."""

    def __init__(self, registry: ProducerRegistry, recorder: EventRecorder, consumer: ConsumerState) -> None:
        self._registry = registry
        self._recorder = recorder
        self._consumer = consumer

    def show(self, call: Call) -> Outbound:
        """200 when webhooks can be taken and written, else 503 with what stands in the way.

        `degraded`: some senders work, others that are configured do not; or events cannot be recorded, or consumed.
        """
        error = self._kafka(call)
        kafka = OK if error is None else SETTINGS_INVALID if isinstance(error, SettingsInvalid) else str(error)
        storage, consumer = self._storage(call), self._consumer.word(call)
        healthy = error is None and bool(call.hook.sources)
        document: dict[str, object] = {
            "status": ("degraded" if call.hook.degraded or {storage, consumer} - {OK, UNUSED} else "healthy")
            if healthy
            else "unhealthy",
            "kafka": kafka,
            "storage": storage,
            "consumer": consumer,
        }
        if call.authorized:
            document["detail"] = _detail(call, error)
        return json_reply(document, HTTPStatus.OK if healthy else HTTPStatus.SERVICE_UNAVAILABLE)

    def _kafka(self, call: Call) -> BridgeError | None:
        try:
            if not call.hook.settings.publishing:
                raise Unavailable(Cause.PUBLISHING_DISABLED)
            connection = self._registry.lease(call.hook.target())
            connection.check(topic=_constant_topic(call.hook.sources.values()), timeout_s=CHECK_S)
        except BridgeError as error:
            return error
        return None

    def _storage(self, call: Call) -> str:
        """No reason not to take webhooks, and none to be silent."""
        if not call.hook.settings.keep_events:
            return UNUSED
        return self._recorder.log(call).trouble or OK


def _detail(call: Call, error: BridgeError | None) -> dict[str, object]:
    # What the client library refuses is not among the hook's problems; what left the hook without a cluster is.
    refused = error.problems if isinstance(error, SettingsInvalid) and call.hook.cluster is not None else ()
    detail: dict[str, object] = {
        "problems": first_of((*refused, *map(str, call.hook.problems))),
        "warnings": list(_warnings(call)),
        "sources": {name: source.scheme_id for name, source in call.hook.sources.items()},
    }
    if error is not None and error.hint:
        detail["kafka"] = error.hint
    return detail


def _warnings(call: Call) -> Iterator[str]:
    for name, source in call.hook.sources.items():
        yield from (f"{name}: {warning}." for warning in source.warnings)
    consume = call.hook.settings.consume
    if consume.topics and not consume.app_id:
        yield f"{SETTINGS['consume_topics'].label}: nothing is consumed, as “{SETTINGS['app'].label}” is empty."


def _constant_topic(sources: Iterable[Source]) -> str:
    for source in sources:
        if source.routing.topic.constant:
            return source.routing.topic.constant
    return ""
