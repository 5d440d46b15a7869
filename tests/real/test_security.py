"""Every security setting against a real broker, and what a sender is told when one is wrong.

Each case goes the way of an endpoint's settings: saved texts, parsed, a connection, one record.
"""

import itertools
import time

import pytest
from confluent_kafka.admin import AclOperation

from kafka_bridge.broker.bridge import Connection
from kafka_bridge.errors import BridgeError, Cause, SettingsInvalid, TooLarge, Unavailable, Unroutable
from kafka_bridge.events.record import Record
from tests.brokers import Connect, cluster_of, wait_until
from tests.real.issuer import TokenIssuer
from tests.real.kafka import Authority, RealKafka

pytestmark = pytest.mark.real

MECHANISMS = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512")
# "Within about a second", on a machine that does other things too.
ABOUT_A_SECOND_S = 2.5


def sasl(kafka: RealKafka, listener: str, mechanism: str, user: str = "alice", **changes: str) -> dict[str, str]:
    """Settings for a SASL listener, the certificate pasted on one line where TLS is spoken."""
    settings = {
        "bootstrap_servers": kafka.address(listener),
        "security_protocol": listener,
        "sasl_mechanism": mechanism,
        "sasl_username": user,
        "sasl_password": kafka.passwords[user],
    }
    if "SSL" in listener:
        settings["ssl_ca_pem"] = kafka.ca.pem.replace("\n", " ")
    return settings | changes


def send(connection: Connection, topic: str = "t-ok", value: bytes = b"x") -> None:
    connection.send(Record(topic=topic, value=value), timeout_s=9)


def error_of(connection: Connection, topic: str = "t-ok", value: bytes = b"x") -> BridgeError:
    with pytest.raises(BridgeError) as caught:
        send(connection, topic, value)
    return caught.value


def assert_known_soon(connection: Connection, cause: Cause) -> None:
    """The first sender learns the cause within about a second, the next one at once."""
    started = time.monotonic()
    first = error_of(connection)
    first_s = time.monotonic() - started
    second = error_of(connection)

    assert [str(first), str(second)] == [cause.value, cause.value]
    assert isinstance(first, Unavailable)
    assert first_s < ABOUT_A_SECOND_S


def test_plaintext_needs_nothing_but_servers(kafka, connect: Connect):
    send(connect(cluster_of(bootstrap_servers=kafka.bootstrap)))


@pytest.mark.parametrize(("listener", "mechanism"), [*itertools.product(("SASL_PLAINTEXT", "SASL_SSL"), MECHANISMS)])
def test_a_user_with_the_right_password_publishes(kafka, connect: Connect, listener, mechanism):
    send(connect(cluster_of(**sasl(kafka, listener, mechanism))))


def test_user_and_password_alone_mean_sasl_over_tls_with_plain(kafka, connect: Connect):
    settings = sasl(kafka, "SASL_SSL", "PLAIN")
    del settings["security_protocol"], settings["sasl_mechanism"]

    send(connect(cluster_of(**settings)))


@pytest.mark.parametrize("mechanism", MECHANISMS)
def test_a_wrong_password_is_named_soon(kafka, connect: Connect, mechanism):
    settings = sasl(kafka, "SASL_SSL", mechanism, sasl_password="wrong")

    assert_known_soon(connect(cluster_of(**settings)), Cause.AUTHENTICATION_FAILED)


def test_an_oauth_client_publishes_with_a_token_of_its_issuer(kafka, connect: Connect):
    with TokenIssuer(clients={"alice": "client-secret"}) as issuer:
        settings = sasl(kafka, "SASL_SSL", "OAUTHBEARER", sasl_password="client-secret", oauth_token_url=issuer.url)
        send(connect(cluster_of(**settings, oauth_scope="kafka")))

    assert issuer.scopes == {"kafka"}


def test_an_oauth_client_that_its_issuer_refuses_is_named_soon(kafka, connect: Connect):
    with TokenIssuer(clients={"alice": "client-secret"}) as issuer:
        settings = sasl(kafka, "SASL_SSL", "OAUTHBEARER", sasl_password="wrong", oauth_token_url=issuer.url)
        assert_known_soon(connect(cluster_of(**settings)), Cause.AUTHENTICATION_FAILED)


