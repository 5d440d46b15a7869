"""JSON in Go's spelling."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devhost import gojson


@given(st.recursive(st.none() | st.booleans() | st.integers(-(2**31), 2**31) | st.text(), st.lists, max_leaves=10))
def test_it_means_what_it_meant(value):
    assert json.loads(gojson.dumps(value)) == value


def test_what_html_could_misread_is_escaped():
    assert gojson.dumps("<a>&\u2028\u2029é") == '"\\u003ca\\u003e\\u0026\\u2028\\u2029é"'.encode()


def test_only_maps_are_sorted():
    assert gojson.dumps({"b": 1, "a": {"d": 1, "c": 1}}) == b'{"b":1,"a":{"d":1,"c":1}}'
    assert gojson.dumps({"b": 1, "a": {"d": 1, "c": 1}}, is_map=True) == b'{"a":{"c":1,"d":1},"b":1}'


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({"type": "x", "request": {}}, "map[request:map[] type:x]"),
        (["a", {"b": "c"}], "[a map[b:c]]"),
        (None, "%!s(<nil>)"),
        (True, "%!s(bool=true)"),
        (5, "%!s(float64=5)"),
    ],
)
def test_values_are_printed_as_go_prints_them(value, text):
    assert gojson.printed(value) == text
