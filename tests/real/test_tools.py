"""The tools against a real broker: SASL, TLS, rights, groups that must not appear, a broker that goes and is back."""

import itertools
import secrets
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from confluent_kafka import TopicPartition
from confluent_kafka.admin import (
    AclOperation,
    ScramCredentialInfo,
    ScramMechanism,
    UserScramCredentialUpsertion,
)

from devhost.host import BackgroundHost
from devhost.tools import ToolFailed
from tests.brokers import wait_until
from tests.e2e.consuming import fresh
from tests.real.kafka import RealKafka
from tests.real.test_security import MECHANISMS, sasl

pytestmark = pytest.mark.real

type Call = Callable[..., dict[str, Any]]


@pytest.fixture(scope="module")
def host(kafka: RealKafka) -> Iterator[BackgroundHost]:
    """The plugin; calls without credentials go to the plaintext listener, whose user may do everything."""
    with BackgroundHost(endpoints={}, bootstrap=kafka.bootstrap) as running:
        yield running


@pytest.fixture(scope="module")
def call(host: BackgroundHost) -> Call:
    """Call a tool; gives the first JSON message."""

    def one(tool: str, credentials: dict[str, object] | None = None, /, **parameters: object) -> dict[str, Any]:
        first = next(message for message in host.tool(tool, parameters, credentials) if message["type"] == "json")
        return first["message"]["json_object"]

    return one


@pytest.fixture
def topic(kafka: RealKafka) -> str:
    """A topic of the test's own."""
    name = fresh("tools")
    kafka.create_topics(name)
    return name


def refused(host, tool, credentials=None, /, **parameters) -> ToolFailed:
    with pytest.raises(ToolFailed) as caught:
        list(host.tool(tool, parameters, credentials))
    return caught.value


def not_valid(host, credentials) -> ToolFailed:
    with pytest.raises(ToolFailed) as caught:
        host.validate(credentials)
    return caught.value


def groups(kafka: RealKafka) -> set[str]:
    # Kept: a client that is thrown away takes its unanswered questions with it.
    admin = kafka.admin()
    return {group.group_id for group in admin.list_consumer_groups(request_timeout=20).result().valid}


def topics(kafka: RealKafka) -> set[str]:
    return {*kafka.admin().list_topics(timeout=20).topics}


# Security, for tools as for endpoints.


@pytest.mark.parametrize("way", [*itertools.product(("SASL_PLAINTEXT", "SASL_SSL"), MECHANISMS)], ids="-".join)
def test_a_user_publishes_consumes_and_looks(kafka, host, call, topic, way):
    credentials = sasl(kafka, *way)

    host.validate(credentials)
    call("publish", credentials, topic=topic, message="m", key="k")

    assert [record["value"] for record in call("consume", credentials, topics=topic)["records"]] == ["m"]
    assert call("list_topics", credentials, topics=topic)["count"] == 1


def test_user_and_password_alone_mean_sasl_over_tls_with_plain(kafka, host, call, topic):
    credentials = sasl(kafka, "SASL_SSL", "PLAIN")
    del credentials["security_protocol"], credentials["sasl_mechanism"]

    host.validate(credentials)

    assert call("publish", credentials, topic=topic, message="m")["status"] == "success"


def test_a_client_certificate_authenticates(kafka, host, call, topic):
    credentials = {
        "bootstrap_servers": kafka.address("SSL"),
        "ssl_ca_pem": kafka.ca.pem.replace("\n", "\\n"),
        "ssl_certificate_pem": kafka.client_certificate.replace("\n", " "),
        "ssl_key_pem": kafka.client_key.replace("\n", " "),
    }

    host.validate(credentials)
    call("publish", credentials, topic=topic, message="m")

    assert call("consume", credentials, topics=topic)["count"] == 1


def test_overrides_bring_credentials_of_their_own(kafka, call, topic):
    theirs = sasl(kafka, "SASL_SSL", "SCRAM-SHA-512")
    saved = {"ssl_ca_pem": theirs.pop("ssl_ca_pem")}

    assert call("publish", saved, topic=topic, message="m", **theirs)["status"] == "success"


