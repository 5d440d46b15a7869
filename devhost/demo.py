"""`make demo`: what the plugin promises, shown on real parts and checked line by line.

A broker, the plugin's own process and the local host; senders that sign as the vendors do; a separate Kafka client
that reads every record back.
"""

import base64
import secrets
import signal
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

import httpx
import orjson
from confluent_kafka import OFFSET_BEGINNING, Consumer, Message, TopicPartition
from rich.console import Console

from devhost.host import BackgroundHost
from devhost.senders import SENDERS

HOOK: Final = "demo"
_READ_TIMEOUT_S: Final = 15.0


@dataclass
class Checks:
    """Counts what was claimed, and says it."""

    console: Console
    passed: int = 0
    failed: list[str] = field(default_factory=list)

    def that(self, claim: str, *, holds: bool) -> None:
        """Check one claim."""
        if holds:
            self.passed += 1
        else:
            self.failed.append(claim)
        self.console.print(f"  {'[green]✓[/]' if holds else '[red]✗[/]'} {claim}")


@dataclass(frozen=True, slots=True)
class Delivery:
    """One sender's request of the demo."""

    scheme: str
    source: str
    payload: dict[str, object]
    event_type: str


def deliveries() -> list[Delivery]:
    """Payloads in the form that the vendors send."""
    marker = uuid.uuid4().hex[:8]
    return [
        Delivery("github", "github", {"ref": "refs/heads/main", "repository": {"full_name": "acme/shop"}}, "push"),
        Delivery(
            "stripe",
            "stripe",
            {
                "id": f"evt_{marker}",
                "object": "event",
                "type": "invoice.paid",
                "data": {"object": {"customer": "cus_1"}},
            },
            "invoice.paid",
        ),
        Delivery("standard-webhooks", "svix", {"type": "user.created", "data": {"id": marker}}, "user.created"),
        Delivery(
            "hmac", "shop", {"event_type": "order.paid", "id": f"order-{marker}", "customer": "c-7"}, "order.paid"
        ),
    ]


class Demo:
    """One run."""

    def __init__(self, console: Console, host: BackgroundHost, keys: dict[str, str]) -> None:
        self._console = console
        self._host = host
        self._keys = keys
        self._url = host.url(HOOK)
        self._client = httpx.Client(timeout=30.0, trust_env=False)
        self._read: list[Message] = []
        self.checks = Checks(console)

    def run(self) -> None:
        """All scenes."""
        for delivery in deliveries():
            self._deliver(delivery)
        self._forge()
        self._replay_old_signature()
        self._health()

    def _deliver(self, delivery: Delivery) -> None:
        body = orjson.dumps(delivery.payload)
        event_id = f"msg_{uuid.uuid4().hex[:12]}"
        signed = SENDERS[delivery.scheme](self._keys[delivery.source], body, time.time(), event_id)
        path = f"/webhook/{delivery.source}"
        self._console.print(f"\n[bold]POST {path}[/]  [dim]{delivery.scheme}, {len(body)} bytes, signed[/]")
        answer = self._client.post(
            self._url + path, content=body, headers={**signed, "Content-Type": "application/json"}
        )
        self._console.print(f"  {answer.status_code} {answer.text}", markup=False, style="dim")
        self.checks.that("the answer is a 200 with the record's coordinates", holds=answer.status_code == 200)  # noqa: PLR2004
        if answer.status_code != 200:  # noqa: PLR2004
            return
        found = answer.json()
        message = read_back(self._host.bootstrap, found["topic"], found["partition"], found["offset"])
        headers = dict(message.headers() or ()) if message else {}
        if message is not None:
            shown = ", ".join(f"{name}={value.decode()}" for name, value in headers.items() if isinstance(value, bytes))
            self._console.print(f"  Kafka has: key={message.key()!r} {shown}", markup=False, style="dim")
        self.checks.that(
            "a separate Kafka client reads the same bytes at these coordinates",
            holds=message is not None and message.value() == body,
        )
        self.checks.that(
            f"the record is a CloudEvent of the type {delivery.event_type}",
            holds=headers.get("ce_type") == delivery.event_type.encode()
            and headers.get("ce_id") == found["id"].encode(),
        )

    def _forge(self) -> None:
        body = orjson.dumps({"event_type": "order.paid", "id": "forged", "amount": 1_000_000})
        forged = SENDERS["hmac"]("a guess", body, time.time(), "x")
        self._refused("a forged signature", "/webhook/shop", body, forged)
        self._refused("no signature at all", "/webhook/github", body, {})

    def _replay_old_signature(self) -> None:
        body = orjson.dumps({"id": "evt_old", "type": "invoice.paid"})
        old = SENDERS["stripe"](self._keys["stripe"], body, time.time() - 3600, "x")
        self._refused("a true signature that is an hour old", "/webhook/stripe", body, old)

    def _refused(self, what: str, path: str, body: bytes, headers: dict[str, str]) -> None:
        before = end_offsets(self._host.bootstrap)
        self._console.print(f"\n[bold]POST {path}[/]  [dim]{what}[/]")
        answer = self._client.post(self._url + path, content=body, headers=headers)
        self._console.print(f"  {answer.status_code} {answer.text}", markup=False, style="dim")
        self.checks.that("the answer is a 401 that does not say why", holds=answer.status_code == 401)  # noqa: PLR2004
        self.checks.that("nothing was written to Kafka", holds=end_offsets(self._host.bootstrap) == before)

    def _health(self) -> None:
        self._console.print("\n[bold]GET /health[/]")
        answer = self._client.get(f"{self._url}/health")
        self._console.print(f"  {answer.status_code} {answer.text}", markup=False, style="dim")
        self.checks.that("the endpoint says that it is healthy", holds=answer.status_code == 200)  # noqa: PLR2004