def test_a_client_certificate_authenticates(kafka, connect: Connect):
    send(
        connect(
            cluster_of(
                bootstrap_servers=kafka.address("SSL"),
                ssl_ca_pem=kafka.ca.pem.replace("\n", "\\n"),
                ssl_certificate_pem=kafka.client_certificate.replace("\n", " "),
                ssl_key_pem=kafka.client_key.replace("\n", " "),
            )
        )
    )


def test_a_missing_client_certificate_is_a_failed_handshake(kafka, connect: Connect):
    settings = {"bootstrap_servers": kafka.address("SSL"), "ssl_ca_pem": kafka.ca.pem}

    assert_known_soon(connect(cluster_of(**settings)), Cause.TLS_HANDSHAKE_FAILED)


def test_a_wrong_authority_is_a_failed_handshake(kafka, connect: Connect, tmp_path):
    settings = sasl(kafka, "SASL_SSL", "PLAIN", ssl_ca_pem=Authority(tmp_path, "other").pem)

    assert_known_soon(connect(cluster_of(**settings)), Cause.TLS_HANDSHAKE_FAILED)


def test_a_private_authority_that_is_not_given_is_a_failed_handshake(kafka, connect: Connect):
    settings = sasl(kafka, "SASL_SSL", "PLAIN", ssl_ca_pem="")

    assert_known_soon(connect(cluster_of(**settings)), Cause.TLS_HANDSHAKE_FAILED)


def test_a_host_that_the_certificate_does_not_name_is_a_failed_handshake(kafka, connect: Connect):
    settings = sasl(kafka, "SASL_SSL", "PLAIN", bootstrap_servers=f"127.0.0.1:{kafka.ports['SASL_SSL']}")

    assert_known_soon(connect(cluster_of(**settings)), Cause.TLS_HANDSHAKE_FAILED)


def test_the_host_check_can_be_switched_off_by_a_client_property(kafka, connect: Connect):
    settings = sasl(kafka, "SASL_SSL", "PLAIN", bootstrap_servers=f"127.0.0.1:{kafka.ports['SASL_SSL']}")

    send(connect(cluster_of(**settings, client_config='{"ssl.endpoint.identification.algorithm": "none"}')))


@pytest.mark.parametrize(
    ("listener", "settings", "cause"),
    [
        ("SASL_PLAINTEXT", {}, Cause.CONNECTION_REFUSED),
        ("SASL_SSL", {}, Cause.CONNECTION_REFUSED),
        ("PLAINTEXT", {"security_protocol": "SSL"}, Cause.TLS_HANDSHAKE_FAILED),
        (
            "PLAINTEXT",
            {"security_protocol": "SASL_PLAINTEXT", "sasl_username": "alice", "sasl_password": "x"},
            Cause.AUTHENTICATION_FAILED,
        ),
    ],
)
def test_the_wrong_protocol_for_a_listener_is_named_soon(kafka, connect: Connect, listener, settings, cause):
    cluster = cluster_of(bootstrap_servers=kafka.address(listener), **settings)

    assert_known_soon(connect(cluster), cause)


def test_a_listener_that_hangs_up_gets_a_hint_for_the_operator(kafka, connect: Connect):
    error = error_of(connect(cluster_of(bootstrap_servers=kafka.address("SASL_SSL"))))

    assert isinstance(error, Unavailable)
    assert "does its listener expect TLS or SASL?" in error.hint


@pytest.mark.parametrize(
    ("servers", "cause"),
    [("127.0.0.1:1", Cause.CONNECTION_REFUSED), ("no-such-host.invalid:9092", Cause.HOST_NOT_FOUND)],
)
def test_an_address_where_nobody_is_is_named_soon(connect: Connect, servers, cause):
    assert_known_soon(connect(cluster_of(bootstrap_servers=servers)), cause)


def test_an_absent_topic_is_named_after_the_wait_for_its_creation_and_then_at_once(kafka, connect: Connect):
    connection = connect(cluster_of(bootstrap_servers=kafka.bootstrap))

    assert str(error_of(connection, "t-absent")) == Cause.TOPIC_DOES_NOT_EXIST
    started = time.monotonic()
    assert str(error_of(connection, "t-absent")) == Cause.TOPIC_DOES_NOT_EXIST
    assert time.monotonic() - started < 1


