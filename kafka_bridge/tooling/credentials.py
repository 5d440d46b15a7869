"""The provider's credentials: a cluster, and what the tools may do besides. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass

from kafka_bridge.broker import config
from kafka_bridge.errors import SettingsInvalid
from kafka_bridge.settings.cluster import Cluster, read_cluster
from kafka_bridge.settings.reader import Reader
from kafka_bridge.settings.table import ENABLED


@dataclass(frozen=True, slots=True)
class Permissions:
    """What whoever saved the credentials allows."""

    admin: bool
    private_addresses: bool


def read_target(saved: Mapping[str, object]) -> Cluster:
    """The cluster that the tools connect to. Raises SettingsInvalid with everything that is wrong, by its label."""
    reader = Reader(saved)
    cluster = read_cluster(reader)
    problems = [*reader.problems, *(config.problems(cluster) if cluster else ())]
    if cluster is None or problems:
        raise SettingsInvalid(str(problem) for problem in dict.fromkeys(problems))
    return cluster


def read_permissions(saved: Mapping[str, object]) -> Permissions:
    """Both off unless they were switched on. Raises SettingsInvalid."""
    reader = Reader(saved)
    permissions = Permissions(
        admin=reader.choice("allow_admin") == ENABLED,
        private_addresses=reader.choice("allow_private_addresses") == ENABLED,
    )
    if reader.problems:
        raise SettingsInvalid(str(problem) for problem in reader.problems)
    return permissions
