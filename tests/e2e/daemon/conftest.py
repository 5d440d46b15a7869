"""The probe in the local host."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from devhost.host import BackgroundHost
from devhost.timing import Timing

pytest.register_assert_rewrite("tests.e2e.daemon.replay")

from tests.e2e.daemon.replay import PLUGIN, Daemon, recordings  # noqa: E402 - its assertions are to be explained


def ok(inputs: dict[str, Any]) -> dict[str, Any]:
    return inputs


def fail(_inputs: dict[str, Any]) -> dict[str, Any]:
    raise ConnectionRefusedError(111, "Connection refused")


def large(_inputs: dict[str, Any]) -> dict[str, Any]:
    return {"text": "x" * 6_000_000}


def recorded_form() -> object:
    """The form of the app in the recordings."""
    (recording,) = (one for one in recordings("calls") if one.name == "app-fetch-ok")
    return recording.document()["result"]["user_input_form"]


@pytest.fixture(autouse=True)
def form_of_ok(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """The recorded app has a form; what stood in Dify's place when its runs were recorded looked at none."""
    if "app-fetch-ok" in request.node.name:
        monkeypatch.setattr(ok, "user_input_form", recorded_form(), raising=False)


@pytest.fixture(scope="session")
def daemon() -> Iterator[Daemon]:
    """A host whose process nobody ends."""
    received: list[bytes] = []
    with BackgroundHost(
        endpoints={},
        plugin=PLUGIN,
        apps={"ok": ok, "fail": fail, "large": large},
        on_request=lambda _hook, raw: received.append(raw),
    ) as host:
        yield Daemon(host, received)


@pytest.fixture(scope="session")
def held_by(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """While this file exists, the probe of `mortal` does not get ready."""
    return tmp_path_factory.mktemp("probe") / "held"


@pytest.fixture(scope="session")
def mortal(held_by: Path) -> Iterator[Daemon]:
    """A host whose process may die: it is started again soon."""
    received: list[bytes] = []
    with BackgroundHost(
        endpoints={},
        plugin=PLUGIN,
        timing=Timing(restart_tick_s=0.2, write_budget_s=30),
        environment={"PROBE_HELD_BY": str(held_by)},
        on_request=lambda _hook, raw: received.append(raw),
    ) as host:
        yield Daemon(host, received)
