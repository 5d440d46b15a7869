"""Calls of the plugin to itself: how `/consume` knows one, and what an answer to it means. Pure.

Each carries a random token of its own, which is good for one request, to one path, of one endpoint, while it is open.
"""

import hmac
import secrets
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Final, NamedTuple

from kafka_bridge.dify.course import Fact

HEADER: Final = "kafka-bridge-visit"
# A text of our own is shorter; of a stranger's nothing is told.
MAX_REASON_CHARS: Final = 500


class Answer(NamedTuple):
    """What came back: the status, and the document where there was one."""

    status: int
    document: Mapping[str, object]


class Visit:
    """One of them. `on_change` is called when it is over.

    `arrived`: this process has taken it; `over`: the next one may begin, though this one may not have been answered.
    """

    def __init__(self, endpoint: str, on_change: Callable[[], None]) -> None:
        self.endpoint = endpoint
        self.token = secrets.token_urlsafe(32)
        self.arrived = self.over = self.revoked = False
        self._on_change = on_change
        self._close: Callable[[], None] | None = None

    @property
    def is_open(self) -> bool:
        """Whether its window is."""
        return self._close is not None and not self.over

    def opened(self, close: Callable[[], None]) -> None:
        """Its window opens; `close` has nothing more started in it."""
        self._close = close

    def close(self) -> None:
        """Have nothing more started in its window, if it has one."""
        if self._close is not None:
            self._close()

    def revoke(self) -> None:
        """The same, and if it comes only now it is not let in."""
        self.revoked = True
        self.close()

    def end(self) -> None:
        """Nothing is started any more: the next one may begin."""
        self.over = True
        self._on_change()


class Visits:
    """Those that are on their way."""

    def __init__(self) -> None:
        self._open: dict[str, list[Visit]] = {}

    def begin(self, endpoint: str, on_change: Callable[[], None]) -> Visit:
        """A new one."""
        visit = Visit(endpoint, on_change)
        self._open.setdefault(endpoint, []).append(visit)
        return visit

    def finish(self, visit: Visit) -> None:
        """It was answered, or will not be: its token is worth nothing any more."""
        of_endpoint = self._open[visit.endpoint]
        of_endpoint.remove(visit)
        if not of_endpoint:
            del self._open[visit.endpoint]
        visit.end()

    def of(self, endpoint: str) -> list[Visit]:
        """All to that endpoint."""
        return list(self._open.get(endpoint, ()))

    def admit(self, endpoint: str, token: str) -> Visit | None:
        """The visit that a request is, once; None when it is somebody else's."""
        shown = token.encode("utf-8", "surrogatepass")
        if not shown:
            return None
        for visit in self._open.get(endpoint, ()):
            if hmac.compare_digest(visit.token.encode(), shown) and not (visit.arrived or visit.revoked):
                visit.arrived = True
                return visit
        return None


def judged(answer: Answer, *, arrived: bool) -> tuple[Fact, str]:
    """What an answer means, and why there was no window. `arrived`: it is this process that has answered."""
    status = answer.status
    if not arrived:
        return _of_the_daemon(answer)
    if status == HTTPStatus.OK:
        return Fact.WINDOW, ""
    detail = answer.document.get("detail")
    reason = detail[:MAX_REASON_CHARS] if isinstance(detail, str) else f"HTTP {status}"
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        return Fact.BUSY, reason
    invalid = answer.document.get("type") == "urn:kafka-bridge:settings-invalid"
    return Fact.INVALID if invalid else Fact.TROUBLE, reason


def _of_the_daemon(answer: Answer) -> tuple[Fact, str]:
    status = answer.status
    if status == HTTPStatus.NOT_FOUND and isinstance(answer.document.get("code"), int | str):
        return Fact.GONE, "the daemon knows no such endpoint: it was deleted or disabled, or the plugin was removed"
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return Fact.TROUBLE, f"the daemon could not pass the request on (HTTP {status}): Dify's api may be down"
    return Fact.STRANGER, f"another server, or another process of the plugin, answers at that address (HTTP {status})"
