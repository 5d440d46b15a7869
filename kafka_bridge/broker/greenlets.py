"""The gevent hub as a `Loop`.

A patched `threading.Thread` is a greenlet and a patched lock belongs to the hub: a blocking call of the client library
in either freezes every request of the process. So the threads here are made by the unpatched `_thread`, and what they
have to say reaches the hub through a deque and one async watcher, the only thing libev allows another thread to touch.
"""

from collections import deque
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, Final

import gevent
from gevent import getcurrent, monkey
from gevent.hub import Waiter as HubWaiter
from gevent.hub import get_hub

from kafka_bridge.broker.loops import Interrupted, Lookout, Task, Waiter

_sleep = monkey.get_original("time", "sleep")
_start_new_thread = monkey.get_original("_thread", "start_new_thread")


# How long a delivery report may lie there. Twice as often costs twice as much and saves a millisecond at the most.
LOOK_S: Final = 0.002
# How often a thread looks for the answer of `call`, which are rare: at a rebalance, and at the end of a window.
CALL_S: Final = 0.001


class _GreenletWaiter:
    __slots__ = ("_hub", "_waiter")

    def __init__(self, hub: Any) -> None:
        self._hub = hub
        self._waiter = HubWaiter(hub)

    def wait(self, timeout_s: float) -> bool:
        timer = self._hub.loop.timer(timeout_s)
        # The loop's own time is that of its last round: a timer that starts from there may end too early.
        timer.start(self._waiter.switch, False, update=True)
        try:
            return bool(self._waiter.get())
        finally:
            timer.close()

    def wake(self) -> None:
        if getcurrent() is self._hub:
            self._waiter.switch(True)
        else:
            # One caller's failure may be another one's news; only the hub may switch.
            self._hub.loop.run_callback(self._waiter.switch, True)


class _Timer:
    __slots__ = ("_task", "_timer")

    def __init__(self, timer: Any, task: Task) -> None:
        self._timer = timer
        self._task = task

    def start(self) -> None:
        if not self._timer.active:
            self._timer.start(self._task)

    def stop(self) -> None:
        self._timer.stop()


class GeventLoop:
    """Made on the hub's own thread; `post` and `start_thread` may then be used from anywhere."""

    def __init__(self) -> None:
        # Greenlets of one hub never run at the same time, and none of the guarded code switches.
        self.lock: AbstractContextManager[object] = nullcontext()
        self._hub = get_hub()
        # A deque is atomic at both ends, so no lock is shared with the native threads.
        self._tasks: deque[Task] = deque()
        self._called = False
        self._watcher = self._hub.loop.async_()
        self._watcher.start(self._run)

    def post(self, task: Task) -> None:
        self._tasks.append(task)
        if not self._called:
            # One call for many tasks. The flag is taken back before the tasks are, so none is left behind.
            self._called = True
            self._watcher.send()

    def _run(self) -> None:
        self._called = False
        while self._tasks:
            self._tasks.popleft()()

    def waiter(self) -> Waiter:
        return _GreenletWaiter(self._hub)

    def call[T](self, task: Callable[[], T]) -> T:
        answers: list[T] = []
        errors: list[BaseException] = []

        def run() -> None:
            try:
                answers.append(task())
            except BaseException as error:  # noqa: BLE001 - it is the caller's, on the other thread
                errors.append(error)

        self.post(run)
        # No primitive of gevent crosses over, and one of the system's would have to be made for every call.
        while not answers and not errors:
            _sleep(CALL_S)
        if errors:
            raise errors[0]
        return answers[0]

    def start_thread(self, target: Task) -> None:
        _start_new_thread(target, ())

    def spawn(self, task: Task) -> None:
        gevent.spawn(task)

    def rest(self, seconds: float) -> None:
        _sleep(seconds)

    def lookout(self, task: Task) -> Lookout:
        return _Timer(self._hub.loop.timer(LOOK_S, LOOK_S), task)

    def log(self, task: Task) -> None:
        # Tasks run in the hub itself, which must not touch a lock that a greenlet may hold.
        gevent.spawn(task)

    @contextmanager
    def deadline(self, seconds: float) -> Iterator[None]:
        # Not an Exception while it is raised, so that nobody on its way can take it for one of his own.
        timeout = gevent.Timeout.start_new(max(seconds, 0))
        try:
            yield
        except gevent.Timeout as raised:
            if raised is not timeout:
                raise
            raise TimeoutError from None
        finally:
            timeout.close()

    @contextmanager
    def interruptible(self) -> Iterator[Task]:
        # Never started: it only has to be nobody else's exception.
        signal, caller, inside = gevent.Timeout(), getcurrent(), [True]

        def throw() -> None:
            if inside:
                caller.throw(signal)

        try:
            # Thrown by the hub, where the block waits: who interrupts goes on.
            yield lambda: self._hub.loop.run_callback(throw)
        except gevent.Timeout as raised:
            if raised is not signal:
                raise
            raise Interrupted from None
        finally:
            inside.clear()
