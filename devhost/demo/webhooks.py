"""Senders deliver; a forged request and an old one are refused."""

import time
import uuid
from dataclasses import dataclass

import httpx
import orjson
from rich.console import Console

from devhost.demo.checks import Checks
from devhost.demo.records import end_offsets, read_back
from devhost.senders import SENDERS


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


class Webhooks:
    """The scenes. `url` is the endpoint's, `keys` has each source's secret."""

    def __init__(self, console: Console, checks: Checks, *, url: str, bootstrap: str, keys: dict[str, str]) -> None:
        self._console = console
        self._checks = checks
        self._url = url
        self._bootstrap = bootstrap
        self._keys = keys
        self._client = httpx.Client(timeout=30.0, trust_env=False)
        self.sent: list[str] = []
        """The ids of the events that were acknowledged."""

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
        self._checks.that("the answer is a 200 with the record's coordinates", holds=answer.status_code == 200)  # noqa: PLR2004
        if answer.status_code != 200:  # noqa: PLR2004
            return
        found = answer.json()
        self.sent.append(found["id"])
        message = read_back(self._bootstrap, found["topic"], found["partition"], found["offset"])
        headers = dict(message.headers() or ()) if message else {}
        if message is not None:
            shown = ", ".join(f"{name}={value.decode()}" for name, value in headers.items() if isinstance(value, bytes))
            self._console.print(f"  Kafka has: key={message.key()!r} {shown}", markup=False, style="dim")
        self._checks.that(
            "a separate Kafka client reads the same bytes at these coordinates",
            holds=message is not None and message.value() == body,
        )
        self._checks.that(
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
        before = end_offsets(self._bootstrap)
        self._console.print(f"\n[bold]POST {path}[/]  [dim]{what}[/]")
        answer = self._client.post(self._url + path, content=body, headers=headers)
        self._console.print(f"  {answer.status_code} {answer.text}", markup=False, style="dim")
        self._checks.that("the answer is a 401 that does not say why", holds=answer.status_code == 401)  # noqa: PLR2004
        self._checks.that("nothing was written to Kafka", holds=end_offsets(self._bootstrap) == before)

    def _health(self) -> None:
        self._console.print("\n[bold]GET /health[/]")
        answer = self._client.get(f"{self._url}/health")
        self._console.print(f"  {answer.status_code} {answer.text}", markup=False, style="dim")
        self._checks.that("the endpoint says that it is healthy", holds=answer.status_code == 200)  # noqa: PLR2004
