"""What is done, and the note of it beside a committed offset."""

import base64
import random
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kafka_bridge.dispatch.progress import MAX_NOTE_CHARS, Claim, Progress, TooScattered, read_note

RANGES = st.lists(st.tuples(st.integers(0, 60), st.integers(0, 8)).map(lambda pair: (pair[0], sum(pair))), max_size=30)


@given(st.integers(0, 30), RANGES)
def test_an_offset_is_done_if_and_only_if_it_is_below_the_start_or_in_a_range_that_was_added(low, ranges):
    progress = Progress(low, ranges)
    done = set(range(low)) | {offset for start, end in ranges for offset in range(start, end)}

    assert {offset for offset in range(80) if offset in progress} == done
    assert progress.low == min(set(range(100)) - done)


@given(st.integers(0, 30), RANGES)
def test_ranges_stay_in_order_and_never_touch(low, ranges):
    progress = Progress(low, ranges)
    edges = [progress.low, *(edge for pair in progress.above for edge in pair)]

    assert edges == sorted(set(edges))


@given(RANGES, st.randoms())
def test_the_order_in_which_ranges_come_is_nothing(ranges, chance):
    shuffled = list(ranges)
    chance.shuffle(shuffled)

    assert Progress(3, shuffled) == Progress(3, ranges)


@given(st.integers(0, 2**62), RANGES, st.text("0123456789abcdef", min_size=1), st.integers(0, 2**40))
def test_what_is_noted_is_read_back(low, ranges, holder, until):
    progress = Progress(low, [(low + start, low + end) for start, end in ranges])

    found, claim = read_note(progress.low, progress.note(Claim(holder, until)))

    assert (found, claim) == (progress, Claim(holder, until))
    assert read_note(progress.low, progress.note()) == (progress, Claim())


@given(st.integers(0, 100), st.text() | st.text(alphabet="kafka-bridge/1 0=pz").map("kafka-bridge/1 a 1 ".__add__))
def test_whatever_stands_there_is_read_and_never_more_is_done_than_below_the_offset(low, note):
    progress, claim = read_note(low, note)

    assert progress.low >= low
    if not note.startswith("kafka-bridge/1 "):
        assert (progress, claim) == (Progress(low), Claim())


@given(st.binary(max_size=60))
def test_a_note_of_any_bytes_is_no_defect(raw):
    read_note(0, f"kafka-bridge/1 a 1 {base64.b64encode(b'p' + raw).decode()}")
    read_note(0, f"kafka-bridge/1 a 1 {base64.b64encode(b'z' + raw).decode()}")


def test_a_note_of_nothing_but_zeros_does_not_fill_the_memory():
    bomb = base64.b64encode(b"z" + zlib.compress(bytes(100_000_000), 9)).decode()

    assert read_note(5, f"kafka-bridge/1 - 0 {bomb}")[0] == Progress(5)


def test_a_reset_by_another_tool_says_that_all_below_is_done_and_nothing_above():
    assert read_note(7, "") == (Progress(7), Claim())


def test_every_other_one_of_ten_thousand_fits_into_a_note():
    progress = Progress(0, ((offset, offset + 1) for offset in range(1, 10_000, 2)))

    assert len(progress.note(Claim("0123456789abcdef", 2**40))) < MAX_NOTE_CHARS + 60


def test_what_is_too_scattered_for_a_note_is_refused_and_not_cut():
    chance = random.Random(1)
    offsets = sorted(chance.sample(range(1, 2_000_000), 4000))
    progress = Progress(0, ((offset, offset + 1) for offset in offsets))

    with pytest.raises(TooScattered):
        progress.note()


def test_a_copy_is_one_of_its_own():
    progress = Progress(0, [(5, 6)])
    other = progress.copy()
    other.add(0, 5)

    assert (progress.above, other.low) == ([(5, 6)], 6)
