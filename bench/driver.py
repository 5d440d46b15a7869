"""Drives a plugin process over its stdio protocol, without HTTP in between, and weighs it.

The load is made of lines prepared beforehand, so that the driver's own work does not get in the way. Answers are only
counted: every one must be a success.
"""

import binascii
import os
import re
import select
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import orjson

from bench.storage import Storage
from devhost.frames import parse

END = re.compile(rb'"session_id":"(\d+)","data":\{"type":"end"')
CALL = re.compile(rb'^.*"type":"invoke".*$', re.MULTILINE)
LOOK_S = 0.002
TICKS_PER_S = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Request:
    """What is sent again and again."""

    headers: Mapping[str, str]
    body: bytes
    settings: Mapping[str, object]
    path: str = "/webhook"
    done = b'"status":200'

    def line(self) -> tuple[bytes, bytes]:
        """The stdin line before and after the session's id."""
        head = [
            f"POST {self.path} HTTP/1.1",
            "Host: dify.example",
            "User-Agent: bench/1",
            f"Content-Length: {len(self.body)}",
        ]
        head += [f"{name}: {value}" for name, value in self.headers.items()]
        raw = "\r\n".join(head).encode() + b"\r\n\r\n" + self.body
        data = {
            "user_id": "",
            "type": "endpoint",
            "action": "invoke_endpoint",
            "raw_http_request": binascii.hexlify(raw).decode(),
            "settings": self.settings,
        }
        rest = orjson.dumps({"endpoint_id": "bench", "event": "request", "data": data})
        return b'{"session_id":"', b'",' + rest[1:] + b"\n"


@dataclass(frozen=True)
class ToolCall:
    """The same for a tool."""

    provider: str
    tool: str
    credentials: Mapping[str, object]
    parameters: Mapping[str, object]
    done = b'"type":"json"'

    def line(self) -> tuple[bytes, bytes]:
        """The stdin line before and after the session's id."""
        data = {
            "user_id": "",
            "type": "tool",
            "action": "invoke_tool",
            "provider": self.provider,
            "tool": self.tool,
            "credentials": self.credentials,
            "credential_type": "api-key",
            "tool_parameters": self.parameters,
        }
        rest = orjson.dumps({"endpoint_id": None, "event": "request", "data": data})
        return b'{"session_id":"', b'",' + rest[1:] + b"\n"


@dataclass(frozen=True)
class Run:
    """One round. CPU is the process's, all threads; latencies are sorted, in seconds; `writes` are to storage."""

    requests: int
    seconds: float
    cpu_s: float
    latencies_s: list[float]
    writes: int = 0

    @property
    def rate(self) -> float:
        """Requests per second."""
        return self.requests / self.seconds

    @property
    def cpu_us(self) -> float:
        """CPU per request."""
        return self.cpu_s / self.requests * 1e6

    def latency_ms(self, share: float) -> float:
        """A percentile of the latency."""
        return self.latencies_s[min(len(self.latencies_s) - 1, int(len(self.latencies_s) * share))] * 1000


class Plugin:
    """A plugin's process. Use it as a context manager."""

    def __init__(self, folder: Path, environment: Mapping[str, str] | None = None) -> None:
        started = time.perf_counter()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "main"],
            cwd=folder,
            env={**os.environ, "INSTALL_METHOD": "local", **(environment or {})},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=0,
        )
        assert self._process.stdin
        assert self._process.stdout
        self._out = self._process.stdout.fileno()
        self._in = self._process.stdin.fileno()
        os.set_blocking(self._in, False)
        self._next = 0
        self.storage = Storage()
        seen = b""
        while b'"heartbeat"' not in seen:
            seen += os.read(self._out, 65536)
        self.ready_s = time.perf_counter() - started

    def __enter__(self) -> "Plugin":
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            pipe.close()

    def closed_loop(self, request: Request | ToolCall, count: int, in_flight: int = 64) -> Run:
        """Send `count` requests, always `in_flight` at once."""
        return self._drive(request, count, lambda done, _now: done + in_flight)

    def open_loop(self, request: Request, count: int, rate: float) -> Run:
        """Send `count` requests at a fixed rate, whatever the answers do; latency counts from the due time."""
        started = time.perf_counter()
        return self._drive(
            request, count, lambda _done, now: int((now - started) * rate) + 1, rate=rate, started=started
        )

    def _drive(
        self, request: Request | ToolCall, count: int, allowed, rate: float = 0.0, started: float | None = None
    ) -> Run:
        before, after = request.line()
        sent_at: dict[int, float] = {}
        latencies: list[float] = []
        first, sent, done, answered, pending, tail = self._next, 0, 0, 0, b"", b""
        started, cpu, writes = started or time.perf_counter(), self.cpu_s(), self.storage.writes
        while done < count:
            now = time.perf_counter()
            target = min(count, allowed(done, now))
            while sent < target and len(pending) < 1 << 20:
                sent_at[first + sent] = started + sent / rate if rate else now
                pending += before + str(first + sent).encode() + after
                sent += 1
            readable, writable, _ = select.select(
                [self._out], [self._in] if pending else [], [], 0.0005 if rate and sent < count else 0.2
            )
            if writable:
                pending = pending[os.write(self._in, pending) :]
            if readable and not rate:
                # Look every so often, not at every line: on two cores the driver's own wake-ups would slow everybody.
                time.sleep(LOOK_S)  # noqa: TID251
            if readable:
                data = tail + os.read(self._out, 1 << 20)
                cut = data.rfind(b"\n") + 1
                data, tail = data[:cut], data[cut:]
                now = time.perf_counter()
                answered += data.count(request.done)
                for line in CALL.findall(data):
                    if (message := parse(line)) is not None and message.kind == "invoke":
                        pending += self.storage.answer(message)
                for match in END.finditer(data):
                    latencies.append(now - sent_at.pop(int(match[1])))
                    done += 1
        seconds = time.perf_counter() - started
        self._next += count
        if answered != count:
            raise RuntimeError(f"only {answered} of {count} answers were what they should be")
        return Run(count, seconds, self.cpu_s() - cpu, sorted(latencies), self.storage.writes - writes)

    def cpu_s(self) -> float:
        """CPU seconds of the process so far, all threads."""
        fields = Path(f"/proc/{self._process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / TICKS_PER_S

    def memory_mb(self) -> float:
        """Resident memory."""
        status = Path(f"/proc/{self._process.pid}/status").read_text()
        return int(status.split("VmRSS:")[1].split()[0]) / 1024
