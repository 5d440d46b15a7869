"""Every error of the bridge, in one tree. Pure.

    BridgeError
    ├── Refused                  the request is at fault; the same request again will fare no better
    │   ├── Malformed            400
    │   ├── Unverified           401  one text for every cause; `reason` is for log and dashboard alone
    │   ├── Unauthorized         401  a management path without a valid token
    │   ├── TokenNotConfigured   403
    │   ├── NotFound             404
    │   ├── MethodNotAllowed     405
    │   ├── TooLarge             413
    │   ├── Unroutable           422
    │   └── NotReplayable        422  what is in the event log cannot be sent again
    ├── SettingsInvalid          500  the operator's fault, never the sender's
    ├── Busy                     429  being done already, or asked for too often
    ├── Fenced                   503  another member of the group has this one's name
    ├── Internal                 500  a defect of ours; the incident id leads to the log
    ├── CertificateUnreachable   503  what the signature is checked with cannot be fetched now; deliver again
    ├── LogUnreadable            503  the event log cannot be read now
    ├── StreamFailed             502  an event stream cannot be had from its server
    ├── NothingCame              504  what a tool has waited for
    └── Unavailable              503  Kafka has not acknowledged; `cause` says why; deliver again
        └── Unreadable           503  the same of reading
    Retry                        none of ours: what a flow of yours raises to be run again after a delay

`str(error)` is safe to show to anybody: secrets, hosts and foreign exception texts stay in `__cause__` and the log.
Nothing here derives from `ValueError`: the platform turns an escaping `ValueError` into a 404 with its text.
"""

from collections.abc import Iterable, Sequence
from enum import StrEnum
from http import HTTPStatus
from types import MappingProxyType
from typing import ClassVar, Final


class Cause(StrEnum):
    """Why Kafka has not acknowledged a record, in the words that senders and operators read."""

    CONNECTION_REFUSED = "connection refused"
    HOST_NOT_FOUND = "host not found"
    AUTHENTICATION_FAILED = "authentication failed"
    TLS_HANDSHAKE_FAILED = "TLS handshake failed"
    TOPIC_DOES_NOT_EXIST = "topic does not exist"
    NOT_AUTHORIZED = "not authorized for topic"
    NOT_ACKNOWLEDGED = "not acknowledged in time"
    QUEUE_FULL = "queue full"
    PUBLISHING_DISABLED = "publishing is disabled"

    @property
    def retry_after_s(self) -> int:
        """Seconds after which a sender may try again: soon where it heals by itself, later where a person must act."""
        return _RETRY_AFTER_S.get(self, 10)


_RETRY_AFTER_S: Final = MappingProxyType(
    {Cause.QUEUE_FULL: 1, Cause.CONNECTION_REFUSED: 2, Cause.NOT_ACKNOWLEDGED: 2, Cause.PUBLISHING_DISABLED: 60}
)
# An operator mends a few things at a time; an answer's line above 5 MiB would be the end of the process.
MAX_TOLD: Final = 10


def first_of(problems: Iterable[str]) -> tuple[str, ...]:
    """Each sentence once, the first `MAX_TOLD` of them, then the number of the others."""
    distinct = tuple(dict.fromkeys(problems))
    more = len(distinct) - MAX_TOLD
    return (*distinct[:MAX_TOLD], f"and {more} more.") if more > 0 else distinct


class BridgeError(Exception):
    """Base of all. `detail` is a sentence for the person who reads the answer.

    `index`: of several records that were sent together the one that it is about, counted from 0.
    """

    status: ClassVar[HTTPStatus]
    slug: ClassVar[str]
    title: ClassVar[str]
    retry_after_s: int = 0

    def __init__(self, detail: str = "", *, hint: str = "") -> None:
        super().__init__(detail or self.title)
        self.hint = hint
        self.index: int | None = None

    @property
    def headers(self) -> tuple[tuple[str, str], ...]:
        """Response headers that belong to this error."""
        return (("Retry-After", str(self.retry_after_s)),) if self.retry_after_s else ()


class Refused(BridgeError):
    """The request is at fault."""


class Malformed(Refused):
    """Not what the path expects."""

    status = HTTPStatus.BAD_REQUEST
    slug = "malformed"
    title = "The request is malformed"


class Unverified(Refused):
    """The sender's proof did not verify. One answer for every cause: `reason` is for the operator alone."""

    status = HTTPStatus.UNAUTHORIZED
    slug = "not-verified"
    title = "The request could not be verified"

    def __init__(self, reason: str) -> None:
        super().__init__()
        self.reason = reason


class Unauthorized(Refused):
    """A management path without a valid token."""

    status = HTTPStatus.UNAUTHORIZED
    slug = "unauthorized"
    title = "A valid API token is required"

    @property
    def headers(self) -> tuple[tuple[str, str], ...]:
        return (("WWW-Authenticate", "Bearer"),)


