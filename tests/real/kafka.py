"""A real Apache Kafka for the tests: one KRaft node from Maven Central, every kind of listener, ACLs.

Facts of the recipe (class names, properties, what the authorizer does) come from Apache Kafka 4.1's documentation and
configuration reference. Everything is made anew per session: certificates, passwords, data, ports.
"""

import contextlib
import fcntl
import os
import random
import secrets
import shutil
import signal
import socket
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

from confluent_kafka.admin import (
    AclBinding,
    AclOperation,
    AclPermissionType,
    AdminClient,
    NewTopic,
    ResourcePatternType,
    ResourceType,
    ScramCredentialInfo,
    ScramMechanism,
    UserScramCredentialUpsertion,
)

VERSION = "4.1.1"
LISTENERS = ("PLAINTEXT", "SASL_PLAINTEXT", "SSL", "SASL_SSL", "CONTROLLER")
POM = f"""<project><modelVersion>4.0.0</modelVersion>
<groupId>test</groupId><artifactId>broker</artifactId><version>1</version><dependencies>
<dependency><groupId>org.apache.kafka</groupId><artifactId>kafka_2.13</artifactId><version>{VERSION}</version></dependency>
<dependency><groupId>org.apache.logging.log4j</groupId><artifactId>log4j-slf4j-impl</artifactId>
<version>2.24.3</version></dependency>
</dependencies></project>
"""


def missing_part() -> str:
    """What this machine lacks for a real broker, empty if nothing."""
    for command in ("java", "mvn", "openssl"):
        if shutil.which(command) is None:
            return f"{command} is not installed"
    version = subprocess.run(["java", "-version"], capture_output=True, text=True, check=False).stderr
    number = version.partition('version "')[2].partition(".")[0]
    return "" if number.isdigit() and int(number) >= 17 else "Java is older than 17"


def fetch_jars(cache: Path) -> Path:
    """The folder with the broker's jars; fetched once."""
    folder = cache / f"kafka-{VERSION}"
    folder.mkdir(parents=True, exist_ok=True)
    # Processes that share the tests ask for them at the same time.
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "complete").exists():
            (folder / "pom.xml").write_text(POM)
            subprocess.run(
                ["mvn", "-q", "-B", "dependency:copy-dependencies", "-DoutputDirectory=lib"],
                cwd=folder,
                check=True,
                timeout=600,
            )
            (folder / "complete").touch()
    return folder / "lib"


def free_ports(count: int) -> list[int]:
    """Ports that are free now.

    Each process that shares the tests has a range of its own, below the one that the system takes ports from: a broker
    that is killed must find them free when it comes back.
    """
    first = 16_000 + 2_000 * int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    found: list[int] = []
    with contextlib.ExitStack() as stack:
        for port in random.sample(range(first, first + 2_000), 2_000):
            one = stack.enter_context(socket.socket())
            with contextlib.suppress(OSError):
                one.bind(("127.0.0.1", port))
                found.append(port)
            if len(found) == count:
                break
    return found


@dataclass
class Authority:
    """A certificate authority of its own, and what it signed. The broker's certificate names localhost only."""

    folder: Path
    name: str = "ca"

    def __post_init__(self) -> None:
        self._run(
            "req",
            "-x509",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-keyout",
            f"{self.name}.key",
            "-out",
            f"{self.name}.pem",
            "-days",
            "2",
            "-subj",
            f"/CN=test-{self.name}",
        )

    @property
    def pem(self) -> str:
        """The authority's certificate."""
        return (self.folder / f"{self.name}.pem").read_text()

    def leaf(self, name: str, extensions: str) -> tuple[str, str]:
        """A certificate for `name` and its key."""
        self._run(
            "req",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-keyout",
            f"{name}.key",
            "-out",
            f"{name}.csr",
            "-subj",
            f"/CN={name}",
        )
        (self.folder / f"{name}.ext").write_text(extensions)
        self._run(
            "x509",
            "-req",
            "-in",
            f"{name}.csr",
            "-CA",
            f"{self.name}.pem",
            "-CAkey",
            f"{self.name}.key",
            "-CAcreateserial",
            "-days",
            "2",
            "-out",
            f"{name}.crt",
            "-extfile",
            f"{name}.ext",
        )
        return (self.folder / f"{name}.crt").read_text(), (self.folder / f"{name}.key").read_text()

    def _run(self, *arguments: str) -> None:
        subprocess.run(["openssl", *arguments], cwd=self.folder, check=True, capture_output=True)


