import dataclasses
import itertools
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kafka_bridge.settings.cluster import Cluster, read_cluster
from kafka_bridge.settings.reader import Reader
from kafka_bridge.settings.secret import Secret
from tests.settings.conftest import PASSPHRASE

SERVERS = {"bootstrap_servers": "broker.example.com:9092"}
LOGIN = {"sasl_username": "alice", "sasl_password": "not-a-real-password"}
PROTOCOLS = ("", "auto", "PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL")


def read(**saved):
    reader = Reader({**SERVERS, **saved})
    return read_cluster(reader), [str(problem) for problem in reader.problems]


def cluster(**saved):
    found, problems = read(**saved)
    assert problems == []
    return found


def problems(**saved):
    found, texts = read(**saved)
    assert found is None
    return texts


def test_servers_alone_are_a_plaintext_cluster():
    assert cluster() == Cluster(servers=("broker.example.com:9092",), protocol="PLAINTEXT")


# The rules of the field.


@pytest.mark.parametrize("chosen", ["", "auto", "PLAINTEXT", "SSL", "SASL_SSL"])
def test_a_user_and_a_password_are_used_and_never_sent_in_the_clear_by_accident(chosen):
    found = cluster(**LOGIN, security_protocol=chosen)

    assert found.protocol == "SASL_SSL"
    assert (found.username, found.password) == ("alice", Secret("not-a-real-password"))


def test_only_who_chooses_sasl_plaintext_gets_it():
    assert cluster(**LOGIN, security_protocol="SASL_PLAINTEXT").protocol == "SASL_PLAINTEXT"


def test_a_user_and_a_password_without_a_mechanism_are_plain():
    assert cluster(**LOGIN).mechanism == "PLAIN"
    assert cluster(**LOGIN, sasl_mechanism="").mechanism == "PLAIN"


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"])
def test_the_mechanism_is_the_one_that_was_chosen(mechanism):
    assert cluster(**LOGIN, sasl_mechanism=mechanism).mechanism == mechanism


def test_a_ca_makes_auto_tls(pems):
    assert cluster(ssl_ca_pem=pems.texts["certificate"]).protocol == "SSL"


def test_a_client_certificate_makes_auto_tls(pems):
    found = cluster(ssl_certificate_pem=pems.texts["certificate"], ssl_key_pem=pems.texts["key"])

    assert found.protocol == "SSL"
    assert (found.certificate_pem, found.key_pem) == (pems.texts["certificate"], Secret(pems.texts["key"]))


def test_a_ca_beside_a_user_and_a_password_is_sasl_over_tls(pems):
    found = cluster(**LOGIN, ssl_ca_pem=pems.texts["certificate"])

    assert (found.protocol, found.ca_pem) == ("SASL_SSL", pems.texts["certificate"])


@pytest.mark.parametrize("chosen", ["PLAINTEXT", "SSL"])
def test_without_credentials_the_choice_stands(chosen):
    assert cluster(security_protocol=chosen).protocol == chosen


def test_without_sasl_there_is_no_mechanism():
    assert cluster(sasl_mechanism="SCRAM-SHA-512").mechanism == ""


@pytest.mark.parametrize("chosen", PROTOCOLS)
def test_a_user_without_a_password_is_a_problem(chosen):
    assert "SASL password: missing: user name and password go together." in problems(
        sasl_username="alice", security_protocol=chosen
    )


@pytest.mark.parametrize("chosen", PROTOCOLS)
def test_a_password_without_a_user_is_a_problem(chosen):
    assert "SASL user name: missing: user name and password go together." in problems(
        sasl_password="not-a-real-password", security_protocol=chosen
    )


@pytest.mark.parametrize("chosen", ["SASL_PLAINTEXT", "SASL_SSL"])
def test_sasl_without_credentials_is_a_problem(chosen):
    assert problems(security_protocol=chosen) == [f"SASL user name: missing: {chosen} needs it, and a password."]


