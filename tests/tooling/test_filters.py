"""Which records are meant: by key, header, or what stands in their JSON."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kafka_bridge.errors import Malformed
from kafka_bridge.events.record import Consumed, Record
from kafka_bridge.tooling import jsonpath
from kafka_bridge.tooling.filters import MAX_CONDITIONS, read_filter
from kafka_bridge.tooling.parameters import Parameters


def consumed(value=b"", key=None, headers=()):
    value = value if isinstance(value, bytes | None) else json.dumps(value).encode()
    return Consumed(Record(topic="t", value=value, key=key, headers=headers), 0, 0)


def filter_of(text):
    parameters = Parameters({"filter": text})
    found = read_filter(parameters, "filter")
    parameters.check()
    return found


def refused(text):
    with pytest.raises(Malformed) as caught:
        filter_of(text)
    return str(caught.value)


def test_without_a_condition_every_record_is_meant():
    assert filter_of("").matches(consumed(None))
    assert not filter_of("")


def test_a_key_is_compared_as_a_whole():
    wanted = filter_of("key = order-1")

    assert wanted.matches(consumed(key=b"order-1"))
    assert not wanted.matches(consumed(key=b"order-12"))
    assert not wanted.matches(consumed(key=None))
    assert not wanted.matches(consumed(key=b"\xff"))


@pytest.mark.parametrize("form", ["header.correlation-id=7", "header:correlation-id = 7", "headers.Correlation-ID==7"])
def test_a_header_is_found_whatever_the_case_of_its_name_and_however_often_it_stands_there(form):
    wanted = filter_of(form)

    assert wanted.matches(consumed(headers=(("Correlation-Id", b"6"), ("correlation-id", b"7"))))
    assert not wanted.matches(consumed(headers=(("correlation-id", b"77"), ("correlation-id", None))))
    assert not wanted.matches(consumed())


def test_a_header_may_have_dots_in_its_name():
    assert filter_of("header.a.b=c").matches(consumed(headers=(("a.b", b"c"),)))


@pytest.mark.parametrize(
    ("condition", "value"),
    [
        ("$.order.id=17", {"order": {"id": 17}}),
        ("$.order.id=17", {"order": {"id": "17"}}),
        ("$.order.id=17", {"order": {"id": 17.0}}),
        ("$.paid=true", {"paid": True}),
        ("$.paid=null", {"paid": None}),
        ('$.name="Ann"', {"name": "Ann"}),
        ("$.name=Ann Lee", {"name": "Ann Lee"}),
        ("$.items[0].sku=A", {"items": [{"sku": "A"}]}),
        ("$.items[*].sku=B", {"items": [{"sku": "A"}, {"sku": "B"}]}),
        ("$.*=1", {"a": 2, "b": 1}),
        ("$['a.b']=1", {"a.b": 1}),
        ('$["a"]["b"]=1', {"a": {"b": 1}}),
        ("$=5", 5),
        ("$[1]=x", ["w", "x"]),
        ('$.tags=["a","b"]', {"tags": ["a", "b"]}),
        ("$.a=b=c", {"a": "b=c"}),
        ("$.über=1", {"über": 1}),
    ],
)
def test_a_place_in_the_json_is_compared_by_its_value(condition, value):
    assert filter_of(condition).matches(consumed(value))


@pytest.mark.parametrize(
    ("condition", "value"),
    [
        ("$.order.id=17", {"order": {"id": 18}}),
        ("$.order.id=17", {"order": 17}),
        ("$.order.id=17", b"no json"),
        ("$.order.id=17", None),
        ("$.paid=1", {"paid": True}),
        ("$.paid=true", {"paid": 1}),
        ("$.paid=true", {}),
        ("$.paid=null", {}),
        ("$.items[2]=a", {"items": ["a"]}),
        ("$.name=Ann", {"name": "ann"}),
        ("$.a=", {"a": None}),
    ],
)
def test_what_is_not_there_or_something_else_is_not_meant(condition, value):
    assert not filter_of(condition).matches(consumed(value))


def test_all_conditions_must_hold():
    wanted = filter_of("key=k\n\n$.a=1")

    assert wanted.matches(consumed({"a": 1}, key=b"k"))
    assert not wanted.matches(consumed({"a": 1}, key=b"other"))
    assert not wanted.matches(consumed({"a": 2}, key=b"k"))


def test_conditions_may_be_a_json_object():
    wanted = filter_of('{"key": "k", "$.a": 1, "header.h": "v"}')

    assert wanted.matches(consumed({"a": 1}, key=b"k", headers=(("h", b"v"),)))
    assert not wanted.matches(consumed({"a": "2"}, key=b"k", headers=(("h", b"v"),)))


@pytest.mark.parametrize("text", ["hunter2", "value=hunter2", "header.=hunter2", "hunter2 = 1", '{"hunter2": 1}', "=1"])
def test_what_is_no_condition_is_refused_with_the_form_and_is_not_quoted(text):
    told = refused(text)

    assert "key=…, header.NAME=… or $.path=…" in told
    assert "hunter2" not in told


@pytest.mark.parametrize("path", ["$..a", "$.a[", "$.a[-1]", "$.a[?(@.b)]", "$" + ".a" * 33, "$.a.", "$a]"])
def test_a_path_of_another_form_is_refused(path):
    assert "is a path such as" in refused(f"{path}=1")


def test_there_are_not_too_many_conditions():
    assert str(MAX_CONDITIONS) in refused("\n".join(f"$.a{n}=1" for n in range(MAX_CONDITIONS + 1)))


names = st.text(st.characters(codec="utf-8", exclude_characters=".[]"), min_size=1, max_size=8).filter(
    lambda name: name.strip() == name and name != "*"
)
documents = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**40), 2**40) | st.text(st.characters(codec="utf-8"), max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3),
    max_leaves=12,
)


def places(document, path="$"):
    yield path, document
    if isinstance(document, dict):
        for name, inner in document.items():
            yield from places(inner, f"{path}.{name}")
    elif isinstance(document, list):
        for number, inner in enumerate(document):
            yield from places(inner, f"{path}[{number}]")


@given(documents)
def test_every_place_of_a_document_is_found_by_its_path(document):
    for path, value in places(document):
        assert list(jsonpath.values(document, jsonpath.parse(path))) == [value]


@given(documents)
def test_every_place_of_a_document_is_matched_by_its_own_value(document):
    for path, value in places(document):
        assert filter_of(json.dumps({path: value})).matches(consumed(json.dumps(document).encode())), path
