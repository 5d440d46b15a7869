"""What proofs need beyond the request: a GET, and a place to wait for somebody else's. Pure: both are ports."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from kafka_bridge.ingress.dedupe import Waiter


class FetchFailed(Exception):
    """What was asked for did not come; `str()` says why, in words for the log.

    `lasting`: it is not there, and asking again changes nothing soon.
    """

    def __init__(self, reason: str, *, lasting: bool = False) -> None:
        super().__init__(reason)
        self.lasting = lasting


type Fetch = Callable[[str], bytes]
"""The body of the answer to a GET. Raises FetchFailed, also for an answer that is not 200; follows no redirects."""


def no_fetch(_url: str) -> bytes:
    """The port of a row in the table: it reaches nothing."""
    raise FetchFailed("nothing can be fetched here", lasting=True)


class Alone:
    """The waiter of somebody who looks at one request after the other: there is nobody to wait for."""

    def wait(self, timeout_s: float) -> bool:  # noqa: ARG002
        return False

    def wake(self) -> None:
        pass


@dataclass(frozen=True, slots=True)
class Outside:
    """The world of a process. A `waiter` is made for each wait."""

    fetch: Fetch = no_fetch
    waiter: Callable[[], Waiter] = Alone


NOWHERE: Final = Outside()
