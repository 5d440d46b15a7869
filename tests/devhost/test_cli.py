"""`python -m devhost` as somebody runs it: what it prints, serves, keeps and returns."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from click.testing import CliRunner

from devhost.__main__ import devhost
from tests.brokers import REPOSITORY, wait_until
from tests.devhost.conftest import MakePlugin

PROBE = REPOSITORY / "tests" / "e2e" / "daemon" / "plugin"


class Served:
    """A running `serve`."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.lines: list[str] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line.rstrip("\n"))

    @property
    def urls(self) -> list[str]:
        return [line for line in self.lines if re.fullmatch(r"http://127\.0\.0\.1:\d+/e/[\w-]+/", line)]

    def get(self, path: str) -> httpx.Response:
        with httpx.Client(trust_env=False, timeout=30) as client:
            return client.get(self.urls[0] + path)

    def end(self, number: int) -> int:
        """Send a signal; the exit status."""
        self.process.send_signal(number)
        status = self.process.wait(20)
        self._reader.join(20)
        return status


@contextmanager
def serve(tmp_path: Path, *arguments: str, settings: object = None, **environment: str) -> Iterator[Served]:
    """`serve` with one endpoint, when it has printed its URL."""
    file = tmp_path / "settings.json"
    file.write_text(json.dumps(settings if settings is not None else {"text": "from the file"}))
    process = subprocess.Popen(
        [sys.executable, "-m", "devhost", "serve", "--port", "0", "--endpoint", f"shop={file}", *arguments],
        cwd=REPOSITORY,
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    served = Served(process)
    try:
        wait_until(lambda: bool(served.urls) or process.poll() is not None, 60)
        assert process.poll() is None, "\n".join(served.lines)
        yield served
    finally:
        process.kill()
        process.wait()
        served._reader.join(20)
        assert process.stdout is not None
        process.stdout.close()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["Ctrl-C", "SIGTERM"])
def test_it_prints_its_urls_serves_them_and_ends_with_status_0(tmp_path, number):
    with serve(tmp_path, "--plugin", str(PROBE)) as served:
        assert served.get("x").json()["settings"] == {"text": "from the file"}

        assert served.end(number) == 0

    assert not [line for line in served.lines if "Traceback" in line or "Error" in line]


def test_storage_in_a_file_is_there_after_a_restart(tmp_path):
    arguments = ("--plugin", str(PROBE), "--storage", str(tmp_path / "kept.db"))
    with serve(tmp_path, *arguments) as served:
        assert served.get("storage?op=set&key=a/b&value=kept").json() == {"result": None}
        assert served.end(signal.SIGTERM) == 0

    with serve(tmp_path, *arguments) as served:
        assert served.get("storage?op=get&key=a/b").json() == {"result": {"hex": b"kept".hex()}}


def test_a_local_function_is_the_plugins_app(tmp_path):
    app = tmp_path / "mine.py"
    app.write_text("def shout(inputs):\n    return {'said': inputs['payload'].upper()}\n")

    with serve(tmp_path, "--plugin", str(PROBE), "--app", f"{app}:shout") as served:
        data = served.get("app?app_id=any").json()["result"]["data"]

    assert (data["status"], data["outputs"]) == ("succeeded", {"said": "P"})


def test_the_callers_environment_changes_nothing(tmp_path):
    wrong = dict.fromkeys(("KAFKA_BOOTSTRAP_SERVERS", "BOOTSTRAP_SERVERS", "DEVHOST_BOOTSTRAP"), "127.0.0.1:1")
    settings = {"scheme": "none", "topic": "cli"}

    with serve(tmp_path, settings=settings, **wrong, PORT="1", DEVHOST_PORT="1") as served:
        with httpx.Client(trust_env=False, timeout=30) as client:
            answer = client.post(f"{served.urls[0]}webhook", content=b"{}")
        assert (answer.status_code, answer.json()["topic"]) == (200, "cli")

    (kafka,) = [line for line in served.lines if line.startswith("Kafka at ")]
    assert re.fullmatch(r"Kafka at 127\.0\.0\.1:\d{2,} \(embedded\)\. Ctrl-C ends it\.", kafka)


