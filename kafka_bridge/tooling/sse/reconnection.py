"""When a stream that has ended is asked for again. Pure.

The WHATWG has a client come back for ever. A call has an end, and a stream that says nothing by which it could be gone
on with would only be repeated: unless the call says how often, only one that broke or that names its events or its
delay is asked for again, and a POST never.
"""

from collections.abc import Callable
from typing import Final

from kafka_bridge.tooling.sse.failures import Failure

DEFAULT_RECONNECTS: Final = 3
# What a server that says nothing is given, and what one that says nothing sensible is.
DEFAULT_DELAY_S: Final = 1.0
LEAST_DELAY_S: Final = 0.1
# Up to here the delay doubles with every attempt that brings nothing.
MOST_DELAY_S: Final = 30.0
_JITTER: Final = 0.25
_MOST_DOUBLINGS: Final = 10


class Reconnection:
    """Counts the attempts of one call. `random` gives numbers from 0 to 1."""

    def __init__(self, allowed: int | None, *, method: str, random: Callable[[], float]) -> None:
        """`allowed`: how often at most, None where the call does not say."""
        self._said = allowed is not None
        self._left = allowed if allowed is not None else DEFAULT_RECONNECTS if method == "GET" else 0
        self._random = random
        self._in_vain = 0

    def received(self) -> None:
        """An event has come, so the next connection may be made as soon as the server likes."""
        self._in_vain = 0

    def delay_s(self, ended: Failure | None, *, resumable: bool, retry_ms: int | None) -> float | None:
        """Seconds until the stream is to be asked for again; None: never.

        `ended` is None where the server ended the stream. Never sooner than the server says.
        """
        worth_it = ended.passing if ended else self._said or resumable
        if not worth_it or not self._left:
            return None
        self._left -= 1
        asked_s = DEFAULT_DELAY_S if retry_ms is None else retry_ms / 1000
        least_s = max(asked_s, LEAST_DELAY_S, ended.after_s if ended else 0.0)
        grown_s = min(least_s * 2.0 ** min(self._in_vain, _MOST_DOUBLINGS), max(MOST_DELAY_S, least_s))
        self._in_vain += 1
        return grown_s * (1 + _JITTER * self._random())
