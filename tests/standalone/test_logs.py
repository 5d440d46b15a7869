"""Log lines: readable or JSON, without secrets, and never waited for."""

import json
import logging
import threading

import pytest

from kafka_bridge.standalone import logs
from kafka_bridge.standalone.logs import Logs
from tests.brokers import wait_until


@pytest.fixture
def root():
    """The root logger, put back afterwards."""
    root = logging.getLogger()
    level, handlers = root.level, root.handlers[:]
    yield root
    root.setLevel(level)
    root.handlers[:] = handlers


def written(root, *, as_json, secrets=(), say=lambda log: log.info("%s records", 3)):
    lines = []
    one = Logs(as_json=as_json, secrets=secrets, write=lines.append)
    one.start()
    say(logging.getLogger("kafka_bridge.x"))
    one.end()
    return lines


def test_a_json_line_is_one_object(root):
    (line,) = written(root, as_json=True, say=lambda log: log.warning("a\nb", extra={"fields": {"lag": 3}}))

    parsed = json.loads(line)
    assert "\n" not in line
    assert parsed.pop("time").endswith("Z")
    assert parsed == {"level": "warning", "logger": "kafka_bridge.x", "message": "a\nb", "lag": 3}


def test_a_text_line_has_time_level_and_message(root):
    (line,) = written(root, as_json=False)

    assert line[2] == line[5] == ":"
    assert line[8:] == " INFO    3 records"


@pytest.mark.parametrize("as_json", [True, False])
def test_a_secret_is_never_in_a_line_whoever_says_it(root, as_json):
    def say(log):
        log.info("key app-NEVERSHOWN and %s", "pw-NEVERSHOWN-2")
        try:
            raise ValueError("app-NEVERSHOWN")
        except ValueError:
            log.exception("it broke")

    lines = written(root, as_json=as_json, secrets=["NEVERSHOWN", "app-NEVERSHOWN", "pw-NEVERSHOWN-2"], say=say)

    assert "NEVERSHOWN" not in "".join(lines)
    assert "key *** and ***" in lines[0]
    assert "ValueError: ***" in lines[1]


def test_a_line_of_somebody_else_that_does_not_fit_its_values_ends_nothing(root):
    lines = written(root, as_json=True, say=lambda log: log.info("%d", "no number"))

    assert lines == ["a line of kafka_bridge.x could not be written"]


def test_who_logs_never_waits_for_a_terminal_that_stands_still(root, monkeypatch):
    monkeypatch.setattr(logs, "FLUSH_S", 0.05)
    monkeypatch.setattr(logs, "MAX_WAITING", 3)
    stuck, begun = threading.Event(), threading.Event()
    one = Logs(as_json=True, write=lambda _: begun.set() or stuck.wait(60))
    one.start()
    for _ in range(20):
        logging.getLogger("kafka_bridge.x").info("a line")
    one.end()

    assert begun.is_set()
    stuck.set()
    wait_until(lambda: one not in root.handlers)


def test_libraries_that_tell_every_call_are_quiet(root):
    lines = written(root, as_json=True, say=lambda _: logging.getLogger("httpx").info("HTTP Request: POST …"))

    assert lines == []
