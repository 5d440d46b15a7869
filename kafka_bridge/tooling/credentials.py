"""The provider's credentials: a cluster, and what the tools may do besides. Pure."""

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import orjson

from kafka_bridge.broker import config
from kafka_bridge.errors import SettingsInvalid
from kafka_bridge.settings.cluster import Cluster, read_cluster
from kafka_bridge.settings.reader import Reader
from kafka_bridge.settings.table import CREDENTIALS, ENABLED

# One process serves all workspaces. What is larger than most is parsed each time.
MAX_TARGETS: Final = 128
MAX_KEY_BYTES: Final = 64 * 1024


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


class Targets:
    """Clusters by the credentials that describe them: each is parsed once, as an endpoint's settings are."""

    def __init__(self) -> None:
        self._known: OrderedDict[bytes, Cluster] = OrderedDict()

    def of(self, saved: Mapping[str, object]) -> Cluster:
        """As `read_target`."""
        try:
            key = orjson.dumps([saved.get(name) for name in CREDENTIALS])
        except TypeError:
            return read_target(saved)
        cluster = self._known.get(key)
        if cluster is not None:
            self._known.move_to_end(key)
            return cluster
        cluster = read_target(saved)
        if len(key) <= MAX_KEY_BYTES:
            self._known[key] = cluster
            if len(self._known) > MAX_TARGETS:
                self._known.popitem(last=False)
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
