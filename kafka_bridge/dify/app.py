"""The composition root: builds what webhooks need, once per process, and the rest when somebody asks for it.

`runtime()` is the only global of the code base.
"""

import gc
import logging
from collections.abc import Generator, Mapping
from functools import cache, cached_property
from typing import TYPE_CHECKING, Final

from dify_plugin.config.logger_format import plugin_logger_handler
from dify_plugin.entities.tool import ToolInvokeMessage
from werkzeug import Request, Response

from kafka_bridge.dify import http
from kafka_bridge.dify.call import Call
from kafka_bridge.dify.hooks import Hooks
from kafka_bridge.dify.shared import share
from kafka_bridge.dify.webhooks import Webhooks
from kafka_bridge.events.outcome import Outcome
from kafka_bridge.http import Answer, Outbound
from kafka_bridge.ingress.dedupe import Dedupe
from kafka_bridge.ingress.outside import Outside
from kafka_bridge.web import fetch

if TYPE_CHECKING:
    from kafka_bridge.dify.management import Management
    from kafka_bridge.dify.toolbox import SdkTools


class Runtime:
    """What the endpoint and tool files hand over to."""

    def __init__(self) -> None:
        self._shared = shared = share()
        self._hooks = Hooks(outside=Outside(fetch, shared.loop.waiter))
        self._webhooks = Webhooks(
            shared.registry,
            Dedupe(waiter=shared.loop.waiter),
            self._run_after,
            journal=shared.journal,
            recorder=shared.recorder,
            clock=shared.clock,
            metrics=shared.metrics,
        )
        self._recorded = shared.events.around(self._webhooks.deliver)

    # What webhooks do not need is loaded by whoever needs it first: without it a process is ready sooner, and smaller.

    @cached_property
    def _management(self) -> "Management":
        from kafka_bridge.dify.management import Management  # noqa: PLC0415 - see above

        return Management(self._shared, self._webhooks)

    @cached_property
    def _tools(self) -> "SdkTools":
        from kafka_bridge.dify.toolbox import SdkTools  # noqa: PLC0415 - see above

        return SdkTools(self._shared)

    def _deliver(self, call: Call) -> Answer:
        # The first request of any kind starts a resident consumer, and each brings the settings as they are now.
        if call.hook.settings.consume.resident or "_management" in vars(self):
            self._management.residents.see(call)
        return self._recorded(call)

    def _run_after(self, call: Call, outcome: Outcome) -> Outbound:
        return self._management.after_run.answer(call, outcome)

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
            self._management.dispatch,
            self._hooks,
            request,
            values=values,
            settings=settings,
            session=session,
            sessions=self._management.sessions,
        )

    def tool(
        self,
        name: str,
        credentials: Mapping[str, object],
        parameters: Mapping[str, object],
        session: http.Session,  # noqa: ARG002 - for what a tool asks of Dify; it ends with the last message
    ) -> Generator[ToolInvokeMessage]:
        """A tool's messages, as it says them. Raises the SDK's exception of the failure's kind."""
        return self._tools.call(name, credentials, parameters)

    def validate(self, credentials: Mapping[str, object]) -> None:
        """Return if the tools can work with these credentials. Raises the SDK's exception for those that are wrong."""
        self._tools.validate(credentials)


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
    # At its lowest level it repeats what servers answer, and a server may repeat what it was sent.
    logging.getLogger("httpcore").setLevel(logging.WARNING)
    return Runtime()
