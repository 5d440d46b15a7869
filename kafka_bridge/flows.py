"""Local flows: a Python function in the place of an app. It gets one dict and returns one, or raises.

    def answer(record):                 # or `async def`: all of those share one event loop
        return {"seen": record["event_id"]}

Its dict has every name that an app may declare as an input: the payload's fields, `event_id`, `event_type`, `topic`,
`partition`, `offset`, `key`, `headers`, and `kafka` with all of these.
"""

import asyncio
import importlib.util
import inspect
import math
import sys
import threading
import time
import traceback
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from concurrent.futures import Future, wait
from pathlib import Path
from typing import Any, Final

import orjson

from kafka_bridge.dispatch import verdicts
from kafka_bridge.dispatch.ended import Ended, Ending
from kafka_bridge.dispatch.inputs import Inputs
from kafka_bridge.dispatch.payload import Payload
from kafka_bridge.errors import Retry

type Function = Callable[[dict[str, Any]], Mapping[str, Any] | Awaitable[Mapping[str, Any]]]

# Functions that did not come back in time still run, each in a thread of its own. With so many of them something is
# wrong that no further run will mend.
MAX_OVERDUE: Final = 100
# A day: longer than that nobody waits at the head of a key.
MAX_RETRY_S: Final = 86_400.0


class CannotLoad(Exception):
    """`str()` says what is wrong with the reference, or with the file."""


def load_function(reference: str) -> tuple[str, Function]:
    """The function that `PATH.py:function` names, and its name. Raises CannotLoad."""
    path, _, name = reference.rpartition(":")
    file = Path(path)
    if not path and reference.endswith(".py"):
        raise CannotLoad(f"a function is given as PATH.py:function; {reference!r} names no function")
    if file.suffix != ".py":
        raise CannotLoad(f"a function is given as PATH.py:function; {path or reference!r} is no Python file")
    if not file.is_file():
        raise CannotLoad(f"there is no file {path!r}")
    # Not under the file's own name, which may be that of a library.
    module_name = f"kafka_bridge_flow_{file.stem}"
    spec = importlib.util.spec_from_file_location(module_name, file)
    if spec is None or spec.loader is None:
        raise CannotLoad(f"{path} cannot be loaded")
    module = importlib.util.module_from_spec(spec)
    # As for a script: dataclasses and pickles look their module up, and files beside it can be imported.
    sys.modules[module_name] = module
    folder = str(file.resolve().parent)
    if folder not in sys.path:
        sys.path.append(folder)
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:  # somebody else's file: whatever it raises
        raise CannotLoad(f"{path} cannot be loaded: {type(error).__name__}: {error}") from error
    function = getattr(module, name, None)
    if not callable(function):
        raise CannotLoad(f"{path} has no function named {name!r}")
    return name, function


