"""Texts, times and places, as they are written on a page."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kafka_bridge.dashboard.shown import (
    ELLIPSIS,
    NAME_CHARS,
    ago,
    badge,
    duration,
    one_line,
    place,
    size,
    when,
    word_of,
)
from kafka_bridge.dashboard.states import STATES
from kafka_bridge.dashboard.texts import TEXTS
from kafka_bridge.dashboard.words import Language, in_language
from kafka_bridge.events.log.entry import Entry, Kind

WORDS = in_language({**TEXTS, **STATES}, Language.ENGLISH)
NOW = 1_700_000_000.0


@given(st.text(), st.integers(1, 100))
def test_a_text_is_on_one_line_and_no_longer_than_that(text, chars):
    shown = one_line(text, chars)

    assert len(shown) <= chars + len(ELLIPSIS)
    assert not {chr(code) for code in (*range(0x20), 0x7F)} & set(shown)


def test_what_can_be_shown_is_left_alone():
    assert one_line("größer 中文 😀") == "größer 中文 😀"
    assert one_line("x" * NAME_CHARS) == "x" * NAME_CHARS
    assert one_line("x" * (NAME_CHARS + 1)) == "x" * NAME_CHARS + ELLIPSIS


def test_control_characters_are_seen_and_do_nothing():
    assert one_line("a\nb\x00\x1b\x7f") == "a␊b␀␛␡"


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (-5, "just now"),
        (0, "just now"),
        (1.9, "just now"),
        (2, "2 s ago"),
        (59.9, "59 s ago"),
        (60, "1 min ago"),
        (3599, "59 min ago"),
        (3600, "1 h ago"),
        (86_399, "23 h ago"),
        (86_400, "1 d ago"),
        (400 * 86_400, "400 d ago"),
    ],
)
def test_how_long_ago_is_said_in_one_unit(seconds, shown):
    assert ago(seconds, WORDS) == shown


def test_a_moment_is_shown_in_two_ways():
    assert when(NOW, NOW + 90, WORDS) == ("2023-11-14T22:13:20.000Z", "2023-11-14 22:13:20", "1 min ago")


@pytest.mark.parametrize("nonsense", [float("nan"), float("inf"), -1e300, 1e300])
def test_a_moment_that_is_none_breaks_no_page(nonsense):
    assert when(nonsense, NOW, WORDS).utc == "?"


@pytest.mark.parametrize(
    ("milliseconds", "shown"), [(0, "0.0 ms"), (1.54, "1.5 ms"), (62.4, "62 ms"), (999, "999 ms"), (1500, "1.5 s")]
)
def test_durations(milliseconds, shown):
    assert duration(milliseconds) == shown


def test_sizes():
    assert size(1_234_567, WORDS) == "1,234,567 bytes"


@pytest.mark.parametrize(
    ("fields", "shown"),
    [
        ({}, ""),
        ({"topic": "t"}, "t"),
        ({"topic": "t", "partition": 3}, "t[3]"),
        ({"topic": "t", "partition": 3, "offset": 0}, "t[3]@0"),
    ],
)
def test_where_a_record_lies(fields, shown):
    assert place(Entry("0" * 24, Kind.ACCEPTED, NOW, **fields)) == shown


def test_an_outcome_is_told_by_a_word_and_never_by_its_tone_alone():
    assert badge("accepted", WORDS) == ("accepted", "accepted", "good")
    assert badge("rejected", WORDS).tone == "bad"
    assert badge("something new", WORDS) == ("something new", "something new", "calm")


def test_a_run_is_called_by_its_ending():
    assert word_of(Entry("0" * 24, Kind.RUN, NOW, ending="succeeded")) == "succeeded"
    assert word_of(Entry("0" * 24, Kind.DEAD_LETTERED, NOW, ending="failed")) == "dead-lettered"
    assert word_of(Entry("0" * 24, Kind.ACCEPTED, NOW)) == "accepted"
