"""Who shares a connection."""

from dataclasses import replace

import pytest

from kafka_bridge.broker import registry as module
from kafka_bridge.broker.pump import State
from kafka_bridge.broker.registry import ProducerRegistry
from kafka_bridge.errors import Cause, Unavailable
from kafka_bridge.settings.cluster import Cluster
from kafka_bridge.settings.secret import Secret

CLUSTER = Cluster(servers=("a:9092",), protocol="SASL_SSL", mechanism="PLAIN", username="u", password=Secret("old"))


class FakeConnection:
    def __init__(self, cluster, may_go):
        self.cluster, self.may_go, self.waiting, self.closed, self.state = cluster, may_go, 0, False, State.UP

    def close(self):
        self.closed = True


@pytest.fixture
def registry() -> ProducerRegistry:
    return ProducerRegistry(FakeConnection)


def test_the_same_settings_share_a_connection(registry):
    same = replace(CLUSTER, password=Secret("old"))

    assert registry.lease(CLUSTER) is registry.lease(same)


def test_a_rotated_password_gets_a_connection_of_its_own(registry):
    assert registry.lease(CLUSTER) is not registry.lease(replace(CLUSTER, password=Secret("new")))


def test_a_connection_that_went_idle_is_made_anew(registry):
    first = registry.lease(CLUSTER)

    assert first.may_go() is True
    assert registry.lease(CLUSTER) is not first
    assert registry.connections() == (registry.lease(CLUSTER),)


def test_a_connection_may_go_only_once(registry):
    first = registry.lease(CLUSTER)
    first.may_go()

    assert first.may_go() is False


def test_a_child_process_does_not_use_its_parents_connections(registry, monkeypatch):
    first = registry.lease(CLUSTER)
    monkeypatch.setattr(module.os, "getpid", lambda: -1)

    assert registry.lease(CLUSTER) is not first
    assert not first.closed, "the parent's client must be left alone"


def test_the_number_of_connections_is_bounded_and_an_unused_one_makes_room(registry, monkeypatch):
    monkeypatch.setattr(module, "MAX_CONNECTIONS", 3)
    leased = [registry.lease(replace(CLUSTER, username=str(number))) for number in range(3)]
    leased[0].waiting = 1

    registry.lease(replace(CLUSTER, username="one more"))

    assert [connection.closed for connection in leased] == [False, True, False]
    assert len(registry.connections()) == 3


def test_when_all_connections_are_busy_a_new_cluster_has_to_wait(registry, monkeypatch):
    monkeypatch.setattr(module, "MAX_CONNECTIONS", 2)
    for number in range(2):
        registry.lease(replace(CLUSTER, username=str(number))).waiting = 1

    with pytest.raises(Unavailable) as caught:
        registry.lease(replace(CLUSTER, username="one more"))
    assert caught.value.cause is Cause.QUEUE_FULL


def leased(registry, *names):
    return [registry.lease(replace(CLUSTER, username=name)) for name in names]


def test_the_connection_that_nobody_used_for_longest_makes_room(registry, monkeypatch):
    monkeypatch.setattr(module, "MAX_CONNECTIONS", 3)
    connections = leased(registry, "busy", "b", "c")
    leased(registry, "busy", "new")

    assert [connection.closed for connection in connections] == [False, True, False]


@pytest.mark.parametrize("waiting", [0, 5])
def test_a_cluster_that_hangs_makes_room_before_one_that_works(registry, monkeypatch, waiting):
    monkeypatch.setattr(module, "MAX_CONNECTIONS", 3)
    connections = leased(registry, "a", "hangs", "c")
    connections[1].state, connections[1].waiting = State.STARTING, waiting

    leased(registry, "new")

    assert [connection.closed for connection in connections] == [False, True, False]


def test_a_connection_that_fails_to_close_is_not_leased_again(registry, monkeypatch):
    monkeypatch.setattr(module, "MAX_CONNECTIONS", 1)
    (first,) = leased(registry, "a")
    monkeypatch.setattr(first, "close", lambda: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        leased(registry, "b")

    assert leased(registry, "a") != [first]


def test_clusters_that_hang_leave_workers_for_the_others(registry):
    hanging, working = leased(registry, "hangs", "works")
    hanging.waiting, working.waiting = module.MAX_WAITING, 0

    with pytest.raises(Unavailable) as caught:
        leased(registry, "hangs")

    assert caught.value.cause is Cause.QUEUE_FULL
    assert leased(registry, "works") == [working]