def run_demo(console: Console, *, once: bool, port: int, bootstrap: str) -> int:
    """Run the demo; the exit status."""
    keys = {source: secrets.token_urlsafe(24) for source in ("github", "stripe", "shop")}
    keys["svix"] = "whsec_" + base64.b64encode(secrets.token_bytes(24)).decode()
    settings = {
        "sources": orjson.dumps(
            {
                delivery.source: {"scheme": delivery.scheme, "topic": "demo.{source}", "key": "{type}"}
                for delivery in deliveries()
            }
        ).decode(),
        "source_secrets": orjson.dumps(keys).decode(),
        "api_token": (token := secrets.token_urlsafe(24)),
    }
    console.print("Starting a broker, the plugin's process and the local host …")
    with BackgroundHost(endpoints={HOOK: settings}, port=0 if once else port, bootstrap=bootstrap) as host:
        demo = Demo(console, host, keys)
        demo.run()
        passed, failed = demo.checks.passed, demo.checks.failed
        if not once:
            console.print(f"\n{passed} checks passed, {len(failed)} failed")
            console.print(_try_it(host, keys["shop"], token), markup=False)
            _wait_for_ctrl_c()
    if once:
        console.print(f"{passed} checks passed, {len(failed)} failed")
    return 1 if failed else 0


def _try_it(host: BackgroundHost, secret: str, token: str) -> str:
    """Lines for a terminal: send one, forge one, look."""
    url = host.url(HOOK)
    return f"""
The endpoint stays up at {url}, Kafka at {host.bootstrap}. Ctrl-C ends both. Try it from another terminal:

  BODY='{{"event_type":"order.paid","id":"order-1"}}'
  SIGNATURE=$(printf %s "$BODY" | openssl dgst -sha256 -hmac '{secret}' | sed 's/.* //')
  curl -i {url}/webhook/shop -d "$BODY" -H 'Content-Type: application/json' -H "X-Webhook-Signature: $SIGNATURE"
  curl -i {url}/webhook/shop -d "$BODY forged" -H "X-Webhook-Signature: $SIGNATURE"
  curl {url}/health -H 'Authorization: Bearer {token}'
  kcat -b {host.bootstrap} -C -t demo.shop -e -f '%h\\n%s\\n'
"""


def read_back(bootstrap: str, topic: str, partition: int, offset: int) -> Message | None:
    """The record at these coordinates, read by a client of its own; None when it is not there."""
    with _reader(bootstrap) as consumer:
        consumer.assign([TopicPartition(topic, partition, offset)])
        deadline = time.monotonic() + _READ_TIMEOUT_S
        while time.monotonic() < deadline:
            message = consumer.poll(0.5)
            if message is not None and message.error() is None:
                return message
    return None


def end_offsets(bootstrap: str) -> dict[tuple[str, int], int]:
    """How many records every partition of the demo's topics holds."""
    with _reader(bootstrap) as consumer:
        topics = consumer.list_topics(timeout=_READ_TIMEOUT_S).topics.values()
        return {
            (topic.topic, partition): consumer.get_watermark_offsets(
                TopicPartition(topic.topic, partition, OFFSET_BEGINNING), timeout=_READ_TIMEOUT_S
            )[1]
            for topic in topics
            if topic.topic.startswith("demo.")
            for partition in topic.partitions
        }


@contextmanager
def _reader(bootstrap: str) -> Iterator[Consumer]:
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "demo-reader", "enable.auto.commit": False})
    try:
        yield consumer
    finally:
        consumer.close()


def _wait_for_ctrl_c() -> None:
    stop = threading.Event()
    # Also where a shell has started it in the background, with SIGINT ignored.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    stop.wait()
