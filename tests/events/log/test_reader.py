"""Looks at the log: pages, filters, runs."""

import tracemalloc
import zlib

import orjson
import pytest

from kafka_bridge.events.log.masking import HEADERS
from kafka_bridge.events.log.query import Filter
from kafka_bridge.events.log.reader import CACHE_BYTES, Cache, Reader
from kafka_bridge.events.log.shelf import COMMITS, FAN_IN
from kafka_bridge.events.log.store import StorageFailed
from tests.events.log.stores import NOW, Disk, ModelStore, Process, Time


def process(**options):
    return Process(Disk(), Time(), "0a0b0c0d", **options)


def filled(count, *, every=1):
    one = process()
    for number in range(count):
        one.add(number, topic="t", partition=0, offset=number, source="shop" if number % 2 else "git")
        if number % every == every - 1:
            one.flush()
        one.time.at += 1.0
    return one


def page(one, *, cursor="", limit=100, **wanted):
    return one.reader.query(one.log, one.store, Filter(**wanted), cursor=cursor, limit=limit)


def names(found):
    return [row.entry.event_id for row in found.rows]


@pytest.mark.parametrize("every", [1, 7, 1000])
@pytest.mark.parametrize("limit", [1, 10, 40, 100])
def test_pages_follow_one_another_without_a_gap_and_end(every, limit):
    one, cursor, found = filled(40, every=every), "", []
    while True:
        this = page(one, cursor=cursor, limit=limit)
        found += names(this)
        cursor = this.next
        if not cursor:
            break

    assert found == [f"e-{number}" for number in reversed(range(40))]


def test_a_cursor_is_stable_while_new_events_come():
    one = filled(20)
    first = page(one, limit=5)
    for number in range(20, 30):
        one.add(number)
    one.flush()

    assert names(page(one, cursor=first.next, limit=5)) == [f"e-{number}" for number in (14, 13, 12, 11, 10)]


@pytest.mark.parametrize(
    ("wanted", "numbers"),
    [
        ({"source": "shop"}, [9, 7, 5, 3, 1]),
        ({"text": "E-3"}, [3]),
        ({"text": "git"}, [8, 6, 4, 2, 0]),
        ({"outcome": "failed"}, []),
        ({"event_type": "x"}, []),
        ({"since": NOW + 7}, [9, 8, 7]),
        ({"until": NOW + 2}, [1, 0]),
        ({"since": NOW + 3, "until": NOW + 5}, [4, 3]),
        ({"source": "shop", "since": NOW + 6}, [9, 7]),
    ],
)
def test_rows_are_filtered(wanted, numbers):
    assert names(page(filled(10, every=3), **wanted)) == [f"e-{number}" for number in numbers]


def test_runs_are_shown_with_their_event_in_order():
    one = filled(3)
    for attempt, ending in ((1, "failed"), (2, "succeeded")):
        one.add(1, "run", topic="t", partition=0, offset=1, attempt=attempt, ending=ending)
        one.flush()

    rows = page(one).rows

    assert names(page(one)) == ["e-2", "e-1", "e-0"]
    assert [run.ending for run in rows[1].runs] == ["failed", "succeeded"]
    assert names(page(one, outcome="succeeded")) == ["e-1"]
    whole = one.reader.find(one.log, one.store, rows[1].entry.id)
    assert [run.attempt for run in whole.runs] == [1, 2]


def test_runs_for_a_record_that_came_another_way_are_one_row():
    one = process()
    for attempt in (1, 2):
        one.add(7, "run", topic="other", partition=0, offset=7, attempt=attempt, ending="failed")
    one.add(7, "dead-lettered", topic="other", partition=0, offset=7, attempt=2, ending="failed")

    (row,) = page(one).rows

    assert (row.entry.kind, len(row.runs)) == ("dead-lettered", 3)


def test_an_entry_is_found_whole_wherever_it_is():
    one = process()
    stored = one.add(1, body="stored")
    one.flush()
    waiting = one.add(2, body="waiting")

    assert one.reader.find(one.log, one.store, stored.id).entry == stored._replace(headers=[])
    assert one.reader.find(one.log, one.store, waiting.id).entry.body == "waiting"
    assert one.reader.find(one.log, one.store, "0" * 24) is None
    assert [row.entry.body for row in one.reader.whole(one.log, one.store, page(one).rows)] == ["waiting", "stored"]
    assert [row.entry.body for row in page(one).rows] == ["", ""]


