"""What lies in Kafka runs a workflow: webhook → topic → `/consume` → workflow → results, and how long that takes."""

import statistics
import threading
import time
import uuid
from typing import Any, Final

import httpx
import orjson
from rich.console import Console

from devhost.demo.checks import Checks
from devhost.demo.records import Tail
from devhost.senders import SENDERS

SOURCE: Final = "orders"
TOPIC: Final = "demo.orders"
RESULTS: Final = "demo.results"
DEAD_LETTERS: Final = f"{TOPIC}.dead-letter"
_ORDERS: Final = 8
_MAX_SECONDS: Final = 60
_MS: Final = 1000


def triage(inputs: dict[str, Any]) -> dict[str, Any]:
    """In the place of a Dify workflow: says what to do with an order."""
    if inputs["amount"] < 0:
        raise ValueError("an amount below zero")
    return {"decision": "review" if inputs["amount"] >= 5 else "ship", "event": inputs["event_id"]}  # noqa: PLR2004


class Workflow:
    """The scene. `token` is the endpoint's, `secret` that of the source."""

    def __init__(self, console: Console, checks: Checks, *, url: str, bootstrap: str, token: str, secret: str) -> None:
        self._console = console
        self._checks = checks
        self._url = url
        self._bootstrap = bootstrap
        self._secret = secret
        self._client = httpx.Client(timeout=_MAX_SECONDS + 30.0, trust_env=False)
        self._authorized = {"Authorization": f"Bearer {token}"}
        self._answer: httpx.Response | None = None

    def run(self) -> None:
        """A window is open while orders come in; then what it says of itself is held against what lies in Kafka."""
        self._console.print("\n[bold]POST /consume[/]  [dim]a window of the consumer, open while orders come in[/]")
        # The first order makes the topic, and waits for the consumer to join its group.
        first = self._deliver(0)
        window = threading.Thread(target=self._consume)
        window.start()
        delays = list[float]()
        with Tail(self._bootstrap, RESULTS) as results:
            ran = [self._has_run(results, first, 0)[0]]
            for number in range(1, _ORDERS):
                found, delay_ms = self._has_run(results, self._deliver(number), number)
                ran.append(found)
                delays.append(delay_ms)
        self._checks.that(f"each of {_ORDERS} orders ran, and its result is in {RESULTS}", holds=all(ran))
        self._console.print(
            f"  from the webhook's answer to the result in Kafka: {statistics.median(delays):.0f} ms"
            f" (median of {len(delays)}; slowest {max(delays):.0f} ms)"
        )
        poison = self._deliver(-1)
        with Tail(self._bootstrap, DEAD_LETTERS) as dead_letters:
            buried = dead_letters.find("ce_id", poison)
        headers = dict(buried.headers() or ()) if buried else {}
        self._checks.that(
            f"an order whose runs fail is in {DEAD_LETTERS}, with the reason",
            holds=b"below zero" in (headers.get("__connect.errors.exception.message") or b""),
        )
        window.join()
        self._count()

    def _has_run(self, results: Tail, event_id: str, number: int) -> tuple[bool, float]:
        """Whether the result is there and right, and after how many milliseconds."""
        began = time.perf_counter()
        result = results.find("ce_causationid", event_id)
        delay_ms = (time.perf_counter() - began) * _MS
        decision = orjson.loads(result.value() or b"null") if result else None
        wanted = {"decision": "review" if number >= 5 else "ship", "event": event_id}  # noqa: PLR2004
        return decision == wanted, delay_ms

    def _deliver(self, amount: int) -> str:
        event_id = f"order-{uuid.uuid4().hex[:8]}"
        body = orjson.dumps({"event_type": "order.placed", "id": event_id, "amount": amount})
        signed = SENDERS["hmac"](self._secret, body, time.time(), event_id)
        answer = self._client.post(
            f"{self._url}/webhook/{SOURCE}", content=body, headers={**signed, "Content-Type": "application/json"}
        )
        return str(answer.raise_for_status().json()["id"])

    def _consume(self) -> None:
        asked = {"max_records": _ORDERS + 1, "max_seconds": _MAX_SECONDS, "wait": True}
        self._answer = self._client.post(f"{self._url}/consume", json=asked, headers=self._authorized)

    def _count(self) -> None:
        answer = self._answer
        assert answer is not None
        self._console.print(f"  {answer.status_code} {answer.text}", markup=False, style="dim")
        said = answer.json() if answer.is_success else {}
        told = {name: said.get(name) for name in ("consumed", "succeeded", "dead_lettered", "lag")}
        wanted = {"consumed": _ORDERS + 1, "succeeded": _ORDERS, "dead_lettered": 1, "lag": 0}
        self._checks.that("the window counts them, and nothing is left", holds=told == wanted)
