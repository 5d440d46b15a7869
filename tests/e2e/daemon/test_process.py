"""What the real daemon did when the plugin's process died, or was not there: the local host does the same."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from devhost.host import BackgroundHost
from devhost.timing import Timing
from tests.brokers import wait_until
from tests.e2e.daemon.replay import PLUGIN, Daemon, Exchange, parse, recordings

RECORDED = {recording.name: recording for recording in recordings("process")}
SURVIVED = ["kill-line-5242877", "kill-line-5242879"]
# Each with the requests that were sent after it.
DEADLY = {
    "kill-line-5242881": ["kill-line-5242881-next"],
    "kill-line-5242883": ["kill-line-5242883-next"],
    "kill-big-6mib": ["kill-big-6mib-20s-later", "kill-big-6mib-500ms-later"],
    "kill-storage-set-3mb": ["kill-storage-set-3mb-20s-later", "kill-storage-set-3mb-500ms-later"],
    "kill-exit": ["kill-exit-20s-later", "kill-exit-500ms-later", "kill-restart-0"],
}
NEVER_ANSWERED = ["answer-baseexception", *DEADLY, "kill-bystander"]


@pytest.fixture
def impatient(held_by: Path) -> Iterator[Daemon]:
    """A host that waits neither long for a process nor for an answer."""
    with BackgroundHost(
        endpoints={},
        plugin=PLUGIN,
        timing=Timing(restart_tick_s=0.2, write_budget_s=0.4, execution_s=2.0),
        environment={"PROBE_HELD_BY": str(held_by)},
    ) as host:
        yield Daemon(host, [])


def handed_over(daemon: Daemon, name: str) -> Exchange:
    """A recorded request, when the plugin has it."""
    exchange = daemon.open(RECORDED[name])
    wait_until(lambda: len(daemon.received) == 1)
    return exchange


def end_process(daemon: Daemon) -> Exchange:
    """Let the plugin end its process; gives the request that did it."""
    starts = daemon.host.host.plugin.starts
    exchange = daemon.get("/exit")
    wait_until(lambda: daemon.host.host.plugin.starts > starts)
    return exchange


@pytest.mark.parametrize("name", SURVIVED)
def test_the_longest_line_that_the_daemon_reads_is_read(mortal: Daemon, name: str):
    starts = mortal.host.host.plugin.starts

    mortal.replay(RECORDED[name])
    mortal.replay(RECORDED[f"{name}-next"])

    assert mortal.host.host.plugin.starts == starts


@pytest.mark.parametrize("name", DEADLY)
def test_the_request_that_ends_the_process_is_never_answered_and_the_next_one_is(mortal: Daemon, name: str):
    starts = mortal.host.host.plugin.starts
    with handed_over(mortal, name) as exchange:
        wait_until(lambda: mortal.host.host.plugin.starts > starts)

        for later in DEADLY[name]:
            mortal.replay(RECORDED[later])

        assert exchange.is_waiting


def test_a_request_waits_for_a_process_that_is_on_its_way(mortal: Daemon, held_by: Path):
    held_by.touch()
    try:
        exited = end_process(mortal)
        waiting = threading.Thread(target=mortal.replay, args=(RECORDED["kill-restart-0"],))
        mortal.received.clear()
        waiting.start()
        wait_until(lambda: len(mortal.received) == 1)
    finally:
        held_by.unlink()

    waiting.join()
    with exited:
        assert exited.is_waiting


def test_a_process_that_takes_too_long_is_a_500(impatient: Daemon, held_by: Path):
    held_by.touch()
    try:
        with end_process(impatient):
            impatient.replay(RECORDED["kill-restart-slow"])
    finally:
        held_by.unlink()


def test_a_request_that_was_in_flight_besides_is_never_answered_either(mortal: Daemon):
    with handed_over(mortal, "kill-bystander") as exchange, end_process(mortal):
        mortal.replay(RECORDED["kill-after-all"])

        assert exchange.is_waiting


def test_a_stream_whose_process_is_gone_stands_still(mortal: Daemon):
    recording = RECORDED["kill-bystander-stream"]
    with mortal.open(recording) as exchange:
        exchange.read_until(b"0000001;")
        with end_process(mortal):
            mortal.replay(RECORDED["kill-after-all"])

            seen = parse(exchange.seen, "GET")
            assert mortal.comparable(recording, seen)["truncated"]
            assert mortal.expected(recording)["body"].startswith(seen["body"])
            assert exchange.is_waiting


def test_a_stream_that_stands_still_is_ended_after_the_limit(impatient: Daemon):
    recording = RECORDED["kill-bystander-stream-600s"]
    with impatient.open(recording) as exchange:
        exchange.read_until(b"0000001;")
        with end_process(impatient):
            answer = parse(exchange.read(), "GET")

    wanted = impatient.expected(recording)
    text = wanted["body"][wanted["body"].index(b"{") :]
    whole = impatient.comparable(recording, answer)
    assert whole["body"].endswith(text)
    assert wanted["body"].startswith(whole["body"].removesuffix(text))
    assert whole["chunks"][-1] == wanted["chunks"][-1]
    assert {**whole, "body": 0, "chunks": 0} == {**wanted, "body": 0, "chunks": 0}


def test_an_exception_that_is_not_one_is_never_answered(daemon: Daemon):
    with handed_over(daemon, "answer-baseexception") as exchange:
        daemon.replay(RECORDED["kill-after-all"])

        assert exchange.is_waiting


def test_every_recording_of_a_dying_process_is_used_above():
    used = {
        *NEVER_ANSWERED,
        *(name for later in DEADLY.values() for name in later),
        *SURVIVED,
        *(f"{name}-next" for name in SURVIVED),
        "kill-restart-slow",
        "kill-bystander-stream",
        "kill-bystander-stream-600s",
        "kill-after-all",
    }

    assert set(RECORDED) == used
    assert {name for name in RECORDED if RECORDED[name].response["status"] is None} == set(NEVER_ANSWERED)