def test_an_explicit_plaintext_leaves_the_saved_credentials_at_home(kafka, call, topic):
    saved = sasl(kafka, "SASL_SSL", "SCRAM-SHA-512")
    plain = {"bootstrap_servers": kafka.bootstrap, "security_protocol": "PLAINTEXT"}

    assert call("publish", saved, topic=topic, message="m", **plain)["status"] == "success"


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"sasl_password": "wrong"}, "authentication failed. Check “SASL user name”, “SASL password”"),
        ({"ssl_ca_pem": ""}, "TLS handshake failed. Check “CA certificate (PEM)”"),
        ({"bootstrap_servers": "localhost:1"}, "connection refused. Check “Bootstrap servers”"),
        ({"bootstrap_servers": "nowhere.invalid:9093"}, "host not found. Check the names in “Bootstrap servers”"),
    ],
)
def test_what_is_wrong_with_credentials_is_told_by_the_settings_label_within_seconds(kafka, host, changes, told):
    began = time.monotonic()
    error = not_valid(host, {**sasl(kafka, "SASL_SSL", "SCRAM-SHA-512"), **changes})

    assert str(error).startswith("Connecting to Kafka failed: ")
    assert told in str(error)
    assert time.monotonic() - began < 9


@pytest.mark.parametrize("tool", ["publish", "consume", "list_topics", "wait_for_event"])
def test_a_wrong_password_fails_every_tool_with_what_to_check(kafka, host, tool):
    credentials = sasl(kafka, "SASL_PLAINTEXT", "SCRAM-SHA-512", sasl_password="wrong")
    parameters = {
        "publish": {"topic": "t-ok", "message": "m"},
        "consume": {"topics": "t-ok"},
        "list_topics": {},
        "wait_for_event": {"topic": "t-ok"},
    }
    error = refused(host, tool, credentials, **parameters[tool])

    assert error.kind == "InvokeAuthorizationError"
    assert "authentication failed" in str(error)


# Rights.


def test_whoever_may_only_read_needs_no_right_to_a_group_nor_to_write(kafka, host, call, topic):
    call("publish", topic=topic, message="m")
    kafka.allow("nobody", topic, AclOperation.READ)
    credentials = sasl(kafka, "SASL_PLAINTEXT", "PLAIN", "nobody")

    host.validate(credentials)
    wait_until(lambda: call("list_topics", credentials)["count"] > 0)

    assert [record["value"] for record in call("consume", credentials, topics=topic)["records"]] == ["m"]
    assert str(refused(host, "publish", credentials, topic=topic, message="m")).startswith(
        "publish failed: not authorized for topic. Have whoever runs Kafka"
    )


def test_a_topic_that_may_only_be_looked_at_is_not_read(kafka, host, call):
    call("publish", topic="t-denied", message="m")
    error = refused(host, "consume", sasl(kafka, "SASL_PLAINTEXT", "PLAIN", "mallory"), topics="t-denied")

    assert error.kind == "InvokeAuthorizationError"
    assert "consume failed: not authorized for topic" in str(error)


def test_a_group_that_may_not_be_joined_is_named(kafka, host):
    credentials = sasl(kafka, "SASL_PLAINTEXT", "PLAIN", "mallory")
    asked = {"topics": "t-ok", "from": "group", "group_id": fresh("group")}

    for commit in (False, True):
        error = refused(host, "consume", credentials, commit=commit, **asked)
        assert error.kind == "InvokeAuthorizationError"


# No trace.


def test_reading_without_a_commit_leaves_no_group_behind(kafka, call, topic):
    call("publish", topic=topic, message="[1, 2]", format="batch")
    group = fresh("group")
    before = groups(kafka)

    for asked in ({}, {"from": "latest", "max_seconds": 0.2}, {"from": "group", "group_id": group}):
        call("consume", topics=topic, **asked)
    call("list_topics", topics=topic, group_id=group)
    call("wait_for_event", topic=topic, timeout=0.2, on_timeout="return")

    assert groups(kafka) == before


