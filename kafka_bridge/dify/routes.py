"""The one route table: method and path to handler; 404, 405 and trailing slashes.

The platform answers a path or method that no endpoint file declares with a 404 text of its own, so hidden catch-all
files hand everything to this table.
"""

from collections.abc import Callable, Mapping

import werkzeug.exceptions
from werkzeug.routing import Map, Rule

from kafka_bridge.dify.call import Call, Handler
from kafka_bridge.dify.consume import Consume
from kafka_bridge.dify.consumer import ConsumerState
from kafka_bridge.dify.dashboard import Dashboard
from kafka_bridge.dify.deadletters import DeadLetters
from kafka_bridge.dify.events import Events
from kafka_bridge.dify.health import Health
from kafka_bridge.dify.measures import Measures
from kafka_bridge.dify.replay import Replay
from kafka_bridge.dify.signin import SignIn
from kafka_bridge.dify.stream import Stream
from kafka_bridge.dify.trial import Trial
from kafka_bridge.dify.webhooks import Webhooks
from kafka_bridge.errors import MethodNotAllowed, NotFound
from kafka_bridge.http import Answer

type Methods = Mapping[str, Handler]


class Routes:
    """Finds the handler of a request that only the catch-all files matched."""

    def __init__(
        self,
        webhooks: Webhooks,
        health: Health,
        consume: Consume,
        events: Events,
        *,
        dead_letters: DeadLetters,
        replay: Replay,
        stream: Stream,
        measures: Measures,
        consumer: ConsumerState,
        dashboard: Dashboard,
        sign_in: SignIn,
        trial: Trial,
        recorded: Callable[[Handler], Handler],
    ) -> None:
        """`recorded` is put around what makes entries in the event log."""
        deliver = recorded(webhooks.deliver)
        rules = [
            _rule(path, {"POST": deliver, "GET": webhooks.probe, "OPTIONS": webhooks.options})
            for path in ("/webhook", "/webhook/<name>")
        ]
        rules.append(_rule("/", {"GET": dashboard.show}))
        rules.append(_rule("/login", {"POST": sign_in.login}))
        rules.append(_rule("/logout", {"POST": sign_in.logout}))
        rules.append(_rule("/test", {"POST": recorded(trial.send)}))
        rules.append(_rule("/health", {"GET": health.show}))
        rules.append(_rule("/consume", {"POST": recorded(consume.consume)}))
        rules.append(_rule("/dispatch", {"POST": recorded(consume.dispatch)}))
        rules.append(_rule("/events", {"GET": events.list}))
        rules.append(_rule("/events/<name>", {"GET": events.show}))
        rules.append(_rule("/dead-letters", {"GET": dead_letters.list}))
        rules.append(_rule("/dead-letters/redrive", {"POST": recorded(dead_letters.redrive)}))
        rules.append(_rule("/events/replay", {"POST": recorded(replay.many)}))
        rules.append(_rule("/events/<name>/replay", {"POST": recorded(replay.one)}))
        rules.append(_rule("/stream", {"GET": stream.show}))
        rules.append(_rule("/metrics", {"GET": measures.show}))
        rules.append(_rule("/consumer", {"GET": consumer.show}))
        rules.append(_rule("/consumer/start", {"POST": consumer.start}))
        rules.append(_rule("/consumer/stop", {"POST": consumer.stop}))
        self._map = Map([rule for group in rules for rule in group], strict_slashes=False, merge_slashes=False).bind("")

    def dispatch(self, call: Call) -> Answer:
        """Hand the call to its handler. Raises NotFound, MethodNotAllowed and what the handler raises."""
        try:
            handler, values = self._map.match(call.inbound.path, call.inbound.method)
        except werkzeug.exceptions.MethodNotAllowed as error:
            raise MethodNotAllowed(sorted(error.valid_methods or ())) from error
        except werkzeug.exceptions.HTTPException as error:
            raise NotFound from error
        return handler(call._replace(name=values.get("name", "")))  # type: ignore[no-any-return]


def _rule(path: str, methods: Methods) -> list[Rule]:
    return [Rule(path, methods=[method], endpoint=handler) for method, handler in methods.items()]
