"""What other processes have written is found out over several looks, and not again and again."""

import pytest

from kafka_bridge.events.log.others import LOOK_S, NOT_YET, OTHERS_S, SILENT_S, Others
from kafka_bridge.events.log.query import Filter
from kafka_bridge.events.log.store import StorageFailed
from tests.events.log.stores import Disk, ModelStore, Process, Time


class Scene:
    """Some processes have written one event each; somebody else looks."""

    def __init__(self, writers: int, *, latency_s: float = 0.0) -> None:
        self.disk, self.time = Disk(), Time()
        self.processes = [Process(self.disk, self.time, f"{number:08x}") for number in range(1, writers + 1)]
        for number, process in enumerate(self.processes):
            process.add(number)
            process.flush()
        self.store = ModelStore(self.disk, latency_s=latency_s, time=self.time)
        self.others = Others(self.processes[0].log.keys, "ffffffff", self.time.clock)

    def find(self):
        """One look, with a session of its own; whether all is known."""
        self.store = ModelStore(self.disk, fate=self.store.fate, latency_s=self.store.latency_s, time=self.time)
        try:
            self.others.find(self.store)
        except StorageFailed as failed:
            if str(failed) != NOT_YET:
                raise
            return False
        return True

    def writers(self):
        return {ref.writer for ref in self.others.refs}

    def calls(self):
        """How many calls a look makes now."""
        assert self.find()
        return len(self.store.calls)


def test_all_are_found_at_once_where_storage_is_quick():
    scene = Scene(12)

    assert scene.find()
    assert len(scene.writers()) == 12


@pytest.mark.parametrize("latency_s", [0.1, 0.5, 1.0])
def test_where_it_is_slow_each_look_goes_on_where_the_last_one_stopped(latency_s):
    scene = Scene(6, latency_s=latency_s)
    looks, known = 1, 0
    while not scene.find():
        began = scene.time.at
        looks += 1
        assert len(scene.writers()) >= known
        known = len(scene.writers())
        assert scene.time.at - began <= LOOK_S + latency_s
        assert looks < 60

    assert len(scene.writers()) == 6
    assert looks > 1


def test_a_look_uses_its_own_session_and_none_of_those_before_it():
    scene = Scene(6, latency_s=1.0)
    stores = []
    for _ in range(8):
        scene.find()
        stores.append((scene.store, len(scene.store.calls)))

    assert all(len(store.calls) == calls for store, calls in stores)


def test_who_looks_meanwhile_sees_all_of_it_too():
    scene = Scene(4)
    second: list[int] = []

    def meanwhile(_operation):
        if not second:
            second.append(0)
            scene.others.find(ModelStore(scene.disk, time=scene.time))
            second.append(len(scene.writers()))
        return "ok"

    scene.store.fate = meanwhile
    assert scene.find()

    assert second == [0, 4]
    assert len(scene.writers()) == 4


def test_what_is_known_is_not_asked_for_again_at_once():
    scene = Scene(4)
    first = scene.calls()
    assert scene.calls() == 0
    scene.time.at += OTHERS_S + 0.1
    again = scene.calls()

    assert again == first


def test_those_that_have_been_silent_for_long_are_asked_seldom():
    scene = Scene(9)
    scene.time.at += SILENT_S + 1.0
    busy = scene.processes[0]
    busy.add(100)
    busy.flush()
    first = scene.calls()
    scene.time.at += OTHERS_S + 0.1
    few = scene.calls()

    assert few < first / 3

    busy.add(101)
    busy.flush()
    scene.time.at += OTHERS_S + 0.1
    scene.calls()
    assert sum(ref.entries for ref in scene.others.refs) == 11

    # One that comes to life again is seen within the minute.
    scene.processes[5].add(102)
    scene.processes[5].flush()
    scene.time.at += SILENT_S + 1.0
    assert scene.calls() > few
    assert sum(ref.entries for ref in scene.others.refs) == 12


def test_after_a_failure_it_is_tried_anew():
    scene = Scene(4)
    scene.store.fate = lambda _operation: "failed"
    with pytest.raises(StorageFailed, match="storage has failed"):
        scene.others.find(scene.store)
    scene.store.fate = lambda _operation: "ok"

    assert scene.find()
    assert len(scene.writers()) == 4


def test_one_that_is_not_listed_any_more_is_forgotten():
    scene = Scene(3)
    scene.find()
    scene.time.at += 700.0
    heir = Process(scene.disk, scene.time, "0000000a")
    for number in range(20):
        heir.add(number)
        heir.flush()
        scene.time.at += 30.0
    scene.find()

    assert {*scene.others._shelves} <= {"0000000a"}


def test_on_a_slow_store_a_log_can_be_looked_through_in_the_end():
    """Also the segments: what was read is known."""
    scene = Scene(5)
    process = Process(scene.disk, scene.time, "0000000a")
    process.store.latency_s = 0.5
    troubles = 0
    for _ in range(60):
        page = process.reader.query(process.log, process.store, Filter(), limit=100)
        if not page.trouble:
            break
        troubles += 1

    assert troubles > 0
    assert len(page.rows) == 5