def test_what_is_known_is_not_read_again():
    one = filled(40, every=4)
    page(one)
    one.store.calls.clear()
    page(one)

    assert one.store.calls == []


def test_what_another_process_writes_appears_soon():
    one = filled(5)
    other = Process(one.store.disk, one.time, "00000002")
    page(one)
    other.add(99)
    other.flush()
    one.time.at += 3.0

    assert names(page(one))[0] == "e-99"


def test_a_store_that_fails_is_told_and_what_waits_is_shown():
    one = filled(5)
    one.log.others.again()
    one.add(6)
    one.store.fate = lambda _operation: "hung"

    found = page(one)

    assert names(found) == ["e-6"]
    assert found.trouble == "the log cannot be read: storage does not answer in time"
    with pytest.raises(StorageFailed):
        one.reader.find(one.log, one.store, "0" * 24)


def test_what_is_known_is_shown_also_while_the_store_fails():
    one = filled(5)
    page(one)
    one.time.at += 10.0
    one.store.fate = lambda _operation: "hung"

    found = page(one)

    assert names(found) == [f"e-{number}" for number in reversed(range(5))]
    assert found.trouble == "the log cannot be read: storage does not answer in time"


@pytest.mark.parametrize("mine", [True, False])
def test_segments_that_are_put_together_and_deleted_during_a_look_are_not_missed(mine):
    one = filled(FAN_IN - 1)
    looking = one if mine else Process(one.store.disk, one.time, "00000002")
    page(looking)
    rows = page(looking).rows
    looking.reader = Reader(Cache(), one.time.clock)
    calls = 0

    def meanwhile(operation):
        nonlocal calls
        calls += 1
        if calls == 4:
            # Puts all of them together, and deletes them.
            for number in range(2 * COMMITS):
                one.add(100 + number)
                assert one.flush()
        return "ok"

    looking.store = ModelStore(one.store.disk, meanwhile, time=one.time)

    found = names(page(looking))

    assert calls > FAN_IN
    assert found[-(FAN_IN - 1) :] == [f"e-{number}" for number in reversed(range(FAN_IN - 1))]

    calls = 3
    assert [row.entry.id for row in looking.reader.whole(looking.log, looking.store, rows)] == [
        r.entry.id for r in rows
    ]
    for row in rows:
        assert looking.reader.find(looking.log, looking.store, row.entry.id).entry.event_id == row.entry.event_id


def test_a_segment_that_is_broken_is_passed_over():
    one = filled(5)
    disk = one.store.disk
    disk.values["kb1-endpoint-1-0a0b0c0d-2"] = b"garbage"

    assert names(page(one)) == ["e-4", "e-3", "e-1", "e-0"]


def test_a_segment_of_a_few_bytes_that_stand_for_gigabytes_is_passed_over():
    one = filled(5)
    deflater = zlib.compressobj()
    megabyte = b"\n" * 1024 * 1024
    bomb = b"".join(deflater.compress(megabyte) for _ in range(200)) + deflater.flush()
    one.store.disk.values["kb1-endpoint-1-0a0b0c0d-2"] = bomb
    tracemalloc.start()
    found = names(page(one))
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert found == ["e-4", "e-3", "e-1", "e-0"]
    assert peak_bytes < 100_000_000


@pytest.mark.parametrize(
    "segment",
    [
        ["0a0b0c0d", 7, 0, 1, 1, 99, "", ""],
        ["0a0b0c0d", 7, 0, 1, 1, 99, 5, None],
        ["0a0b0c0d", 7, 0, 1, 1, "many", "0" * 24, "f" * 24],
        ["0a0b0c0d", 7, 0, 1, 1, 99, "zz" * 12, "zz" * 12],
        [7],
    ],
)
def test_a_list_of_segments_that_is_none_stops_nothing(segment):
    one = filled(40)
    document = {"n": 10**6, "next": 41, "time": NOW, "segments": [segment], "condemned": [], "guests": {}}
    one.store.disk.values["kb1-endpoint-1-0a0b0c0d-m0"] = orjson.dumps(document)
    one.time.at += 3600.0

    fresh = Process(one.store.disk, one.time, "00000002")
    for number in range(3):
        fresh.add(99 + number)
        fresh.flush()

    assert names(page(fresh))[0] == "e-101"
    assert fresh.log.trouble == ""


