"""The resident consumer: with one switch a webhook runs its workflow, by way of Kafka; and how soon it does."""

import statistics
import threading
import time
import uuid
from typing import Any, Final

import httpx
import orjson
from rich.console import Console

from devhost.demo.checks import Checks
from devhost.demo.records import SHORT_FETCH

HOOK: Final = "live"
APP: Final = "live"
TOPIC: Final = "demo.live"
_WEBHOOKS: Final = 40
_PATIENCE_S: Final = 30.0
_BAR_MS: Final = 100.0
_MS: Final = 1000


class Clock:
    """In the place of a Dify workflow: notes when its run for an event starts."""

    def __init__(self) -> None:
        self._started: dict[str, float] = {}
        self._changed = threading.Condition()

    def __call__(self, inputs: dict[str, Any]) -> dict[str, Any]:
        """The workflow."""
        now = time.perf_counter()
        with self._changed:
            self._started.setdefault(str(inputs["event_id"]), now)
            self._changed.notify_all()
        return {}

    def started(self, event_id: str) -> float | None:
        """When the run for an event has started; None when it does not."""
        with self._changed:
            self._changed.wait_for(lambda: event_id in self._started, _PATIENCE_S)
            return self._started.get(event_id)


def settings(token: str) -> dict[str, object]:
    """Those of the endpoint: a webhook goes to the topic that its own consumer reads."""
    return {
        "scheme": "none",
        "topic": TOPIC,
        "consume_topics": TOPIC,
        "group_id": "demo-live",
        "app": {"app_id": APP},
        "consumer": "enabled",
        "offset_reset": "earliest",
        "client_config": orjson.dumps(dict(SHORT_FETCH)).decode(),
        "api_token": token,
    }


class Resident:
    """The scene. `url` is the endpoint's, `clock` its app."""

    def __init__(self, console: Console, checks: Checks, *, url: str, token: str, clock: Clock) -> None:
        self._console = console
        self._checks = checks
        self._url = url
        self._clock = clock
        self._client = httpx.Client(timeout=_PATIENCE_S, trust_env=False)
        self._authorized = {"Authorization": f"Bearer {token}"}

    def run(self) -> None:
        """Webhooks, one after the other; the first one starts the consumer and waits for it to join its group."""
        self._console.print("\n[bold]POST /webhook[/]  [dim]of an endpoint whose resident consumer is enabled[/]")
        first = self._run_of()
        delays = [self._run_of() for _ in range(_WEBHOOKS)]
        known = [delay for delay in (first, *delays) if delay is not None]
        self._checks.that(
            f"each of {len(delays) + 1} webhooks runs the workflow, and nobody calls /consume",
            holds=len(known) == len(delays) + 1,
        )
        if not known[1:]:
            return
        median = statistics.median(known[1:])
        self._console.print(
            f"  from the webhook to the start of its workflow, through Kafka: {median:.0f} ms"
            f" (median of {len(known) - 1}; slowest {max(known[1:]):.0f} ms)"
        )
        self._checks.that(f"that is no more than {_BAR_MS:.0f} ms at the median", holds=median <= _BAR_MS)
        told = self._client.get(f"{self._url}/consumer", headers=self._authorized).json()
        self._checks.that(
            "/consumer says that it runs, and that nothing is left",
            holds=(told["resident"]["state"], told["lag"]) == ("running", 0),
        )

    def _run_of(self) -> float | None:
        """Milliseconds from a webhook's way out to the start of its run."""
        event_id = f"live-{uuid.uuid4().hex[:8]}"
        began = time.perf_counter()
        self._client.post(f"{self._url}/webhook", json={"id": event_id}).raise_for_status()
        started = self._clock.started(event_id)
        return None if started is None else (started - began) * _MS
