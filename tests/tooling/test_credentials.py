"""The provider's credentials: a cluster, and what the tools may do besides."""

import pytest

from kafka_bridge.errors import SettingsInvalid
from kafka_bridge.tooling import credentials
from kafka_bridge.tooling.credentials import Permissions, Targets, read_permissions, read_target
from tests.tooling.readers import SAVED


def saved(number=0, **more):
    return {"bootstrap_servers": f"broker-{number}.example.com:9092", **more}


def test_all_that_is_wrong_is_told_at_once_by_its_label():
    wrong = {"bootstrap_servers": "hunter2", "sasl_username": "u", "client_config": '{"acks": 0}'}

    with pytest.raises(SettingsInvalid) as caught:
        read_target(wrong)

    told = str(caught.value)
    assert [label for label in ("Bootstrap servers", "SASL password") if f"{label}: " in told] == [
        "Bootstrap servers",
        "SASL password",
    ]
    assert "hunter2" not in told


def test_a_property_that_is_not_allowed_is_refused():
    with pytest.raises(SettingsInvalid, match=r"Extra client properties \(JSON\): does not allow"):
        read_target(saved(client_config='{"acks": 0}'))


@pytest.mark.parametrize("name", ["allow_admin", "allow_private_addresses"])
@pytest.mark.parametrize(("value", "allowed"), [("enabled", True), ("disabled", False), ("", False), (None, False)])
def test_a_permission_is_there_only_when_it_was_given(name, value, allowed):
    permissions = read_permissions({**SAVED, name: value})

    assert permissions == Permissions(
        **{"admin": False, "private_addresses": False} | {name.removeprefix("allow_"): allowed}
    )


@pytest.mark.parametrize("value", ["true", "Enabled", True, 1])
def test_what_only_looks_like_a_permission_is_none(value):
    with pytest.raises(SettingsInvalid, match="Allow creating topics"):
        read_permissions({**SAVED, "allow_admin": value})


def test_the_same_credentials_are_parsed_once():
    targets = Targets()

    assert targets.of(saved()) is targets.of(saved())
    assert targets.of(saved()) == read_target(saved())


def test_another_password_is_another_target():
    targets = Targets()
    first = targets.of(saved(sasl_username="u", sasl_password="1"))

    assert targets.of(saved(sasl_username="u", sasl_password="2")).fingerprint != first.fingerprint


def test_wrong_credentials_are_wrong_every_time():
    targets = Targets()

    for _ in range(2):
        with pytest.raises(SettingsInvalid):
            targets.of({})


def test_no_more_are_kept_than_there_is_room_for(monkeypatch):
    monkeypatch.setattr(credentials, "MAX_TARGETS", 2)
    targets = Targets()
    first = targets.of(saved(1))
    targets.of(saved(2))
    assert targets.of(saved(1)) is first
    targets.of(saved(3))

    assert targets.of(saved(1)) is first
    assert len(targets._known) == 2


def test_what_is_larger_than_most_or_no_json_is_parsed_each_time(monkeypatch):
    monkeypatch.setattr(credentials, "MAX_KEY_BYTES", 10)
    targets = Targets()

    assert targets.of(saved()) == targets.of(saved())
    assert not targets._known
    with pytest.raises(SettingsInvalid):
        targets.of(saved(ssl_ca_pem=object()))
