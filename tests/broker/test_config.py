import dataclasses
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kafka_bridge.broker import config
from kafka_bridge.broker.config import (
    ALLOWED,
    admin_properties,
    consumer_properties,
    message_limit,
    producer_properties,
)
from kafka_bridge.settings.cluster import Cluster
from kafka_bridge.settings.endpoint import parse
from kafka_bridge.settings.secret import Secret

PLAIN = Cluster(servers=("a:9092", "b:9092"), protocol="PLAINTEXT")
TLS = Cluster(servers=("a:9093",), protocol="SSL")
SASL = Cluster(
    servers=("a:9093",), protocol="SASL_SSL", mechanism="SCRAM-SHA-512", username="alice", password=Secret("made-up-pw")
)
MTLS = dataclasses.replace(
    TLS, ca_pem="CA", certificate_pem="CERT", key_pem=Secret("made-up-key"), key_password=Secret("made-up-key-pw")
)
OAUTH = dataclasses.replace(SASL, mechanism="OAUTHBEARER", oauth_token_url="https://login.example.com/token")
FORBIDDEN = [
    "acks",
    "request.required.acks",
    "enable.idempotence",
    "enable.gapless.guarantee",
    "retries",
    "message.send.max.retries",
    "max.in.flight",
    "max.in.flight.requests.per.connection",
    "delivery.timeout.ms",
    "message.timeout.ms",
    "transactional.id",
    "delivery.report.only.error",
    "queue.buffering.max.messages",
    "queue.buffering.max.kbytes",
    "enable.auto.commit",
    "enable.auto.offset.store",
    "auto.offset.reset",
    "group.id",
    "plugin.library.paths",
    "ssl.ca.location",
    "ssl.key.location",
    "ssl.certificate.location",
    "ssl.keystore.location",
    "ssl.crl.location",
    "ssl.engine.location",
    "ssl.providers",
    "https.ca.location",
    "ssl.ca.pem",
    "ssl.key.pem",
    "ssl.key.password",
    "enable.ssl.certificate.verification",
    "sasl.kerberos.kinit.cmd",
    "sasl.kerberos.keytab",
    "sasl.mechanism",
    "sasl.mechanisms",
    "sasl.username",
    "sasl.password",
    "sasl.oauthbearer.method",
    "sasl.oauthbearer.config",
    "sasl.oauthbearer.client.secret",
    "sasl.oauthbearer.token.endpoint.url",
    "sasl.oauthbearer.assertion.private.key.file",
    "enable.sasl.oauthbearer.unsecure.jwt",
    "oauthbearer_token_refresh_cb",
    "bootstrap.servers",
    "metadata.broker.list",
    "security.protocol",
    "builtin.features",
    "debug",
    "log_level",
    "interceptors",
    "statistics.interval.ms",
    "test.mock.num.brokers",
    "error_cb",
    "on_delivery",
    "logger",
    "opaque",
    "ACKS",
    " acks",
    "acks ",
    "linger.ms ",
    "Linger.Ms",
    "",
    "x" * 5000,
]
DOTTED = [name for name in FORBIDDEN if "." in name and name == name.strip().lower()]


def cluster(base=PLAIN, /, **extra):
    return dataclasses.replace(base, client_config=tuple(sorted(extra.items())))


def with_extra(name, value, base=PLAIN):
    return dataclasses.replace(base, client_config=((name, value),))


def producer(of):
    return producer_properties(of, ca_file="/ca.pem")


def consumer(of, **arguments):
    return consumer_properties(of, ca_file="/ca.pem", **{"group_id": "g", **arguments})


def admin(of):
    return admin_properties(of, ca_file="/ca.pem")


# Extra properties.


@pytest.mark.parametrize("value", [0, -1, 16 * 1024 * 1024 + 1, "1000", True, 1.5])
def test_how_much_is_fetched_at_once_has_a_bound(value):
    (problem,) = config.problems(with_extra("max.partition.fetch.bytes", value))

    assert str(problem).endswith("max.partition.fetch.bytes must be a number from 1 to 16777216.")
    assert config.problems(with_extra("max.partition.fetch.bytes", 16 * 1024 * 1024)) == []


