"""The logs of all endpoints: what nobody has signed leaves room for what somebody has."""

from collections import Counter

import pytest

from kafka_bridge.events.log.entry import Entry
from kafka_bridge.events.log.logs import REFUSED_AT_ONCE, REFUSED_LATER_S, EventLogs
from kafka_bridge.events.log.masking import HEADERS, Keeping
from kafka_bridge.events.log.pending import MAX_PENDING_BYTES, Pending
from tests.stand_ins import NOW, Broker, Ticking, receive_at, request, source_of

HOUR_S = 3600
KEEP = 1000


class Rig:
    """An endpoint whose sources get requests."""

    def __init__(self, sources=("default",), keep=KEEP):
        self.time = Ticking()
        self.logs = EventLogs(self.time.clock, lambda: "0a0b0c0d")
        self.keeping = Keeping(keep, (), {"": ("api-token",), **dict.fromkeys(sources, ("secret",))})
        self.log = self.logs.open("endpoint-1", self.keeping)
        self.rejected = receive_at(request(b"{}"), source_of(), Broker(), now=NOW)
        self.accepted = receive_at(request(b'{"id": "e-1"}'), source_of(scheme="none"), Broker(), now=NOW)

    def garbage(self, seconds, *, source="default", every_s=1):
        for _ in range(0, seconds, every_s):
            self.time.at += every_s
            self.logs.record("endpoint-1", self.rejected._replace(source=source))

    @property
    def kinds(self):
        return Counter(entry.kind for entry in self.log.pending.entries)


@pytest.mark.parametrize("sources", [("default",), tuple(f"s-{number}" for number in range(40))])
def test_a_day_of_garbage_leaves_nearly_all_of_the_log_to_events(sources):
    rig = Rig(sources)
    for _ in range(KEEP // 2):
        rig.logs.record("endpoint-1", rig.accepted)
    for source in sources:
        rig.garbage(24 * HOUR_S // len(sources), source=source)

    assert rig.kinds["accepted"] == KEEP // 2
    assert 1 <= rig.kinds["rejected"] <= KEEP // 10 + 24 * HOUR_S / REFUSED_LATER_S


def test_whoever_sets_up_a_sender_sees_each_of_its_first_mistakes():
    rig = Rig()
    for _ in range(REFUSED_AT_ONCE):
        rig.logs.record("endpoint-1", rig.rejected)
    rig.garbage(KEEP // 10 - REFUSED_AT_ONCE)

    assert rig.kinds["rejected"] == KEEP // 10


def test_what_is_not_recorded_is_counted_in_the_next_that_is():
    rig = Rig()
    rig.garbage(HOUR_S)
    rig.garbage(int(REFUSED_LATER_S), every_s=int(REFUSED_LATER_S))

    told = [1 + entry.missed for entry in rig.log.pending.entries]
    assert sum(told) == HOUR_S + 1


def test_garbage_for_one_source_hides_nothing_of_another_one():
    rig = Rig(("shop", "git"))
    rig.garbage(HOUR_S, source="shop")
    before = rig.kinds["rejected"]
    rig.logs.record("endpoint-1", rig.rejected._replace(source="git"))

    assert rig.kinds["rejected"] == before + 1


def test_settings_that_are_compiled_anew_open_no_door():
    rig = Rig()
    rig.garbage(HOUR_S)
    before = rig.kinds["rejected"]
    for _ in range(10):
        rig.logs.open("endpoint-1", Keeping(KEEP, (), dict(rig.keeping.secrets)))
        rig.logs.record("endpoint-1", rig.rejected)

    assert rig.kinds["rejected"] == before


def test_what_waits_takes_no_more_memory_than_it_may_whatever_its_senders_make_long():
    pending = Pending()
    for number in range(5000):
        text = f"{number:09d}" * 56
        headers = [(name, text + name) for name in HEADERS]
        pending.add(Entry(f"{number:024x}", "accepted", NOW, headers=headers), keep=100_000)

    held = sum(len(value) for entry in pending.entries for _, value in entry.headers)
    assert 0 < held <= MAX_PENDING_BYTES
    assert pending.dropped + len(pending) == 5000
