"""A server of event streams on loopback, whose every connection a test scripts; it counts them all."""

import contextlib
import socket
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple, Self

OK = "200 OK"
STREAM = {"Content-Type": "text/event-stream"}


class Request(NamedTuple):
    """What came over one connection."""

    line: str
    headers: Mapping[str, str]
    body: bytes


class Gone(Exception):
    """The other side has hung up, or the test is over."""


class Peer:
    """The server's side of one connection."""

    def __init__(self, connection: socket.socket, over: threading.Event) -> None:
        self._connection = connection
        self._over = over
        self.closed = False

    def send(self, data: bytes) -> None:
        try:
            self._connection.sendall(data)
        except OSError:
            raise Gone from None

    def answer(self, status: str = OK, headers: Mapping[str, str] = STREAM, *, chunked: bool = True) -> None:
        """The head of an answer."""
        framing = {"Transfer-Encoding": "chunked"} if chunked else {}
        lines = [f"HTTP/1.1 {status}", *(f"{name}: {value}" for name, value in {**headers, **framing}.items())]
        self.send("\r\n".join([*lines, "", ""]).encode())

    def chunk(self, data: bytes) -> None:
        self.send(b"%x\r\n%b\r\n" % (len(data), data))

    def stream(self, *chunks: bytes, headers: Mapping[str, str] = STREAM, ended: bool = True) -> None:
        """A whole answer; one that is not `ended` is cut off where it is."""
        self.answer(headers=headers)
        for chunk in chunks:
            self.chunk(chunk)
        if ended:
            self.send(b"0\r\n\r\n")

    def whole(self, status: str, headers: Mapping[str, str] | None = None, body: bytes = b"") -> None:
        """An answer that is no stream."""
        self.answer(status, {**(headers or {}), "Content-Length": str(len(body)), "Connection": "close"}, chunked=False)
        self.send(body)

    def pause(self, seconds: float) -> None:
        """Say nothing for a while."""
        if self._over.wait(seconds):
            raise Gone

    def until_gone(self) -> None:
        """Say nothing until the other side hangs up."""
        self._connection.settimeout(0.02)
        while not self._over.is_set():
            try:
                if not self._connection.recv(1024):
                    return
            except TimeoutError:
                continue
            except OSError:
                return


type Script = Callable[[Peer], object]


class Server:
    """Use it as a context manager. Each connection gets the next script, the last one all that follow."""

    def __init__(self, *scripts: Script, tls: ssl.SSLContext | None = None, host: str = "127.0.0.1") -> None:
        self.connections = 0
        self.requests: list[Request] = []
        self.hung_up = threading.Semaphore(0)
        self._scripts = scripts
        self._tls = tls
        self._over = threading.Event()
        self._threads: list[threading.Thread] = []
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._listener = socket.create_server((host, 0), family=family, backlog=64)
        self.port = self._listener.getsockname()[1]

    def __enter__(self) -> Self:
        self._start(self._accept)
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        # Closing alone wakes nobody who waits in accept.
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in self._threads:
            thread.join(10)
            assert not thread.is_alive()

    def _start(self, target: Callable[..., None], *args: object) -> None:
        self._threads.append(threading.Thread(target=target, args=args, daemon=True))
        self._threads[-1].start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            script = self._scripts[min(self.connections, len(self._scripts) - 1)]
            self.connections += 1
            self._start(self._serve, connection, script)

    def _serve(self, connection: socket.socket, script: Script) -> None:
        try:
            with contextlib.ExitStack() as stack:
                stack.enter_context(connection)
                connection.settimeout(10)
                if self._tls:
                    connection = stack.enter_context(self._tls.wrap_socket(connection, server_side=True))
                self.requests.append(_request(connection))
                script(Peer(connection, self._over))
        except (Gone, OSError):
            pass
        finally:
            self.hung_up.release()


def _request(connection: socket.socket) -> Request:
    received = b""
    while b"\r\n\r\n" not in received:
        if not (data := connection.recv(65536)):
            raise Gone
        received += data
    head, _, body = received.partition(b"\r\n\r\n")
    line, *lines = head.decode().split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (one.partition(":") for one in lines)}
    while len(body) < int(headers.get("content-length", 0)):
        if not (data := connection.recv(65536)):
            raise Gone
        body += data
    return Request(line, headers, body)


def event(data: str, **fields: str) -> bytes:
    """An event as it is written."""
    return "".join([*(f"{name}: {value}\n" for name, value in fields.items()), f"data: {data}\n\n"]).encode()


def dripping(data: bytes, *, every_s: float) -> Script:
    """One byte after the other."""

    def drip(peer: Peer) -> None:
        peer.answer()
        for byte in _forever(data):
            peer.chunk(bytes([byte]))
            peer.pause(every_s)

    return drip


def _forever(data: bytes) -> Iterator[int]:
    while True:
        yield from data
