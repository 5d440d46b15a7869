"""The log over a store that fails, hangs, loses answers, and is left by processes that are killed."""

import contextlib
import random

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from kafka_bridge.events.log.log import DEFECT, FULL_S, GROUP, GROUP_S, RETRY_S
from kafka_bridge.events.log.shelf import LATE_S, MAX_BYTES
from kafka_bridge.events.log.store import StorageFailed
from tests.brokers import SOAK
from tests.events.log.stores import CutOff, Disk, Killed, ModelStore, Process, Time

FATES = ("ok", "ok", "ok", "ok", "ok", "failed", "lost", "hung", "late", "full", "cut off")
KILLS = ("killed before", "killed after")


class World:
    """Processes that come and go over one disk, driven by a seed, and what the disk has acknowledged."""

    def __init__(self, seed: int, *, keep: int = 100_000, writers: int = 1, kills: bool = True) -> None:
        self.random = random.Random(seed)
        self.disk, self.time, self.keep, self.kills = Disk(), Time(), keep, kills
        self.acknowledged: set[str] = set()
        self.made = 0
        self.names = iter(f"{number:08x}" for number in range(1, 1_000_000))
        self.processes = [self.process() for _ in range(writers)]
        self.calm = False
        self.waited = 0.0

    def process(self) -> Process:
        process = Process(self.disk, self.time, next(self.names), keep=self.keep)
        process.store.fate = self.fate
        # Where calls take their time, a request begins what others end.
        process.store.latency_s = self.random.choice((0.0, 0.0, 0.03, 0.1))
        return process

    def fate(self, _operation: str) -> str:
        if self.calm:
            return "ok"
        if self.kills and self.random.random() < 0.02:
            return self.random.choice(KILLS)
        return self.random.choice(FATES) if self.random.random() < 0.5 else "ok"

    def step(self) -> None:
        number = self.random.randrange(len(self.processes))
        process = self.processes[number]
        for _ in range(self.random.choice((1, 1, 1, 3, 20))):
            self.made += 1
            process.add(self.made)
        self.pass_time(self.random.choice((0.01, 0.3, 2.0, 40.0, 700.0)))
        try:
            self.acknowledged |= process.flush()
        except CutOff:
            pass
        except Killed:
            # The platform starts another one some seconds later.
            self.happen()
            self.processes[number] = self.process()
        if self.disk.late and self.random.random() < 0.3:
            self.disk.late.pop(self.random.randrange(len(self.disk.late)))()

    def pass_time(self, seconds: float) -> None:
        """No call is on its way for more than some minutes: by then it has happened, in whatever order."""
        self.waited += seconds
        if self.waited > LATE_S - 41.0:
            self.happen()
            self.waited = 0.0
        self.time.at += seconds

    def happen(self) -> None:
        """What was given up happens now, in whatever order."""
        self.random.shuffle(self.disk.late)
        while self.disk.late:
            self.disk.late.pop()()

    def settle(self) -> None:
        """The store works again, and every process writes what it has."""
        self.calm = True
        self.pass_time(LATE_S)
        for _ in range(15):
            self.time.at += 61.0
            for process in self.processes:
                self.made += 1
                process.add(self.made)
                self.acknowledged |= process.flush()


@given(st.integers(0, 2**32), st.integers(5, 60))
@settings(max_examples=300 if SOAK else 60, deadline=None)
def test_what_was_acknowledged_is_there_and_nothing_twice_whatever_happens_to_the_process(seed, steps):
    world = World(seed)
    for _ in range(steps):
        world.step()
    world.settle()

    ids = [entry.id for entry in world.processes[0].seen()]

    assert len(ids) == len(set(ids))
    assert world.acknowledged <= set(ids)
    assert ids == sorted(ids, reverse=True)


@given(st.integers(0, 2**32), st.integers(5, 60))
@settings(max_examples=300 if SOAK else 60, deadline=None)
def test_two_processes_at_once_lose_nothing_of_each_other(seed, steps):
    world = World(seed, writers=2, kills=False)
    for _ in range(steps):
        world.step()
    world.settle()

    for process in world.processes:
        ids = [entry.id for entry in process.seen()]
        assert len(ids) == len(set(ids))
        assert world.acknowledged <= set(ids)


@given(st.integers(0, 2**32))
@settings(max_examples=100 if SOAK else 20, deadline=None)
def test_a_fresh_process_reads_what_all_before_it_have_written(seed):
    world = World(seed)
    for _ in range(40):
        world.step()
    world.settle()

    fresh = world.process()

    assert world.acknowledged <= {entry.id for entry in fresh.seen()}


