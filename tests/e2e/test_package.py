"""The package as a user gets it: unzipped somewhere else, with nothing but what its own requirements ask for."""

import json
import subprocess
import sys
import zipfile
from pathlib import Path

import httpx
import pytest

from devhost.host import BackgroundHost
from devhost.package import build_package
from devhost.senders import SENDERS
from tests.brokers import Broker
from tests.e2e.topics import Topics


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package's files."""
    scratch = tmp_path_factory.mktemp("package")
    with zipfile.ZipFile(build_package(scratch)) as package:
        package.extractall(scratch / "plugin")
    return scratch / "plugin"


@pytest.fixture(scope="module")
def python(unpacked: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An interpreter that has the package's own requirements, as the platform would make it."""
    folder = tmp_path_factory.mktemp("installed") / "venv"
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    own = folder / "bin" / "python"
    pip = [own, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r", "requirements.txt"]
    subprocess.run(pip, cwd=unpacked, check=True)
    return own


def test_the_package_serves_a_signed_webhook_from_its_own_requirements_alone(
    unpacked, python, embedded: Broker, topics: Topics, secret: str
):
    settings = {"webhook_secret": secret, "api_token": secret, "topic": "packed", "scheme": "github"}
    options = {"endpoints": {"hub": settings}, "bootstrap": embedded.bootstrap}
    body = b'{"zen": "Keep it logically awesome."}'

    with (
        BackgroundHost(**options, plugin=unpacked, python=python) as host,
        httpx.Client(base_url=host.url("hub"), trust_env=False, timeout=30) as client,
    ):
        answer = client.post("/webhook", content=body, headers=SENDERS["github"](secret, body, 0, "delivery-1"))
        forged = client.post("/webhook", content=body, headers=SENDERS["github"]("not it", body, 0, "delivery-2"))
        health = client.get("/health")
        dashboard = client.get("/", headers={"Authorization": f"Bearer {secret}"})
        loaded = _loaded_from(host.pid)

    assert (answer.status_code, forged.status_code, health.json()["kafka"]) == (200, 401, "ok")
    assert "<h1>Events</h1>" in dashboard.text
    assert topics.at("packed", answer.json()["partition"], answer.json()["offset"]).value() == body
    assert topics.count("packed") == 1
    assert str(unpacked) in loaded
    assert "cryptography" not in loaded, "it is for the schemes that need it"
    assert not [path for path in loaded.split() if "site-packages" in path and str(python.parent.parent) not in path]


def test_what_is_installed_for_it_is_little(python):
    listed = subprocess.run([python, "-m", "pip", "list", "--format=json"], capture_output=True, check=True).stdout

    names = {package["name"].lower().replace("_", "-") for package in json.loads(listed)}

    assert names >= {"dify-plugin", "confluent-kafka", "werkzeug", "orjson", "cryptography"}
    assert not names & {"pytest", "uvicorn", "rich", "hypothesis"}


def _loaded_from(pid: int | None) -> str:
    """Working folder and mapped files of a process."""
    maps = Path(f"/proc/{pid}/maps").read_text()
    return f"{Path(f'/proc/{pid}/cwd').resolve()}\n" + "\n".join({line.split()[-1] for line in maps.splitlines()})