@pytest.mark.parametrize("name", FORBIDDEN)
def test_a_property_that_is_not_allowed_is_told_and_not_passed_on(name):
    given_twice = with_extra(name, "made-up-value")

    (problem,) = config.problems(given_twice)
    assert str(problem).startswith("Extra client properties (JSON): does not allow ")
    assert "made-up-value" not in str(problem)
    assert (name in str(problem).split(" does not allow ")[1]) is (name == "" or (name in DOTTED))
    for properties in (producer, consumer, admin):
        assert properties(given_twice) == properties(PLAIN)


@pytest.mark.parametrize(
    "name", ["hunter", "correcthorse", "acks", "hunter2", "correct.HORSE", "a" * 21 + ".b", "a..b"]
)
def test_what_may_be_a_password_is_not_quoted(name):
    (problem,) = config.problems(with_extra(name, 1))

    assert str(problem) == (
        "Extra client properties (JSON): does not allow a name in it (shown are only names with dots)."
    )


def test_the_same_problem_is_told_once():
    extra = dataclasses.replace(PLAIN, client_config=tuple((f"x{number}", 1) for number in range(42_500)))

    assert len(config.problems(extra)) == 1


@pytest.mark.parametrize("name", sorted(ALLOWED - {"message.max.bytes", "max.partition.fetch.bytes"}))
def test_a_property_that_is_allowed_reaches_who_it_is_for(name):
    extra = with_extra(name, "7")

    assert config.problems(extra) == []
    assert "7" in {properties(extra).get(name) for properties in (producer, consumer, admin)}


@pytest.mark.parametrize(
    "part",
    ["acks", "idempotence", "retries", "location", "paths", "cmd", "password", "secret", "username", "key."],
)
def test_nothing_that_weakens_an_acknowledgement_reads_a_file_or_holds_a_credential_is_allowed(part):
    assert [name for name in ALLOWED if part in name] == []


def test_a_producer_gets_nothing_that_only_consumers_know_and_the_reverse():
    extra = cluster(**{"isolation.level": "read_committed", "linger.ms": 20, "client.id": "x"})

    assert "isolation.level" not in producer(extra)
    assert "linger.ms" not in consumer(extra)
    assert {"isolation.level", "linger.ms"} & admin(extra).keys() == set()
    assert {properties(extra)["client.id"] for properties in (producer, consumer, admin)} == {"x"}


@pytest.mark.parametrize("value", [999, 0, -1, 10**9 + 1, "1000000", 1.5, 1e6, True])
def test_a_message_limit_that_the_client_would_refuse_is_told(value):
    (problem,) = config.problems(with_extra("message.max.bytes", value))

    assert str(problem).endswith("message.max.bytes must be a number from 1000 to 1000000000.")


@pytest.mark.parametrize("value", [1000, 4_000_000, 10**9])
def test_a_message_limit_is_the_operators_choice(value):
    extra = with_extra("message.max.bytes", value)

    assert config.problems(extra) == []
    assert message_limit(extra) == value
    assert producer(extra)["message.max.bytes"] == value


def test_the_message_limit_is_a_megabyte_by_default():
    assert message_limit(PLAIN) == 1_000_000


# What a producer always is.


@given(
    st.dictionaries(
        st.sampled_from(FORBIDDEN) | st.sampled_from(sorted(ALLOWED)) | st.text(),
        st.text() | st.integers() | st.booleans() | st.floats(allow_nan=False),
    )
)
def test_a_producer_is_idempotent_and_gives_up_after_eight_seconds_whatever_is_configured(extra):
    of = dataclasses.replace(SASL, client_config=tuple(sorted(extra.items(), key=lambda pair: pair[0])))

    properties = producer(of)

    assert properties["enable.idempotence"] is True
    assert properties["delivery.timeout.ms"] == 8000
    assert properties["bootstrap.servers"] == "a:9093"
    assert properties["security.protocol"] == "SASL_SSL"
    assert properties["sasl.password"] == "made-up-pw"
    assert not {"acks", "request.required.acks", "retries", "message.timeout.ms"} & properties.keys()
    assert set(properties) <= set(producer(SASL)) | ALLOWED


