"""Processes that start, fail, fall silent and come back. How requests fare then is in the recordings."""

import asyncio
import os
import sys
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from devhost.apps import Apps
from devhost.calls import Calls
from devhost.process import NotRunning, PluginProcess
from devhost.storage import Storage
from devhost.streams import Answer, read_head
from devhost.timing import Timing
from tests.devhost.conftest import LISTENS, TALKS, MakePlugin

# Ends its answer and calls, in one breath.
CALLS = LISTENS.replace(
    "for line in sys.stdin: pass",
    """
call = {"type": "storage", "backwards_request_id": "r", "request": {"opt": "set", "key": "k", "value": ""}}
for line in sys.stdin:
    message = json.loads(line)
    if message["event"] == "request":
        said = [{"type": "end", "data": {}}, {"type": "invoke", "data": call}][::]
        lines = [{"event": "session", "session_id": message["session_id"], "data": data} for data in said]
        print(*map(json.dumps, lines), sep="\\n", flush=True)
""",
)
DAEMONS = Timing()
SOON = Timing(restart_tick_s=0.05, write_budget_s=0.3, write_pause_s=0.02, silence_s=1.0)


@pytest.fixture
def scene(plugin: MakePlugin):
    """Runs `act` with a process of a plugin with this main.py; `lines` is what people get to see."""
    lines: list[tuple[str, str]] = []

    def play[T](
        main: str, act: Callable[[PluginProcess], Coroutine[Any, Any, T]], timing: Timing = DAEMONS, **environment: str
    ) -> T:
        async def run() -> T:
            storage = Storage()
            process = PluginProcess(
                plugin(main),
                python=Path(sys.executable),
                environment=environment,
                calls=Calls(storage, Apps({}), {"storage": {"enabled": True}}),
                on_line=lambda kind, line: lines.append((kind, line)),
                timing=timing,
            )
            play.storage = storage
            try:
                return await asyncio.wait_for(act(process), 30)
            finally:
                await process.stop()
                storage.close()

        return asyncio.run(run())

    play.lines = lines
    return play


async def until(condition: Callable[[], object]) -> None:
    while not condition():
        await asyncio.sleep(0.01)


async def ask(process: PluginProcess, settings: dict[str, object]) -> bytes | None:
    answer = Answer()
    session = await process.invoke("endpoint", b"GET / HTTP/1.1\r\n\r\n", settings, answer)
    head = await read_head(answer)
    process.forget(session)
    return head.first


def is_gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


def test_the_daemons_clocks_are_the_defaults():
    found = (
        DAEMONS.restart_tick_s,
        DAEMONS.write_budget_s,
        DAEMONS.write_pause_s,
        DAEMONS.silence_s,
        DAEMONS.execution_s,
    )

    assert found == (5.0, 6.0, 0.3, 120.0, 600.0)


def test_a_request_is_answered_and_its_session_forgotten(scene):
    async def act(process: PluginProcess) -> tuple[bytes | None, int]:
        await process.start()
        return await ask(process, {"a": "b"}), process.in_flight

    assert scene(TALKS, act) == (b'{"a": "b"}', 0)


@pytest.mark.parametrize(("order", "heard"), [("[::-1]", True), ("", False)], ids=["call, end", "end, call"])
def test_a_call_counts_only_before_the_end_of_the_answer(scene, order, heard):
    async def act(process: PluginProcess) -> bool:
        await process.start()
        await ask(process, {})
        await ask(process, {})
        return scene.storage.exist("k")

    assert scene(CALLS.replace("[::]", order), act) == heard


def test_a_process_that_ends_before_its_first_heartbeat_is_reported_with_its_last_words(scene):
    async def act(process: PluginProcess) -> None:
        with pytest.raises(NotRunning) as raised:
            await process.start()
        assert "has ended before its first heartbeat" in str(raised.value)
        assert str(raised.value).endswith("RuntimeError: no luck today")

    scene("raise RuntimeError('no luck today')", act)


def test_a_process_that_never_reports_is_given_up(scene):
    async def act(process: PluginProcess) -> None:
        with pytest.raises(NotRunning, match="has not reported within 0 s"):
            await process.start(timeout_s=0.1)
        assert process.pid is None

    scene("import sys; sys.stdin.read()", act)


def test_stopping_leaves_no_process(scene):
    async def act(process: PluginProcess) -> int | None:
        await process.start()
        return process.pid

    pid = scene("import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)" + LISTENS, act)

    assert is_gone(pid)


