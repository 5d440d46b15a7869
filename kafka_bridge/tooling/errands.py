"""What blocks, on a native thread of its own, while the caller waits beside the others.

The thread owns its client: makes it, uses it, closes it. Nothing of the client, nor of a foreign exception, comes back
to the caller, whose interpreter's garbage collector would then have to tear it down.
"""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Final

from kafka_bridge.broker.loops import Loop, Task, Waiter
from kafka_bridge.errors import BridgeError, Busy, Cause, Unavailable, Unreadable
from kafka_bridge.incidents import incident_of

logger = logging.getLogger(__name__)

# Each has some threads and sockets, and up to 2 MiB of what it has fetched.
MAX_ERRANDS: Final = 24


class Errand[Result]:
    """One task on its thread. `stopped` is set when nobody waits for it any more, and it should end."""

    def __init__(self, task: Callable[["Errand[Result]"], Result], loop: Loop) -> None:
        self._task = task
        self._loop = loop
        self._begun = loop.waiter()
        self._done = loop.waiter()
        self._results: list[Result] = []
        self._error: BridgeError | None = None
        self.stopped = False

    def begin(self) -> None:
        """For the task: it is so far that the caller may go on."""
        self._loop.post(self._begun.wake)

    def begun(self, timeout_s: float) -> None:
        """Wait for `begin`. Raises BridgeError where the task failed before."""
        self._wait(self._begun, timeout_s)

    def result(self, timeout_s: float) -> Result:
        """Wait for what the task gives. Raises BridgeError."""
        self._wait(self._done, timeout_s)
        return self._results[0]

    def run(self, then: Task) -> None:
        """The thread's whole life; `then` is run on the loop at its end."""
        try:
            self._results.append(self._task(self))
        except Unavailable as error:
            self._error = error if isinstance(error, Unreadable) else Unreadable(error.cause, error.hint)
        except BridgeError as error:
            self._error = error
        except Exception as error:  # noqa: BLE001 - a thread that dies silently would leave its caller waiting
            incident = incident_of(error)
            # Only the loop may say where lines are written.
            self._loop.post(partial(self._loop.log, partial(logger.error, "%s", incident.line)))
            self._error = incident.error
        if self._error is not None:
            self._error.__traceback__ = self._error.__context__ = self._error.__cause__ = None
        self._loop.post(then)
        self._loop.post(self._begun.wake)
        self._loop.post(self._done.wake)

    def _wait(self, waiter: Waiter, timeout_s: float) -> None:
        if not waiter.wait(timeout_s) and not self._results and self._error is None:
            raise Unreadable(Cause.NOT_ACKNOWLEDGED, "the client library did not come back")
        if self._error is not None:
            raise self._error


class Errands:
    """How many of them there are at once in this process: each counts until its thread has ended."""

    def __init__(self, loop: Loop) -> None:
        self._loop = loop
        self._running = 0

    def run[Result](self, task: Callable[[Errand[Result]], Result], *, timeout_s: float) -> Result:
        """Run a task and wait for it. Raises BridgeError, Busy when too many are under way."""
        with self.running(task) as errand:
            return errand.result(timeout_s)

    @contextmanager
    def running[Result](self, task: Callable[[Errand[Result]], Result]) -> Iterator[Errand[Result]]:
        """A block beside which the task runs; at its end the task is told to stop. Raises Busy."""
        with self._loop.lock:
            if self._running >= MAX_ERRANDS:
                raise Busy(f"{MAX_ERRANDS} calls read from Kafka at this moment.")
            self._running += 1
        errand = Errand(task, self._loop)
        try:
            try:
                self._loop.start_thread(partial(errand.run, self._ended))
            except RuntimeError as error:
                self._ended()
                raise Busy("The process has no thread left.") from error
            yield errand
        finally:
            errand.stopped = True

    def _ended(self) -> None:
        with self._loop.lock:
            self._running -= 1