def test_an_absent_topic_that_is_created_later_takes_records_without_a_restart(kafka, connect: Connect):
    connection = connect(cluster_of(bootstrap_servers=kafka.bootstrap))
    assert str(error_of(connection, "t-soon")) == Cause.TOPIC_DOES_NOT_EXIST

    kafka.create_topics("t-soon")

    wait_until(lambda: accepted(connection, "t-soon"))


def test_a_topic_that_may_only_be_looked_at_is_not_authorized(kafka, connect: Connect):
    connection = connect(cluster_of(**sasl(kafka, "SASL_PLAINTEXT", "PLAIN", "mallory")))

    assert [str(error_of(connection, "t-denied")) for _ in range(3)] == [Cause.NOT_AUTHORIZED.value] * 3
    send(connection, "t-ok")


def test_a_topic_that_may_not_even_be_looked_at_is_not_authorized(kafka, connect: Connect):
    connection = connect(cluster_of(**sasl(kafka, "SASL_PLAINTEXT", "PLAIN", "mallory")))

    assert str(error_of(connection, "t-late")) == Cause.NOT_AUTHORIZED


def test_a_user_without_any_right_is_not_authorized(kafka, connect: Connect):
    connection = connect(cluster_of(**sasl(kafka, "SASL_PLAINTEXT", "PLAIN", "nobody")))

    assert [str(error_of(connection)) for _ in range(3)] == [Cause.NOT_AUTHORIZED.value] * 3


def test_a_grant_takes_effect_without_a_restart_though_the_producer_was_dead(kafka, connect: Connect):
    # Who may write nowhere gets no producer id, and that is fatal for an idempotent producer.
    connection = connect(cluster_of(**sasl(kafka, "SASL_PLAINTEXT", "SCRAM-SHA-512", "late")))
    wait_until(lambda: str(error_of(connection)) == Cause.NOT_AUTHORIZED)

    kafka.allow("late", "t-ok", AclOperation.WRITE)

    wait_until(lambda: accepted(connection, "t-ok"))


def test_a_rotated_password_is_another_connection(kafka):
    old = cluster_of(**sasl(kafka, "SASL_SSL", "PLAIN", sasl_password="old"))
    new = cluster_of(**sasl(kafka, "SASL_SSL", "PLAIN"))

    assert old.fingerprint != new.fingerprint


def test_a_record_above_the_topics_limit_names_the_topic(kafka, connect: Connect):
    error = error_of(connect(cluster_of(bootstrap_servers=kafka.bootstrap)), "t-small", b"x" * 20_000)

    assert isinstance(error, TooLarge)
    assert "topic" in str(error)


def test_a_record_above_the_clients_limit_names_the_client(kafka, connect: Connect):
    error = error_of(connect(cluster_of(bootstrap_servers=kafka.bootstrap)), "t-ok", b"x" * 2_000_000)

    assert isinstance(error, TooLarge)
    assert "message.max.bytes" in str(error)


def test_a_compacted_topic_refuses_a_record_without_a_key(kafka, connect: Connect):
    error = error_of(connect(cluster_of(bootstrap_servers=kafka.bootstrap)), "t-compact")

    assert isinstance(error, Unroutable)


@pytest.mark.parametrize(
    ("pem", "label"),
    [
        ({"ssl_ca_pem": "-----BEGIN CERTIFICATE----- AAAA -----END CERTIFICATE-----"}, "CA certificate (PEM)"),
        ({"ssl_certificate_pem": "client", "ssl_key_pem": "broker"}, "Client key (PEM)"),
    ],
)
def test_certificates_that_the_client_refuses_are_the_operators_fault_and_named(kafka, connect: Connect, pem, label):
    texts = {"client": kafka.client_certificate, "broker": (kafka.folder / "tls" / "broker.key").read_text()}
    settings = {"bootstrap_servers": kafka.address("SSL"), "ssl_ca_pem": kafka.ca.pem}
    settings |= {name: texts.get(text, text) for name, text in pem.items()}

    error = error_of(connect(cluster_of(**settings)))

    assert isinstance(error, SettingsInvalid)
    assert label in str(error)


def accepted(connection: Connection, topic: str) -> bool:
    """Whether a record was acknowledged."""
    try:
        send(connection, topic)
    except Unavailable:
        return False
    return True
