"""What blocks, on a native thread of its own, while whoever wants its result waits beside the others; and the reverse.

The thread owns what it makes and closes it: nothing of a client, nor of a foreign exception, comes back to a caller,
whose interpreter might have to tear it down.
"""

import logging
from collections.abc import Callable, Sequence
from functools import partial
from typing import Final

from kafka_bridge.broker.loops import Loop, Task
from kafka_bridge.errors import BridgeError, Busy, Cause, Unavailable, Unreadable
from kafka_bridge.incidents import incident_of

logger = logging.getLogger(__name__)

# How often a thread looks whether what it waits for has come.
LOOK_S: Final = 0.005


class Aside[Result]:
    """One task. `stopped` is set when nobody waits for it any more, and it should end."""

    def __init__(self, task: Callable[["Aside[Result]"], Result], loop: Loop) -> None:
        self._task = task
        self._loop = loop
        self._done = loop.waiter()
        self._results: list[Result] = []
        self._error: BridgeError | None = None
        self.stopped = False

    def start(self, then: Task) -> None:
        """Begin; `then` is run on the loop at its end. Raises Busy."""
        try:
            self._loop.start_thread(partial(self._run, then))
        except RuntimeError as error:
            raise Busy("The process has no thread left.") from error

    def result(self, timeout_s: float) -> Result:
        """Wait for what the task gives. Raises BridgeError."""
        if not self._done.wait(timeout_s) and not self._results and self._error is None:
            self.stopped = True
            raise Unreadable(Cause.NOT_ACKNOWLEDGED, "the client library did not come back")
        if self._error is not None:
            raise self._error
        return self._results[0]

    def _run(self, then: Task) -> None:
        try:
            self._results.append(self._task(self))
        except BridgeError as error:
            self._error = error
        except Exception as error:  # noqa: BLE001 - a thread that dies silently would leave its caller waiting
            self._error = _defect(error, self._loop)
        if isinstance(self._error, Unavailable) and not isinstance(self._error, Unreadable):
            self._error = Unreadable(self._error.cause, self._error.hint)
        if self._error is not None:
            self._error.__traceback__ = self._error.__context__ = self._error.__cause__ = None
        self._loop.post(then)
        self._loop.post(self._done.wake)


def on_loop(loop: Loop, tasks: Sequence[Task], *, meanwhile: Task) -> BridgeError | None:
    """Run tasks that wait as callers do, all at once; for a thread, which does `meanwhile` until all have ended.

    Gives the first defect, if one of them had one.
    """
    ended: list[None] = []
    defects: list[BridgeError] = []

    def run(task: Task) -> None:
        try:
            task()
        except Exception as error:  # noqa: BLE001 - the others have to be waited for
            defects.append(_defect(error, loop))
        finally:
            ended.append(None)

    def begin() -> None:
        for task in tasks:
            loop.spawn(partial(run, task))

    loop.call(begin)
    while len(ended) < len(tasks):
        loop.rest(LOOK_S)
        meanwhile()
    return defects[0] if defects else None


def _defect(error: Exception, loop: Loop) -> BridgeError:
    incident = incident_of(error)
    # Only the loop may say where lines are written.
    loop.post(partial(loop.log, partial(logger.error, "%s", incident.line)))
    return incident.error
