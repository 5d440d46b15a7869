"""Who asks for runs and does not wait for them: the slots, the window and the records are free again soon."""

import secrets
import threading
import time
from collections.abc import Iterator

import httpx
import pytest

from devhost.host import BackgroundHost
from kafka_bridge.dify.caller import ANSWER_S, LOOK_S, MISSES
from tests.brokers import Broker, wait_until

# Far below the limit of a run; a loaded machine included.
NOTICED_S = 3 * (LOOK_S + MISSES * ANSWER_S)
# As many as the process may have at once.
RUNS = 4
WAITING = 3


class Workflow:
    """An app whose first runs last until they are told."""

    def __init__(self) -> None:
        self.held = threading.Event()
        self.inputs: list[dict] = []

    def __call__(self, inputs: dict) -> dict:
        self.inputs.append(inputs)
        if len(self.inputs) <= RUNS:
            self.held.wait(120)
        return {}

    def ids(self) -> list[str]:
        return [str(inputs["event_id"]) for inputs in self.inputs]


@pytest.fixture
def workflow() -> Iterator[Workflow]:
    one = Workflow()
    yield one
    one.held.set()


@pytest.fixture(params=[False, True], ids=["silence", "canceled"])
def own_host(request: pytest.FixtureRequest, embedded: Broker, workflow: Workflow) -> Iterator[BackgroundHost]:
    """A host that may tell, or may not, that it gives up what was called for: in the daemon that is a race."""
    with BackgroundHost(
        endpoints={}, bootstrap=embedded.bootstrap, apps={"app": workflow}, tells_canceled=request.param
    ) as host:
        yield host


@pytest.fixture
def settings(token: str, secret: str) -> dict[str, object]:
    topic = f"callers-{secrets.token_hex(4)}"
    return {
        "webhook_secret": secret,
        "scheme": "bearer",
        "api_token": token,
        "topic": topic,
        "consume_topics": topic,
        "group_id": topic,
        "offset_reset": "earliest",
        "app": {"app_id": "app"},
    }


@pytest.fixture
def headers(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def leave(url: str, workflow: Workflow, **request: object) -> None:
    """Ask for something that runs the app, and be gone once it runs."""
    with pytest.raises(httpx.TimeoutException):
        httpx.post(url, **{"timeout": 3.0, "trust_env": False, **request})
    wait_until(lambda: len(workflow.inputs) == RUNS)


def test_a_window_whose_caller_has_gone_ends_and_its_records_are_run_again(
    own_host: BackgroundHost, workflow: Workflow, settings, headers
):
    own_host.configure("hook", settings)
    url, signed = own_host.url("hook"), {"Authorization": f"Bearer {settings['webhook_secret']}"}
    for number in range(RUNS + WAITING):
        body = {"id": f"event-{number}"}
        httpx.post(f"{url}/webhook", json=body, headers=signed, trust_env=False).raise_for_status()
    leave(f"{url}/consume", workflow, json={"max_seconds": 60}, headers=headers, timeout=15.0)
    gone_at = time.monotonic()

    answer = httpx.post(f"{url}/consume", headers=headers, trust_env=False)
    assert answer.status_code == 429
    while answer.status_code == 429:
        assert time.monotonic() - gone_at < NOTICED_S
        answer = httpx.post(f"{url}/consume", headers=headers, trust_env=False, timeout=60)

    assert answer.status_code == 200
    found = answer.json()
    # What had not begun before the caller went has not begun for nobody either.
    assert (found["consumed"], found["retried"]) == (WAITING, RUNS)
    assert (found["succeeded"], found["dead_lettered"], found["lag"]) == (RUNS + WAITING, 0, 0)
    begun, again = workflow.ids()[:RUNS], workflow.ids()[RUNS:]
    assert sorted(again) == [f"event-{number}" for number in range(RUNS + WAITING)]
    assert set(begun) < set(again)


def test_records_whose_caller_has_gone_keep_no_other_endpoint_from_running(
    own_host: BackgroundHost, workflow: Workflow, settings, headers
):
    for hook in ("one", "other"):
        own_host.configure(hook, settings)
    records = [{"value": {"number": number}, "key": str(number)} for number in range(RUNS)]
    leave(f"{own_host.url('one')}/dispatch", workflow, json=records, headers=headers)

    answer = httpx.post(
        f"{own_host.url('other')}/dispatch", json={"id": "last"}, headers=headers, trust_env=False, timeout=NOTICED_S
    )

    assert (answer.status_code, answer.json()["run"]) == (200, "succeeded")
