"""Ten thousand random requests (fewer outside the soak): the process survives, and the topics hold exactly the 2xx."""

import asyncio
import json
import random
import secrets
import string
import time
from dataclasses import dataclass, field

import pytest

from devhost.broker import EmbeddedBroker
from devhost.host import BackgroundHost
from devhost.senders import SENDERS
from tests.brokers import SOAK
from tests.e2e.topics import Topics

pytestmark = pytest.mark.slow

REQUESTS = 10_000 if SOAK else 1500
IN_FLIGHT = 32
SECRET = "whsec_" + "A" * 32


@dataclass
class Fuzz:
    """Random requests against random settings. The seed is printed when something fails."""

    seed: int
    bootstrap: str
    statuses: dict[int, int] = field(default_factory=dict)
    broken: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)

    def settings(self) -> dict[str, object]:
        """Settings that mostly work, with a few values replaced by nonsense."""
        settings: dict[str, object] = {
            "bootstrap_servers": self.bootstrap,
            "scheme": self.random.choice([*SENDERS]),
            "webhook_secret": SECRET,
            "topic": self.random.choice(
                ["fuzz.{source}", "fuzz", "fuzz.{type}", "fuzz-{body.a}", "{header.x-a}", "fuzz-2", "fuzz-3"]
            ),
            "key": self.random.choice(["", "{id}", "{body.a.0}", "{type}"]),
        }
        for _ in range(self.random.choice([0, 0, 0, 0, 0, 1, 2])):
            settings[self.random.choice([*settings, "sources", "client_config", "topic_allow"])] = self.nonsense()
        return settings

    def nonsense(self) -> object:
        return self.random.choice(
            [None, "", " ", "{", "[]", 7, [], {}, "\x00", "é" * 50, "x" * 300, '{"a": 1}', "\N{GRINNING FACE}"]
        )

    def body(self) -> bytes:
        kind = self.random.randrange(6)
        if kind == 0:
            return self.random.randbytes(self.random.choice([0, 1, 5, 100, 5000]))
        if kind == 1:
            return b'{"id":' * self.random.randrange(2000)
        if kind == 2:
            return b"x" * self.random.choice([999_000, 1_000_001, 3_000_000])
        document = {
            self.random.choice(["id", "event_id", "type", "event_type", "event", "a", "action"]): self.value(3)
            for _ in range(self.random.randrange(6))
        }
        return json.dumps(document).encode("utf-8", "surrogatepass")

    def value(self, depth: int) -> object:
        kind = self.random.randrange(8 if depth else 6)
        text = "".join(self.random.choices(string.printable + "é漢\u202e\x00", k=self.random.randrange(40)))
        return [
            text,
            self.random.random() * 1e9,
            self.random.getrandbits(80),
            None,
            True,
            "order.paid",
            [self.value(depth - 1)] if depth else 0,
            {"a": self.value(depth - 1)} if depth else 0,
        ][kind]

    def headers(self, signed: dict[str, str]) -> list[tuple[bytes, bytes]]:
        headers = [(name.encode(), value.encode()) for name, value in signed.items()]
        for _ in range(self.random.randrange(4)):
            name = self.random.choice(
                [
                    b"Content-Type",
                    b"X-A",
                    b"x-github-event",
                    b"X-A",
                    b"Accept",
                    b"X-B",
                    b"X-C",
                    b"X_Y" if self.random.random() < 0.3 else b"webhook-id",
                ]
            )
            size = self.random.choice([0, 3, 20, 9000])
            alphabet = string.printable[:95] if self.random.random() < 0.97 else "\xff\xc3\xa9\x80"
            value = "".join(self.random.choices(alphabet, k=size)).strip().encode("latin-1")
            headers.insert(self.random.randrange(len(headers) + 1), (name, value))
        if self.random.random() < 0.05 and headers:
            headers.append(self.random.choice(headers))
        return headers

    def request(self, hook: str, scheme: str) -> bytes:
        """One request, byte for byte; half of them are signed as they should be."""
        body = self.body()
        good = self.random.random() < 0.5
        signed = SENDERS.get(scheme, SENDERS["hmac"])(
            SECRET if good else "guess" * 8, body, time.time(), f"e-{self.random.random()}"
        )
        if not good and signed and self.random.random() < 0.5:
            name = self.random.choice([*signed])
            signed[name] = "".join(self.random.choices(string.ascii_letters + "=,. é", k=self.random.randrange(60)))
        path = self.random.choice(
            ["webhook"] * 20 + ["webhook/", "webhook/default", "webhook/x", "health", "", "a//b?x=%zz"]
        )
        method = self.random.choice(["POST"] * 30 + ["GET", "PUT", "DELETE", "OPTIONS", "HEAD"])
        lines = [f"{method} /e/{hook}/{path} HTTP/1.1".encode(), b"Host: fuzz", b"Connection: close"]
        lines += [name + b": " + value for name, value in self.headers(signed)]
        lines.append(b"Content-Length: %d" % len(body))
        return b"\r\n".join(lines) + b"\r\n\r\n" + body

    async def exchange(self, port: int, raw: bytes) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            writer.write(raw)
            await writer.drain()
            answer = await asyncio.wait_for(reader.read(), 30)
        except ConnectionError:
            answer = b""
        finally:
            writer.close()
        status = int(answer.split(b" ", 2)[1]) if answer.startswith(b"HTTP/1.1 ") else 0
        self.statuses[status] = self.statuses.get(status, 0) + 1
        if b"Traceback" in answer and b"deserialize_request" not in answer:
            self.broken.append(answer.decode("latin-1")[-2000:])
        if raw.startswith(b"POST") and b"/webhook" in raw[:60] and status == 200:
            # A duplicate lies there already; of a batch each record is told.
            self.accepted += answer.count(b'"duplicate":false')

    accepted: int = 0


def test_random_requests_leave_exactly_the_accepted_ones_in_kafka(figures):
    broker = EmbeddedBroker()
    fuzz = Fuzz(secrets.randbits(32), broker.bootstrap)
    hooks = {f"h{number}": fuzz.settings() for number in range(60)}
    try:
        with BackgroundHost(endpoints=hooks, bootstrap=broker.bootstrap) as host:
            requests = [
                fuzz.request(hook, str(hooks[hook].get("scheme")))
                for hook in (fuzz.random.choice([*hooks]) for _ in range(REQUESTS))
            ]
            asyncio.run(send_all(fuzz, host.host.port, requests))
            survived, starts = host.pid is not None, host.host.plugin.starts
            incidents = [line for kind, line in host.lines if "incident" in line]
        figures(f"fuzz: seed {fuzz.seed}, {REQUESTS} requests, answers {dict(sorted(fuzz.statuses.items()))}")
        assert (survived, starts) == (True, 1), f"seed {fuzz.seed}"
        assert fuzz.broken == [], f"seed {fuzz.seed}"
        assert incidents == [], f"seed {fuzz.seed}"
        assert fuzz.accepted > REQUESTS / 10, "too few requests were accepted to prove anything"
        assert Topics(broker.bootstrap).total() == fuzz.accepted, f"seed {fuzz.seed}"
    finally:
        broker.close()


async def send_all(fuzz: Fuzz, port: int, requests: list[bytes]) -> None:
    pending = iter(requests)

    async def worker() -> None:
        for raw in pending:
            await fuzz.exchange(port, raw)

    await asyncio.gather(*(worker() for _ in range(IN_FLIGHT)))