def test_with_commit_the_group_goes_on_where_it_was_and_others_see_it(kafka, call, topic):
    call("publish", topic=topic, message="[1, 2, 3]", format="batch", partition=0)
    group = fresh("group")
    asked = {"topics": topic, "from": "group", "group_id": group, "commit": True}

    first = call("consume", max_messages=2, **asked)
    looked = call("consume", topics=topic, group_id=group, **{"from": "group"})
    second = call("consume", **asked)

    assert [record["value"] for record in first["records"]] == ["1", "2"]
    assert [record["value"] for record in looked["records"]] == ["3"]
    assert [record["value"] for record in second["records"]] == ["3"]
    assert group in groups(kafka)
    assert call("list_topics", topics=topic, group_id=group)["lag"] == 0


def test_two_calls_of_a_group_at_once_share_its_partitions(kafka, host, call, topic):
    for partition in range(3):
        call("publish", topic=topic, message="[1, 2, 3, 4]", format="batch", partition=partition)
    group, seen = fresh("group"), []

    def collected() -> bool:
        result = call("consume", topics=topic, group_id=group, commit=True, max_messages=5, **{"from": "group"})
        seen.extend((record["partition"], record["offset"]) for record in result["records"])
        return len(set(seen)) == 12

    wait_until(collected, 60)

    assert len(seen) == 12


# Times and positions.


def test_from_a_time_and_from_the_end(kafka, call, topic):
    call("publish", topic=topic, message="[1, 2, 3]", format="batch", partition=0)
    middle = call("publish", topic=topic, message="4", partition=0)["timestamp"]
    call("publish", topic=topic, message="5", partition=0)

    def values(**asked) -> list[str]:
        return [record["value"] for record in call("consume", topics=topic, **asked)["records"]]

    assert values(**{"from": "timestamp", "timestamp": str(middle)})[-2:] == ["4", "5"]
    assert values(**{"from": "offset", "offset": -2}) == ["4", "5"]
    assert values(**{"from": "timestamp", "timestamp": str(middle + 3_600_000)}) == []


def test_deleted_records_are_passed_over(kafka, call, topic):
    call("publish", topic=topic, message="[1, 2, 3]", format="batch", partition=0)
    admin, upto = kafka.admin(), TopicPartition(topic, 0, 2)
    admin.delete_records([upto])[upto].result(20)

    assert [one["value"] for one in call("consume", topics=topic, **{"from": "offset", "offset": 0})["records"]] == [
        "3"
    ]
    assert call("list_topics", topics=topic)["topics"][0]["offsets"][0] == {"partition": 0, "earliest": 2, "latest": 3}


# Topics.


def test_admin_off_means_off(kafka, host):
    before = topics(kafka)
    for saved in ({}, {"allow_admin": "disabled"}, {"allow_admin": ""}):
        error = refused(host, "create_topic", saved, topic=fresh("forbidden"))
        assert "Allow creating topics: is disabled" in str(error)

    assert topics(kafka) == before


def test_a_topic_is_created_as_it_was_ordered_and_only_once(kafka, call):
    name = fresh("made")
    allowed = {"allow_admin": "enabled"}
    order = {"topic": name, "partitions": 2, "replication_factor": 1, "config": '{"cleanup.policy": "compact"}'}

    assert call("create_topic", allowed, **order)["created"] is True
    assert call("create_topic", allowed, **order)["created"] is False
    assert len(kafka.admin().list_topics(name, timeout=20).topics[name].partitions) == 2


def test_without_numbers_the_brokers_decide(kafka, call):
    name = fresh("made")
    call("create_topic", {"allow_admin": "enabled"}, topic=name)

    assert len(kafka.admin().list_topics(name, timeout=20).topics[name].partitions) == 3


