"""Everything that a connection to a cluster depends on. Pure."""

import hashlib
import re
from dataclasses import dataclass
from functools import cached_property
from typing import Final
from urllib.parse import urlsplit

import orjson

from kafka_bridge.settings import pem
from kafka_bridge.settings.reader import Reader
from kafka_bridge.settings.secret import Secret
from kafka_bridge.settings.table import AUTO

_SERVER: Final = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(:[0-9]{1,5})?")
_OAUTH: Final = "OAUTHBEARER"
# The client library has a thread and two file descriptors for each of them; the others are found through any.
MAX_SERVERS: Final = 20
MAX_PROPERTIES: Final = 100

type Scalar = str | int | float | bool


@dataclass(frozen=True)
class Cluster:
    """A cluster and the credentials for it.

    `protocol` is one of Kafka's four; `mechanism` and the credentials are set when it is a SASL one.
    For OAUTHBEARER the user name is the client id and the password the client secret.
    """

    servers: tuple[str, ...]
    protocol: str
    mechanism: str = ""
    username: str = ""
    password: Secret | None = None
    oauth_token_url: str = ""
    oauth_scope: str = ""
    ca_pem: str = ""
    certificate_pem: str = ""
    key_pem: Secret | None = None
    key_password: Secret | None = None
    client_config: tuple[tuple[str, Scalar], ...] = ()

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 over all of it, the secrets included: a rotated password is another connection. Never shown."""
        fields = [
            self.servers,
            self.protocol,
            self.mechanism,
            self.username,
            _revealed(self.password),
            self.oauth_token_url,
            self.oauth_scope,
            self.ca_pem,
            self.certificate_pem,
            _revealed(self.key_pem),
            _revealed(self.key_password),
            self.client_config,
        ]
        return hashlib.sha256(orjson.dumps(fields)).hexdigest()

    @property
    def uses_sasl(self) -> bool:
        """Whether the client authenticates by SASL."""
        return self.protocol.startswith("SASL_")

    @property
    def uses_tls(self) -> bool:
        """Whether the connection is encrypted."""
        return self.protocol.endswith("SSL")


def read_cluster(reader: Reader) -> Cluster | None:
    """The cluster of the saved settings; None when they do not describe one, with the problems noted in `reader`."""
    before = len(reader.problems)
    certificate, key = _pem(reader, "ssl_certificate_pem", "CERTIFICATE"), _pem(reader, "ssl_key_pem", "PRIVATE KEY")
    ca = _pem(reader, "ssl_ca_pem", "CERTIFICATE")
    username, password = reader.text("sasl_username"), reader.secret("sasl_password")
    protocol = _protocol(reader, credentials=bool(username and password), certificates=bool(ca or certificate))
    sasl = protocol.startswith("SASL_")
    cluster = Cluster(
        servers=_servers(reader),
        protocol=protocol,
        mechanism=reader.choice("sasl_mechanism") if sasl else "",
        username=username if sasl else "",
        password=password if sasl else None,
        oauth_token_url=reader.text("oauth_token_url"),
        oauth_scope=reader.text("oauth_scope"),
        ca_pem=ca,
        certificate_pem=certificate,
        key_pem=Secret(key) if key else None,
        key_password=reader.secret("ssl_key_password"),
        client_config=_client_config(reader),
    )
    if bool(username) != bool(password):
        reader.problem("sasl_password" if username else "sasl_username", "missing: user name and password go together")
    _check(reader, cluster)
    return cluster if len(reader.problems) == before else None


def _protocol(reader: Reader, *, credentials: bool, certificates: bool) -> str:
    # The rules of the field: whoever gives a user and a password wants them used, and never in the clear by accident.
    chosen = reader.choice("security_protocol")
    if credentials and not chosen.startswith("SASL_"):
        return "SASL_SSL"
    if chosen == AUTO:
        return "SSL" if certificates else "PLAINTEXT"
    return chosen


def _servers(reader: Reader) -> tuple[str, ...]:
    before = len(reader.problems)
    servers = reader.names("bootstrap_servers", most=MAX_SERVERS)
    if not servers and len(reader.problems) == before:
        reader.problem("bootstrap_servers", "missing")
    if not all(map(_is_server, servers)):
        text = "must be host:port, several separated by commas; only localhost and names with a dot go without a port"
        reader.problem("bootstrap_servers", text)
    return servers


def _is_server(text: str) -> bool:
    match = _SERVER.fullmatch(text)
    if match is None:
        return False
    host, port = match.groups()
    if port is None:
        # A bare word is as likely a password in the wrong field, and a server's name is shown in the log.
        return host == "localhost" or host.startswith("[") or "." in host.strip(".")
    return int(port[1:]) in range(1, 65536)


def _pem(reader: Reader, name: str, expect: str) -> str:
    text = reader.secret(name)
    if text is None:
        return ""
    try:
        return pem.normalise(text.reveal(), expect=expect)
    except pem.NotPem as error:
        reader.problem(name, str(error))
        return ""


def _client_config(reader: Reader) -> tuple[tuple[str, Scalar], ...]:
    pairs: list[tuple[str, Scalar]] = []
    for name, value in sorted(reader.json_object("client_config", most=MAX_PROPERTIES).items()):
        if not isinstance(value, str | int | float | bool):
            reader.problem("client_config", "every value must be a text, a number, true or false")
            break
        pairs.append((name, value))
    return tuple(pairs)


def _check(reader: Reader, cluster: Cluster) -> None:
    if cluster.uses_sasl:
        if not cluster.username and not cluster.password:
            reader.problem("sasl_username", f"missing: {cluster.protocol} needs it, and a password")
        if cluster.mechanism == _OAUTH and not _is_http_url(cluster.oauth_token_url):
            reader.problem("oauth_token_url", "must be an http(s) URL: OAUTHBEARER fetches its tokens there")
    if bool(cluster.certificate_pem) != bool(cluster.key_pem):
        missing = "ssl_key_pem" if cluster.certificate_pem else "ssl_certificate_pem"
        reader.problem(missing, "missing: a client certificate and its key go together")
    if cluster.key_pem and "ENCRYPTED" in cluster.key_pem.reveal() and not cluster.key_password:
        reader.problem("ssl_key_password", "missing: the client key is encrypted")


def _is_http_url(text: str) -> bool:
    try:
        url = urlsplit(text)
    except ValueError:
        return False
    return url.scheme in {"http", "https"} and bool(url.hostname)


def _revealed(secret: Secret | None) -> str | None:
    return secret.reveal() if secret else None
