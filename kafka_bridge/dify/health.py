"""`GET /health`: whether this hook can do its work, for probes; why not, for whoever has the token."""

from collections.abc import Iterable
from http import HTTPStatus
from typing import Final

from kafka_bridge.broker.registry import ProducerRegistry
from kafka_bridge.dify.call import Call
from kafka_bridge.dify.recorder import EventRecorder
from kafka_bridge.errors import BridgeError, Cause, SettingsInvalid, Unavailable, first_of
from kafka_bridge.http import Outbound, json_reply
from kafka_bridge.ingress.source import Source

OK: Final = "ok"
UNUSED: Final = "unused"
SETTINGS_INVALID: Final = "settings invalid"
# Probes give up after a few seconds; a cluster that is away is known within about one.
CHECK_S: Final = 3.0
# The same for what waits to be recorded: a probe may be the only request that comes.
RECORD_S: Final = 1.0


class Health:
    """The handler of `/health`."""

    def __init__(self, registry: ProducerRegistry, recorder: EventRecorder) -> None:
        self._registry = registry
        self._recorder = recorder

    def show(self, call: Call) -> Outbound:
        """200 when webhooks can be taken and written, else 503 with what stands in the way.

        `degraded`: some senders work, others that are configured do not; or events cannot be recorded.
        """
        error = self._kafka(call)
        kafka = OK if error is None else SETTINGS_INVALID if isinstance(error, SettingsInvalid) else str(error)
        storage = self._storage(call)
        healthy = error is None and bool(call.hook.sources)
        document: dict[str, object] = {
            "status": ("degraded" if call.hook.degraded or storage not in {OK, UNUSED} else "healthy")
            if healthy
            else "unhealthy",
            "kafka": kafka,
            "storage": storage,
            "consumer": UNUSED,
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
        self._recorder.catch_up(call, RECORD_S)
        return self._recorder.log(call).trouble or OK


def _detail(call: Call, error: BridgeError | None) -> dict[str, object]:
    # What the client library refuses is not among the hook's problems; what left the hook without a cluster is.
    refused = error.problems if isinstance(error, SettingsInvalid) and call.hook.cluster is not None else ()
    detail: dict[str, object] = {
        "problems": first_of((*refused, *map(str, call.hook.problems))),
        "warnings": [
            f"{name}: {warning}." for name, source in call.hook.sources.items() for warning in source.warnings
        ],
        "sources": {name: source.scheme_id for name, source in call.hook.sources.items()},
    }
    if error is not None and error.hint:
        detail["kafka"] = error.hint
    return detail


def _constant_topic(sources: Iterable[Source]) -> str:
    for source in sources:
        if source.routing.topic.constant:
            return source.routing.topic.constant
    return ""
