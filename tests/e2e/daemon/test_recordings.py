"""What the real daemon answered, and what it gave to the plugin: the local host does the same."""

import pytest

from tests.e2e.daemon.replay import Daemon, Recording, recordings

# What the local host does not reproduce, and why. Every other recording is reproduced.
STATUS_LINE = "uvicorn has no reason phrase for a status above 599, and h11 wants no 101 from a server"
INTERIM = "uvicorn lets no application send an interim answer; the 200 and the body that follow it are the same"
TARGET = "h11 refuses bytes above 126 in a request's target"
NOT_REPRODUCED = {
    **dict.fromkeys(("answer-status-100", "answer-status-102", "answer-status-103"), INTERIM),
    **dict.fromkeys(("answer-status-101", "answer-status-600", "answer-status-799", "answer-status-999"), STATUS_LINE),
    **dict.fromkeys(("query-raw-bytes", "path-raw-utf8"), TARGET),
    "query-empty": "uvicorn does not tell a question mark without a query from none",
    "answer-no-content-type": "Go guesses a missing Content-Type from the body; this host sends none",
}


def cases(*topics: str) -> list[object]:
    return [
        pytest.param(
            recording,
            id=recording.name,
            marks=[pytest.mark.xfail(strict=True, reason=reason)]
            if (reason := NOT_REPRODUCED.get(recording.name))
            else [],
        )
        for topic in topics
        for recording in recordings(topic)
    ]


@pytest.mark.parametrize("recording", cases("requests", "routes", "answers", "streams", "calls", "stdout"))
def test_the_local_host_does_what_the_daemon_did(daemon: Daemon, recording: Recording):
    daemon.replay(recording)


@pytest.mark.parametrize("group", sorted({str(recording.group) for recording in recordings("storage")}))
def test_storage_is_the_daemons_from_step_to_step(daemon: Daemon, group: str):
    daemon.host.host.storage.clear()

    for recording in recordings("storage"):
        if recording.group == group:
            daemon.replay(recording)


def test_nothing_is_excused_that_is_not_recorded():
    recorded = {recording.name for topic in ("requests", "answers") for recording in recordings(topic)}

    assert set(NOT_REPRODUCED) <= recorded
