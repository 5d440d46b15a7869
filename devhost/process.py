"""The plugin's process: started like the daemon starts it, killed like the daemon kills it, started again.

Nobody tells a session that its process is gone: a request that was in flight is never answered. Only its client ends
it, or the daemon's limit when the answer had begun.
"""

import asyncio
import contextlib
import time
import uuid
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Final

from devhost import frames
from devhost.calls import Call, CallFailed, Calls, read_call
from devhost.instance import Gone, Instance, OnLine
from devhost.streams import Messages
from devhost.timing import Timing

START_TIMEOUT_S: Final = 60.0


# What the daemon says of a call that it gives up, by its kind.
_CANCELED: Final = {
    "app": 'invoke app failed: Post "http://127.0.0.1:5001/inner/api/invoke/app": context canceled',
    "fetch_app": 'fetch app failed: Post "http://127.0.0.1:5001/inner/api/fetch/app/info": context canceled',
}


class NotRunning(Exception):
    """The plugin's process is gone and did not come back in time."""


@dataclass(frozen=True, slots=True)
class _Session:
    endpoint_id: str | None
    instance: Instance
    answer: Messages[Any]
    calls: dict[str, Call] = field(default_factory=dict)
    """Under way."""


class PluginProcess:
    """Runs the plugin in `folder` and talks to it.

    When a client goes the daemon gives up what its session has asked of Dify, and then forgets the session. Whether the
    plugin is told of the one before the other is a race that the plugin loses nearly always; `tells_canceled`: it wins.
    """

    def __init__(
        self,
        folder: Path,
        *,
        python: Path,
        environment: Mapping[str, str],
        calls: Calls,
        on_line: OnLine,
        timing: Timing,
        tells_canceled: bool = False,
    ) -> None:
        self._folder = folder
        self._python = python
        self._environment = environment
        self._calls = calls
        self._on_line = on_line
        self._timing = timing
        self._tells_canceled = tells_canceled
        self._instance: Instance | None = None
        self._sessions: dict[str, _Session] = {}
        self._runs: set[asyncio.Task[None]] = set()
        self._calling: set[asyncio.Task[None]] = set()
        self._schedule: asyncio.Task[None] | None = None
        self.starts = 0

    @property
    def pid(self) -> int | None:
        """The process, while there is one."""
        return self._instance.pid if self._instance else None

    @property
    def in_flight(self) -> int:
        """Requests whose session is open."""
        return len(self._sessions)

    async def start(self, timeout_s: float = START_TIMEOUT_S) -> None:
        """Start, and wait for the first heartbeat. Raises NotRunning."""
        instance, run = self._begin()
        ready = asyncio.create_task(instance.ready.wait())
        await asyncio.wait({ready, run}, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
        ready.cancel()
        if run.done():
            raise NotRunning(f"the plugin has ended before its first heartbeat\n{instance.last_words}".strip())
        if not instance.ready.is_set():
            await self.stop()
            raise NotRunning(f"the plugin has not reported within {timeout_s:.0f} s")
        self._schedule = asyncio.create_task(self._keep_running())

    async def stop(self) -> None:
        """Stop as the daemon does: close the pipes, then SIGKILL. There is no SIGTERM."""
        for task in (*self._calling, *([self._schedule] if self._schedule else [])):
            task.cancel()
        self.kill()
        await asyncio.gather(*self._runs, return_exceptions=True)

    def kill(self) -> None:
        """SIGKILL. It is started again unless `stop` was called."""
        if self._instance is not None:
            self._instance.kill()

    async def invoke(
        self, endpoint_id: str, raw_request: bytes, settings: Mapping[str, object], answer: Messages[Any]
    ) -> str:
        """Hand over a request to an endpoint. As `open`."""

        def line(session_id: str) -> bytes:
            return frames.endpoint_request(session_id, endpoint_id, raw_request, settings)

        return await self.open(line, answer, endpoint_id)

    async def open(self, request: Callable[[str], bytes], answer: Messages[Any], endpoint_id: str | None = None) -> str:
        """Open a session with a line; what the plugin says goes into `answer`. Gives the session's id.

        A request whose `answer` is given up meanwhile is not handed over. Raises NotRunning.
        """
        session_id = str(uuid.uuid4())
        line = request(session_id)
        deadline = time.monotonic() + self._timing.write_budget_s
        while not answer.ended:
            instance = self._instance
            if instance is not None:
                self._sessions[session_id] = _Session(endpoint_id, instance, answer)
                try:
                    await instance.write(line)
                except Gone:
                    del self._sessions[session_id]
                else:
                    break
            if time.monotonic() > deadline:
                raise NotRunning("no proper instance\nfailed to write request")
            await asyncio.sleep(self._timing.write_pause_s)
        return session_id

    def forget(self, session_id: str, *, gone: bool = False) -> None:
        """The request is over: whatever the plugin still says in its session is dropped without a word.

        `gone`: because its client has left.
        """
        session = self._sessions.pop(session_id, None)
        if session is None:
            return
        session.answer.abandon()
        if gone and self._tells_canceled:
            for call in session.calls.values():
                if call.kind in _CANCELED:
                    self._spawn(self._cancel(session_id, session, call), self._calling)

    def _begin(self) -> tuple[Instance, asyncio.Task[None]]:
        self.starts += 1
        self._instance = instance = Instance(
            self._folder,
            self._environment,
            python=self._python,
            on_message=self._handle,
            on_line=self._on_line,
            silence_s=self._timing.silence_s,
        )
        return instance, self._spawn(instance.run(), self._runs)

    async def _keep_running(self) -> None:
        """The daemon's loop: looks at every tick, and waits for the first heartbeat of what it has started."""
        tick = time.monotonic()
        while True:
            while tick <= time.monotonic():
                tick += self._timing.restart_tick_s
            await asyncio.sleep(tick - time.monotonic())
            if self.pid is None:
                self._on_line("host", f"the plugin's process has ended (start {self.starts}); starting it again")
                instance, _ = self._begin()
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(instance.ready.wait(), self._timing.silence_s)

    def _handle(self, message: frames.Message) -> None:
        session = self._sessions.get(message.session_id)
        if session is None or session.answer.ended:
            return
        if message.kind != "invoke":
            session.answer.put(message)
            return
        try:
            call = read_call(message.data)
        except frames.Malformed as error:
            session.answer.fail("invoke_dify_error", f"invoke dify failed: {error}")
        else:
            self._spawn(self._call(message.session_id, session, call), self._calling)

    async def _call(self, session_id: str, session: _Session, call: Call) -> None:
        """Answer a backwards invocation, if its session is still there by then."""
        reply = partial(frames.call_reply, session_id, session.endpoint_id, call.request_id)
        session.calls[call.request_id] = call
        try:
            answer = await self._calls.answer(call)
            lines = [reply("response", message=answer.message, data=part) for part in answer.parts]
        except CallFailed as error:
            lines = [reply("error", message=str(error))]
        finally:
            del session.calls[call.request_id]
        for line in (*lines, reply("end")):
            if session_id in self._sessions:
                with contextlib.suppress(Gone):
                    await session.instance.write(line)

    async def _cancel(self, session_id: str, session: _Session, call: Call) -> None:
        """Tell that nobody waits for the answer to a call any more."""
        reply = partial(frames.call_reply, session_id, session.endpoint_id, call.request_id)
        with contextlib.suppress(Gone):
            await session.instance.write(reply("error", message=_CANCELED[call.kind]))
            await session.instance.write(reply("end"))

    def _spawn(self, coroutine: Coroutine[None, None, None], tasks: set[asyncio.Task[None]]) -> asyncio.Task[None]:
        task = asyncio.create_task(coroutine)
        tasks.add(task)
        task.add_done_callback(tasks.discard)
        task.add_done_callback(self._report)
        return task

    def _report(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            self._on_line("host", f"the local host itself has failed: {error!r}")
