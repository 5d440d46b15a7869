"""Where the bridge's own code runs: greenlets on the gevent hub in the plugin, threads outside it.

A `Loop` owns the state of its connections: code under `lock` and tasks given to `post` never run at the same time.
No gevent primitive crosses into a native thread, and no native thread touches anything but `post`.
"""

import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from queue import SimpleQueue
from typing import Protocol

type Task = Callable[[], None]


class Interrupted(Exception):
    """What was under way in a block of `interruptible` is not waited for any more."""


class Waiter(Protocol):
    """Parks one caller."""

    def wait(self, timeout_s: float) -> bool:
        """Park until `wake`; False when `timeout_s` passed first."""

    def wake(self) -> None:
        """Let the caller go on; called on the loop, once, and harmless when nobody waits any more."""


class Lookout(Protocol):
    """Calls a task on the loop, again and again, between `start` and `stop`; both on the loop, both repeatable."""

    def start(self) -> None:
        """Begin."""

    def stop(self) -> None:
        """End."""


class Loop(Protocol):
    """Greenlets or threads."""

    lock: AbstractContextManager[object]

    def post(self, task: Task) -> None:
        """Run `task` on the loop, soon. May be called from any thread."""

    def waiter(self) -> Waiter:
        """A fresh waiter for the caller."""

    def call[T](self, task: Callable[[], T]) -> T:
        """Run `task`, which must not wait, on the loop, and wait for what it gives. For threads of `start_thread`."""

    def start_thread(self, target: Task) -> None:
        """Run `target`, which may block, on a real thread of its own."""

    def spawn(self, task: Task) -> None:
        """Run `task`, which may wait as callers do, beside the caller. May be called on the loop."""

    def rest(self, seconds: float) -> None:
        """Let a thread of `start_thread` do nothing for a while."""

    def lookout(self, task: Task) -> Lookout | None:
        """For looking after something often and cheaply on the loop itself; None where threads do that better."""

    def log(self, task: Task) -> None:
        """Run `task`, which writes log lines, where that is allowed."""

    def deadline(self, seconds: float) -> AbstractContextManager[None]:
        """Leave the block after `seconds`, wherever it waits, with a TimeoutError.

        Only a greenlet can be interrupted. In threads this does nothing: what is called there has its own timeout.
        """

    def interruptible(self) -> AbstractContextManager[Task]:
        """Leave the block, wherever it waits, with Interrupted when what it gives is called, on the loop.

        In threads this does nothing either.
        """


class _ThreadWaiter:
    __slots__ = ("_event",)

    def __init__(self) -> None:
        self._event = threading.Event()

    def wait(self, timeout_s: float) -> bool:
        return self._event.wait(timeout_s)

    def wake(self) -> None:
        self._event.set()


class ThreadLoop:
    """Plain threads: for the stand-alone worker, and wherever gevent is not."""

    def __init__(self, workers: int = 8) -> None:
        """`workers` is how many tasks of `spawn` run at once; the others wait for their turn."""
        self.lock: AbstractContextManager[object] = threading.RLock()
        self._workers = workers
        self._tasks: SimpleQueue[Task] = SimpleQueue()

    def post(self, task: Task) -> None:
        with self.lock:
            task()

    def waiter(self) -> Waiter:
        return _ThreadWaiter()

    def call[T](self, task: Callable[[], T]) -> T:
        with self.lock:
            return task()

    def start_thread(self, target: Task) -> None:
        threading.Thread(target=target, daemon=True).start()

    def spawn(self, task: Task) -> None:
        # Not `concurrent.futures`: its threads outlive the main one until their tasks end, and a run may take hours.
        with self.lock:
            if self._workers:
                self._workers -= 1
                self.start_thread(self._work)
        self._tasks.put(task)

    def _work(self) -> None:
        while True:
            self._tasks.get()()

    def rest(self, seconds: float) -> None:
        threading.Event().wait(seconds)

    def lookout(self, task: Task) -> None:  # noqa: ARG002
        return None

    def log(self, task: Task) -> None:
        task()

    def deadline(self, seconds: float) -> AbstractContextManager[None]:  # noqa: ARG002
        return nullcontext()

    def interruptible(self) -> AbstractContextManager[Task]:
        return nullcontext(lambda: None)
