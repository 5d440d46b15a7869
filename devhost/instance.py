"""One run of the plugin's process: three pipes, a heartbeat, and SIGKILL as the only way to end it."""

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from devhost import frames

_READ_BYTES: Final = 64 * 1024
_PIPE_LIMIT_BYTES: Final = 1024 * 1024
_LAST_WORDS_CHARS: Final = 1024

type OnLine = Callable[[str, str], None]
"""Called with `log`, `stderr` or `host` and a line for people."""


class Gone(Exception):
    """The process cannot be written to any more."""


class Instance:
    """`PYTHON -m main` in `folder`, with the host's environment and what `environment` adds to it."""

    def __init__(
        self,
        folder: Path,
        environment: Mapping[str, str],
        *,
        python: Path,
        on_message: Callable[[frames.Message], None],
        on_line: OnLine,
        silence_s: float,
    ) -> None:
        self._folder = folder
        self._environment = {**os.environ, **environment}
        self._python = python
        self._on_message = on_message
        self._on_line = on_line
        self._silence_s = silence_s
        self._process: asyncio.subprocess.Process | None = None
        self._last_active = 0.0
        self._killed = False
        self.ready = asyncio.Event()
        self.last_words = ""

    @property
    def pid(self) -> int | None:
        """The process, while there is one."""
        return self._process.pid if self._process and self._process.returncode is None else None

    async def run(self) -> None:
        """Start the process, and listen to it until its end."""
        self._process = process = await asyncio.create_subprocess_exec(
            str(self._python),
            "-m",
            "main",
            cwd=self._folder,
            env=self._environment,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            limit=_PIPE_LIMIT_BYTES,
            # The daemon's signals never reach a plugin; here that would be a terminal's Ctrl-C.
            process_group=0,
        )
        assert process.stdout is not None
        assert process.stderr is not None
        errors = asyncio.create_task(self._read_stderr(process.stderr))
        watch = asyncio.create_task(self._watch())
        try:
            if not self._killed:
                await self._read_stdout(process.stdout)
        except frames.LineTooLong:
            self._on_line("host", f"a line over {frames.LINE_LIMIT_BYTES} bytes on stdout: the plugin is killed")
        finally:
            self.kill()
            watch.cancel()
            await errors
            # asyncio knows a process to have ended only when its pipes have been read to their end, given up or not.
            for pipe in (process.stdout, process.stderr):
                while await pipe.read(_READ_BYTES):
                    pass
            await process.wait()

    def kill(self) -> None:
        """SIGKILL, as soon as there is a process."""
        self._killed = True
        if self._process is not None and self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.send_signal(signal.SIGKILL)

    async def write(self, line: bytes) -> None:
        """Write to the process. Raises Gone."""
        if self.pid is None or not self.ready.is_set():
            raise Gone
        assert self._process is not None
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(line)
            await self._process.stdin.drain()
        except (BrokenPipeError, ConnectionResetError) as error:
            raise Gone from error

    async def _read_stdout(self, stdout: asyncio.StreamReader) -> None:
        lines = frames.Lines()
        while data := await stdout.read(_READ_BYTES):
            for line in lines.feed(data):
                self._last_active = time.monotonic()
                self._handle(line)
        for line in lines.finish():
            self._handle(line)

    def _handle(self, line: bytes) -> None:
        message = frames.parse(line)
        if message is None:
            return
        data = message.data if isinstance(message.data, dict) else {}
        match message.event:
            case "heartbeat":
                self.ready.set()
            case "log":
                self._on_line("log", f"{data.get('level')} {data.get('message')}")
            case "error":
                self._on_line("host", f"the plugin reports an error: {data}")
            case "session":
                self._on_message(message)

    async def _read_stderr(self, stderr: asyncio.StreamReader) -> None:
        """Until the end, or a line over the limit: then nobody reads on, and the plugin's next write blocks it."""
        lines = frames.Lines()
        with contextlib.suppress(frames.LineTooLong):
            while data := await stderr.read(_READ_BYTES):
                for line in lines.feed(data):
                    self._say(line)
            for line in lines.finish():
                self._say(line)

    def _say(self, line: bytes) -> None:
        self._last_active = time.monotonic()
        text = line.decode("utf-8", "replace")
        self.last_words = f"{self.last_words}\n{text}"[-_LAST_WORDS_CHARS:]
        self._on_line("stderr", text)

    async def _watch(self) -> None:
        self._last_active = time.monotonic()
        while time.monotonic() - self._last_active < self._silence_s:
            await asyncio.sleep(min(1.0, self._silence_s / 4))
        self._on_line("host", f"silent for {self._silence_s:.0f} s: the plugin is killed")
        self.kill()