def test_an_unknown_protocol_is_a_problem():
    (text,) = problems(security_protocol="ssl")

    assert text == "Security protocol: must be one of auto, PLAINTEXT, SSL, SASL_PLAINTEXT, SASL_SSL."


def test_an_unknown_mechanism_is_a_problem():
    (text,) = problems(**LOGIN, sasl_mechanism="GSSAPI")

    assert text == "SASL mechanism: must be one of PLAIN, SCRAM-SHA-256, SCRAM-SHA-512, OAUTHBEARER."


@pytest.mark.parametrize(
    ("protocol", "sasl", "tls"),
    [("PLAINTEXT", False, False), ("SSL", False, True), ("SASL_PLAINTEXT", True, False), ("SASL_SSL", True, True)],
)
def test_a_protocol_says_whether_it_encrypts_and_authenticates(protocol, sasl, tls):
    found = Cluster(servers=("a",), protocol=protocol)

    assert (found.uses_sasl, found.uses_tls) == (sasl, tls)


# OAUTHBEARER.


@pytest.mark.parametrize("url", ["https://login.example.com/token", "http://127.0.0.1:8080/token"])
def test_oauthbearer_takes_a_token_url(url):
    found = cluster(**LOGIN, sasl_mechanism="OAUTHBEARER", oauth_token_url=url, oauth_scope="kafka.write")

    assert (found.mechanism, found.oauth_token_url, found.oauth_scope) == ("OAUTHBEARER", url, "kafka.write")


@pytest.mark.parametrize(
    "url", ["", "login.example.com/token", "ftp://x/token", "file:///etc/passwd", "https://", "https://[::1", "https:"]
)
def test_oauthbearer_without_a_token_url_is_a_problem(url):
    (text,) = problems(**LOGIN, sasl_mechanism="OAUTHBEARER", oauth_token_url=url)

    assert text == "OAuth token URL: must be an http(s) URL: OAUTHBEARER fetches its tokens there."


# Servers.


@pytest.mark.parametrize(
    ("text", "servers"),
    [
        ("a:9092", ("a:9092",)),
        ("localhost", ("localhost",)),
        ("b.example.com,10.0.0.7", ("b.example.com", "10.0.0.7")),
        (" a:1 , b.example.com:65535 ,", ("a:1", "b.example.com:65535")),
        ("10.0.0.7:9092", ("10.0.0.7:9092",)),
        ("[::1]:9092,[fe80::1]", ("[::1]:9092", "[fe80::1]")),
        ("my_broker-1.svc:9092", ("my_broker-1.svc:9092",)),
    ],
)
def test_servers_are_hosts_with_ports(text, servers):
    assert cluster(bootstrap_servers=text).servers == servers


@pytest.mark.parametrize(
    "text",
    [
        "a:0",
        "a:65536",
        "a:99999",
        "a:",
        ":9092",
        "a:b",
        "a b",
        "a:9092 b:9092",
        "a;b",
        "PLAINTEXT://a:9092",
        "https://a",
        "a:9092/path",
        "::1",
        "user:password@a:9092",
        "é:9092",
        "a\x00",
        "a:9092,b:x",
        "a",
        "a:9092,hunter2",
        "a.",
        ".a",
        "...",
    ],
)
def test_what_is_not_a_server_is_a_problem(text):
    (told,) = problems(bootstrap_servers=text)

    assert told == (
        "Bootstrap servers: must be host:port, several separated by commas; only localhost and names with a dot go"
        " without a port."
    )


@pytest.mark.parametrize("text", ["", " ", ",", " , ,", None])
def test_no_server_is_a_problem(text):
    assert problems(bootstrap_servers=text) == ["Bootstrap servers: missing."]


def test_twenty_servers_are_enough_for_any_cluster():
    servers = [f"broker-{number}.example.com:9092" for number in range(21)]

    assert cluster(bootstrap_servers=",".join(servers[:20])).servers == tuple(servers[:20])
    assert problems(bootstrap_servers=",".join(servers)) == ["Bootstrap servers: has more than 20 entries."]