def test_a_process_that_is_killed_is_started_at_the_next_tick(scene):
    async def act(process: PluginProcess) -> tuple[bytes | None, int]:
        await process.start()
        first = process.pid
        process.kill()
        await until(lambda: process.pid not in {None, first})
        await until(lambda: process._instance.ready.is_set())
        return await ask(process, {}), process.starts

    assert scene(TALKS, act, SOON) == (b"{}", 2)
    assert ("host", "the plugin's process has ended (start 1); starting it again") in scene.lines


def test_a_request_for_a_process_that_does_not_come_back_is_refused_after_the_budget(scene):
    async def act(process: PluginProcess) -> float:
        await process.start()
        process.kill()
        await until(lambda: process.pid is None)
        started = time.monotonic()
        with pytest.raises(NotRunning) as raised:
            await ask(process, {})
        assert str(raised.value) == "no proper instance\nfailed to write request"
        return time.monotonic() - started

    assert 0.3 <= scene(TALKS, act, Timing(write_budget_s=0.3, write_pause_s=0.02)) < 4


def test_a_request_whose_client_has_gone_meanwhile_is_not_handed_over(scene):
    async def act(process: PluginProcess) -> int:
        await process.start()
        process.kill()
        await until(lambda: process.pid is None)
        answer = Answer()
        waiting = asyncio.create_task(process.invoke("endpoint", b"", {}, answer))
        await asyncio.sleep(0)
        answer.abandon()
        await waiting
        return process.in_flight

    assert scene(TALKS, act, Timing(write_pause_s=0.01)) == 0


def test_a_silent_process_is_killed_and_started_again(scene):
    async def act(process: PluginProcess) -> None:
        await process.start()
        await until(lambda: process.starts == 2)

    scene(LISTENS, act, SOON)

    assert ("host", "silent for 1 s: the plugin is killed") in scene.lines


def test_a_line_on_stderr_is_a_sign_of_life(scene):
    # Silent on stdout for longer than the limit, but not on stderr.
    main = LISTENS.replace(
        "for line in sys.stdin: pass",
        "import time\nfor _ in range(16): print('alive', file=sys.stderr, flush=True); time.sleep(0.1)\n"
        "say(event='log', data={'level': 'INFO', 'message': 'done'})\nsys.stdin.read()",
    )

    async def act(process: PluginProcess) -> int:
        await process.start()
        await until(lambda: ("log", "INFO done") in scene.lines)
        return process.starts

    assert scene(main, act, SOON) == 1


def test_a_line_on_stderr_over_the_limit_freezes_the_process_until_it_is_killed(scene):
    main = LISTENS.replace(
        "for line in sys.stdin: pass",
        "print('e' * 6 * 1024 * 1024 + '\\n' + 'f' * 4 * 1024 * 1024, file=sys.stderr, flush=True)\n"
        "say(event='log', data={'level': 'INFO', 'message': 'never'})",
    )

    async def act(process: PluginProcess) -> None:
        await process.start()
        await until(lambda: process.starts == 2)

    scene(main, act, SOON)

    assert ("log", "INFO never") not in scene.lines


def test_people_see_logs_errors_and_stderr_to_the_last_word(scene):
    main = TALKS.replace(
        "for line",
        "say(event='log', data={'level': 'WARNING', 'message': 'a log'})\n"
        "say(event='error', data={'error': 'bad'})\n"
        "say(event='log', data='text')\nprint('a stray print')\n"
        "print('words', file=sys.stderr)\nsys.stderr.write('the last')\nsys.exit()\nfor line",
    )

    async def act(process: PluginProcess) -> None:
        await process.start()
        await until(lambda: process.pid is None and len(scene.lines) >= 5)

    scene(main, act)

    assert [line for line in scene.lines if line[0] != "stderr"] == [
        ("log", "WARNING a log"),
        ("host", "the plugin reports an error: {'error': 'bad'}"),
        ("log", "None None"),
    ]
    assert [line for line in scene.lines if line[0] == "stderr"] == [("stderr", "words"), ("stderr", "the last")]


def test_the_process_has_the_hosts_environment_and_what_is_added(scene, monkeypatch):
    monkeypatch.setenv("FROM_THE_CALLER", "1")
    main = TALKS.replace(
        'json.dumps(message["data"]["settings"])',
        "__import__('os').environ['FROM_THE_CALLER'] + __import__('os').environ['ADDED']",
    )

    async def act(process: PluginProcess) -> bytes | None:
        await process.start()
        return await ask(process, {})

    assert scene(main, act, ADDED="2") == b"12"


def test_a_terminals_interrupt_is_not_for_the_plugin(scene):
    async def act(process: PluginProcess) -> bool:
        await process.start()
        return os.getpgid(process.pid) != os.getpgid(0)

    assert scene(LISTENS, act)
