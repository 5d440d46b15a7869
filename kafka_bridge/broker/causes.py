"""The client library's errors in our words. Pure: codes and texts in, causes out.

What a real broker answers, and when, was measured with librdkafka 2.16 against Apache Kafka 4.1: a connection fault
never fails a record by its own name (the record times out), the reason stands in an event beside it; a topic's fault
comes as the record's report, or is raised by the next `produce()`. Codes are librdkafka's (`rdkafka.h`): negative ones
are the client's own, the others the broker's.
"""

from types import MappingProxyType
from typing import Final

from kafka_bridge.errors import BridgeError, Cause, Malformed, TooLarge, Unavailable, Unroutable

ALL_BROKERS_DOWN: Final = -187
FATAL: Final = -150
PURGED_IN_QUEUE: Final = -152
_TRANSPORT: Final = -195
_TOO_LARGE: Final = 10
# A compacted topic refuses a record without a key with the first, a topic's policy an unwanted one with the second.
_REFUSED_RECORD: Final = frozenset({87, 44})

_CAUSES: Final = MappingProxyType(
    {
        -169: Cause.AUTHENTICATION_FAILED,  # _AUTHENTICATION
        58: Cause.AUTHENTICATION_FAILED,  # SASL_AUTHENTICATION_FAILED
        33: Cause.AUTHENTICATION_FAILED,  # UNSUPPORTED_SASL_MECHANISM
        -181: Cause.TLS_HANDSHAKE_FAILED,  # _SSL
        -193: Cause.HOST_NOT_FOUND,  # _RESOLVE
        -184: Cause.QUEUE_FULL,  # _QUEUE_FULL
        -192: Cause.NOT_ACKNOWLEDGED,  # _MSG_TIMED_OUT
        3: Cause.TOPIC_DOES_NOT_EXIST,  # UNKNOWN_TOPIC_OR_PART
        -188: Cause.TOPIC_DOES_NOT_EXIST,  # _UNKNOWN_TOPIC
        -190: Cause.TOPIC_DOES_NOT_EXIST,  # _UNKNOWN_PARTITION
        17: Cause.TOPIC_DOES_NOT_EXIST,  # TOPIC_EXCEPTION: the broker refuses the name
        29: Cause.NOT_AUTHORIZED,  # TOPIC_AUTHORIZATION_FAILED
        30: Cause.NOT_AUTHORIZED,  # GROUP_AUTHORIZATION_FAILED
        31: Cause.NOT_AUTHORIZED,  # CLUSTER_AUTHORIZATION_FAILED: for an idempotent producer, WRITE on no topic at all
    }
)

# Of a topic that is to be created.
_REFUSED_TOPIC: Final = MappingProxyType(
    {
        17: "topic: the brokers refuse the name; it may differ from another one in dots and underscores only.",
        37: "partitions: the brokers refuse the number.",
        38: "replication_factor: there are not so many brokers.",
        40: "config: the brokers refuse a property, or its value.",
        42: "The brokers refuse the request.",
        44: "A policy of the cluster refuses the topic.",
    }
)


def connection_cause(code: int, text: str) -> Cause | None:
    """Why a connection fails, from an `error_cb` event; None when the event does not say."""
    if code == _TRANSPORT:
        # One code for all of TCP: a refused port, a TLS client on a plaintext port, a refused client certificate. The
        # latter two say "SSL handshake", "SSL routines" or "state SSL_HANDSHAKE"; lower case is the protocol in the
        # broker's name.
        return Cause.TLS_HANDSHAKE_FAILED if "SSL " in text or "SSL_" in text else Cause.CONNECTION_REFUSED
    return _CAUSES.get(code)


def is_decisive(cause: Cause | None) -> bool:
    """Whether waiting longer is pointless: the broker, the certificate or the resolver has spoken.

    A refused port may be one of several brokers, or one that is just being restarted.
    """
    return cause in {Cause.AUTHENTICATION_FAILED, Cause.TLS_HANDSHAKE_FAILED, Cause.HOST_NOT_FOUND}


def record_error(code: int, text: str, *, limit_of: str) -> BridgeError:
    """Why one record was not written; `limit_of` says whose limit an oversized record met."""
    if code == _TOO_LARGE:
        return TooLarge(f"The record is above the limit of {limit_of}.")
    if code in _REFUSED_RECORD:
        return Unroutable("The topic refuses the record (a compacted topic needs a key).")
    return Unavailable(_CAUSES.get(code, Cause.NOT_ACKNOWLEDGED), text)


def topic_error(code: int, text: str) -> BridgeError:
    """Why a topic was not created."""
    return Malformed(_REFUSED_TOPIC[code]) if code in _REFUSED_TOPIC else record_error(code, text, limit_of="the topic")
