"""A session dies with its request, and what a plugin asks of Dify while it lives."""

import json
import threading
import uuid
from typing import Any

import pytest

from devhost.host import BackgroundHost
from tests.brokers import wait_until
from tests.e2e.daemon.replay import PLUGIN, Daemon, parse


def body_of(daemon: Daemon, path: str) -> bytes:
    with daemon.get(path) as exchange:
        return parse(exchange.read(), "GET")["body"]


def result_of(daemon: Daemon, path: str) -> Any:
    return json.loads(body_of(daemon, path))["result"]


@pytest.mark.parametrize("answered", [True, False], ids=["an answer that is out", "a client that has gone"])
def test_a_call_after_the_end_of_the_request_is_never_answered(daemon: Daemon, answered: bool):
    name = uuid.uuid4().hex
    daemon.received.clear()
    with daemon.get(f"/late/{name}?answer={'now' if answered else 'later'}") as exchange:
        wait_until(lambda: len(daemon.received) == 1)
        if answered:
            assert exchange.read().endswith(b"late")
    wait_until(lambda: daemon.host.host.plugin.in_flight == 0)

    body_of(daemon, f"/go/{name}")

    wait_until(lambda: body_of(daemon, f"/outcome/{name}") != b"null")
    outcome = json.loads(body_of(daemon, f"/outcome/{name}"))
    assert (outcome["exception"], outcome["text"]) == ("Timeout", "0.3 seconds")


def test_a_call_in_an_open_request_is_answered_however_late(daemon: Daemon):
    name = uuid.uuid4().hex
    daemon.received.clear()
    with daemon.get(f"/late/{name}") as exchange:
        wait_until(lambda: len(daemon.received) == 1)
        body_of(daemon, f"/go/{name}")

        assert exchange.read().endswith(b"late")
    assert json.loads(body_of(daemon, f"/outcome/{name}")) == {"result": None}


def test_an_apps_outputs_may_be_longer_than_a_line_of_the_plugin(daemon: Daemon):
    assert result_of(daemon, "/app?app_id=large&summary=1")["length"] > 6_000_000


def test_a_streamed_run_has_a_beginning_and_an_end(daemon: Daemon):
    begun, finished = result_of(daemon, "/app?app_id=ok&mode=streaming")

    assert (begun["event"], begun["data"]["inputs"]) == ("workflow_started", {"payload": "p"})
    assert (finished["event"], finished["data"]["status"]) == ("workflow_finished", "succeeded")
    assert begun["workflow_run_id"] == finished["workflow_run_id"] == finished["data"]["id"]


# Of more than 50 clients that went while runs were under way a few left their plugin told; for the others the daemon's
# log has `session not found`. The address is that of Dify's api.
CANCELED = 'invoke app failed: Post "http://127.0.0.1:5001/inner/api/invoke/app": context canceled'


@pytest.mark.parametrize(
    ("told", "outcome"),
    [
        (False, {"exception": "Timeout", "text": "1.0 second"}),
        (True, {"exception": "Exception", "text": CANCELED}),
    ],
    ids=["silence", "canceled"],
)
def test_a_run_is_given_up_with_its_client_and_the_plugin_may_be_told(told: bool, outcome: dict[str, str]):
    begun, held, name = threading.Event(), threading.Event(), uuid.uuid4().hex

    def app(_inputs: dict[str, Any]) -> dict[str, Any]:
        begun.set()
        held.wait(60)
        return {}

    with BackgroundHost(endpoints={}, plugin=PLUGIN, apps={"app": app}, tells_canceled=told) as host:
        daemon = Daemon(host, [])
        try:
            with daemon.get(f"/app?app_id=app&s={1 if not told else 30}&outcome={name}"):
                assert begun.wait(15)
            wait_until(lambda: body_of(daemon, f"/outcome/{name}") != b"null")

            assert json.loads(body_of(daemon, f"/outcome/{name}")) == outcome
        finally:
            held.set()