def run(*arguments: str) -> tuple[int, str]:
    """Exit status and everything that was printed, in one line."""
    result = CliRunner().invoke(devhost, arguments, prog_name="python -m devhost")
    return result.exit_code, " ".join(result.output.split())


@pytest.fixture
def given(tmp_path) -> str:
    """An argument that is right."""
    (tmp_path / "right.json").write_text("{}")
    (tmp_path / "list.json").write_text("[]")
    (tmp_path / "text.json").write_text("no json")
    (tmp_path / "app.py").write_text("")
    return f"shop={tmp_path / 'right.json'}"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "Missing option '--endpoint'"),
        (("--endpoint", "shop"), "is given as NAME=settings.json"),
        (("--endpoint", "a/b={tmp}/right.json"), "NAME of letters, digits, - and _"),
        (("--endpoint", "={tmp}/right.json"), "is given as NAME=settings.json"),
        (("--endpoint", "shop={tmp}/absent.json"), "absent.json cannot be read: No such file or directory"),
        (("--endpoint", "shop={tmp}/text.json"), "text.json is not JSON"),
        (("--endpoint", "shop={tmp}/list.json"), "list.json must hold a JSON object"),
        (("--endpoint", "{given}", "--port", "70000"), "70000 is not in the range"),
        (("--endpoint", "{given}", "--port", "http"), "'http' is not a valid integer"),
        (("--endpoint", "{given}", "--app", "app"), "a function is given as PATH.py:function"),
        (("--endpoint", "{given}", "--app", "{tmp}/app.py:f"), "has no function named 'f'"),
        (("--endpoint", "{given}", "--plugin", "{tmp}/absent"), "does not exist"),
        (("--endpoint", "{given}", "--plugin", "{tmp}"), "is no plugin: No such file or directory"),
        (("--endpoint", "{given}", "--storage", "{tmp}"), "is a directory"),
        (("--endpoint", "{given}", "--storage", "{tmp}/text.json"), "file is not a database"),
        (("--endpoint", "{given}", "--storage", "{tmp}/absent/x"), "unable to open database file"),
        (("--nonsense",), "No such option"),
    ],
)
def test_a_wrong_argument_is_named_and_ends_with_status_2(tmp_path, given, arguments, said):
    status, output = run("serve", *(one.format(tmp=tmp_path, given=given) for one in arguments))

    assert status == 2, output
    assert said in output
    assert "Traceback" not in output


def test_an_unknown_command_ends_with_status_2():
    assert run("sevre")[0] == 2


def test_the_status_is_the_process_status(tmp_path):
    ended = subprocess.run(
        [sys.executable, "-m", "devhost", "serve"], cwd=REPOSITORY, capture_output=True, check=False, text=True
    )

    assert (ended.returncode, ended.stdout) == (2, "")
    assert "Missing option '--endpoint'" in ended.stderr


def test_a_port_that_is_taken_is_named(given, plugin: MakePlugin):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]

        status, output = run("serve", "--endpoint", given, "--plugin", str(plugin()), "--port", str(port))

    assert (status, output) == (1, f"Error: port {port}: Address already in use; choose another one with --port")


def test_a_plugin_that_does_not_start_is_reported_with_its_last_words(given, plugin: MakePlugin):
    status, output = run("serve", "--endpoint", given, "--plugin", str(plugin("no python")), "--port", "0")

    assert status == 1
    assert "Error: the plugin has ended before its first heartbeat" in output
    assert output.endswith("SyntaxError: invalid syntax")


def test_a_package_is_built_where_it_is_wanted(tmp_path):
    status, output = run("package", "--output", str(tmp_path / "out"))

    (package,) = (tmp_path / "out").iterdir()
    assert (status, output) == (0, str(package))
