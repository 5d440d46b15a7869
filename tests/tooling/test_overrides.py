"""Another cluster, or other credentials, for one call: the rules of the plugin that users come from."""

import pytest

from kafka_bridge.errors import Malformed
from kafka_bridge.settings.table import MECHANISMS, PROTOCOLS
from kafka_bridge.tooling.credentials import read_target
from kafka_bridge.tooling.overrides import overridden
from kafka_bridge.tooling.parameters import Parameters

SASL = {
    "bootstrap_servers": "home.example.com:9093",
    "security_protocol": "SASL_SSL",
    "sasl_mechanism": "SCRAM-SHA-512",
    "sasl_username": "saved-user",
    "sasl_password": "saved-password",
}
PLAIN = {"bootstrap_servers": "home.example.com:9092"}


def target(saved, **given):
    parameters = Parameters(given)
    merged = overridden(saved, parameters)
    parameters.check()
    return read_target(merged)


def credentials(cluster):
    return cluster.username, cluster.password and cluster.password.reveal()


def test_other_servers_keep_the_credentials():
    cluster = target(SASL, bootstrap_servers="away.example.com:9093")

    assert cluster.servers == ("away.example.com:9093",)
    assert (cluster.protocol, cluster.mechanism) == ("SASL_SSL", "SCRAM-SHA-512")
    assert credentials(cluster) == ("saved-user", "saved-password")


def test_other_credentials_keep_the_servers():
    cluster = target(SASL, sasl_username="other-user", sasl_password="other-password")

    assert cluster.servers == ("home.example.com:9093",)
    assert (cluster.protocol, cluster.mechanism) == ("SASL_SSL", "SCRAM-SHA-512")
    assert credentials(cluster) == ("other-user", "other-password")


def test_user_and_password_without_a_protocol_mean_sasl_over_tls():
    cluster = target(PLAIN, sasl_username="u", sasl_password="p")

    assert (cluster.protocol, cluster.mechanism) == ("SASL_SSL", "PLAIN")


@pytest.mark.parametrize("protocol", ["PLAINTEXT", "SSL"])
def test_so_they_do_with_one_that_knows_no_credentials(protocol):
    cluster = target(PLAIN, security_protocol=protocol, sasl_username="u", sasl_password="p")

    assert cluster.protocol == "SASL_SSL"
    assert credentials(cluster) == ("u", "p")


def test_a_protocol_that_was_chosen_with_them_is_kept():
    assert target(PLAIN, security_protocol="SASL_PLAINTEXT", sasl_username="u", sasl_password="p").protocol == (
        "SASL_PLAINTEXT"
    )


def test_a_missing_mechanism_is_plain():
    assert target({**SASL, "sasl_mechanism": ""}).mechanism == "PLAIN"


@pytest.mark.parametrize("protocol", ["PLAINTEXT", "SSL"])
def test_a_protocol_without_sasl_and_no_user_drops_the_saved_credentials(protocol):
    cluster = target(SASL, security_protocol=protocol, bootstrap_servers="away.example.com:9092")

    assert cluster.protocol == protocol
    assert credentials(cluster) == ("", None)


@pytest.mark.parametrize("protocol", ["SASL_PLAINTEXT", "SASL_SSL", "auto"])
def test_any_other_protocol_keeps_them(protocol):
    assert credentials(target(SASL, security_protocol=protocol)) == ("saved-user", "saved-password")


@pytest.mark.parametrize("nothing", ["", "  ", None])
def test_an_empty_parameter_was_not_given(nothing):
    given = dict.fromkeys((*SASL, "sasl_mechanism"), nothing)

    assert target(SASL, **given) == target(SASL)


@pytest.mark.parametrize("lonely", ["sasl_username", "sasl_password"])
def test_a_user_without_a_password_is_refused_and_so_is_the_reverse(lonely):
    # With the saved other half it would be a pair that nobody has thought of.
    with pytest.raises(Malformed, match="go together") as caught:
        target(SASL, **{lonely: "hunter2"})

    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("name", ["security_protocol", "sasl_mechanism"])
def test_an_unknown_protocol_or_mechanism_is_refused_with_those_that_there_are(name):
    with pytest.raises(Malformed, match=f"^{name}: must be one of") as caught:
        target(SASL, **{name: "hunter2"})

    assert (PROTOCOLS if name == "security_protocol" else MECHANISMS)[0] in str(caught.value)
    assert "hunter2" not in str(caught.value)


def test_a_password_keeps_the_spaces_at_its_ends():
    assert credentials(target(PLAIN, sasl_username="u", sasl_password=" p ")) == ("u", " p ")


def test_every_other_connection_setting_stays_what_was_saved():
    saved = {**SASL, "client_config": '{"compression.type": "zstd"}'}

    assert target(saved, bootstrap_servers="away.example.com:9093").client_config == (("compression.type", "zstd"),)


def test_the_saved_credentials_themselves_are_not_touched():
    saved = dict(SASL)
    target(saved, security_protocol="PLAINTEXT")

    assert saved == SASL


def test_two_clusters_and_two_passwords_are_three_connections():
    fingerprints = {
        target(SASL).fingerprint,
        target(SASL, bootstrap_servers="away.example.com:9093").fingerprint,
        target(SASL, sasl_username="saved-user", sasl_password="rotated").fingerprint,
    }

    assert len(fingerprints) == 3