class Flow:
    """Runs one function, from any thread, as often at once as it is called."""

    def __init__(self, function: Function) -> None:
        self._function = function
        # Also of an object that can be called.
        self._is_async = any(map(inspect.iscoroutinefunction, (function, type(function).__call__)))
        # Reentrant: what is done already calls back at once.
        self._lock = threading.RLock()
        self._loop: _EventLoop | None = None
        self._closed = False
        self._overdue = 0

    @property
    def overdue(self) -> int:
        """Runs that were given up and still go on."""
        return self._overdue

    def run(self, payload: Payload, *, inputs: Inputs | None = None, timeout_s: float | None = None) -> Ended:
        """Run it for one record, with what the operator's `inputs` add. Raises nothing.

        Whatever still runs after `timeout_s` is `UNKNOWN`: a coroutine is cancelled, a function cannot be and goes on.
        Without a timeout a function runs in the caller's own thread.
        """
        began = time.monotonic()
        record = payload.everything() if inputs is None else inputs.of(payload, None)
        ended = self._run(record, timeout_s)
        return ended._replace(duration_s=time.monotonic() - began)

    def close(self) -> None:
        """Cancel the coroutines that still run, and start no run any more."""
        with self._lock:
            self._closed = True
            if self._loop is not None:
                self._loop.stop()

    def _run(self, record: dict[str, object], timeout_s: float | None) -> Ended:
        if self._closed:
            return Ended(Ending.NOT_STARTED, error="the flow was closed")
        if self._overdue >= MAX_OVERDUE:
            return Ended(Ending.UNAVAILABLE, error=f"{self._overdue} runs of the flow have not come back")
        if timeout_s is None and not self._is_async:
            return self._call(record)
        future = self._event_loop().start(self._await(record)) if self._is_async else self._in_thread(record)
        wait((future,), timeout_s)
        with self._lock:
            if not future.done():
                self._overdue += 1
                future.add_done_callback(self._came_back)
                future.cancel()
                return Ended(Ending.UNKNOWN, error=f"the flow did not return within {timeout_s:g} s")
        return Ended(Ending.UNKNOWN, error="the flow was cancelled") if future.cancelled() else future.result()

    def _call(self, record: dict[str, object]) -> Ended:
        try:
            return _outputs(self._function(record))
        except BaseException as error:  # noqa: BLE001 - somebody else's function: whatever it raises
            # Also what is no Exception, as a task that was cancelled: nobody would hear of the run again.
            return _failed(error)

    async def _await(self, record: dict[str, object]) -> Ended:
        try:
            return _outputs(await self._function(record))  # type: ignore[misc]
        except asyncio.CancelledError as error:
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise
            # Of something that the flow itself has cancelled and waited for.
            return _failed(error)
        except (Exception, SystemExit, KeyboardInterrupt) as error:  # noqa: BLE001 - would end the event loop
            return _failed(error)

    def _event_loop(self) -> "_EventLoop":
        with self._lock:
            if self._loop is None:
                self._loop = _EventLoop()
            return self._loop

    def _in_thread(self, record: dict[str, object]) -> Future[Ended]:
        future: Future[Ended] = Future()
        # So that nobody can cancel it: it counts as overdue for as long as it runs.
        future.set_running_or_notify_cancel()
        threading.Thread(target=lambda: future.set_result(self._call(record)), daemon=True).start()
        return future

    def _came_back(self, _future: Future[Ended]) -> None:
        with self._lock:
            self._overdue -= 1


class _EventLoop:
    """An event loop on a thread of its own."""

    def __init__(self) -> None:
        started: Future[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = Future()

        async def main() -> None:
            stopped = asyncio.Event()
            started.set_result((asyncio.get_running_loop(), stopped))
            # When this is over, whatever else runs is cancelled.
            await stopped.wait()

        threading.Thread(target=asyncio.run, args=(main(),), daemon=True).start()
        self._loop, self._stopped = started.result()

    def start(self, run: Coroutine[Any, Any, Ended]) -> Future[Ended]:
        return asyncio.run_coroutine_threadsafe(run, self._loop)

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._stopped.set)


def _outputs(returned: object) -> Ended:
    if not isinstance(returned, Mapping):
        if inspect.iscoroutine(returned):
            returned.close()
        return Ended(Ending.FAILED, error=f"the flow returned {type(returned).__name__}, not a dict")
    try:
        return Ended(Ending.DONE, outputs=orjson.loads(orjson.dumps(dict(returned))))
    except orjson.JSONEncodeError as error:
        return Ended(Ending.FAILED, error=verdicts.bounded(f"the flow's outputs are not JSON: {error}"))


def _failed(error: BaseException) -> Ended:
    after = error.after if isinstance(error, Retry) else None
    # `after` is whatever somebody wrote there.
    legal = isinstance(after, int | float) and math.isfinite(after)
    return Ended(
        Ending.FAILED,
        error=verdicts.bounded(f"{type(error).__name__}{_words(error)}{_where(error)}"),
        retry_after_s=min(max(0.0, float(after or 0)), MAX_RETRY_S) if legal else None,
    )


def _words(error: BaseException) -> str:
    try:
        text = str(error)
    except Exception:  # noqa: BLE001 - somebody else's exception
        return ""
    return f": {text}" if text else ""


def _where(error: BaseException) -> str:
    """The line of the flow itself, below ours, that led to the error."""
    frames = list(traceback.walk_tb(error.__traceback__))[1:2]
    return "".join(f" ({Path(frame.f_code.co_filename).name}, line {line})" for frame, line in frames)
