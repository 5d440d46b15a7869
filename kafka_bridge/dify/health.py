"""`GET /health`: whether this hook can do its work, for probes; why not, for whoever has the token."""

from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import Final

from kafka_bridge.broker.registry import ProducerRegistry
from kafka_bridge.dify.call import Call
from kafka_bridge.dify.consumer import ConsumerState
from kafka_bridge.dify.recorder import EventRecorder
from kafka_bridge.errors import BridgeError, Cause, SettingsInvalid, Unavailable
from kafka_bridge.http import Outbound, json_reply
from kafka_bridge.ingress.source import Source
from kafka_bridge.readiness import OK, UNUSED, Readiness, Status
from kafka_bridge.settings.endpoint import ConsumeSettings
from kafka_bridge.settings.table import SETTINGS

# Probes give up after a few seconds; a cluster that is away is known within about one.
CHECK_S: Final = 3.0
# The same for what waits to be recorded: a probe may be the only request that comes.
RECORD_S: Final = 1.0


class Health:
    """The handler of `/health`, and the look that others share."""

    def __init__(self, registry: ProducerRegistry, recorder: EventRecorder, consumer: ConsumerState) -> None:
        self._registry = registry
        self._recorder = recorder
        self._consumer = consumer

    def show(self, call: Call) -> Outbound:
        """200 when webhooks can be taken and written, else 503 with what stands in the way."""
        found = self.look(call)
        status = HTTPStatus.OK if found.healthy else HTTPStatus.SERVICE_UNAVAILABLE
        return json_reply(found.document(detail=call.authorized), status)

    def look(self, call: Call) -> Readiness:
        """What can be said of the hook now; it asks the brokers."""
        hook, error = call.hook, self._kafka(call)
        storage, consumer = self._storage(call), self._consumer.word(call)
        status = Status.UNHEALTHY
        if error is None and hook.sources:
            status = Status.DEGRADED if hook.degraded or {storage, consumer} - {OK, UNUSED} else Status.HEALTHY
        return Readiness(
            status=status,
            storage=storage,
            problems=hook.problems,
            warnings=[*_of_sources(hook.sources), *_of_consuming(hook.settings.consume)],
            sources={name: source.scheme_id for name, source in hook.sources.items()},
            error=error,
            consumer=consumer,
            # What the library refuses is not among the hook's problems; what left the hook without a cluster is.
            refused=error.problems if isinstance(error, SettingsInvalid) and hook.cluster is not None else (),
        )

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
        self._recorder.catch_up(call, RECORD_S)
        return self._recorder.log(call).trouble or OK


def _of_sources(sources: Mapping[str, Source]) -> Iterable[str]:
    return (f"{name}: {warning}." for name, source in sources.items() for warning in source.warnings)


def _of_consuming(settings: ConsumeSettings) -> Iterable[str]:
    if settings.topics and not settings.app_id:
        topics, app = SETTINGS["consume_topics"].label, SETTINGS["app"].label
        yield f"{topics}: nothing is consumed, as “{app}” is empty."


def _constant_topic(sources: Iterable[Source]) -> str:
    for source in sources:
        if source.routing.topic.constant:
            return source.routing.topic.constant
    return ""
