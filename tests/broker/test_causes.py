import pytest
from hypothesis import given
from hypothesis import strategies as st

from kafka_bridge.broker.causes import ALL_BROKERS_DOWN, connection_cause, is_decisive, record_error
from kafka_bridge.errors import BridgeError, Cause, TooLarge, Unavailable, Unroutable

# librdkafka's rdkafka.h.
TRANSPORT, RESOLVE, AUTHENTICATION, SSL, MSG_TIMED_OUT, QUEUE_FULL = -195, -193, -169, -181, -192, -184


# Recorded from librdkafka 2.16.
REFUSED = "Connect to ipv4#127.0.0.1:1 failed: Connection refused (after 0ms in state CONNECT)"
EVENTS = [
    (TRANSPORT, f"127.0.0.1:1/bootstrap: {REFUSED}", Cause.CONNECTION_REFUSED),
    (TRANSPORT, f"ssl://127.0.0.1:1/bootstrap: {REFUSED}", Cause.CONNECTION_REFUSED),
    (TRANSPORT, f"sasl_ssl://127.0.0.1:1/bootstrap: {REFUSED}", Cause.CONNECTION_REFUSED),
    (TRANSPORT, f"sasl_plaintext://127.0.0.1:1/bootstrap: {REFUSED}", Cause.CONNECTION_REFUSED),
    (TRANSPORT, f"ssl-proxy.example.com:1/bootstrap: {REFUSED}", Cause.CONNECTION_REFUSED),
    (
        TRANSPORT,
        "ssl://localhost:1/bootstrap: Disconnected: SSL connection closed by peer (after 0ms in state SSL_HANDSHAKE)",
        Cause.TLS_HANDSHAKE_FAILED,
    ),
    (
        TRANSPORT,
        "ssl://localhost:1/bootstrap: Disconnected: connection reset by peer (after 0ms in state SSL_HANDSHAKE)",
        Cause.TLS_HANDSHAKE_FAILED,
    ),
    (
        TRANSPORT,
        "ssl://localhost:1/bootstrap: SSL handshake failed: Disconnected: SSL connection closed by peer: connecting to",
        Cause.TLS_HANDSHAKE_FAILED,
    ),
    (
        TRANSPORT,
        "ssl://localhost:1/bootstrap: Receive failed: error:0A00045C:SSL routines::tlsv13 alert certificate required",
        Cause.TLS_HANDSHAKE_FAILED,
    ),
    (
        SSL,
        "ssl://localhost:1/bootstrap: SSL handshake failed: error:0A000086:SSL routines::certificate verify failed",
        Cause.TLS_HANDSHAKE_FAILED,
    ),
    (RESOLVE, "nowhere:9092/bootstrap: Failed to resolve 'nowhere:9092': Name or service", Cause.HOST_NOT_FOUND),
    (AUTHENTICATION, "sasl_ssl://localhost:1/1: SASL authentication failed", Cause.AUTHENTICATION_FAILED),
]


@pytest.mark.parametrize(("code", "text", "cause"), EVENTS, ids=[text[:40] for _, text, _ in EVENTS])
def test_a_connection_event_has_a_cause(code, text, cause):
    assert connection_cause(code, text) is cause


def test_all_brokers_down_says_nothing_about_why():
    assert connection_cause(ALL_BROKERS_DOWN, "2/2 brokers are down") is None


@pytest.mark.parametrize(
    ("cause", "decisive"),
    [
        (Cause.AUTHENTICATION_FAILED, True),
        (Cause.TLS_HANDSHAKE_FAILED, True),
        (Cause.HOST_NOT_FOUND, True),
        (Cause.CONNECTION_REFUSED, False),
        (Cause.NOT_ACKNOWLEDGED, False),
        (None, False),
    ],
)
def test_waiting_is_pointless_once_broker_certificate_or_resolver_have_spoken(cause, decisive):
    assert is_decisive(cause) is decisive


@pytest.mark.parametrize(
    ("code", "cause"),
    [
        (MSG_TIMED_OUT, Cause.NOT_ACKNOWLEDGED),
        (QUEUE_FULL, Cause.QUEUE_FULL),
        (3, Cause.TOPIC_DOES_NOT_EXIST),
        (-188, Cause.TOPIC_DOES_NOT_EXIST),
        (-190, Cause.TOPIC_DOES_NOT_EXIST),
        (17, Cause.TOPIC_DOES_NOT_EXIST),
        (29, Cause.NOT_AUTHORIZED),
        (31, Cause.NOT_AUTHORIZED),
        (58, Cause.AUTHENTICATION_FAILED),
        (33, Cause.AUTHENTICATION_FAILED),
        (19, Cause.NOT_ACKNOWLEDGED),
        (-999, Cause.NOT_ACKNOWLEDGED),
    ],
)
def test_a_record_that_was_not_written_has_a_cause(code, cause):
    error = record_error(code, "what the library said", limit_of="the broker")

    assert isinstance(error, Unavailable)
    assert (error.cause, error.hint) == (cause, "what the library said")


def test_a_record_that_is_too_large_is_not_retried():
    error = record_error(10, "", limit_of="the topic (max.message.bytes)")

    assert isinstance(error, TooLarge)
    assert str(error) == "The record is above the limit of the topic (max.message.bytes)."


@pytest.mark.parametrize("code", [87, 44])
def test_a_record_that_the_topic_refuses_is_not_retried(code):
    assert isinstance(record_error(code, "", limit_of="the broker"), Unroutable)


@given(st.integers(-300, 300), st.text())
def test_no_code_is_taken_for_a_success_and_no_text_is_told(code, text):
    error = record_error(code, f"NEVERSHOWN{text}", limit_of="the broker")

    assert isinstance(error, BridgeError)
    assert error.status >= 400
    assert "NEVERSHOWN" not in str(error)


@given(st.integers(-300, 300), st.text())
def test_any_event_has_a_cause_or_none(code, text):
    assert connection_cause(code, text) in {*Cause, None}
