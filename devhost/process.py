"""The plugin's process: started like the daemon starts it, killed like the daemon kills it, started again."""

import asyncio
import contextlib
import os
import signal
import sys
import time
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from devhost import frames
from devhost.calls import CallFailed, Calls
from devhost.streams import Answer

HEARTBEAT_TIMEOUT_S: Final = 120.0
# A write to a process that is gone is tried again for this long, every so often.
WRITE_BUDGET_S: Final = 6.0
WRITE_PAUSE_S: Final = 0.3
# A process that ends at once is started again at this pace; the first time without a pause.
RESTART_PAUSE_S: Final = 5.0
_READ_BYTES: Final = 64 * 1024
_PIPE_LIMIT_BYTES: Final = 1024 * 1024

type OnLine = Callable[[str, str], None]
"""Called with `log`, `stderr` or `host` and a line for people."""


class NotRunning(Exception):
    """The plugin's process is gone and did not come back in time."""


class PluginProcess:
    """Runs `python -m main` in `folder` and talks to it."""

    def __init__(self, folder: Path, *, environment: Mapping[str, str], calls: Calls, on_line: OnLine) -> None:
        self._folder = folder
        self._environment = {**os.environ, **environment}
        self._calls = calls
        self._on_line = on_line
        self._process: asyncio.subprocess.Process | None = None
        self._answers: dict[str, Answer] = {}
        self._ready = asyncio.Event()
        self._stopping = False
        self._last_heartbeat = 0.0
        self._supervisor: asyncio.Task[None] | None = None
        self._background: set[asyncio.Task[None]] = set()
        self.starts = 0

    @property
    def pid(self) -> int | None:
        """The process, while there is one."""
        return self._process.pid if self._process and self._process.returncode is None else None

    async def start(self, timeout_s: float = 60.0) -> None:
        """Start, and wait for the first heartbeat. Raises NotRunning."""
        self._supervisor = asyncio.create_task(self._supervise())
        try:
            await asyncio.wait_for(self._ready.wait(), timeout_s)
        except TimeoutError as error:
            raise NotRunning(f"the plugin has not reported within {timeout_s:.0f} s") from error

    async def stop(self) -> None:
        """Stop as the daemon does: close the pipes, then SIGKILL. There is no SIGTERM."""
        self._stopping = True
        self.kill()
        if self._supervisor is not None:
            await self._supervisor

    def kill(self) -> None:
        """SIGKILL. It is started again unless `stop` was called."""
        if self._process is not None and self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.send_signal(signal.SIGKILL)

    async def invoke(self, endpoint_id: str, raw_request: bytes, settings: Mapping[str, object]) -> tuple[str, Answer]:
        """Hand over a request; its answer arrives in what is returned. Raises NotRunning."""
        session_id, answer = str(uuid.uuid4()), Answer()
        line = frames.endpoint_request(session_id, endpoint_id, raw_request, settings)
        deadline = time.monotonic() + WRITE_BUDGET_S
        while not await self._write(line, session_id, answer):
            if time.monotonic() > deadline:
                raise NotRunning("no proper instance\nfailed to write request")
            await asyncio.sleep(WRITE_PAUSE_S)
        return session_id, answer

    def forget(self, session_id: str) -> None:
        """The request is over: whatever the plugin still says in its session is dropped without a word."""
        answer = self._answers.pop(session_id, None)
        if answer is not None:
            answer.abandon()

    async def _write(self, line: bytes, session_id: str, answer: Answer) -> bool:
        process = self._process
        if process is None or process.returncode is not None or not self._ready.is_set():
            return False
        self._answers[session_id] = answer
        assert process.stdin is not None
        try:
            process.stdin.write(line)
            await process.stdin.drain()
        except (BrokenPipeError, ConnectionResetError):
            self._answers.pop(session_id, None)
            return False
        return True

    async def _supervise(self) -> None:
        while not self._stopping:
            started = time.monotonic()
            await self._run_once()
            if not self._stopping:
                self._on_line("host", f"the plugin's process has ended (start {self.starts}); starting it again")
                await asyncio.sleep(max(0.0, RESTART_PAUSE_S - (time.monotonic() - started)))

    async def _run_once(self) -> None:
        self.starts += 1
        self._process = process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "main",
            cwd=self._folder,
            env=self._environment,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            limit=_PIPE_LIMIT_BYTES,
        )
        assert process.stdout is not None
        assert process.stderr is not None
        errors = asyncio.create_task(self._read_stderr(process.stderr))
        watch = asyncio.create_task(self._watch_heartbeat())
        try:
            await self._read_stdout(process.stdout)
        except frames.LineTooLong:
            self._on_line("host", f"a line over {frames.LINE_LIMIT_BYTES} bytes on stdout: the plugin is killed")
        finally:
            self.kill()
            watch.cancel()
            await process.wait()
            await errors
            self._ready.clear()
            for session_id in list(self._answers):
                self.forget(session_id)

    async def _read_stdout(self, stdout: asyncio.StreamReader) -> None:
        lines = frames.Lines()
        while data := await stdout.read(_READ_BYTES):
            for line in lines.feed(data):
                message = frames.parse(line)
                if message is not None:
                    self._handle(message)

    def _handle(self, message: frames.Message) -> None:
        match message.event:
            case "heartbeat":
                self._last_heartbeat = time.monotonic()
                self._ready.set()
            case "log":
                self._on_line("log", f"{message.data.get('level')} {message.data.get('message')}")
            case "error":
                self._on_line("host", f"the plugin reports an error: {dict(message.data)}")
            case "session":
                answer = self._answers.get(message.session_id)
                if answer is None:
                    return
                if message.kind == "invoke":
                    task = asyncio.create_task(self._call(message))
                    self._background.add(task)
                    task.add_done_callback(self._background.discard)
                else:
                    answer.put(message)

    async def _call(self, message: frames.Message) -> None:
        """Answer a backwards invocation, if its session is still there by then."""
        request_id, request = str(message.data.get("backwards_request_id")), message.data.get("request")
        try:
            data = await self._calls.answer(str(message.data.get("type")), request if isinstance(request, dict) else {})
            reply = frames.call_reply(message.session_id, request_id, "response", message="struct", data=data)
        except CallFailed as error:
            reply = frames.call_reply(message.session_id, request_id, "error", message=str(error))
        for line in (reply, frames.call_reply(message.session_id, request_id, "end")):
            if message.session_id in self._answers and self._process and self._process.stdin:
                self._process.stdin.write(line)

    async def _read_stderr(self, stderr: asyncio.StreamReader) -> None:
        lines = frames.Lines()
        with contextlib.suppress(frames.LineTooLong):
            while data := await stderr.read(_READ_BYTES):
                for line in lines.feed(data):
                    self._on_line("stderr", line.decode("utf-8", "replace"))

    async def _watch_heartbeat(self) -> None:
        self._last_heartbeat = time.monotonic()
        while time.monotonic() - self._last_heartbeat < HEARTBEAT_TIMEOUT_S:
            await asyncio.sleep(1.0)
        self._on_line("host", f"no heartbeat for {HEARTBEAT_TIMEOUT_S:.0f} s: the plugin is killed")
        self.kill()
