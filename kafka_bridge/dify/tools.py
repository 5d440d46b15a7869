"""The tools by name, and the one error boundary around them.

What leaves here as an exception is a `ToolFailed`, whose text says what failed, why, and what to do. The composition
root turns it into the SDK's exception of that kind, which fails the workflow's node (its error branch gets the text)
and is told to an agent.
"""

import logging
from collections.abc import Iterator, Mapping
from enum import Enum, auto

from kafka_bridge.errors import BridgeError, Busy, Cause, Refused, SettingsInvalid, StreamFailed, Unavailable
from kafka_bridge.incidents import incident_of
from kafka_bridge.tooling.advice import told
from kafka_bridge.tooling.call import Tool, ToolCall
from kafka_bridge.tooling.messages import Message
from kafka_bridge.tooling.parameters import Parameters

logger = logging.getLogger(__name__)

_REFUSED_BY_KAFKA = frozenset({Cause.AUTHENTICATION_FAILED, Cause.NOT_AUTHORIZED})


class Kind(Enum):
    """The kinds of failures that the platform knows."""

    BAD_REQUEST = auto()
    AUTHORIZATION = auto()
    CONNECTION = auto()
    RATE_LIMIT = auto()
    UNAVAILABLE = auto()


class ToolFailed(Exception):
    """`str()` is for whoever built the app, and for models: nothing secret is in it."""

    def __init__(self, text: str, kind: Kind) -> None:
        super().__init__(text)
        self.kind = kind


class Toolbox:
    """Every tool of the provider. `validate` connects."""

    def __init__(self, tools: Mapping[str, Tool], validate: Tool) -> None:
        self._tools = tools
        self._validate = validate

    def call(self, name: str, credentials: Mapping[str, object], parameters: Mapping[str, object]) -> Iterator[Message]:
        """What the tool says, as it says it. Raises ToolFailed."""
        return _bounded(name, self._tools[name], credentials, parameters)

    def validate(self, credentials: Mapping[str, object]) -> None:
        """Return if the tools can work with these credentials. Raises ToolFailed."""
        for _ in _bounded("Connecting to Kafka", self._validate, credentials, {}):
            pass


def _bounded(
    what: str, tool: Tool, credentials: Mapping[str, object], parameters: Mapping[str, object]
) -> Iterator[Message]:
    # Raised below and not where it was caught: the SDK sends the traceback along, with those of what it came of.
    try:
        yield from tool(ToolCall(credentials, Parameters(parameters)))
    except BridgeError as error:
        failure = ToolFailed(told(what, error), _kind(error))
    except Exception as error:  # noqa: BLE001 - the boundary; see above
        incident = incident_of(error)
        logger.error("%s", incident.line)  # noqa: TRY400
        failure = ToolFailed(told(what, incident.error), Kind.UNAVAILABLE)
    else:
        return
    raise failure


def _kind(error: BridgeError) -> Kind:
    match error:
        case Refused() | SettingsInvalid():
            return Kind.BAD_REQUEST
        case Busy():
            return Kind.RATE_LIMIT
        case Unavailable(cause=Cause.TOPIC_DOES_NOT_EXIST):
            return Kind.BAD_REQUEST
        case Unavailable(cause=cause) if cause in _REFUSED_BY_KAFKA:
            return Kind.AUTHORIZATION
        case (
            StreamFailed()
            | Unavailable(cause=Cause.CONNECTION_REFUSED | Cause.HOST_NOT_FOUND | Cause.TLS_HANDSHAKE_FAILED)
        ):
            return Kind.CONNECTION
        case _:
            return Kind.UNAVAILABLE
