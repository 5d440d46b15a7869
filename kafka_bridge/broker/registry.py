"""Who shares a producer: one connection per fingerprint of all connection settings, the secrets included."""

import os
from collections.abc import Callable
from typing import Final

from kafka_bridge.broker.bridge import Connection
from kafka_bridge.errors import Cause, Unavailable
from kafka_bridge.settings.cluster import Cluster

# Each costs a few threads and sockets. More clusters than this in one installation is a mistake, or an attack.
MAX_CONNECTIONS: Final = 64

type Connect = Callable[[Cluster, Callable[[], bool]], Connection]
"""Makes a connection to a cluster; its second argument asks whether an idle connection may go."""


class ProducerRegistry:
    """Shared by all endpoints and tools of the process."""

    def __init__(self, connect: Connect) -> None:
        self._connect = connect
        self._connections: dict[str, Connection] = {}
        self._pid = os.getpid()

    def lease(self, cluster: Cluster) -> Connection:
        """The connection for these settings. Raises Unavailable when there are too many.

        After a fork the parent's clients are unusable (their threads stayed behind): the child makes its own.
        """
        if self._pid != os.getpid():
            self._connections, self._pid = {}, os.getpid()
        fingerprint = cluster.fingerprint
        connection = self._connections.get(fingerprint)
        if connection is None:
            self._make_room()
            connection = self._connect(cluster, lambda: self._forget(fingerprint))
            self._connections[fingerprint] = connection
        return connection

    def connections(self) -> tuple[Connection, ...]:
        """All that are open now."""
        return tuple(self._connections.values())

    def _forget(self, fingerprint: str) -> bool:
        return self._connections.pop(fingerprint, None) is not None

    def _make_room(self) -> None:
        if len(self._connections) < MAX_CONNECTIONS:
            return
        for fingerprint, connection in self._connections.items():
            if not connection.waiting:
                connection.close()
                del self._connections[fingerprint]
                return
        raise Unavailable(Cause.QUEUE_FULL, f"{MAX_CONNECTIONS} clusters are connected and all are busy")
