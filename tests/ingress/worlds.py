"""Where requests run at the same time: greenlets, as in the plugin, and threads. The same tests run in both."""

import threading

import gevent
import gevent.event
import pytest

from kafka_bridge.broker.greenlets import GeventLoop
from kafka_bridge.broker.loops import ThreadLoop
from tests.brokers import wait_until


class Greenlets:
    """The plugin's own way."""

    event = gevent.event.Event

    def __init__(self):
        self.waiter = GeventLoop().waiter

    def start(self, task):
        return gevent.spawn(task)

    def settle(self, condition):
        with gevent.Timeout(10):
            while not condition():
                gevent.sleep(0)

    def join(self, runs):
        gevent.joinall(runs, timeout=10, raise_error=False)
        assert all(run.dead for run in runs)


class Threads:
    """Outside the plugin."""

    event = threading.Event

    def __init__(self):
        self.waiter = ThreadLoop().waiter

    def start(self, task):
        thread = threading.Thread(target=task, daemon=True)
        thread.start()
        return thread

    def settle(self, condition):
        wait_until(condition)

    def join(self, runs):
        for run in runs:
            run.join(10)
        assert not any(run.is_alive() for run in runs)


both = pytest.mark.parametrize("make", [Greenlets, Threads])
