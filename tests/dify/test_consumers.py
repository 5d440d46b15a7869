"""Which dispatcher is an endpoint's."""

from types import SimpleNamespace

import pytest

from kafka_bridge.dify import consumers as module
from kafka_bridge.dify.consumers import Consumers
from kafka_bridge.dify.hooks import compile_hook
from kafka_bridge.errors import Busy
from tests.stand_ins import Ticking, saved


class Standing:
    """A dispatcher that does nothing."""

    def __init__(self, _plan, *, on_idle, loop, **_):
        self.on_idle = on_idle
        self.loop = loop
        self.stopped = self.busy = False
        self.used_at = 0.0
        self.member = SimpleNamespace(has_left=False)

    def start(self):
        self.loop.start_thread(None)

    def stop(self):
        self.stopped = True


class Rig:
    def __init__(self):
        self.threads = SimpleNamespace(start_thread=lambda _: None)
        self.consumers = Consumers(None, None, None, loop=self.threads, clock=Ticking().clock, random=None)

    def lease(self, **settings):
        hook = compile_hook(saved(app={"app_id": "a"}, consume_topics="orders", **settings))
        return self.consumers.lease("e", hook.consumption(topics=True), hook.settings.consume, hook.target())


@pytest.fixture
def rig(monkeypatch):
    monkeypatch.setattr(module, "Dispatcher", Standing)
    return Rig()


def test_one_that_was_replaced_takes_not_its_successor_with_it(rig):
    before = rig.lease()
    after = rig.lease(group_id="another")
    assert before.stopped

    before.on_idle()
    assert rig.lease(group_id="another") is after
    after.on_idle()
    assert rig.lease(group_id="another") is not after


def test_one_that_has_left_its_group_is_replaced(rig):
    before = rig.lease()
    before.member.has_left = True

    assert rig.lease() is not before


def test_one_that_gets_no_thread_is_not_kept(rig):
    def no_thread(_):
        raise RuntimeError("can't start new thread")

    starts, rig.threads.start_thread = rig.threads.start_thread, no_thread
    with pytest.raises(Busy):
        rig.lease()

    rig.threads.start_thread = starts
    assert not rig.lease().stopped
