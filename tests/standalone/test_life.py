"""How the worker's life ends."""

import threading
from types import SimpleNamespace

from kafka_bridge.broker.loops import ThreadLoop
from kafka_bridge.standalone.life import Life
from kafka_bridge.standalone.look import Look


class Signals:
    """None comes; whoever is woken comes back once, and before the one who has woken him goes on."""

    def __init__(self):
        self.woken = threading.Semaphore(0)
        self.seen = threading.Event()

    def wait(self, timeout_s=None):
        self.seen.set()
        self.woken.acquire(timeout=5 if timeout_s is None else timeout_s)

    def wake(self):
        self.seen.wait(5)
        self.seen.clear()
        self.woken.release()
        # The thread that says that it is over still lives.
        self.seen.wait(0.5)


class Broken:
    """A dispatcher whose window ends with a defect."""

    def __init__(self):
        self.loop = ThreadLoop(1)
        self.trouble = SimpleNamespace(error=None)
        self.member = SimpleNamespace(on_left=self.on_left)
        self.stopped = threading.Event()

    def on_left(self, task):
        self.farewell = task

    def start(self):
        pass

    def run(self, _runner, *, patient):
        assert patient
        raise AssertionError

    def stop(self):
        self.stopped.set()
        threading.Thread(target=self.farewell, daemon=True).start()


def test_a_window_that_ends_by_itself_is_the_end():
    dispatcher, ended = Broken(), []
    look = Look(
        why_not="",
        circuit_open=False,
        joined=True,
        partitions=0,
        in_flight=0,
        buffered=0,
        blocked={},
        lags={},
        succeeded=0,
        failed=0,
        retried=0,
        dead_lettered=0,
    )
    watch = SimpleNamespace(look=lambda: look, ask_for_lag=lambda: None, stopping=False)
    life = Life(dispatcher, None, watch, Signals())

    thread = threading.Thread(target=lambda: ended.append(life.live(report=False)), daemon=True)
    thread.start()

    assert dispatcher.stopped.wait(3)
    thread.join(10)
    assert [end.status for end in ended] == [1]