def test_a_producer_partitions_like_java_and_keeps_its_queue_small():
    properties = producer(PLAIN)

    assert properties["partitioner"] == "murmur2_random"
    assert properties["queue.buffering.max.kbytes"] == 65_536


def test_a_consumer_never_commits_by_itself():
    properties = consumer(PLAIN, group_id="workers")

    assert (properties["group.id"], properties["auto.offset.reset"]) == ("workers", "earliest")
    assert (properties["enable.auto.commit"], properties["enable.auto.offset.store"]) == (False, False)


@pytest.mark.parametrize("name", ["session.timeout.ms", "partition.assignment.strategy", "heartbeat.interval.ms"])
def test_the_new_group_protocol_is_not_offered_together_with_what_it_refuses(name):
    # librdkafka 2.16: "`session.timeout.ms` is not supported for `group.protocol=consumer`", at construction.
    if "group.protocol" in ALLOWED:
        assert name not in consumer(with_extra("group.protocol", "consumer"))


# Connections.


def test_servers_are_separated_by_commas():
    assert {properties(PLAIN)["bootstrap.servers"] for properties in (producer, consumer, admin)} == {"a:9092,b:9092"}


def test_a_plaintext_connection_has_neither_certificates_nor_credentials():
    everything = dataclasses.replace(MTLS, protocol="PLAINTEXT", username="alice", password=Secret("made-up-pw"))

    for properties in (producer, consumer, admin):
        assert [name for name in properties(everything) if name.startswith(("ssl.", "sasl.", "https."))] == []
        assert "made-up" not in repr(properties(everything))


def test_tls_trusts_the_given_ca_or_the_systems():
    assert producer(TLS)["ssl.ca.location"] == "/ca.pem"
    assert "ssl.ca.pem" not in producer(TLS)
    assert producer(MTLS)["ssl.ca.pem"] == "CA"
    assert "ssl.ca.location" not in producer(MTLS)


def test_certificates_are_always_verified():
    for of in (TLS, MTLS, SASL, OAUTH):
        assert "enable.ssl.certificate.verification" not in producer(of)
        assert "ssl.endpoint.identification.algorithm" not in producer(of)


def test_a_client_certificate_goes_with_its_key():
    properties = producer(MTLS)

    assert properties["ssl.certificate.pem"] == "CERT"
    assert (properties["ssl.key.pem"], properties["ssl.key.password"]) == ("made-up-key", "made-up-key-pw")


def test_a_key_without_a_password_has_none():
    assert "ssl.key.password" not in producer(dataclasses.replace(MTLS, key_password=None))


def test_a_password_without_a_key_goes_nowhere():
    alone = dataclasses.replace(TLS, key_password=Secret("made-up-key-pw"))

    assert "made-up-key-pw" not in repr(producer(alone))


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"])
def test_sasl_sends_user_and_password(mechanism):
    properties = producer(dataclasses.replace(SASL, mechanism=mechanism))

    sasl = {name: value for name, value in properties.items() if name.startswith("sasl.")}
    assert sasl == {"sasl.mechanism": mechanism, "sasl.username": "alice", "sasl.password": "made-up-pw"}


def test_oauth_fetches_a_token_with_the_client_credentials():
    properties = producer(dataclasses.replace(OAUTH, oauth_scope="kafka.write"))

    sasl = {name: value for name, value in properties.items() if name.startswith("sasl.")}
    assert sasl == {
        "sasl.mechanism": "OAUTHBEARER",
        "sasl.oauthbearer.method": "oidc",
        "sasl.oauthbearer.client.id": "alice",
        "sasl.oauthbearer.client.secret": "made-up-pw",
        "sasl.oauthbearer.token.endpoint.url": "https://login.example.com/token",
        "sasl.oauthbearer.scope": "kafka.write",
    }


