"""What failed, why, and what to do, in one text for whoever built the app, and for its models. Pure.

Only our own words: a foreign exception's text, a host or a secret is in none of them.
"""

from types import MappingProxyType
from typing import Final

from kafka_bridge.errors import (
    BridgeError,
    Cause,
    Internal,
    NotFound,
    NothingCame,
    Refused,
    SettingsInvalid,
    StreamFailed,
    Unavailable,
    Unreadable,
)
from kafka_bridge.settings.table import CREDENTIALS

_LABEL: Final = MappingProxyType({name: f"“{setting.label}”" for name, setting in CREDENTIALS.items()})

_BY_CAUSE: Final = MappingProxyType(
    {
        Cause.CONNECTION_REFUSED: f"Check {_LABEL['bootstrap_servers']}, as seen from the machine that runs the plugin,"
        f" and {_LABEL['security_protocol']}: a listener that expects TLS or SASL just closes the connection.",
        Cause.HOST_NOT_FOUND: f"Check the names in {_LABEL['bootstrap_servers']}: the machine that runs the plugin"
        " cannot resolve them.",
        Cause.AUTHENTICATION_FAILED: f"Check {_LABEL['sasl_username']}, {_LABEL['sasl_password']} and"
        f" {_LABEL['sasl_mechanism']}.",
        Cause.TLS_HANDSHAKE_FAILED: f"Check {_LABEL['ssl_ca_pem']}, {_LABEL['ssl_certificate_pem']} and"
        f" {_LABEL['security_protocol']}: the broker's certificate is not trusted, or its listener does not speak TLS.",
        Cause.TOPIC_DOES_NOT_EXIST: "Check the topic's name (and the partition, if one was given), or create the"
        " topic.",
        Cause.NOT_AUTHORIZED: "Have whoever runs Kafka grant the user of these credentials the right to it.",
        Cause.QUEUE_FULL: "Too much is under way at once; try again in a moment.",
    }
)
_UNKNOWN_OUTCOME: Final = (
    "It may have been written all the same: publish it again with the same event_id, so that readers can drop the copy."
)
_NO_ANSWER: Final = f"Kafka did not answer: check {_LABEL['bootstrap_servers']}, or try again in a moment."
_LATER: Final = "Try again in a moment."
_BY_KIND: Final = (
    (
        SettingsInvalid,
        "Mend that in the credentials of Kafka Bridge, or in the node's own connection parameters, where it has any.",
    ),
    (NotFound, _BY_CAUSE[Cause.TOPIC_DOES_NOT_EXIST]),
    (NothingCame, "Wait longer, or check the filter, and whoever should have written the record."),
    (Refused, "Correct the parameters and call the tool again."),
    (StreamFailed, ""),
    (Internal, "Please report it."),
)


def told(what: str, error: BridgeError) -> str:
    """`what` failed, because of `error`."""
    return f"{what} failed: {str(error).rstrip('.')}. {advice(error)}".rstrip()


def advice(error: BridgeError) -> str:
    """What to do about it; empty where the error says that itself."""
    if isinstance(error, Unavailable) and error.cause is Cause.NOT_ACKNOWLEDGED:
        return _NO_ANSWER if isinstance(error, Unreadable) else _UNKNOWN_OUTCOME
    if isinstance(error, Unavailable):
        return _BY_CAUSE.get(error.cause, _LATER)
    return next((text for kind, text in _BY_KIND if isinstance(error, kind)), _LATER)
