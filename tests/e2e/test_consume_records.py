"""Records that nobody would write, and what becomes of each: every one ends as a run or a dead letter."""

import json

import pytest

from tests.e2e.conftest import Consuming
from tests.e2e.consuming import event, headers_of
from tests.e2e.topics import Topics

NAMED = {"headers": [("ce_id", b"e-1")]}
PARAGRAPH = [{"paragraph": {"variable": "message"}}, {"json_object": {"variable": "kafka"}}]


@pytest.mark.parametrize(
    ("record", "given"),
    [
        ({"value": None, "key": b"k"}, {"message": "", "key": "k"}),
        ({"value": b""}, {"message": "", "key": None}),
        ({"value": b"\xff\xfe", "key": b"\xff\x00"}, {"message": "\ufffd\ufffd", "key": "\ufffd\x00"}),
        ({"value": b"null"}, {"message": None}),
        ({"value": b"[1, 2]"}, {"message": [1, 2]}),
        ({"value": b"NaN"}, {"message": "NaN"}),
        ({"value": b'"\\ud800"'}, {"message": '"\\ud800"'}),
        ({"value": b'{"n": 123456789012345678901234567890}'}, {"n": 1.2345678901234568e29}),
        ({"value": b'{"topic": 7, "kafka": 8, "key": null}', "key": b"k"}, {"topic": 7, "kafka": 8, "key": None}),
        ({"value": b'{"\\u0000": "\\u0000"}'}, {"\x00": "\x00"}),
        ({"value": b"[" * 900_000}, {"message": "[" * 900_000}),
    ],
    ids=[
        "a tombstone",
        "an empty value",
        "bytes that are no text",
        "null",
        "an array",
        "no number",
        "half a character",
        "a number above all bounds",
        "names of ours",
        "a null character",
        "brackets without end",
    ],
)
def test_a_record_of_any_kind_reaches_an_app_without_a_form(consuming: Consuming, record, given):
    shop = consuming()
    shop.produce([{**NAMED, **record}])

    told = shop.consume_until(lambda totals: totals["consumed"] == 1)

    (call,) = shop.flow.calls
    assert {name: call[name] for name in given} == given
    assert call["event_id"] == "e-1"
    assert (told["succeeded"], told["lag"]) == (1, 0)


@pytest.mark.parametrize("depth", [200, 240, *range(244, 256, 3), 1000])
def test_a_record_that_is_nested_deep_is_run_or_dead_lettered_at_once(consuming: Consuming, depth):
    shop = consuming()
    shop.produce([{**NAMED, "value": b'{"a":' * depth + b"1" + b"}" * depth}])

    told = shop.consume_until(lambda totals: totals["consumed"] == 1)

    assert told["succeeded"] + told["dead_lettered"] == 1
    assert told["retried"] == 0


def test_a_tombstone_says_so_and_stays_one_as_a_dead_letter(consuming: Consuming, topics: Topics):
    shop = consuming(max_attempts="1")
    shop.flow.act = lambda inputs: {"absent": inputs["absent"]}
    shop.produce([{"key": b"k", "value": None, **NAMED}])

    shop.consume_until(lambda totals: totals["dead_lettered"] == 1)
    (letter,) = topics.read(f"{shop.topic}.dead-letter")

    assert shop.flow.calls[0]["kafka"]["tombstone"] is True
    assert (letter.key(), letter.value()) == (b"k", None)


@pytest.mark.parametrize(
    ("form", "payload", "expected"),
    [
        ({"paragraph": {"variable": "n"}}, {"n": {"a": 1}}, {"n": '{"a":1}'}),
        ({"text-input": {"variable": "n"}}, {"n": 5}, {"n": "5"}),
        ({"paragraph": {"variable": "n", "max_length": 3}}, {"n": "long"}, None),
        ({"select": {"variable": "n", "options": ["a"]}}, {"n": "b"}, None),
        ({"number": {"variable": "n"}}, {"n": "5"}, {"n": 5}),
        ({"number": {"variable": "n"}}, {"n": "five"}, None),
        ({"json_object": {"variable": "n"}}, {"n": '{"a": 1}'}, {"n": {"a": 1}}),
        ({"json_object": {"variable": "n"}}, {"n": "text"}, None),
        ({"json_object": {"variable": "n"}}, {"n": [1]}, None),
        ({"file": {"variable": "n"}}, {"n": "x"}, None),
        ({"file-list": {"variable": "n"}}, {"n": [1]}, None),
        ({"paragraph": {"variable": "n", "required": True}}, {}, None),
        ({"paragraph": {"variable": "n", "required": True}}, {"n": None}, None),
    ],
)
def test_json_that_does_not_fit_the_form_is_fitted_or_dead_lettered_at_once(
    consuming: Consuming, topics: Topics, form, payload, expected
):
    shop = consuming()
    shop.flow.form = [form]
    shop.produce([event(1) | {"value": json.dumps(payload).encode()}])

    shop.consume_until(lambda totals: totals["consumed"] == 1)

    assert shop.flow.calls == ([] if expected is None else [expected])
    assert (shop.totals["succeeded"], shop.totals["dead_lettered"]) == ((0, 1) if expected is None else (1, 0))
    if expected is None:
        (letter,) = topics.read(f"{shop.topic}.dead-letter")
        assert b" in input form" in (headers_of(letter)["__connect.errors.exception.message"] or b"")


def test_an_input_that_the_app_has_got_meanwhile_is_passed_without_a_restart(consuming: Consuming):
    shop = consuming(ordering="partition")
    shop.flow.form = [{"paragraph": {"variable": "a"}}]
    shop.produce([event(1, a="1", b="2")])
    shop.consume_until(lambda totals: totals["succeeded"] == 1)
    shop.flow.form = [*shop.flow.form, {"paragraph": {"variable": "b", "required": True}}]

    def again():
        shop.produce([event(2, a="1", b="2")])
        shop.consume_until(lambda totals: totals["consumed"] > 0)
        return shop.flow.calls[-1]

    # One whose form is a second old at most is not asked again: until then it is refused.
    shop.consume_until(lambda _: again() == {"a": "1", "b": "2"})

    assert shop.flow.calls[0] == {"a": "1"}


def test_what_the_mapping_says_is_what_the_app_gets(consuming: Consuming):
    shop = consuming(input_mapping=json.dumps({"order": "{body.order}", "text": "no. {body.order.id} of {header.x}"}))
    shop.flow.form = [{"json_object": {"variable": "order"}}, {"paragraph": {"variable": "text"}}]
    shop.produce([event(1, order={"id": 7}) | {"headers": [("x", b"acme")]}])

    shop.consume_until(lambda totals: totals["succeeded"] == 1)

    assert shop.flow.calls == [{"order": {"id": 7}, "text": "no. 7 of acme"}]


def test_a_chatflow_is_asked_what_the_record_says(consuming: Consuming):
    shop = consuming()
    shop.flow.mode = "advanced-chat"
    shop.flow.form = []
    shop.produce([event(1, message="Hello?"), {"value": b"", **NAMED}])

    shop.consume_until(lambda totals: totals["consumed"] == 2)

    assert shop.flow.calls == [{"query": "Hello?"}]
    # There is nothing to ask with.
    assert (shop.totals["succeeded"], shop.totals["dead_lettered"]) == (1, 1)
