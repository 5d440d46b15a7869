"""Host names are looked up beside everything else."""

import subprocess
import sys
import textwrap
import threading

import pytest

from kafka_bridge.broker.loops import ThreadLoop
from kafka_bridge.errors import Busy
from kafka_bridge.tooling.errands import MAX_ERRANDS
from kafka_bridge.tooling.sse import names
from kafka_bridge.tooling.sse.names import Names
from tests.brokers import REPOSITORY, wait_until

# Ten are all that the hub's pool has, in which the SDK reads what it is asked.
DEAF = """
    from gevent import monkey
    monkey.patch_all(sys=True)
    import time, gevent
    from gevent import get_hub
    from kafka_bridge.broker.greenlets import GeventLoop
    from kafka_bridge.tooling.sse.names import Names

    done, sleep = [], monkey.get_original("time", "sleep")
    found = Names(GeventLoop(), lambda host: sleep(5) or ["8.8.8.8"])
    for _ in range(12):
        gevent.spawn(lambda: done.append(found.resolve("silent.example")))
    gevent.sleep(0.2)
    began = time.monotonic()
    get_hub().threadpool.apply(lambda: None)
    print(len(done), time.monotonic() - began)
"""


def test_name_servers_that_do_not_answer_keep_the_plugin_from_hearing_nothing():
    command = [sys.executable, "-c", textwrap.dedent(DEAF)]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr[-2000:]

    ended, took_s = done.stdout.split()
    assert int(ended) == 0
    assert float(took_s) < 3


def test_the_systems_addresses_are_found():
    assert "127.0.0.1" in Names(ThreadLoop()).resolve("localhost")


@pytest.mark.parametrize("error", [OSError("hunter2"), UnicodeError("hunter2")])
def test_a_name_that_nobody_knows_has_no_address(error):
    def unknown(host):
        raise error

    assert Names(ThreadLoop(), unknown).resolve("nobody.example") == ()


def test_a_look_up_that_takes_too_long_is_given_up_and_counts_until_it_has_ended(monkeypatch):
    monkeypatch.setattr(names, "CONNECT_S", 0)
    enough, ended = threading.Event(), []

    def silent(host):
        enough.wait(10)
        ended.append(host)
        return ()

    found = Names(ThreadLoop(), silent)
    for _ in range(MAX_ERRANDS):
        assert found.resolve("silent.example") == ()
    with pytest.raises(Busy, match="host names"):
        found.resolve("silent.example")
    enough.set()
    wait_until(lambda: len(ended) == MAX_ERRANDS)