@given(st.integers(0, 2**32))
@settings(max_examples=50 if SOAK else 10, deadline=None)
def test_the_newest_are_kept_and_storage_stays_within_its_bounds_over_kills_and_failures(seed):
    keep = 50
    world = World(seed, keep=keep)
    for _ in range(300):
        world.step()
    world.settle()
    process = world.processes[0]
    process.store.latency_s = 0.0
    for number in range(100):
        process.add(number)
        process.flush()
        world.time.at += 20.0

    rows = process.seen()

    assert len(rows) == keep
    assert [entry.event_id for entry in rows] == [f"e-{number}" for number in reversed(range(50, 100))]
    assert len(world.disk.values) < 150
    assert len(process.log.writers.others) <= 2


def test_a_thousand_restarts_leave_nothing_behind():
    disk, time = Disk(), Time()
    sizes = []
    for number in range(1000 if SOAK else 200):
        process = Process(disk, time, f"{number:08x}", keep=50)
        process.add(number)
        process.flush()
        time.at += 61.0
        sizes.append(len(disk.values))

    assert max(sizes[100:]) <= max(sizes[:100]) + 20
    assert len(process.log.writers.others) < 20
    assert [entry.event_id for entry in process.seen()][:50] == [f"e-{number - n}" for n in range(50)]


@pytest.mark.parametrize("latency_s", [0.05, 0.1, 0.2])
def test_on_a_slow_store_too_those_that_are_gone_are_taken_over(latency_s):
    disk, time = Disk(), Time()
    for number in range(12):
        dead = Process(disk, time, f"{number:08x}", keep=100_000)
        dead.add(number)
        dead.flush()
    time.at += 700.0
    process = Process(disk, time, "000000ff", keep=100_000)
    process.store.latency_s = latency_s
    sent = 0
    while sent < 900 and (sent < 5 or process.log.writers.others):
        sent += 1
        process.add(100 + sent)
        process.flush()
        time.at += 10.0
        # A probe, which has more time.
        process.log.tend(process.store, until=time.at + 1.0)

    assert process.log.writers.others == []
    process.log.pending.shrink(keep=0)
    assert len(Process(disk, time, "00000fff", keep=100_000).seen()) == 12 + sent - process.log.pending.dropped


@pytest.mark.parametrize("latency_s", [0.1, 0.2])
def test_on_a_slow_store_the_log_stays_bounded_too(latency_s):
    disk, time = Disk(), Time()
    process = Process(disk, time, "0a0b0c0d", keep=50)
    process.store.latency_s = latency_s
    for number in range(1500):
        process.add(number)
        process.flush()
        time.at += 1.0
        if number % 20 == 0:
            process.log.tend(process.store, until=time.at + 1.0)

    assert len(disk.values) < 150
    assert [entry.event_id for entry in process.seen()][:49] == [f"e-{1499 - n}" for n in range(49)]


def test_who_has_time_does_what_others_had_none_for():
    process = Process(Disk(), time := Time(), "0a0b0c0d", keep=20)
    process.store.latency_s = 0.2
    for number in range(60):
        process.add(number)
        process.flush()
        time.at += 1.0
    keys = len(process.store.disk.values)
    process.store.latency_s = 0.001
    for _ in range(10):
        process.log.tend(process.store, until=time.at + 1.0)
    calls = len(process.store.calls)
    process.log.tend(process.store, until=time.at + 1.0)

    assert len(process.store.disk.values) < keys
    assert len(process.store.calls) == calls


def test_a_failure_of_tidying_is_not_told_for_ever():
    process = Process(Disk(), time := Time(), "0a0b0c0d", keep=20)
    process.store.fate = lambda operation: "failed" if operation == "delete" else "ok"
    for number in range(60):
        process.add(number)
        process.flush()
        time.at += 40.0
    assert process.log.trouble == "storage has failed"
    assert len(process.log.pending) == 0

    process.store.fate = lambda _operation: "ok"
    process.log.tend(process.store, until=time.at + 1.0)

    assert process.log.trouble == ""


