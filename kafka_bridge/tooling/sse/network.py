"""Sockets that lead to no address but one that was looked at, and that nobody can hold the process up with.

The name is resolved once, every address that it has is judged, and the connection goes to one of these very addresses:
a name server that says something else the next time is not asked a next time. TLS and the header `Host` go by the name.
"""

import socket
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from ssl import SSLContext
from typing import Final

import httpcore

from kafka_bridge.broker.loops import Loop
from kafka_bridge.tooling.sse.addresses import refusal
from kafka_bridge.tooling.sse.failures import (
    BROKE,
    HOST_NOT_FOUND,
    NO_CONNECTION,
    NO_TLS,
    TOO_MUCH,
    Broken,
    OutOfTime,
    refused_address,
)

CONNECT_S: Final = 10.0
# In between others get their turn: what a hostile server puts into this takes some milliseconds to be understood.
READ_BYTES: Final = 4 * 1024
# Of one connection, as it comes over the wire.
MAX_RECEIVED_BYTES: Final = 64 * 1024 * 1024
# A name with more addresses than that is no server's.
MAX_ADDRESSES: Final = 64

type Resolve = Callable[[str], Sequence[str]]
"""The addresses of a host. Raises OSError."""


def resolve(host: str) -> Sequence[str]:
    """As the system does it."""
    found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    return tuple(dict.fromkeys(str(address[0]) for *_, address in found))


@dataclass(frozen=True, slots=True)
class Bounds:
    """What a connection of one call may do. `deadline` is in seconds of `monotonic`."""

    deadline: float
    private_addresses: bool
    monotonic: Callable[[], float]
    loop: Loop

    @contextmanager
    def within(self, limit_s: float | None = None) -> Iterator[float]:
        """For something that waits: gives how long it may. Raises OutOfTime when the call's time is over.

        What takes longer than `limit_s` ends with a TimeoutError.
        """
        left_s = self.deadline - self.monotonic()
        if left_s <= 0:
            raise OutOfTime
        allowed_s = left_s if limit_s is None else min(left_s, limit_s)
        try:
            # A socket's own timeout begins anew with every byte.
            with self.loop.deadline(allowed_s):
                yield allowed_s
        except (TimeoutError, httpcore.TimeoutException):
            if allowed_s == left_s:
                raise OutOfTime from None
            raise TimeoutError from None

    def rest(self) -> None:
        """Let everybody else have a turn: a socket that always has more to give would keep the hub."""
        self.loop.waiter().wait(0)


class Outbound(httpcore.NetworkBackend):
    """Makes the connections of one call."""

    def __init__(self, bounds: Bounds, resolve: Resolve, dial: httpcore.NetworkBackend) -> None:
        self._bounds = bounds
        self._resolve = resolve
        self._dial = dial

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ARG002 - the call's own time counts
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.NetworkStream:
        """A connection to one of the host's addresses. Raises Broken, or OutOfTime."""
        for address in self._addresses(host):
            try:
                with self._bounds.within(CONNECT_S) as seconds:
                    stream = self._dial.connect_tcp(
                        address, port, timeout=seconds, local_address=local_address, socket_options=socket_options
                    )
            except (httpcore.ConnectError, TimeoutError):
                continue
            return _Stream(stream, self._bounds)
        raise Broken(NO_CONNECTION)

    def _addresses(self, host: str) -> Sequence[str]:
        try:
            with self._bounds.within(CONNECT_S):
                addresses = self._resolve(host)
        except (OSError, UnicodeError):
            raise Broken(HOST_NOT_FOUND) from None
        if not 1 <= len(addresses) <= MAX_ADDRESSES:
            raise Broken(HOST_NOT_FOUND)
        if not self._bounds.private_addresses and (kinds := [kind for one in addresses if (kind := refusal(one))]):
            raise Broken(refused_address(kinds[0]))
        return addresses


class _Stream(httpcore.NetworkStream):
    def __init__(self, stream: httpcore.NetworkStream, bounds: Bounds) -> None:
        self._stream = stream
        self._bounds = bounds
        self._received = 0

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ARG002
        self._bounds.rest()
        try:
            with self._bounds.within() as seconds:
                data = self._stream.read(min(max_bytes, READ_BYTES), timeout=seconds)
        except httpcore.ReadError:
            raise Broken(BROKE) from None
        self._received += len(data)
        if self._received > MAX_RECEIVED_BYTES:
            raise Broken(TOO_MUCH)
        return data

    def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ARG002
        # A server may answer before it has read everything: a WriteError is httpcore's to judge.
        with self._bounds.within() as seconds:
            self._stream.write(buffer, timeout=seconds)

    def start_tls(
        self,
        ssl_context: SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ARG002
    ) -> httpcore.NetworkStream:
        try:
            with self._bounds.within(CONNECT_S) as seconds:
                return _Stream(self._stream.start_tls(ssl_context, server_hostname, seconds), self._bounds)
        except (httpcore.ConnectError, TimeoutError):
            self.close()
            raise Broken(NO_TLS) from None
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        self._stream.close()

    def get_extra_info(self, info: str) -> object:
        return self._stream.get_extra_info(info)
