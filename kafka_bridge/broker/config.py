"""Settings as properties of the client library: the only place with dotted names. Pure."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Final

from kafka_bridge.settings.cluster import Cluster, Scalar
from kafka_bridge.settings.reader import Problem
from kafka_bridge.settings.table import SETTINGS

# Senders give up after 8 to 25 s (an answer must be there after 9 s at the latest); expiry is scanned once a second.
DELIVERY_TIMEOUT_MS: Final = 8000
# A broker that creates topics itself needs a moment for the first record; after that the topic does not exist.
TOPIC_WAIT_MS: Final = 5000
# librdkafka's default, and about the broker's (1 MiB including the batch's own overhead).
MESSAGE_MAX_BYTES: Final = 1_000_000
# For dead letters and results: the topic's own limit is the one that counts.
ROOMY_MAX_BYTES: Final = 100_000_000
# Of one partition at once: a larger record comes alone whatever this says, and many endpoints share the memory.
MAX_FETCH_BYTES: Final = 16 * 1024 * 1024
# One plugin process serves a whole workspace: the library's default queue of 1 GiB would be its end.
QUEUE_KBYTES: Final = 64 * 1024
QUEUE_RECORDS: Final = 50_000
# Many tools may read at once, each for a moment.
READER_KBYTES: Final = 2048
READER_RECORDS: Final = 200
# Of all partitions at once; a record that is larger comes all the same.
READER_FETCH_BYTES: Final = 4 * 1024 * 1024
# The library wants a name all the same. Nobody joins or commits under it, so no broker ever hears of a group.
NO_GROUP: Final = "kafka-bridge-reader"

# What an operator may add. Left out on purpose: whatever weakens an acknowledgement (acks, retries, idempotence,
# timeouts of delivery), reads a file of the host (…location), loads code (plugin.library.paths) or is a setting.
ALLOWED: Final = frozenset(
    {
        "batch.num.messages",
        "batch.size",
        "broker.address.family",
        "client.dns.lookup",
        "client.id",
        "client.rack",
        "compression.level",
        "compression.type",
        "connections.max.idle.ms",
        "fetch.min.bytes",
        "fetch.wait.max.ms",
        "group.protocol",
        "heartbeat.interval.ms",
        "https.ca.pem",
        "isolation.level",
        "linger.ms",
        "max.partition.fetch.bytes",
        "max.poll.interval.ms",
        "message.max.bytes",
        "metadata.max.age.ms",
        "partition.assignment.strategy",
        "partitioner",
        "reconnect.backoff.max.ms",
        "reconnect.backoff.ms",
        "request.timeout.ms",
        "sasl.oauthbearer.extensions",
        "session.timeout.ms",
        "socket.connection.setup.timeout.ms",
        "socket.keepalive.enable",
        "socket.nagle.disable",
        "socket.receive.buffer.bytes",
        "socket.send.buffer.bytes",
        "socket.timeout.ms",
        "ssl.cipher.suites",
        "ssl.curves.list",
        "ssl.endpoint.identification.algorithm",
        "ssl.sigalgs.list",
        "sticky.partitioning.linger.ms",
    }
)
_CONSUMER_ONLY: Final = frozenset(
    {
        "fetch.min.bytes",
        "fetch.wait.max.ms",
        "group.protocol",
        "heartbeat.interval.ms",
        "isolation.level",
        "max.partition.fetch.bytes",
        "max.poll.interval.ms",
        "partition.assignment.strategy",
        "session.timeout.ms",
    }
)
_PRODUCER_ONLY: Final = frozenset(
    {
        "batch.num.messages",
        "batch.size",
        "compression.level",
        "compression.type",
        "linger.ms",
        "partitioner",
        "request.timeout.ms",
        "sticky.partitioning.linger.ms",
    }
)

_PROPERTY: Final = re.compile(r"[a-z]{1,20}(\.[a-z0-9]{1,20}){1,6}")
# Where the library's refusals have the name of a property (2.16), and its own names for some.
_NAMED: Final = re.compile(
    r'property "([a-z.]+)"|value for "([a-z.]+)"|`([a-z.]+)`|\b([a-z.]+) failed:|Unsupported ([a-z.]+):'
)
_ALIASES: Final = MappingProxyType(
    {
        "compression.codec": "compression.type",
        "fetch.message.max.bytes": "max.partition.fetch.bytes",
        "queue.buffering.max.ms": "linger.ms",
    }
)
_REFUSED: Final = "is refused by the client library"
_LABELS: Final = MappingProxyType({name: setting.label for name, setting in SETTINGS.items()})
# Otherwise: what stands in its text, the setting that it means, and what to say of it.
_REFUSALS: Final = (
    ("ssl.ca.", "ssl_ca_pem", _REFUSED),
    ("key values mismatch", "ssl_key_pem", f"does not belong to “{_LABELS['ssl_certificate_pem']}”"),
    ("ssl.key.", "ssl_key_pem", f"{_REFUSED}: it, or “{_LABELS['ssl_key_password']}”, is wrong"),
    ("ssl.certificate.", "ssl_certificate_pem", _REFUSED),
    ("sasl.oauthbearer", "oauth_token_url", _REFUSED),
    ("sasl.username", "sasl_username", _REFUSED),
    ("sasl.mechanism", "sasl_mechanism", _REFUSED),
)

type Properties = dict[str, Scalar]


def problems(cluster: Cluster) -> Sequence[Problem]:
    """What is wrong with the extra client properties."""
    found = [
        Problem("client_config", text)
        for text in dict.fromkeys(
            f"does not allow {_shown(name)}" for name, _ in cluster.client_config if name not in ALLOWED
        )
    ]
    limit = dict(cluster.client_config).get("message.max.bytes", MESSAGE_MAX_BYTES)
    if not isinstance(limit, int) or isinstance(limit, bool) or not 1000 <= limit <= 10**9:  # noqa: PLR2004
        # 1000 to 10^9 is what the client library itself accepts.
        found.append(Problem("client_config", "message.max.bytes must be a number from 1000 to 1000000000"))
    fetch = dict(cluster.client_config).get("max.partition.fetch.bytes", 1)
    if not isinstance(fetch, int) or isinstance(fetch, bool) or not 1 <= fetch <= MAX_FETCH_BYTES:
        found.append(
            Problem("client_config", f"max.partition.fetch.bytes must be a number from 1 to {MAX_FETCH_BYTES}")
        )
    return found


def _shown(name: str) -> str:
    # Only what looks like a property is quoted: anything may have been pasted into the wrong place. Without a dot
    # (acks) nothing tells a property from a password.
    return f"the property {name}" if _PROPERTY.fullmatch(name) else "a name in it (shown are only names with dots)"


def refusal(text: str) -> Problem:
    """What the client library means when it refuses properties with `text`, which may quote values and is not told."""
    for match in _NAMED.finditer(text):
        name = _ALIASES.get(found := next(filter(None, match.groups())), found)
        if name in ALLOWED:
            return Problem("client_config", f"the client library refuses the value of {name}")
    return next(
        (Problem(setting, told) for mark, setting, told in _REFUSALS if mark in text),
        Problem("client_config", _REFUSED),
    )


def message_limit(cluster: Cluster) -> int:
    """The largest record that the client will send, in bytes."""
    limit = dict(cluster.client_config).get("message.max.bytes", MESSAGE_MAX_BYTES)
    return limit if isinstance(limit, int) else MESSAGE_MAX_BYTES


def roomy(cluster: Cluster) -> Cluster:
    """The same cluster for what was consumed from it: a record that lies in a topic may be larger than we let in."""
    extra = {**dict(cluster.client_config), "message.max.bytes": ROOMY_MAX_BYTES}
    return replace(cluster, client_config=tuple(sorted(extra.items())))


def producer_properties(cluster: Cluster, *, ca_file: str) -> Properties:
    """For an idempotent producer. `ca_file` holds the certificates to trust where the settings name none."""
    return {
        **_connection(cluster, ca_file),
        "enable.idempotence": True,
        "linger.ms": 5,
        "queue.buffering.max.kbytes": QUEUE_KBYTES,
        "queue.buffering.max.messages": QUEUE_RECORDS,
        "topic.metadata.propagation.max.ms": TOPIC_WAIT_MS,
        # Java's partitioner, so that a key lies in the partition where other producers' records with it lie.
        "partitioner": "murmur2_random",
        **_extra(cluster, without=_CONSUMER_ONLY),
        "delivery.timeout.ms": DELIVERY_TIMEOUT_MS,
    }


def consumer_properties(cluster: Cluster, *, ca_file: str, group_id: str, member: str = "") -> Properties:
    """For a member of a group, or for a reader whose `group_id` never commits anything.

    `member` makes the membership static (KIP-345): it must be unique in the group, and keeps its partitions across a
    restart within the session's timeout.
    """
    extra = _extra(cluster, without=_PRODUCER_ONLY)
    # With the new protocol (KIP-848) these are the broker's business, and the client refuses them.
    classic: Properties = (
        {}
        if extra.get("group.protocol") == "consumer"
        else {
            "partition.assignment.strategy": "cooperative-sticky",
            "session.timeout.ms": 10_000,
        }
    )
    return {
        **_connection(cluster, ca_file),
        "group.id": group_id,
        # Only for an offset that is no longer there; where a new group begins is said to `subscribe`.
        "auto.offset.reset": "earliest",
        "enable.auto.commit": False,
        "enable.auto.offset.store": False,
        "enable.partition.eof": True,
        **classic,
        **({"group.instance.id": member} if member else {}),
        # Slow workflows behind it: prefetch little (the defaults are 100,000 records and 64 MiB).
        "queued.min.messages": 1000,
        "queued.max.messages.kbytes": 8192,
        # With so little it is full often; by default the library looks again a second later.
        "fetch.queue.backoff.ms": 10,
        **extra,
    }


def reader_properties(cluster: Cluster, *, ca_file: str, group_id: str) -> Properties:
    """For one call of a tool that reads: a group it is a member of, or none, and little memory."""
    properties = consumer_properties(cluster, ca_file=ca_file, group_id=group_id or NO_GROUP)
    return {
        **properties,
        "queued.max.messages.kbytes": READER_KBYTES,
        "queued.min.messages": READER_RECORDS,
        "fetch.max.bytes": READER_FETCH_BYTES,
    }


def admin_properties(cluster: Cluster, *, ca_file: str) -> Properties:
    """For looking at topics and creating them."""
    return {**_connection(cluster, ca_file), **_extra(cluster, without=_PRODUCER_ONLY | _CONSUMER_ONLY)}


def _connection(cluster: Cluster, ca_file: str) -> Properties:
    properties: Properties = {
        "bootstrap.servers": ",".join(cluster.servers),
        "security.protocol": cluster.protocol,
        "client.id": "kafka-bridge",
        "socket.keepalive.enable": True,
        # A peer that vanished without a word (a dropped NAT entry) is noticed after this, not after a minute.
        "socket.timeout.ms": 10_000,
        "reconnect.backoff.max.ms": 1000,
    }
    if cluster.uses_tls:
        properties |= _tls(cluster, ca_file)
    if cluster.uses_sasl:
        properties |= _sasl(cluster, ca_file)
    return properties


def _tls(cluster: Cluster, ca_file: str) -> Properties:
    properties: Properties = {"ssl.ca.pem": cluster.ca_pem} if cluster.ca_pem else {"ssl.ca.location": ca_file}
    if cluster.certificate_pem and cluster.key_pem:
        properties["ssl.certificate.pem"] = cluster.certificate_pem
        properties["ssl.key.pem"] = cluster.key_pem.reveal()
        if cluster.key_password:
            properties["ssl.key.password"] = cluster.key_password.reveal()
    return properties


def _sasl(cluster: Cluster, ca_file: str) -> Properties:
    password = cluster.password.reveal() if cluster.password else ""
    if cluster.mechanism != "OAUTHBEARER":
        return {"sasl.mechanism": cluster.mechanism, "sasl.username": cluster.username, "sasl.password": password}
    properties: Properties = {
        "sasl.mechanism": "OAUTHBEARER",
        "sasl.oauthbearer.method": "oidc",
        "sasl.oauthbearer.client.id": cluster.username,
        "sasl.oauthbearer.client.secret": password,
        "sasl.oauthbearer.token.endpoint.url": cluster.oauth_token_url,
    }
    if "https.ca.pem" not in dict(cluster.client_config):
        properties["https.ca.location"] = ca_file
    if cluster.oauth_scope:
        properties["sasl.oauthbearer.scope"] = cluster.oauth_scope
    return properties


def _extra(cluster: Cluster, *, without: frozenset[str]) -> Mapping[str, Scalar]:
    return {name: value for name, value in cluster.client_config if name in ALLOWED and name not in without}