def test_oauth_without_a_scope_sends_none():
    assert "sasl.oauthbearer.scope" not in producer(OAUTH)


def test_the_token_endpoint_is_verified_by_the_systems_cas_or_by_the_given_one():
    assert producer(OAUTH)["https.ca.location"] == "/ca.pem"
    given_ca = with_extra("https.ca.pem", "CA", OAUTH)
    assert producer(given_ca)["https.ca.pem"] == "CA"
    assert "https.ca.location" not in producer(given_ca)


def test_a_secret_stands_where_it_belongs_and_nowhere_else():
    of = dataclasses.replace(
        OAUTH, **{name: getattr(MTLS, name) for name in ("certificate_pem", "key_pem", "key_password")}
    )

    for properties in (producer(of), consumer(of), admin(of)):
        holding = {name for name, value in properties.items() if "made-up" in str(value)}
        assert holding == {"sasl.oauthbearer.client.secret", "ssl.key.pem", "ssl.key.password"}


def test_saved_settings_become_properties():
    saved = {
        "bootstrap_servers": "a:1, b:2",
        "sasl_username": "alice",
        "sasl_password": " made-up-pw ",
        "client_config": json.dumps({"compression.type": "zstd", "acks": "0"}),
    }
    of = parse(saved).cluster

    assert producer(of)["sasl.password"] == " made-up-pw "
    assert producer(of)["compression.type"] == "zstd"
    assert "acks" not in producer(of)
    assert len(config.problems(of)) == 1


# What the client library refuses. The texts are those of librdkafka 2.16.


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ('Invalid value for configuration property "queue.buffering.max.ms"', "linger.ms"),
        ('Configuration property "queue.buffering.max.ms" value 9 is outside allowed range 0..9\n', "linger.ms"),
        ('Invalid value "NEVERSHOWN" for configuration property "compression.codec"', "compression.type"),
        ('Invalid value for configuration property "partitioner": NEVERSHOWN', "partitioner"),
        ('Invalid value for configuration property "fetch.message.max.bytes"', "max.partition.fetch.bytes"),
        ('Expected bool value for "socket.keepalive.enable": true or false', "socket.keepalive.enable"),
        ("Failed to create producer: `message.timeout.ms` must be greater than `linger.ms`", "linger.ms"),
        ("Failed to create producer: ssl.cipher.suites failed: error:0A0000B9:SSL routines::x", "ssl.cipher.suites"),
        (
            "Failed to create consumer: Unsupported partition.assignment.strategy: NEVERSHOWN",
            "partition.assignment.strategy",
        ),
    ],
)
def test_a_refused_property_is_named_and_its_value_is_not(text, name):
    told = str(config.refusal(text))

    assert told == f"Extra client properties (JSON): the client library refuses the value of {name}."


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            "ssl.key.pem failed: not in PEM format?: error:04800065:PEM routines::bad decrypt",
            "Client key (PEM): is refused by the client library: it, or “Client key password”, is wrong.",
        ),
        (
            "ssl.key.pem failed: error:05800074:x509 certificate routines::key values mismatch",
            "Client key (PEM): does not belong to “Client certificate (PEM)”.",
        ),
        (
            "Failed to create producer: ssl.ca.pem failed: x",
            "CA certificate (PEM): is refused by the client library.",
        ),
        (
            "Failed to create producer: ssl.certificate.pem failed: x",
            "Client certificate (PEM): is refused by the client library.",
        ),
        (
            'Invalid value for configuration property "sasl.password": NEVERSHOWN',
            "Extra client properties (JSON): is refused by the client library.",
        ),
        ("something else", "Extra client properties (JSON): is refused by the client library."),
    ],
)
def test_a_refusal_names_the_settings_that_it_may_mean(text, told):
    assert str(config.refusal(text)) == told