@dataclass
class RealKafka:
    """A running broker.

    `passwords` are made per session; `alice` may do everything, `mallory` writes to `t-ok` only, `nobody` has no rights
    at all, `late` may look at `t-ok` until a test grants more.
    """

    folder: Path
    jars: Path
    auto_create: bool = False
    passwords: dict[str, str] = field(default_factory=dict)
    ports: dict[str, int] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None

    def __post_init__(self) -> None:
        self.passwords = {user: secrets.token_hex(12) for user in ("alice", "mallory", "nobody", "late")}
        self.ports = dict(zip(LISTENERS, free_ports(len(LISTENERS)), strict=True))
        tls = self.folder / "tls"
        tls.mkdir(parents=True)
        self.ca = Authority(tls)
        certificate, key = self.ca.leaf(
            "broker", "subjectAltName=DNS:localhost\nextendedKeyUsage=serverAuth,clientAuth\n"
        )
        (tls / "keystore.pem").write_text(key + certificate + self.ca.pem)
        self.client_certificate, self.client_key = self.ca.leaf("client", "extendedKeyUsage=clientAuth\n")
        (self.folder / "server.properties").write_text(self._properties())
        self._format()

    @property
    def bootstrap(self) -> str:
        """The plaintext listener, whose anonymous user may do everything."""
        return f"127.0.0.1:{self.ports['PLAINTEXT']}"

    def address(self, listener: str) -> str:
        """The listener as a client is told it: TLS ones by the name in the certificate."""
        host = "localhost" if "SSL" in listener else "127.0.0.1"
        return f"{host}:{self.ports[listener]}"

    def start(self) -> None:
        """Start (again) and wait until the broker says that it has started."""
        log = (self.folder / "broker.log").open("ab")
        self.process = subprocess.Popen(
            [*self._java(), "kafka.Kafka", "server.properties"],
            cwd=self.folder,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        log.close()
        admin = AdminClient({"bootstrap.servers": self.bootstrap, "log_level": 0})
        admin.list_topics(timeout=60)

    def freeze(self) -> None:
        """SIGSTOP: the process is there and says nothing."""
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """SIGCONT."""
        assert self.process is not None
        self.process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        """SIGKILL, and wait until it is gone."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def stop(self) -> None:
        """End it."""
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.kill()

    def admin(self) -> AdminClient:
        """An admin client with all rights."""
        return AdminClient({"bootstrap.servers": self.bootstrap, "log_level": 0})

    def create_topics(self, *names: str, partitions: int = 3, config: dict[str, str] | None = None) -> None:
        """Create topics and wait for them."""
        topics = [NewTopic(name, partitions, 1, config=config or {}) for name in names]
        admin = self.admin()
        for future in admin.create_topics(topics).values():
            future.result(20)

    def allow(self, user: str, topic: str, operation: AclOperation, *, allow: bool = True) -> None:
        """Grant (or deny) an operation on a topic and wait for it."""
        permission = AclPermissionType.ALLOW if allow else AclPermissionType.DENY
        binding = AclBinding(
            ResourceType.TOPIC, topic, ResourcePatternType.LITERAL, f"User:{user}", "*", operation, permission
        )
        admin = self.admin()
        for future in admin.create_acls([binding]).values():
            future.result(20)

    def prepare(self) -> None:
        """Users, topics and rights of the security tests."""
        admin = self.admin()
        for mechanism in (ScramMechanism.SCRAM_SHA_256, ScramMechanism.SCRAM_SHA_512):
            # One request each: a user cannot be altered twice in the same one.
            credential = ScramCredentialInfo(mechanism, 4096)
            upserts = [
                UserScramCredentialUpsertion(user, credential, password.encode())
                for user, password in self.passwords.items()
            ]
            for future in admin.alter_user_scram_credentials(upserts).values():
                future.result(20)
        self.create_topics("t-ok", "t-denied", "t-late")
        self.create_topics("t-small", config={"max.message.bytes": "10000"})
        self.create_topics("t-compact", config={"cleanup.policy": "compact"})
        self.allow("alice", "*", AclOperation.ALL)
        self.allow("CN=client", "*", AclOperation.ALL)
        self.allow("mallory", "t-ok", AclOperation.ALL)
        self.allow("mallory", "t-denied", AclOperation.DESCRIBE)
        self.allow("late", "t-ok", AclOperation.DESCRIBE)

    def _java(self) -> list[str]:
        heap = "-Xmx512m"
        return ["java", heap, "-Dlog4j2.level=WARN", "-cp", f"{self.jars}/*"]

    def _format(self) -> None:
        tool = [*self._java(), "kafka.tools.StorageTool"]
        made = subprocess.run([*tool, "random-uuid"], cwd=self.folder, check=True, capture_output=True, text=True)
        subprocess.run(
            [*tool, "format", "-t", made.stdout.strip().splitlines()[-1], "-c", "server.properties"],
            cwd=self.folder,
            check=True,
            capture_output=True,
        )

    def _properties(self) -> str:
        tls = self.folder / "tls"
        security = "org.apache.kafka.common.security"
        plain = " ".join(f'user_{user}="{password}"' for user, password in self.passwords.items())
        protocols = ",".join(f"{name}:{name}" for name in LISTENERS if name != "CONTROLLER") + ",CONTROLLER:PLAINTEXT"
        listeners = ",".join(f"{name}://127.0.0.1:{port}" for name, port in self.ports.items())
        advertised = ",".join(f"{name}://{self.address(name)}" for name in LISTENERS if name != "CONTROLLER")
        lines = [
            "process.roles=broker,controller",
            "node.id=1",
            f"controller.quorum.voters=1@127.0.0.1:{self.ports['CONTROLLER']}",
            "controller.listener.names=CONTROLLER",
            "inter.broker.listener.name=PLAINTEXT",
            f"listeners={listeners}",
            f"advertised.listeners={advertised}",
            f"listener.security.protocol.map={protocols}",
            f"log.dirs={self.folder / 'data'}",
            f"auto.create.topics.enable={str(self.auto_create).lower()}",
            "num.partitions=3",
            "group.initial.rebalance.delay.ms=0",
            "offsets.topic.replication.factor=1",
            "offsets.topic.num.partitions=1",
            "transaction.state.log.replication.factor=1",
            "transaction.state.log.min.isr=1",
            "sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256,SCRAM-SHA-512,OAUTHBEARER",
            "ssl.keystore.type=PEM",
            f"ssl.keystore.location={tls / 'keystore.pem'}",
            "ssl.truststore.type=PEM",
            f"ssl.truststore.location={tls / 'ca.pem'}",
            "listener.name.ssl.ssl.client.auth=required",
            "authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer",
            "super.users=User:ANONYMOUS",
        ]
        for listener in ("sasl_plaintext", "sasl_ssl"):
            prefix = f"listener.name.{listener}"
            lines += [
                f"{prefix}.plain.sasl.jaas.config={security}.plain.PlainLoginModule required {plain};",
                f"{prefix}.scram-sha-256.sasl.jaas.config={security}.scram.ScramLoginModule required;",
                f"{prefix}.scram-sha-512.sasl.jaas.config={security}.scram.ScramLoginModule required;",
                f"{prefix}.oauthbearer.sasl.jaas.config={security}.oauthbearer.OAuthBearerLoginModule required;",
            ]
        return "\n".join(lines) + "\n"