@pytest.mark.parametrize("key", ["kb1-endpoint-1-d0", "kb1-endpoint-1-0a0b0c0d-m0", "kb1-endpoint-1-0a0b0c0d-m1"])
@pytest.mark.parametrize("value", [b"", b"{}", b"[]", b'{"n": 9}', b'{"n": 9, "writers": [1]}', b"\xff"])
def test_garbage_under_a_key_of_the_log_stops_nothing(key, value):
    one = filled(40)
    one.store.disk.values[key] = value

    fresh = Process(one.store.disk, one.time, "00000002")
    fresh.add(99)
    fresh.flush()

    assert names(page(fresh))[0] == "e-99"
    assert fresh.log.trouble == ""


def test_the_cache_is_bounded():
    cache = Cache(max_bytes=1000)
    for number in range(100):
        cache.put(f"k{number}", (), 100)

    assert sum(cache.get(f"k{number}") is not None for number in range(100)) == 10
    assert CACHE_BYTES <= 32 * 1024 * 1024


def test_what_two_looks_have_read_at_once_counts_once():
    cache = Cache(max_bytes=1000)
    for _ in range(100):
        for number in range(10):
            cache.put(f"k{number}", (), 100)

    assert all(cache.get(f"k{number}") is not None for number in range(10))


def test_a_long_log_is_looked_through_in_parts(monkeypatch):
    one = filled(60, every=5)
    monkeypatch.setattr("kafka_bridge.events.log.reader.SCAN", 10)
    cursor, found = "", []
    for _ in range(30):
        this = page(one, cursor=cursor, limit=100)
        found += names(this)
        cursor = this.next
        if not cursor:
            break

    assert found == [f"e-{number}" for number in reversed(range(60))]


@pytest.mark.parametrize("keep", [25, 40, 1000])
@pytest.mark.parametrize("limit", [1, 7, 100])
def test_runs_are_with_their_events_on_every_page_however_much_later_they_were(keep, limit):
    one = filled(60, every=4)
    one.log.keep = keep
    for number in range(60):
        # Each in a segment with other events.
        one.add(number, "run", topic="t", partition=0, offset=number, attempt=1, ending="done")
        one.add(1000 + number, topic="t", partition=1, offset=number)
        one.flush()
        one.time.at += 1.0
    one.add(7, "run", topic="elsewhere", partition=0, offset=7, attempt=1, ending="failed")
    one.flush()
    whole = page(one, limit=1000).rows
    rows, cursor = [], ""
    while True:
        this = page(one, cursor=cursor, limit=limit)
        rows += this.rows
        cursor = this.next
        if not cursor:
            break

    assert rows == list(whole)
    assert len(rows) == min(keep, 121)
    assert all(len(row.runs) == 1 for row in rows if row.entry.partition == 0)


def test_of_what_is_newer_than_the_page_nothing_is_read_that_has_no_runs():
    one = filled(60, every=4)
    cursor = page(one, limit=50).next
    one.reader = Reader(Cache(), one.time.clock)
    one.store.calls.clear()

    assert names(page(one, cursor=cursor, limit=100)) == [f"e-{number}" for number in reversed(range(10))]
    assert len(one.store.calls) <= 4


def test_the_reader_needs_no_process_of_its_own():
    one = filled(5)
    fresh = Process(one.store.disk, one.time, "00000002")

    assert names(page(fresh)) == [f"e-{number}" for number in reversed(range(5))]
    assert "set" not in fresh.store.calls


def test_what_is_known_of_segments_takes_no_more_memory_than_it_may_whatever_is_in_their_entries():
    one = process(keep=100_000)
    for number in range(1500):
        headers = [(name, f"{number:09d}" * 56) for name in HEADERS]
        one.add(number, headers=headers, attributes=f'{{"a": "{number:04000d}"}}')
        if number % 50 == 49:
            one.flush()
    tracemalloc.start()
    one.reader = Reader(Cache(max_bytes=2_000_000), one.time.clock)
    assert len(page(one).rows) == 100
    held_bytes, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert held_bytes < 5_000_000