@pytest.mark.parametrize("group", [1, 7, 128])
def test_the_bounds_hold_after_many_events_also_where_every_overwrite_counts_in_full(group):
    events, keep = (100_000 if SOAK else 6_000), 1000
    disk, time = Disk(), Time()
    process = Process(disk, time, "0a0b0c0d", keep=keep)
    for number in range(events):
        process.add(number, body="x" * 100)
        if number % group == group - 1:
            process.flush()
            time.at += 0.1
    process.flush()

    rows = process.seen()

    assert [entry.event_id for entry in rows] == [f"e-{events - 1 - n}" for n in range(keep)]
    assert disk.counted - disk.size_bytes <= 1000
    assert disk.overwritten <= 1000
    assert disk.size_bytes < 1_000_000
    assert len(disk.values) < 120
    calls = len(process.store.calls)
    assert calls / (events / group) < 4, "calls for each commit, all in all"


def test_the_budget_of_bytes_holds_however_many_events_are_to_be_kept():
    disk, time = Disk(), Time()
    process = Process(disk, time, "0a0b0c0d", keep=100_000)
    noise = random.Random(1)
    for number in range(3000):
        process.add(number, body=noise.randbytes(16_000).hex())
        if number % 20 == 19:
            process.flush()
            time.at += 1.0

    assert disk.size_bytes < MAX_BYTES * 1.05


def test_runs_do_not_push_out_the_events():
    disk, time = Disk(), Time()
    process = Process(disk, time, "0a0b0c0d", keep=100)
    for number in range(100):
        process.add(number, topic="t", partition=0, offset=number)
        process.add(number, "run", topic="t", partition=0, offset=number, ending="succeeded", attempt=1)
        process.flush()
        time.at += 1.0

    assert len(process.seen()) == 100


def test_a_store_that_is_full_makes_the_log_shorter_and_not_silent():
    disk, time = Disk(), Time()
    process = Process(disk, time, "0a0b0c0d", keep=100_000)
    noise = random.Random(1)
    quota = 2_000_000
    process.store.fate = lambda operation: "full" if operation == "set" and disk.size_bytes > quota else "ok"
    for number in range(600):
        process.add(number, body=noise.randbytes(8_000).hex())
        process.flush()
        time.at += 31.0

    assert disk.size_bytes < quota * 1.1
    assert process.seen()[0].event_id == "e-599"
    assert process.log.trouble == ""


class Quota(ModelStore):
    """A store with a quota, which counts as the daemon does: what is refused is there, and not counted."""

    room = 700_000
    used = 0

    def set(self, key: str, value: bytes) -> None:
        self.calls.append("set")
        difference = len(value) - len(self.disk.values.get(key, b""))
        self.disk.set(key, value)
        if self.used + difference > self.room:
            raise StorageFailed("the plugin's storage is full", full=True)
        self.used += difference

    def delete(self, key: str) -> None:
        self.used -= len(self.disk.values.get(key, b""))
        super().delete(key)


def within(quota, *, group=1):
    """A process whose store is full after some dozens of events, and how to send it some more."""
    time = Time()
    process = Process(Disk(), time, "0a0b0c0d", keep=100_000)
    process.store = Quota(process.store.disk, time=time)
    process.store.room = quota
    noise, sent = random.Random(1), iter(range(1_000_000))

    def send(count, every_s=0.1):
        for number in range(count):
            process.add(next(sent), body=noise.randbytes(6_000).hex())
            if number % group == group - 1:
                process.log.flush(process.store, until=time.at + 0.25)
            time.at += every_s

    return process, send


@pytest.mark.parametrize("group", [1, 30])
@pytest.mark.parametrize("quota", [350_000, 700_000, 3_000_000])
def test_within_any_quota_the_newest_events_are_there_and_trouble_is_soon_over(quota, group):
    process, send = within(quota, group=group)
    send(900)
    shares = []
    for _ in range(20):
        send(30)
        process.time.at += 3.0
        process.flush()
        found = process.seen()
        assert process.log.trouble == ""
        assert found[0].event_id == f"e-{process.log.counters.recorded - 1}"
        shares.append(sum(len(entry) for entry in process.store.disk.values.values()) / quota)

    # Not much of what there is room for is given away.
    assert min(shares) > 0.3
    # The daemon writes what it refuses, and does not count it.
    assert max(shares) < 1.6
    assert process.log.counters.failures < 100


def test_where_others_use_all_the_room_the_log_goes_on_within_what_it_had():
    process, send = within(3_000_000)
    send(150)
    process.store.room = process.store.used
    send(300)
    process.time.at += 3.0
    send(1)

    assert process.log.trouble == ""
    assert [entry.event_id for entry in process.seen()][:50] == [f"e-{number}" for number in range(450, 400, -1)]