def test_a_server_that_is_longer_than_a_host_can_be_is_a_problem():
    longest = "a" * 250 + ":9092"

    assert cluster(bootstrap_servers=longest).servers == (longest,)
    assert problems(bootstrap_servers="a" + longest) == ["Bootstrap servers: has an entry of more than 255 characters."]


# Certificates.


def test_a_certificate_without_its_key_is_a_problem(pems):
    assert problems(ssl_certificate_pem=pems.texts["certificate"]) == [
        "Client key (PEM): missing: a client certificate and its key go together.",
    ]


def test_a_key_without_its_certificate_is_a_problem(pems):
    assert problems(ssl_key_pem=pems.texts["key"]) == [
        "Client certificate (PEM): missing: a client certificate and its key go together.",
    ]


@pytest.mark.parametrize("kind", ["encrypted", "legacy"])
def test_an_encrypted_key_without_its_password_is_a_problem(pems, kind):
    assert problems(ssl_certificate_pem=pems.texts["certificate"], ssl_key_pem=pems.texts[kind]) == [
        "Client key password: missing: the client key is encrypted.",
    ]


@pytest.mark.parametrize("kind", ["encrypted", "legacy"])
def test_an_encrypted_key_with_its_password_is_taken(pems, kind):
    found = cluster(
        ssl_certificate_pem=pems.texts["certificate"],
        ssl_key_pem=pems.texts[kind].replace("\n", " "),
        ssl_key_password=PASSPHRASE,
    )

    assert found.key_pem.reveal() == pems.texts[kind]
    assert found.key_password.reveal() == PASSPHRASE


@pytest.mark.parametrize(
    ("name", "pasted"), [("ssl_ca_pem", "key"), ("ssl_certificate_pem", "key"), ("ssl_key_pem", "certificate")]
)
def test_a_pem_in_the_wrong_field_is_a_problem(pems, name, pasted):
    (label,) = {"CA certificate (PEM)", "Client certificate (PEM)", "Client key (PEM)"} & {
        text.partition(":")[0] for text in problems(**{name: pems.texts[pasted]})
    }

    assert label == {"ssl_ca_pem": "CA certificate (PEM)", "ssl_key_pem": "Client key (PEM)"}.get(
        name, "Client certificate (PEM)"
    )


def test_a_key_that_was_pasted_along_with_the_certificate_is_never_shown(pems):
    both = pems.texts["certificate"] + pems.texts["key"]
    content_of_key = pems.texts["key"].splitlines()[1]

    for name in ("ssl_certificate_pem", "ssl_ca_pem"):
        found, texts = read(**{name: both, "ssl_key_pem": both if name == "ssl_certificate_pem" else ""})

        assert content_of_key not in repr(found)
        assert content_of_key not in " ".join(texts)


# Extra client properties.


def test_extra_properties_are_sorted_pairs_of_plain_values():
    text = json.dumps({"linger.ms": 20, "client.id": "x", "socket.keepalive.enable": True, "a.float": 1.5})

    assert cluster(client_config=text).client_config == (
        ("a.float", 1.5),
        ("client.id", "x"),
        ("linger.ms", 20),
        ("socket.keepalive.enable", True),
    )


@pytest.mark.parametrize("value", [None, [], {}, [1], {"a": 1}])
def test_an_extra_property_that_is_no_plain_value_is_a_problem(value):
    assert problems(client_config=json.dumps({"linger.ms": value})) == [
        "Extra client properties (JSON): every value must be a text, a number, true or false.",
    ]


def test_a_hundred_properties_are_more_than_there_are():
    names = [f"a.{number:03}" for number in range(101)]

    assert len(cluster(client_config=json.dumps(dict.fromkeys(names[:100], 1))).client_config) == 100
    assert problems(client_config=json.dumps(dict.fromkeys(names, 1))) == [
        "Extra client properties (JSON): has more than 100 entries.",
    ]


