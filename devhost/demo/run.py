"""The demo, whole."""

import base64
import secrets
import signal
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

import orjson
from rich.console import Console

from devhost.demo import resident, workflow
from devhost.demo.checks import Checks
from devhost.demo.dashboard import Dashboard
from devhost.demo.records import SHORT_FETCH
from devhost.demo.resident import Clock, Resident
from devhost.demo.webhooks import Webhooks, deliveries
from devhost.demo.workflow import Workflow, triage
from devhost.host import BackgroundHost

HOOK: Final = "demo"


@dataclass(frozen=True, slots=True)
class Running:
    """The demo's host, after all scenes."""

    host: BackgroundHost
    checks: Checks
    keys: Mapping[str, str]
    token: str


def run_demo(console: Console, *, once: bool, port: int, bootstrap: str) -> int:
    """Run the demo; the exit status."""
    with running_demo(console, port=0 if once else port, bootstrap=bootstrap) as demo:
        passed, failed = demo.checks.passed, demo.checks.failed
        if not once:
            console.print(f"\n{passed} checks passed, {len(failed)} failed")
            console.print(_try_it(demo.host, demo.keys["shop"], demo.token), markup=False)
            console.print(f"[bold]Dashboard[/]  {demo.host.url(HOOK)}/\n[bold]API token[/]  {demo.token}")
            _wait_for_ctrl_c()
    if once:
        console.print(f"{passed} checks passed, {len(failed)} failed")
    return 1 if failed else 0


@contextmanager
def running_demo(console: Console, *, port: int, bootstrap: str) -> Iterator[Running]:
    """All scenes; what they left behind is there for the block. Raises NotRunning, and OSError for a taken port."""
    keys = {source: secrets.token_urlsafe(24) for source in ("github", "stripe", "shop", workflow.SOURCE)}
    keys["svix"] = "whsec_" + base64.b64encode(secrets.token_bytes(24)).decode()
    sources = {delivery.source: {"scheme": delivery.scheme, "key": "{type}"} for delivery in deliveries()}
    sources[workflow.SOURCE] = {"scheme": "hmac", "key": "{id}"}
    settings = {
        "topic": "demo.{source}",
        "sources": orjson.dumps(sources).decode(),
        "app": {"app_id": "triage"},
        "consume_topics": workflow.TOPIC,
        "result_topic": workflow.RESULTS,
        "offset_reset": "earliest",
        "max_attempts": "2",
        "client_config": orjson.dumps(dict(SHORT_FETCH)).decode(),
        "source_secrets": orjson.dumps(keys).decode(),
        "api_token": (token := secrets.token_urlsafe(24)),
    }
    clock = Clock()
    console.print("Starting a broker, the plugin's process and the local host …")
    with BackgroundHost(
        endpoints={HOOK: settings, resident.HOOK: resident.settings(token)},
        apps={"triage": triage, resident.APP: clock},
        port=port,
        bootstrap=bootstrap,
    ) as host:
        checks = Checks(console)
        webhooks = Webhooks(console, checks, url=host.url(HOOK), bootstrap=host.bootstrap, keys=keys)
        webhooks.run()
        Workflow(
            console, checks, url=host.url(HOOK), bootstrap=host.bootstrap, token=token, secret=keys[workflow.SOURCE]
        ).run()
        Resident(console, checks, url=host.url(resident.HOOK), token=token, clock=clock).run()
        Dashboard(console, checks, url=host.url(HOOK), token=token, events=webhooks.sent).run()
        yield Running(host, checks, keys, token)


def _try_it(host: BackgroundHost, secret: str, token: str) -> str:
    """Lines for a terminal: send one, forge one, look."""
    url = host.url(HOOK)
    return f"""
The endpoint stays up at {url}, Kafka at {host.bootstrap}. Ctrl-C ends both. Try it from another terminal:

  BODY='{{"event_type":"order.paid","id":"order-1"}}'
  SIGNATURE=$(printf %s "$BODY" | openssl dgst -sha256 -hmac '{secret}' | sed 's/.* //')
  curl -iw '\\n' {url}/webhook/shop -d "$BODY" -H 'Content-Type: application/json' -H "X-Webhook-Signature: $SIGNATURE"
  curl -iw '\\n' {url}/webhook/shop -d "$BODY forged" -H "X-Webhook-Signature: $SIGNATURE"
  curl -w '\\n' {url}/health -H 'Authorization: Bearer {token}'
  kcat -b {host.bootstrap} -C -t demo.shop -e -f '%h\\n%s\\n'
"""


def _wait_for_ctrl_c() -> None:
    stop = threading.Event()
    # Also where a shell has started it in the background, with SIGINT ignored.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    stop.wait()
