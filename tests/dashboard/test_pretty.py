"""Bodies for people."""

import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kafka_bridge.dashboard.pretty import MAX_DEPTH, hexdump, indented

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


def tokens(text):
    return "".join(text.split())


@given(values, st.sampled_from([None, 1, 4]), st.booleans())
def test_json_stays_what_it_is(value, indent, ascii_only):
    text = json.dumps(value, indent=indent, ensure_ascii=ascii_only)

    assert json.loads(indented(text, max_chars=100_000)) == value


@given(values)
def test_it_looks_like_the_standard_librarys(value):
    if json.dumps(value) == json.dumps(value, indent=2):
        return
    depth = json.dumps(value, indent=1)
    if max(len(line) - len(line.lstrip(" ")) for line in depth.splitlines()) <= MAX_DEPTH:
        assert indented(json.dumps(value), max_chars=100_000) == json.dumps(value, indent=2)


@given(values, st.integers(0, 200))
def test_what_was_cut_off_keeps_every_character_but_white_space(value, end):
    text = json.dumps(value)[:end]

    assert tokens(indented(text, max_chars=100_000)) == tokens(text)


@given(st.text())
def test_nothing_is_lost_of_what_is_no_json(text):
    assert tokens(indented(text, max_chars=100_000)) == tokens(text)


def test_numbers_and_repeated_names_are_shown_as_they_came():
    assert indented('{"a":1.0e5,"a":12345678901234567890}', max_chars=1000) == (
        '{\n  "a": 1.0e5,\n  "a": 12345678901234567890\n}'
    )


@pytest.mark.parametrize("text", ["[" * 16_384, "{" * 16_384, '[{"a":' * 3000, ",:" * 8000])
def test_nesting_makes_nothing_endless(text):
    assert indented(text, max_chars=80_000) is None or len(indented(text, max_chars=80_000)) <= 80_000


@pytest.mark.parametrize("unit", ['"', "\\", '"\\', '"a', " ", "[", '{"', "a"])
def test_it_takes_no_longer_than_the_text_is(unit):
    # A hundred times as long as what the log keeps; what is quadratic would take minutes.
    began = time.perf_counter()
    indented(unit * (1_600_000 // len(unit)), max_chars=10_000_000)

    assert time.perf_counter() - began < 20.0


def test_bytes_look_as_hexdump_has_them():
    assert hexdump(bytes(range(0x1E, 0x31))) == (
        "00000000  1e 1f 20 21 22 23 24 25 26 27 28 29 2a 2b 2c 2d  |.. !\"#$%&'()*+,-|\n"
        "00000010  2e 2f 30                                         |./0|"
    )
    assert hexdump(b"") == ""