def test_a_store_that_is_full_is_not_written_to_by_every_request():
    process, send = within(3_000_000)
    send(20)
    process.store.room = -1_000_000_000
    calls = len(process.store.calls)
    send(600)

    assert len(process.store.calls) - calls < 60 / FULL_S * 6
    assert process.log.trouble == "the plugin's storage is full"


# Group commit.


def test_of_many_requests_at_once_one_writes_for_all():
    disk, time = Disk(), Time()
    process = Process(disk, time, "0a0b0c0d")
    process.log.began()
    for number in range(10):
        process.log.began()
        process.add(number)
        process.log.ended()
        process.log.flush(process.store, until=time.at + 0.25)
    assert process.store.calls == []

    process.log.ended()
    process.log.flush(process.store, until=time.at + 0.25)

    assert process.log.counters.commits == 1
    assert len(process.log.pending) == 0


def test_a_request_does_not_rely_on_one_that_takes_long():
    time = Time()
    process = Process(Disk(), time, "0a0b0c0d")
    process.log.began()
    time.at = 1.0
    process.add(1)

    process.log.flush(process.store, until=time.at + 0.25)

    assert process.log.counters.commits == 1


def test_a_group_is_written_when_it_is_large_or_old_enough():
    for wait_s, count in ((0.0, GROUP), (GROUP_S + 0.1, 1)):
        time = Time()
        process = Process(Disk(), time, "0a0b0c0d")
        for number in range(count):
            process.add(number)
        time.at += wait_s
        process.log.began()

        process.log.flush(process.store, until=time.at + 0.25)

        assert process.log.counters.commits == 1


def test_whoever_finds_somebody_writing_goes_on_at_once():
    time = Time()
    process = Process(Disk(), time, "0a0b0c0d")
    process.add(1)
    other = ModelStore(process.store.disk)

    def meanwhile(_operation):
        process.add(2)
        process.log.flush(other, until=time.at + 0.25)
        process.store.fate = lambda _operation: "ok"
        return "ok"

    process.store.fate = meanwhile
    process.flush()

    assert other.calls == []
    assert len(process.log.pending) == 0


def test_while_the_store_fails_fewer_and_fewer_requests_try():
    time = Time()
    process = Process(Disk(), time, "0a0b0c0d")
    process.store.fate = lambda _operation: "hung"
    for number in range(1000):
        process.add(number)
        process.log.flush(process.store, until=time.at + 0.25)
        time.at += 0.1

    assert len(process.store.calls) <= len(RETRY_S) + 100 / RETRY_S[-1]
    assert process.log.trouble == "storage does not answer in time"
    assert len(process.log.pending) == 1000


def test_a_writer_that_is_cut_off_hands_on():
    time = Time()
    process = Process(Disk(), time, "0a0b0c0d")
    process.store.fate = lambda operation: "killed before" if operation == "set" else "ok"
    process.add(1)
    with pytest.raises(Killed):
        process.flush()

    process.store.fate = lambda _operation: "ok"

    assert len(process.flush()) == 1


@pytest.mark.parametrize("cut", ["set", "delete"])
@pytest.mark.parametrize("times", [1, 2, 5])
def test_what_was_cut_off_and_happens_later_undoes_nothing(cut, times):
    disk, time = Disk(), Time()
    process = Process(disk, time, "0a0b0c0d", keep=100_000)
    acknowledged: set[str] = set()
    for number in range(200):
        left = times if number % 10 == 0 else 0

        def fate(operation):
            nonlocal left
            left -= operation == cut
            return "cut off" if operation == cut and left >= 0 else "ok"

        process.store.fate = fate
        process.add(number)
        for _ in range(times + 1):
            with contextlib.suppress(CutOff):
                acknowledged |= process.flush()
        time.at += 61.0
        while disk.late and number % 10 == 4:
            # Some minutes later.
            disk.late.pop(0)()

    assert len(acknowledged) > 150
    assert acknowledged <= {entry.id for entry in Process(disk, time, "0000000f", keep=100_000).seen()}


