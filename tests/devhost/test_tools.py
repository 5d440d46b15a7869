"""Calls of tools, as the daemon makes them, and `python -m devhost tool`."""

import json
import subprocess
import sys

import pytest
from click.testing import CliRunner

from devhost import frames
from devhost.__main__ import devhost
from devhost.cli.tool import tool as command
from devhost.host import BackgroundHost
from devhost.manifest import read_manifest
from devhost.tools import NoTool, ToolFailed
from tests.brokers import REPOSITORY
from tests.devhost.conftest import MANIFEST

# Says what it was asked, and then what its parameter `then` tells it to.
MAIN = """
import json, sys

def say(**message):
    print(json.dumps(message), flush=True)

def session(session, kind, data):
    say(event="session", session_id=session, data={"type": kind, "data": data})

say(event="heartbeat", session_id=None, data={})
for line in sys.stdin:
    message = json.loads(line)
    if message["event"] != "request":
        continue
    one, data = message["session_id"], message["data"]
    then = data.get("tool_parameters", data["credentials"]).get("then")
    session(one, "stream", {"type": "json", "message": {"json_object": message}, "meta": None})
    session(one, "stream", {"type": "text", "message": {"text": "[said]"}, "meta": None})
    session(one, "stream", {"type": "variable", "message": {"variable_name": "v", "variable_value": 1}, "meta": None})
    if then == "fail":
        session(one, "error", {"error_type": "Oops", "message": "it failed", "args": {"traceback": "…"}})
    elif then == "nonsense":
        session(one, "stream", "nonsense")
    elif then == "die":
        sys.exit(1)
    elif then != "hang":
        session(one, "end", {})
"""
PROVIDER = """identity: {name: provided}
credentials_for_provider: {bootstrap_servers: {type: text-input}, then: {type: text-input}}
tools: [tools/echo.yaml]
"""
TOOL = """identity: {name: echo}
parameters: [{name: then, type: string}, {name: count, type: number}]
"""


@pytest.fixture
def folder(tmp_path):
    """A plugin with one tool."""
    (tmp_path / "tools").mkdir()
    (tmp_path / "group.yaml").write_text("settings: []\n")
    (tmp_path / "provider.yaml").write_text(PROVIDER)
    (tmp_path / "tools" / "echo.yaml").write_text(TOOL)
    listed = "plugins: {endpoints: [group.yaml], tools: [provider.yaml]}"
    (tmp_path / "manifest.yaml").write_text(MANIFEST.replace("plugins: {endpoints: [group.yaml]}", listed))
    (tmp_path / "main.py").write_text(MAIN)
    return tmp_path


@pytest.fixture
def host(folder):
    with BackgroundHost(endpoints={}, plugin=folder, bootstrap="b.example.com:1") as running:
        yield running


def test_the_manifest_tells_the_tools_and_the_credentials(folder):
    manifest = read_manifest(folder)

    assert manifest.credentials == {"bootstrap_servers", "then"}
    assert manifest.tools["echo"].provider == "provided"
    assert manifest.tools["echo"].parameters == {"then": "string", "count": "number"}
    assert read_manifest(REPOSITORY).tools["publish"].provider == "kafka_bridge"


def test_a_call_is_one_line_with_everything_that_the_daemon_sends():
    line = frames.tool_request("s", "p", "t", {"b": 1}, {"a": "x"})

    assert json.loads(line) == {
        "session_id": "s",
        "conversation_id": None,
        "message_id": None,
        "app_id": None,
        "endpoint_id": None,
        "context": None,
        "event": "request",
        "data": {
            "action": "invoke_tool",
            "credential_type": "api-key",
            "credentials": {"a": "x"},
            "provider": "p",
            "tool": "t",
            "tool_parameters": {"b": 1},
            "type": "tool",
            "user_id": "",
        },
    }
    assert json.loads(frames.credentials_request("s", "p", {"a": "x"}))["data"] == {
        "action": "validate_tool_credentials",
        "credentials": {"a": "x"},
        "provider": "p",
        "type": "tool",
        "user_id": "",
    }


def test_messages_come_as_they_are_said(host):
    messages = list(host.tool("echo", {"count": 1}, {"then": ""}))

    assert [message["type"] for message in messages] == ["json", "text", "variable"]
    data = messages[0]["message"]["json_object"]["data"]
    assert data["tool_parameters"] == {"count": 1}


def test_credentials_without_servers_are_for_the_hosts_broker(host):
    def credentials(saved):
        (first, *_) = host.tool("echo", {}, saved)
        return first["message"]["json_object"]["data"]["credentials"]

    assert credentials(None) == {"bootstrap_servers": "b.example.com:1"}
    assert credentials({"bootstrap_servers": "mine"}) == {"bootstrap_servers": "mine"}


