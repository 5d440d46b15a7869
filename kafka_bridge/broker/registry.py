"""Who shares a producer: one connection per fingerprint of all connection settings, the secrets included."""

import os
from collections import OrderedDict
from collections.abc import Callable
from typing import Final

from kafka_bridge.broker.bridge import Connection
from kafka_bridge.broker.pump import State
from kafka_bridge.errors import Cause, Unavailable
from kafka_bridge.settings.cluster import Cluster

# Each costs a few threads and sockets. More clusters than this in one installation is a mistake, or an attack.
MAX_CONNECTIONS: Final = 64
# The SDK has 1000 workers for all endpoints of the process: some clusters that hang must leave enough for the others.
MAX_WAITING: Final = 700
_CROWDED: Final = 64

type Connect = Callable[[Cluster, Callable[[], bool]], Connection]
"""Makes a connection to a cluster; its second argument asks whether an idle connection may go."""


class ProducerRegistry:
    """Shared by all endpoints and tools of the process."""

    def __init__(self, connect: Connect) -> None:
        self._connect = connect
        self._connections: OrderedDict[str, Connection] = OrderedDict()
        self._pid = os.getpid()

    def lease(self, cluster: Cluster) -> Connection:
        """The connection for these settings. Raises Unavailable when there are too many, or too many wait.

        After a fork the parent's clients are unusable (their threads stayed behind): the child makes its own.
        """
        if self._pid != os.getpid():
            self._connections, self._pid = OrderedDict(), os.getpid()
        fingerprint = cluster.fingerprint
        connection = self._connections.get(fingerprint)
        if connection is None:
            self._make_room()
            connection = self._connect(cluster, lambda: self._forget(fingerprint))
            self._connections[fingerprint] = connection
        else:
            self._connections.move_to_end(fingerprint)
            if connection.waiting >= _CROWDED:
                self._leave_room()
        return connection

    def find(self, cluster: Cluster) -> Connection | None:
        """The connection for these settings, if there is one."""
        return self._connections.get(cluster.fingerprint) if self._pid == os.getpid() else None

    def connections(self) -> tuple[Connection, ...]:
        """All that are open now."""
        return tuple(self._connections.values())

    def _forget(self, fingerprint: str) -> bool:
        return self._connections.pop(fingerprint, None) is not None

    def _make_room(self) -> None:
        """Close one, if need be: rather one that cannot be used now, and the one that nobody has used for longest."""
        if len(self._connections) < MAX_CONNECTIONS:
            return
        by_worth = sorted(self._connections.items(), key=lambda item: (item[1].state is State.UP, item[1].waiting > 0))
        fingerprint, connection = by_worth[0]
        if connection.state is State.UP and connection.waiting:
            raise Unavailable(Cause.QUEUE_FULL, f"{MAX_CONNECTIONS} clusters are connected and all are busy")
        del self._connections[fingerprint]
        connection.close()

    def _leave_room(self) -> None:
        waiting = sum(connection.waiting for connection in self._connections.values())
        if waiting >= MAX_WAITING:
            raise Unavailable(Cause.QUEUE_FULL, f"{waiting} requests wait for {len(self._connections)} clusters")
