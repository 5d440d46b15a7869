"""One run of an app for one record: the app's form, the input, and once more where the app has changed. Pure.

The same for whoever calls Dify: the plugin through its session, the stand-alone worker through the HTTP API.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple, Protocol

import orjson

from kafka_bridge.dispatch import verdicts
from kafka_bridge.dispatch.ended import Ended, Ending
from kafka_bridge.dispatch.form import Form
from kafka_bridge.dispatch.inputs import Inputs
from kafka_bridge.dispatch.payload import Payload

# For how long a form is taken to be the app's: an input that is added to an app is passed after this.
FORM_S: Final = 60.0
# One that is older than this is asked for again when an input was refused: the app may have changed.
FRESH_S: Final = 1.0
# Who waits for a form waits no longer than this: it is a few milliseconds of Dify's time.
FORM_TIMEOUT_S: Final = 10.0
MAX_APPS: Final = 512


class Described(NamedTuple):
    """What Dify says an app is like. `form` and `chat` are None where it does not say."""

    form: Form | None
    chat: bool | None = None


class App(Protocol):
    """One app of Dify's. Each call takes `timeout_s` at the most, and raises nothing."""

    def describe(self, timeout_s: float) -> Described | Ended:
        """What the app is like; or why that cannot be known, which is also how a run would end."""

    def run_workflow(self, inputs: Mapping[str, object], timeout_s: float) -> Ended:
        """Run it as a workflow."""

    def run_chat(self, inputs: Mapping[str, object], query: str, timeout_s: float) -> Ended:
        """Ask it something, in a conversation of its own."""


@dataclass(slots=True)
class _Known:
    form: Form | None
    chat: bool
    learnt_at: float


class Attempts:
    """Runs apps, and remembers what they are like: of so many, each for a while.

    `max_bytes` is what inputs may come to as JSON.
    """

    def __init__(
        self, monotonic: Callable[[], float], *, max_bytes: int | None = None, capacity: int = MAX_APPS
    ) -> None:
        self._monotonic = monotonic
        self._max_bytes = max_bytes
        self._capacity = capacity
        self._known: dict[object, _Known] = {}

    def run(self, key: object, app: App, inputs: Inputs, payload: Payload, *, timeout_s: float) -> Ended:
        """Run `app` for one record, in `timeout_s` whatever happens. `key` tells apps apart. Raises nothing."""
        began = self._monotonic()
        ended = self._run(key, app, inputs, payload, began + timeout_s)
        return ended._replace(duration_s=self._monotonic() - began)

    def _run(self, key: object, app: App, inputs: Inputs, payload: Payload, deadline: float) -> Ended:
        known = self._known.get(key)
        if known is None or self._monotonic() - known.learnt_at > FORM_S:
            learnt = self._learn(key, app, deadline)
            if isinstance(learnt, Ended):
                return learnt
            known = learnt
        values = inputs.of(payload, known.form)
        ended = self._invoke(app, known, values, lambda: inputs.query(payload), deadline)
        if ended.ending is Ending.REFUSED and self._monotonic() - known.learnt_at > FRESH_S:
            learnt = self._learn(key, app, deadline)
            # Refused means that nothing ran; and that the same input would be refused again.
            if not isinstance(learnt, Ended) and (again := inputs.of(payload, learnt.form)) != values:
                return self._invoke(app, learnt, again, lambda: inputs.query(payload), deadline)
        return ended

    def _learn(self, key: object, app: App, deadline: float) -> _Known | Ended:
        now = self._monotonic()
        if deadline <= now:
            return _no_time()
        described = app.describe(min(FORM_TIMEOUT_S, deadline - now))
        if isinstance(described, Ended):
            return verdicts.nothing_ran(described)
        before = self._known.pop(key, None)
        chat = described.chat if described.chat is not None else before is not None and before.chat
        known = self._known[key] = _Known(described.form, chat, self._monotonic())
        while len(self._known) > self._capacity:
            self._known.pop(next(iter(self._known)), None)
        return known

    def _invoke(
        self, app: App, known: _Known, values: Mapping[str, object], ask: Callable[[], str], deadline: float
    ) -> Ended:
        if not known.chat:
            ended = self._unfit(values, deadline) or app.run_workflow(values, deadline - self._monotonic())
            if not verdicts.wants_query(ended):
                return ended
            known.chat = True
        query = ask()
        if not query:
            # Dify would say that the query is missing, as it does of a call that is meant for another kind of app.
            return Ended(Ending.REFUSED, error="the record has no text to ask the app with")
        return self._unfit({**values, "": query}, deadline) or app.run_chat(values, query, deadline - self._monotonic())

    def _unfit(self, sent: Mapping[str, object], deadline: float) -> Ended | None:
        """Why this cannot be sent at all, or not any more."""
        if deadline <= self._monotonic():
            return _no_time()
        try:
            # Within as many others as a call to Dify puts around it: the encoder's limit is one of depth.
            size = len(orjson.dumps([[[[[[[[sent]]]]]]]]))
        except orjson.JSONEncodeError:
            return Ended(Ending.REFUSED, error="the inputs are nested too deep, or hold a number above 64 bits")
        if self._max_bytes is not None and size > self._max_bytes:
            return Ended(
                Ending.REFUSED, error=f"the inputs are {size} bytes of JSON; at most {self._max_bytes} can be sent"
            )
        return None


def _no_time() -> Ended:
    return Ended(Ending.NOT_STARTED, error="no time was left to run it in")
