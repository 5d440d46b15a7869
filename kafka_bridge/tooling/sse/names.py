"""Host names are looked up on native threads of their own, so many at once and no more.

gevent does it in the hub's pool of ten threads, which is also where the SDK reads its requests: ten name servers that
do not answer, and the whole plugin hears of nothing any more.
"""

# The system's own, which gevent does not replace: on a native thread its own would make a hub there.
from _socket import getaddrinfo
from collections.abc import Callable, Sequence
from socket import SOCK_STREAM
from typing import Final

from kafka_bridge.broker.loops import Loop
from kafka_bridge.errors import Busy, Unreadable
from kafka_bridge.tooling.errands import MAX_ERRANDS, Errands
from kafka_bridge.tooling.sse.network import CONNECT_S, Resolve

_NOBODY: Final = ()


def look_up(host: str) -> Sequence[str]:
    """The addresses of a host, however long that takes. Raises OSError."""
    return tuple(dict.fromkeys(str(address[0]) for *_, address in getaddrinfo(host, None, 0, SOCK_STREAM)))


class Names:
    """For all calls of the process. A look-up counts until it has ended, also when nobody waits for it any more."""

    def __init__(self, loop: Loop, look_up: Resolve = look_up) -> None:
        self._errands = Errands(loop)
        self._look_up = look_up

    def resolve(self, host: str) -> Sequence[str]:
        """The addresses of a host; none where nobody knows it or nobody says so in time. Raises Busy."""
        try:
            return self._errands.run(_asking(self._look_up, host), timeout_s=CONNECT_S)
        except Unreadable:
            return _NOBODY
        except Busy as error:
            raise Busy(f"{MAX_ERRANDS} host names are being looked up at this moment.") from error


def _asking(look_up: Resolve, host: str) -> Callable[[object], Sequence[str]]:
    def task(_: object) -> Sequence[str]:
        try:
            return look_up(host)
        except (OSError, UnicodeError):
            return _NOBODY

    return task
