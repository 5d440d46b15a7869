"""What is run for each record: an app of Dify's through its API, or a function of the operator's."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from kafka_bridge.dispatch.delivering import Run
from kafka_bridge.dispatch.ended import Ended, Ending
from kafka_bridge.dispatch.inputs import Inputs
from kafka_bridge.dispatch.payload import Payload, read
from kafka_bridge.dispatch.window import Runner
from kafka_bridge.errors import SettingsInvalid
from kafka_bridge.events.record import Consumed
from kafka_bridge.flows import CannotLoad, Flow, load_function
from kafka_bridge.incidents import incident_of
from kafka_bridge.service import DifyService
from kafka_bridge.standalone.variables import named

logger = logging.getLogger(__name__)

NOTHING: Final = "Nothing to run: give DIFY_API_KEY for an app of Dify's, or FLOW (--flow) for a function of yours."


@dataclass(frozen=True, slots=True)
class App:
    """`name` is for log lines; `run` raises nothing."""

    name: str
    run: Callable[[Inputs, Payload, float], Ended]
    close: Callable[[], None]


def open_app(*, flow: str, api_url: str, api_key: str) -> App:
    """The app; a flow wins over a key. Raises SettingsInvalid."""
    if flow.strip():
        return _local(flow.strip())
    if not api_key.strip():
        raise SettingsInvalid([NOTHING])
    service = DifyService(api_url=api_url, api_key=api_key)
    return App(
        f"the app of Dify at {api_url}",
        lambda inputs, payload, timeout_s: service.run(inputs, payload, timeout_s=timeout_s),
        service.close,
    )


def runner_of(app: App, inputs: Inputs, *, timeout_s: float) -> Runner:
    """Runs the app for a task."""
    run = run_of(app, inputs, timeout_s=timeout_s)
    return lambda task: run(task.consumed)


def run_of(app: App, inputs: Inputs, *, timeout_s: float) -> Run:
    """Runs the app for a record. Whatever goes wrong in here must neither end a thread nor keep a slot for ever."""

    def run(consumed: Consumed) -> Ended:
        try:
            return app.run(inputs, read(consumed), timeout_s)
        except Exception as error:  # noqa: BLE001 - see above
            incident = incident_of(error)
            logger.error("%s", incident.line)  # noqa: TRY400
            number = incident.error.incident
            return Ended(Ending.UNKNOWN, error=f"something went wrong in the worker; its log has incident {number}")

    return run


def _local(reference: str) -> App:
    try:
        name, function = load_function(reference)
    except CannotLoad as error:
        raise SettingsInvalid([f"{named('FLOW')}: {error}."]) from error
    flow = Flow(function)
    return App(
        f"the function {name} of {reference.rpartition(':')[0]}",
        lambda inputs, payload, timeout_s: flow.run(payload, inputs=inputs, timeout_s=timeout_s),
        flow.close,
    )
