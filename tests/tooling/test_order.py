"""What a call of `publish` is to write."""

import json

import pytest

from kafka_bridge.errors import Malformed
from kafka_bridge.tooling.order import MAX_RECORDS, read_order
from kafka_bridge.tooling.parameters import Parameters


def order(**given):
    parameters = Parameters({"topic": "orders", "message": "m", **given})
    found = read_order(parameters)
    parameters.check()
    return found


def values(message, **given):
    return [record.value for record in order(message=message, format="batch", **given).records]


def refused(**given):
    with pytest.raises(Malformed) as caught:
        order(**given)
    return str(caught.value)


def test_a_text_is_written_as_it_is():
    (record,) = order(message=" zażółć \n").records

    assert (record.topic, record.value) == ("orders", " zażółć \n".encode())
    assert (record.key, record.headers, record.partition) == (None, (), None)


def test_json_is_written_as_it_stands_there():
    assert order(message=' {"a": 1.10} ', format="json").records[0].value == b'{"a": 1.10}'


def test_json_that_is_none_is_refused():
    assert refused(message="{a: 1}", format="json").startswith("message: is not valid JSON")


def test_each_element_of_an_array_is_a_record_and_no_number_changes():
    message = '[ 1, {"a": 12345678901234567890123, "b": 1.10},\n"text \\u00e9", null, [2, "],["] ]'

    assert values(message) == [
        b"1",
        b'{"a": 12345678901234567890123, "b": 1.10}',
        "text é".encode(),
        b"null",
        b'[2, "],["]',
    ]


def test_each_line_of_json_is_a_record():
    assert values('{"a": 1}\n\n  {"b": "x"} \r\n"text"') == [b'{"a": 1}', b'{"b": "x"}', b'"text"']


def test_a_line_that_is_no_json_is_named_and_nothing_is_written():
    assert "line 2 is not valid JSON" in refused(message='{"a": 1}\n{b}', format="batch")


@pytest.mark.parametrize("message", ["[]", "[ ]", "[" + "0," * MAX_RECORDS + "0]", "0\n" * (MAX_RECORDS + 1)])
def test_a_batch_has_a_record_and_not_too_many(message):
    assert f"1 to {MAX_RECORDS} records" in refused(message=message, format="batch")


@pytest.mark.parametrize("message", ["[1,]", "[1", "[1 2]", "[NaN]", "[" * 3000 + "]" * 3000])
def test_an_array_that_is_none_is_refused(message):
    assert "not a valid JSON array" in refused(message=message, format="batch")


@pytest.mark.parametrize("format_", ["text", "json", "batch"])
@pytest.mark.parametrize("message", ["", None])
def test_a_missing_message_is_refused(message, format_):
    assert "message: missing" in refused(message=message, format=format_)


def test_key_headers_and_partition_are_those_of_every_record():
    found = order(message="[1, 2]", format="batch", key="k", headers='{"h": "v"}', partition="2")

    assert {(record.key, record.headers, record.partition) for record in found.records} == {(b"k", (("h", b"v"),), 2)}


@pytest.mark.parametrize("partition", [-1, "-1", "", None])
def test_without_a_partition_the_key_decides(partition):
    assert order(partition=partition).records[0].partition is None


@pytest.mark.parametrize("partition", [-2, 2**31, "one", 1.5])
def test_what_is_no_partition_is_refused(partition):
    assert refused(partition=partition).startswith("partition:")


def test_headers_are_texts_scalars_nothing_or_repeated():
    given = {"text": "a", "number": 1.5, "flag": True, "nothing": None, "empty": "", "many": ["x", "y"]}

    assert order(headers=given).records[0].headers == (
        ("text", b"a"),
        ("number", b"1.5"),
        ("flag", b"true"),
        ("nothing", None),
        ("empty", b""),
        ("many", b"x"),
        ("many", b"y"),
    )


@pytest.mark.parametrize("headers", ['{"a": {"b": 1}}', '{"a": [["b"]]}', '["a"]', "a=b"])
def test_headers_of_another_form_are_refused(headers):
    assert refused(headers=headers).startswith("headers:")


def test_an_event_id_is_the_header_where_the_dispatcher_looks_for_it():
    (record,) = order(event_id="e-1", headers='{"ce_id": "another", "h": "v"}').records

    assert record.headers == (("h", b"v"), ("ce_id", b"e-1"))


def test_each_record_of_a_batch_has_an_event_id_of_its_own():
    found = order(message="[1, 2]", format="batch", event_id="e")

    assert found.event_ids == ("e-0", "e-1")
    assert [record.headers for record in found.records] == [(("ce_id", b"e-0"),), (("ce_id", b"e-1"),)]


@pytest.mark.parametrize("topic", ["", None, "a b", "a/b", ".", "..", "x" * 250, "zażółć", "a\nb"])
def test_what_is_no_topics_name_is_refused(topic):
    assert refused(topic=topic).startswith("topic:")


def test_an_unknown_format_is_refused_with_those_that_there_are():
    assert "text, json, batch" in refused(format="xml")


def test_half_a_character_is_refused_wherever_it_stands():
    told = refused(message="\ud800", key="\udfff", event_id="\udc00")

    assert told.count("is not valid Unicode") == 3


def test_half_a_character_in_a_header_is_refused_too():
    assert refused(headers={"h": "\ud800"}).startswith("headers:")
    assert refused(headers={"\ud800": "v"}).startswith("headers:")


def test_a_header_whose_name_the_client_library_would_cut_is_refused():
    assert refused(headers={"a\0b": "v"}).startswith("headers:")


def test_an_id_is_bounded_as_every_record_of_a_batch_and_the_answer_repeat_it():
    assert order(event_id="e" * 500).event_ids == ("e" * 500,)
    assert refused(event_id="e" * 511) == "event_id: is longer than 512 bytes."
    # Six times as long in JSON.
    assert refused(event_id="\x01" * 100).startswith("event_id: is longer")


def test_the_records_of_a_batch_share_one_key():
    first, second = order(message="[1, 2]", format="batch", key="k" * 1000).records

    assert first.key is second.key


def test_of_an_endless_batch_no_more_is_read_than_it_takes_to_refuse_it(monkeypatch):
    read = []
    decode = json.JSONDecoder.raw_decode
    monkeypatch.setattr(json.JSONDecoder, "raw_decode", lambda *given: read.append(None) or decode(*given))

    assert refused(message=f"[{'1,' * 20_000}1]", format="batch") == "message: a batch has 1 to 4000 records."
    assert len(read) == MAX_RECORDS + 1
