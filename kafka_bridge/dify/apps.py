"""Runs the endpoint's app through the session of a request that is open.

A call whose request has ended is dropped without a word, and the SDK would wait for its answer for 250 seconds: so each
has a timeout of its own.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final, Protocol

from kafka_bridge.broker.loops import Loop
from kafka_bridge.clock import Clock
from kafka_bridge.dispatch import verdicts
from kafka_bridge.dispatch.attempt import Attempts, Described
from kafka_bridge.dispatch.ended import Ended, Ending
from kafka_bridge.dispatch.form import Form
from kafka_bridge.dispatch.inputs import Inputs
from kafka_bridge.dispatch.payload import Payload

# A call is one line on stdout, and a line above 5 MiB is the end of the process, for all tenants.
MAX_INPUT_BYTES: Final = 4 * 1024 * 1024
_BLOCKING: Final = "blocking"


class Workflow(Protocol):
    """`session.app.workflow`."""

    def invoke(self, *, app_id: str, inputs: dict[str, Any], response_mode: Any) -> Any:
        """Run it; a failed run is a result like any other. Raises a bare Exception."""


class Chat(Protocol):
    """`session.app.chat`."""

    def invoke(self, *, app_id: str, query: str, inputs: dict[str, Any], response_mode: Any) -> Any:
        """Ask it. Raises a bare Exception."""


class SessionApps(Protocol):
    """What is used of the SDK's `session.app`."""

    @property
    def workflow(self) -> Workflow:
        """Workflows."""

    @property
    def chat(self) -> Chat:
        """Chat apps."""

    def fetch_app(self, app_id: str) -> Mapping[str, Any]:
        """The app's parameters. Raises a bare Exception."""


class Apps:
    """Runs apps. One for all endpoints: what is known of an app is kept per endpoint."""

    def __init__(self, loop: Loop, clock: Clock) -> None:
        self._loop = loop
        self._attempts = Attempts(clock.monotonic, max_bytes=MAX_INPUT_BYTES)

    def run(
        self,
        session_apps: SessionApps,
        *,
        endpoint: str,
        app_id: str,
        inputs: Inputs,
        payload: Payload,
        timeout_s: float,
    ) -> Ended:
        """Run the app for one record. Raises nothing; an app that is still running after `timeout_s` is `UNKNOWN`."""
        if not app_id:
            return Ended(Ending.MISCONFIGURED, error="no app is chosen in the endpoint's settings")
        app = _App(session_apps, app_id, self._loop)
        return self._attempts.run((endpoint, app_id), app, inputs, payload, timeout_s=timeout_s)


class _App:
    """One app in one session."""

    def __init__(self, apps: SessionApps, app_id: str, loop: Loop) -> None:
        self._apps = apps
        self._app_id = app_id
        self._loop = loop

    def describe(self, timeout_s: float) -> Described | Ended:
        answer = self._call(lambda: self._apps.fetch_app(self._app_id), timeout_s)
        return answer if isinstance(answer, Ended) else Described(Form.parse(answer))

    def run_workflow(self, inputs: Mapping[str, object], timeout_s: float) -> Ended:
        answer = self._call(
            lambda: self._apps.workflow.invoke(app_id=self._app_id, inputs=dict(inputs), response_mode=_BLOCKING),
            timeout_s,
        )
        return answer if isinstance(answer, Ended) else verdicts.of_result(answer)

    def run_chat(self, inputs: Mapping[str, object], query: str, timeout_s: float) -> Ended:
        answer = self._call(
            lambda: self._apps.chat.invoke(
                app_id=self._app_id, query=query, inputs=dict(inputs), response_mode=_BLOCKING
            ),
            timeout_s,
        )
        return answer if isinstance(answer, Ended) else verdicts.of_result(answer)

    def _call(self, call: Callable[[], object], timeout_s: float) -> object:
        """What the session gave, or how the run ended because it gave nothing."""
        try:
            with self._loop.deadline(timeout_s):
                return call()
        except TimeoutError:
            return Ended(Ending.UNKNOWN, error=f"no answer from Dify within {timeout_s:.0f} s")
        except Exception as error:  # noqa: BLE001 - the SDK raises a bare one for whatever Dify and the daemon say
            return verdicts.of_exception(str(error) or type(error).__name__)
