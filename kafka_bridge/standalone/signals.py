"""SIGTERM and SIGINT as something that the main thread waits for.

A Python handler may run while its own thread holds a lock; so it does nothing, and the number comes through a socket
that the interpreter writes to.
"""

import select
import signal
import socket
from typing import Final

NUMBERS: Final = (signal.SIGTERM, signal.SIGINT)
_WAKE: Final = b"\0"


class Signals:
    """For the main thread, but for `wake`."""

    def __init__(self) -> None:
        self._reader, self._writer = socket.socketpair()
        self._reader.setblocking(False)
        self._writer.setblocking(False)
        for number in NUMBERS:
            signal.signal(number, _nothing)
        signal.set_wakeup_fd(self._writer.fileno(), warn_on_full_buffer=False)

    def wait(self, timeout_s: float | None = None) -> signal.Signals | None:
        """The next signal; None when the time was over, or somebody called `wake`."""
        readable, _, _ = select.select([self._reader], [], [], timeout_s)
        if not readable:
            return None
        number = self._reader.recv(1)[0]
        return signal.Signals(number) if number in NUMBERS else None

    def wake(self) -> None:
        """Let `wait` return; from any thread."""
        self._writer.send(_WAKE)

    def close(self) -> None:
        """From now on a signal ends the process at once."""
        for number in NUMBERS:
            signal.signal(number, signal.SIG_DFL)
        signal.set_wakeup_fd(-1)


def _nothing(*_: object) -> None:
    pass