@pytest.mark.parametrize("fate", ["hung", "late", "lost"])
def test_a_store_that_does_not_answer_is_asked_before_it_is_written_to_again(fate):
    disk, time = Disk(), Time()
    process = Process(disk, time, "0a0b0c0d")
    process.add(0)
    process.flush()
    process.store.calls.clear()
    process.store.fate = lambda _operation: fate
    for number in range(100):
        process.add(number)
        process.log.flush(process.store, until=time.at + 0.25)
        time.at += 1.0

    assert process.store.calls[:2] == ["set", "get"]
    assert process.store.calls.count("set") == 1

    process.store.fate = lambda _operation: "ok"
    time.at += RETRY_S[-1]
    process.log.flush(process.store, until=time.at + 0.25)

    assert (process.log.trouble, len(process.log.pending)) == ("", 0)


def test_trouble_is_told_until_something_is_written():
    process = Process(Disk(), time := Time(), "0a0b0c0d")
    process.store.fate = lambda operation: "failed" if operation == "set" else "ok"
    for number in range(20):
        process.add(number)
        process.flush()
        assert process.log.trouble == "storage has failed"
        time.at += 7.0


def test_a_defect_is_not_run_into_by_every_request(monkeypatch):
    process = Process(Disk(), Time(), "0a0b0c0d")
    process.add(1)
    monkeypatch.setattr(process.log.shelf, "commit", None)
    with pytest.raises(TypeError):
        process.flush()

    process.log.flush(process.store, until=1.0)

    assert process.log.trouble == DEFECT
    assert len(process.log.pending) == 1


def test_whoever_ends_last_is_told_when_the_writer_has_ended():
    time = Time()
    process = Process(Disk(), time, "0a0b0c0d")
    process.add(0)
    process.flush()
    process.add(1)
    process.log.began()
    told = []

    def meanwhile(_operation):
        process.store.fate = lambda _operation: "ok"
        assert not process.log.needs("other"), "another request is open"
        assert process.log.needs("me")
        process.log.ended()
        assert not process.log.needs("other"), "nothing is left to do"
        process.add(2)
        assert process.log.needs("other")
        process.log.follow(lambda: told.append(process.log.needs("other")))
        return "failed"

    process.store.fate = meanwhile
    process.log.flush(process.store, until=time.at + 0.25, who="me", urgent=True)

    assert told == [False]
    assert len(process.log.pending) == 2


def test_what_waits_is_bounded_and_the_oldest_go():
    process = Process(Disk(), Time(), "0a0b0c0d", keep=10)
    for number in range(25):
        process.add(number)

    assert [entry.event_id for entry in process.log.pending.entries] == [f"e-{number}" for number in range(15, 25)]
    assert process.log.pending.dropped == 15


@pytest.mark.parametrize("latency_s", [0.05, 0.1, 0.2])
def test_a_slow_store_is_written_to_all_the_same_each_request_going_on_where_the_last_one_stopped(latency_s):
    time = Time()
    process = Process(Disk(), time, "0a0b0c0d")
    process.store.latency_s = latency_s
    for number in range(100):
        process.add(number)
        began = time.at
        process.flush()
        assert time.at - began <= 0.25
        time.at += 1.0

    assert process.log.counters.written > 80
    assert process.log.counters.failures == 0


def test_nothing_is_kept_where_nothing_is_to_be_kept():
    process = Process(Disk(), Time(), "0a0b0c0d", keep=0)
    process.add(1)
    process.flush()

    assert process.store.calls == []
    assert process.seen() == []


# Endpoints.


def test_endpoints_of_one_storage_see_nothing_of_each_other():
    disk, time = Disk(), Time()
    processes = [Process(disk, time, "0a0b0c0d", endpoint=endpoint) for endpoint in ("a", "a-0a0b0c0d", "a-d")]
    for number, process in enumerate(processes):
        for _ in range(40):
            process.add(number)
            process.flush()
            time.at += 1.0

    for number, process in enumerate(processes):
        assert {entry.event_id for entry in process.seen()} == {f"e-{number}"}


@given(st.lists(st.sampled_from(["ok", "hung", "late", "lost"]), min_size=1, max_size=40))
@example(["ok"] * 12 + ["late"] * 9)
@settings(deadline=None)
def test_a_write_that_happens_long_after_it_was_given_up_undoes_nothing(fates):
    disk, time = Disk(), Time()
    process = Process(disk, time, "0a0b0c0d", keep=100_000)
    coming = iter(fates)
    process.store.fate = lambda _operation: next(coming, "ok")
    acknowledged: set[str] = set()
    for number in range(60):
        process.add(number)
        acknowledged |= process.flush()
        time.at += 31.0
    for late in disk.late:
        late()

    assert acknowledged <= {entry.id for entry in Process(disk, time, "0000000f", keep=100_000).seen()}
