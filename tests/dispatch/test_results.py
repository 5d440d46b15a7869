"""What a run gave, as a record."""

import pytest

from kafka_bridge.dispatch.ended import Ended, Ending
from kafka_bridge.dispatch.payload import read
from kafka_bridge.dispatch.results import result
from kafka_bridge.events.record import Consumed, Record


def result_of(**ended):
    return result(Ended(Ending.DONE, **ended), topic="results", event_id="evt_1", source="/kafka-bridge/g", unix=0.0)


def test_it_is_a_cloudevent_that_names_what_caused_it():
    record = result_of(outputs={"text": "ö", "n": 1}, run_id="run-1")

    assert record == Record(
        topic="results",
        key=b"evt_1",
        value='{"text":"ö","n":1}'.encode(),
        headers=(
            ("ce_specversion", b"1.0"),
            ("ce_id", b"evt_1.result"),
            ("ce_source", b"/kafka-bridge/g"),
            ("ce_type", b"dify.workflow.succeeded"),
            ("ce_time", b"1970-01-01T00:00:00.000Z"),
            ("ce_causationid", b"evt_1"),
            ("ce_runid", b"run-1"),
            ("content-type", b"application/json"),
        ),
    )


@pytest.mark.parametrize("outputs", [None, {}])
def test_a_run_without_outputs_has_an_empty_object(outputs):
    assert result_of(outputs=outputs).value == b"{}"


def test_a_run_without_an_id_has_no_attribute_for_it():
    assert "ce_runid" not in dict(result_of().headers)


def test_outputs_are_written_however_large_their_numbers_are():
    assert result_of(outputs={"n": 2**70}).value == b'{"n":1180591620717411303424}'


def test_a_result_is_read_like_any_other_event():
    read_back = read(Consumed(result_of(outputs={"a": 1}), 0, 0))

    assert (read_back.event_id, read_back.event_type) == ("evt_1.result", "dify.workflow.succeeded")
    assert read_back.document == {"a": 1}
