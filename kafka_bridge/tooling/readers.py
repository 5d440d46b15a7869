"""How the tools that read get a client, and how long they are waited for. Pure."""

from collections.abc import Callable
from typing import Final

from kafka_bridge.broker.ports import Admin, Reader
from kafka_bridge.settings.cluster import Cluster

# What a call may take besides reading itself: connecting, asking, joining a group, committing, leaving it.
MORE_S: Final = 60.0

type MakeReader = Callable[[Cluster, str], Reader]
"""A reader of a cluster, with the name of a group, or empty for none."""

type MakeAdmin = Callable[[Cluster], Admin]
"""Whoever creates topics in a cluster."""