@pytest.mark.parametrize(
    ("order", "told"),
    [
        ({"replication_factor": 3}, "replication_factor: there are not so many brokers"),
        ({"config": '{"retention.ms": "soon"}'}, "config: the brokers refuse a property"),
        ({"config": '{"no.such.property": "x"}'}, "config: the brokers refuse a property"),
    ],
)
def test_what_the_brokers_refuse_is_named(host, order, told):
    error = refused(host, "create_topic", {"allow_admin": "enabled"}, topic=fresh("refused"), **order)

    assert error.kind == "InvokeBadRequestError"
    assert told in str(error)


def test_whoever_may_not_create_topics_is_told_so(kafka, host):
    credentials = {**sasl(kafka, "SASL_PLAINTEXT", "PLAIN", "mallory"), "allow_admin": "enabled"}
    error = refused(host, "create_topic", credentials, topic=fresh("forbidden"))

    assert error.kind == "InvokeAuthorizationError"
    assert "not authorized" in str(error)


# Changes.


@pytest.fixture
def rotating(kafka: RealKafka, topic: str) -> Iterator[Callable[[str], dict[str, object]]]:
    """A user whose password is changed; gives the credentials with it."""
    user = fresh("user")
    kafka.allow(user, topic, AclOperation.ALL)

    def change(password: str) -> dict[str, object]:
        upsert = UserScramCredentialUpsertion(
            user, ScramCredentialInfo(ScramMechanism.SCRAM_SHA_512, 4096), password.encode()
        )
        admin = kafka.admin()
        for future in admin.alter_user_scram_credentials([upsert]).values():
            future.result(20)
        return {
            "bootstrap_servers": kafka.address("SASL_PLAINTEXT"),
            "security_protocol": "SASL_PLAINTEXT",
            "sasl_mechanism": "SCRAM-SHA-512",
            "sasl_username": user,
            "sasl_password": password,
        }

    return change


def test_a_rotated_password_is_used_with_the_next_call(host, call, topic, rotating):
    old = rotating("first-" + secrets.token_hex(8))
    wait_until(lambda: call("publish", old, topic=topic, message="1")["status"] == "success")
    new = rotating("second-" + secrets.token_hex(8))

    wait_until(lambda: _works(host, new))
    assert call("publish", new, topic=topic, message="2")["status"] == "success"
    assert "authentication failed" in str(not_valid(host, old))
    assert [one["value"] for one in call("consume", new, topics=topic)["records"]] in (["1", "2"], ["2", "1"])


def _works(host: BackgroundHost, credentials: dict[str, object]) -> bool:
    # The broker learns of a new password a moment after it has taken it.
    try:
        host.validate(credentials)
    except ToolFailed:
        return False
    return True


@pytest.fixture
def own_kafka(jars, tmp_path) -> Iterator[RealKafka]:
    """A broker of this test's own, to kill."""
    broker = RealKafka(tmp_path / "broker", jars)
    try:
        broker.start()
        broker.create_topics("away")
        yield broker
    finally:
        broker.stop()


@pytest.mark.slow
def test_tools_work_again_when_the_broker_is_back(own_kafka, host, call):
    saved = {"bootstrap_servers": own_kafka.bootstrap}
    call("publish", saved, topic="away", message="before", partition=0)
    own_kafka.kill()

    error = refused(host, "publish", saved, topic="away", message="lost")
    assert "connection refused" in str(error) or "not acknowledged in time" in str(error)
    assert "connection refused" in str(refused(host, "consume", saved, topics="away"))
    own_kafka.start()
    wait_until(lambda: _published(host, saved), 60)

    values = [record["value"] for record in call("consume", saved, topics="away", partition=0)["records"]]
    assert (values[0], values[-1]) == ("before", "after")


def _published(host: BackgroundHost, saved: dict[str, object]) -> bool:
    try:
        list(host.tool("publish", {"topic": "away", "message": "after", "partition": 0}, saved))
    except ToolFailed:
        return False
    return True