def test_many_bad_values_are_one_problem():
    assert problems(client_config=json.dumps({str(number): None for number in range(100)})) == [
        "Extra client properties (JSON): every value must be a text, a number, true or false.",
    ]


# The fingerprint.

BASE = Cluster(
    servers=("a:1", "b:2"),
    protocol="SASL_SSL",
    mechanism="PLAIN",
    username="alice",
    password=Secret("one"),
    oauth_token_url="https://login.example.com",
    oauth_scope="kafka",
    ca_pem="ca",
    certificate_pem="certificate",
    key_pem=Secret("key"),
    key_password=Secret("two"),
    client_config=(("linger.ms", 5),),
)
OTHER = {
    "servers": ("a:1",),
    "protocol": "SASL_PLAINTEXT",
    "mechanism": "SCRAM-SHA-256",
    "username": "bob",
    "password": Secret("three"),
    "oauth_token_url": "https://other.example.com",
    "oauth_scope": "other",
    "ca_pem": "other",
    "certificate_pem": "other",
    "key_pem": Secret("other"),
    "key_password": Secret("other"),
    "client_config": (("linger.ms", 6),),
}


def test_every_field_of_a_cluster_is_in_the_table_of_this_test():
    assert [field.name for field in dataclasses.fields(Cluster)] == list(OTHER)


@pytest.mark.parametrize("name", OTHER)
def test_another_value_of_any_field_is_another_connection(name):
    assert dataclasses.replace(BASE, **{name: OTHER[name]}).fingerprint != BASE.fingerprint


@pytest.mark.parametrize("name", ["password", "key_pem", "key_password"])
def test_no_secret_is_another_connection_than_any_secret(name):
    assert dataclasses.replace(BASE, **{name: None}).fingerprint != BASE.fingerprint


def test_all_variants_are_different_connections():
    variants = [dataclasses.replace(BASE, **{name: value}) for name, value in OTHER.items()]

    assert len({variant.fingerprint for variant in (BASE, *variants)}) == len(OTHER) + 1


def test_the_same_settings_are_the_same_connection():
    copied = dataclasses.replace(BASE, password=Secret("one"))

    assert copied.fingerprint == BASE.fingerprint


def test_values_do_not_run_into_each_other():
    pairs = [(["ab", "c"], ["a", "bc"]), (["a,b"], ["a", "b"])]

    for one, other in pairs:
        first, second = (Cluster(servers=tuple(servers), protocol="SSL") for servers in (one, other))
        assert first.fingerprint != second.fingerprint
    assert (
        dataclasses.replace(BASE, username="ab", password=Secret("c")).fingerprint
        != dataclasses.replace(BASE, username="a", password=Secret("bc")).fingerprint
    )


@pytest.mark.parametrize(("one", "other"), list(itertools.combinations([True, 1, 1.0, "1", "true"], 2)))
def test_a_property_of_another_type_is_another_connection(one, other):
    first, second = (dataclasses.replace(BASE, client_config=(("x", value),)) for value in (one, other))

    assert first.fingerprint != second.fingerprint


def test_the_order_of_extra_properties_does_not_matter():
    one, other = (
        cluster(client_config='{"linger.ms": 1, "client.id": "x"}'),
        cluster(client_config='{"client.id": "x", "linger.ms": 1}'),
    )

    assert one.fingerprint == other.fingerprint


def test_the_fingerprint_shows_nothing_of_what_it_is_made_of():
    assert len(BASE.fingerprint) == 64
    assert set(BASE.fingerprint) <= set("0123456789abcdef")


@given(st.text(min_size=1), st.text(min_size=1))
def test_a_rotated_password_is_another_connection(one, other):
    first, second = (dataclasses.replace(BASE, password=Secret(text)).fingerprint for text in (one, other))

    assert (first == second) is (one == other)


def test_secrets_are_not_in_the_representation():
    saved = {"ssl_key_password": "never-show-key-password", **LOGIN}

    assert "not-a-real-password" not in repr(cluster(**saved))
    assert "never-show-key-password" not in repr(cluster(**saved))
