import json

import orjson
from hypothesis import given
from hypothesis import strategies as st

from kafka_bridge.documents import json_text

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=15,
)


@given(json_values)
def test_a_value_and_its_text_are_the_same(value):
    text = json_text(value)

    # A text of JSON may hold half of a pair of surrogates, a text of ours not.
    assert text is not None
    assert json.loads(text) == value


def test_what_is_read_can_be_written_however_deep_it_is():
    # The reader takes 1024 levels, the writer of the same library 254.
    deep = "[" * 1000 + "]" * 1000

    assert json_text(orjson.loads(deep)) == deep


def test_what_is_no_json_has_no_text():
    for value in (object(), {1, 2}, float("nan"), {"a": b"bytes"}):
        assert json_text({"value": value}) in {None, '{"value":null}'}