class TokenNotConfigured(Refused):
    """A management path of an endpoint that has no token."""

    status = HTTPStatus.FORBIDDEN
    slug = "token-not-configured"
    title = "Management is switched off"


class NotFound(Refused):
    """No such path, or no such source."""

    status = HTTPStatus.NOT_FOUND
    slug = "not-found"
    title = "There is nothing at this path"


class MethodNotAllowed(Refused):
    """The path is there, the method is not."""

    status = HTTPStatus.METHOD_NOT_ALLOWED
    slug = "method-not-allowed"
    title = "This path does not accept that method"

    def __init__(self, allowed: Sequence[str]) -> None:
        super().__init__(f"Allowed: {', '.join(allowed)}.")
        self.allowed = tuple(allowed)

    @property
    def headers(self) -> tuple[tuple[str, str], ...]:
        return (("Allow", ", ".join(self.allowed)),)


class TooLarge(Refused):
    """Above a limit; the detail names which."""

    status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE
    slug = "too-large"
    title = "The body is too large"


class Unroutable(Refused):
    """No topic can take the event."""

    status = HTTPStatus.UNPROCESSABLE_ENTITY
    slug = "unroutable"
    title = "The event cannot be routed to a topic"


class NotReplayable(Refused):
    """The event log does not hold what would have to be sent, or must not have it sent."""

    status = HTTPStatus.UNPROCESSABLE_ENTITY
    slug = "not-replayable"
    title = "The event cannot be sent again"


class SettingsInvalid(BridgeError):
    """The endpoint's settings do not allow this request to be served.

    `problems` are sentences that name the settings by the labels that the operator sees; they never quote a value.
    Of many the first are kept, and how many more there are.
    """

    status = HTTPStatus.INTERNAL_SERVER_ERROR
    slug = "settings-invalid"
    title = "The endpoint's settings are invalid"

    def __init__(self, problems: Iterable[str]) -> None:
        self.problems = first_of(problems)
        super().__init__(" ".join(self.problems))


class Busy(BridgeError):
    """What was asked for is being done already; the same request may be right in a moment."""

    status = HTTPStatus.TOO_MANY_REQUESTS
    slug = "busy"
    title = "This is being done already, or asked for too often"
    retry_after_s = 5


class Fenced(BridgeError):
    """Another member of the group has this one's name now (`group.instance.id`); joining again would fence that one."""

    status = HTTPStatus.SERVICE_UNAVAILABLE
    slug = "fenced"
    title = "Another member of the consumer group has the same name (group.instance.id)"


class Internal(BridgeError):
    """A defect. The answer has the incident's id, the log has the rest."""

    status = HTTPStatus.INTERNAL_SERVER_ERROR
    slug = "internal"
    title = "Something went wrong here"

    def __init__(self, incident: str) -> None:
        super().__init__(f"The plugin's log has the details under incident {incident}.")
        self.incident = incident


class CertificateUnreachable(BridgeError):
    """The sender's certificate cannot be had now, so nobody knows whether the request verifies; deliver again.

    A 401 would be final: Amazon SNS throws a message away that was answered with a 4xx. `hint` says what happened.
    """

    status = HTTPStatus.SERVICE_UNAVAILABLE
    slug = "certificate-unreachable"
    title = "The certificate of the sender cannot be fetched now"
    retry_after_s = 10


class LogUnreadable(BridgeError):
    """Storage does not give what the event log needs."""

    status = HTTPStatus.SERVICE_UNAVAILABLE
    slug = "log-unreadable"
    title = "The event log cannot be read now"


class StreamFailed(BridgeError):
    """Nothing has come of an event stream; the text says why, and what to do."""

    status = HTTPStatus.BAD_GATEWAY
    slug = "stream-failed"
    title = "The event stream cannot be read"


class NothingCame(BridgeError):
    """A tool has waited for a record, and it has not come in time."""

    status = HTTPStatus.GATEWAY_TIMEOUT
    slug = "nothing-came"
    title = "What was waited for has not come in time"


class Unavailable(BridgeError):
    """Kafka did not acknowledge, and may have it or not: deliver again. `hint` is what the client library said."""

    status = HTTPStatus.SERVICE_UNAVAILABLE
    slug = "unavailable"
    title = "Kafka has not acknowledged the event"

    def __init__(self, cause: Cause, hint: str = "") -> None:
        super().__init__(cause.value, hint=hint)
        self.cause = cause
        self.retry_after_s = cause.retry_after_s


class Unreadable(Unavailable):
    """Nothing can be consumed from Kafka now; nothing was lost by that."""

    slug = "unreadable"
    title = "Kafka cannot be read"


class Retry(Exception):
    """Raise it in a flow: the record is run again, `after` seconds from now, and that counts as an attempt.

        raise Retry(after=30)
        raise Retry("the model is busy", after=0.5)

    Any other exception has the record run again after a delay that grows.
    """

    def __init__(self, detail: str = "", *, after: float) -> None:
        super().__init__(detail or f"again in {after} s")
        self.after = after