def test_an_error_ends_the_call_with_its_kind_and_text(host):
    messages = host.tool("echo", {"then": "fail"})

    assert [next(messages)["type"] for _ in range(3)] == ["json", "text", "variable"]
    with pytest.raises(ToolFailed, match="it failed") as caught:
        next(messages)
    assert caught.value.kind == "Oops"
    assert "traceback" in caught.value.said


def test_what_is_no_message_ends_it_in_gos_words(host):
    with pytest.raises(ToolFailed, match="cannot unmarshal string into Go value of type tool_entities") as caught:
        list(host.tool("echo", {"then": "nonsense"}))
    assert caught.value.kind == "unmarshal_error"


def test_whoever_stops_listening_ends_the_session(host):
    messages = host.tool("echo", {"then": "hang"})
    next(messages)
    assert host.host.plugin.in_flight == 1
    messages.close()

    assert host.host.plugin.in_flight == 0


def test_credentials_are_looked_at_by_the_plugin(host):
    host.validate({"then": ""})
    with pytest.raises(ToolFailed, match="it failed"):
        host.validate({"then": "fail"})


def test_a_tool_that_there_is_not_is_refused_with_those_that_there_are(host):
    with pytest.raises(NoTool, match="no tool nope; it has echo"):
        list(host.tool("nope", {}))


# The command.


def run(folder, *arguments):
    return CliRunner().invoke(devhost, ["tool", *arguments, "--plugin", str(folder), "--bootstrap", "b.example.com:1"])


def test_the_command_prints_what_the_tool_says(folder):
    done = run(folder, "echo", "count=3", "then=x=y")

    assert done.exit_code == 0
    assert '"count": 3' in done.stdout
    assert '"then": "x=y"' in done.stdout
    assert "[said]" in done.stdout
    assert "v = 1" in done.stdout


def test_a_parameter_may_be_in_a_file_and_so_are_credentials(folder, tmp_path):
    (tmp_path / "then.txt").write_text("from a file")
    (tmp_path / "saved.json").write_text('{"bootstrap_servers": "saved.example.com:1"}')

    done = run(folder, "echo", f"then=@{tmp_path / 'then.txt'}", "--credentials", str(tmp_path / "saved.json"))

    assert "from a file" in done.stdout
    assert "saved.example.com:1" in done.stdout


def test_a_failure_is_an_exit_status(folder):
    done = run(folder, "echo", "then=fail")

    assert done.exit_code == 1
    assert "Oops: it failed" in done.stdout


def test_credentials_may_be_looked_at_first(folder, tmp_path):
    (tmp_path / "saved.json").write_text('{"then": "fail"}')
    done = run(folder, "echo", "--credentials", str(tmp_path / "saved.json"), "--validate")

    assert done.exit_code == 1
    assert "[said]" not in done.stdout


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["nope"], "no tool nope; it has echo"),
        (["echo", "nope=1"], "echo has no parameter nope; it has then, count"),
        (["echo", "then"], "NAME=VALUE"),
        (["echo", "then=@/absent"], "cannot be read"),
    ],
)
def test_a_mistake_on_the_command_line_is_status_2(folder, arguments, told):
    done = run(folder, *arguments)

    assert done.exit_code == 2
    assert told in " ".join(done.stderr.split())


def test_credentials_that_are_no_json_object_are_refused(folder, tmp_path):
    for text in ("[]", "{"):
        (tmp_path / "saved.json").write_text(text)
        assert run(folder, "echo", "--credentials", str(tmp_path / "saved.json")).exit_code == 2


def test_a_credential_that_there_is_not_is_told_beside_those_that_there_are(folder, tmp_path):
    (tmp_path / "saved.json").write_text('{"allow_everything": "enabled"}')
    done = run(folder, "echo", "--credentials", str(tmp_path / "saved.json"))

    assert done.exit_code == 2
    told = " ".join(done.stderr.split())
    assert "no credential allow_everything; it has bootstrap_servers, then" in told


def test_it_publishes_to_an_embedded_broker_with_nothing_else(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "devhost", "tool", "publish", "topic=orders", "message=hello", "key=k"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=120,
    )

    assert done.returncode == 0, done.stderr
    assert "Published to topic orders, partition" in done.stdout
    assert "offset = 0" in done.stdout


def test_the_help_says_what_the_statuses_are():
    assert "Exit status 0" in " ".join((command.help or "").split())
