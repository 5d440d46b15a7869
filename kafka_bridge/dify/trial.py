"""`POST /test`: an event of the bridge's own, for whoever has the API token to try a source with."""

import uuid
from http import HTTPStatus
from urllib.parse import urlencode

from kafka_bridge.clock import Clock
from kafka_bridge.dify.call import Call
from kafka_bridge.dify.recorder import EventRecorder
from kafka_bridge.dify.webhooks import Webhooks
from kafka_bridge.events.outcome import Recorder
from kafka_bridge.http import Outbound
from kafka_bridge.ingress.trial import try_source
from kafka_bridge.settings.sources import DEFAULT_SOURCE


class Trial:
    """The handler. What it publishes is recorded like any other event."""

    def __init__(self, webhooks: Webhooks, recorder: Recorder, log: EventRecorder, clock: Clock) -> None:
        self._webhooks = webhooks
        self._recorder = recorder
        self._log = log
        self._clock = clock

    def send(self, call: Call) -> Outbound:
        """Publish one, and lead to what is recorded of it. Raises BridgeError, what went wrong where nothing is."""
        call.authorize()
        source = call.hook.source(call.form.get("source", "") or DEFAULT_SOURCE)
        publisher = self._webhooks.publisher(call, call.hook.target())
        event_id = f"test-{uuid.uuid4().hex}"
        outcome = try_source(source, event_id=event_id, publisher=publisher, clock=self._clock)
        self._recorder.record(call.endpoint, outcome)
        # Before anybody else has a turn: what was recorded just now waits for being written.
        waiting = self._log.log(call).pending.entries
        entry_id = next((entry.id for entry in waiting if entry.event_id == event_id), "")
        if not entry_id and outcome.error is not None:
            raise outcome.error
        asked = {"view": "event", "id": entry_id} if entry_id else {"view": "connect", "sent": "1"}
        headers = (("Location", f"./?{urlencode(asked)}"), ("Cache-Control", "no-store"))
        return Outbound(HTTPStatus.SEE_OTHER, headers=headers)
