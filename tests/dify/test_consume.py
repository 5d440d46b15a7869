"""What is told of runs."""

import json

import pytest

from kafka_bridge.dify.consume import answer, tell
from kafka_bridge.dispatch.ended import Ended, Ending


def deep(levels):
    value = []
    for _ in range(levels):
        value = [value]
    return value


@pytest.mark.parametrize("value", [2**64, "half a character \ud83d", deep(300)])
def test_whatever_a_run_gave_there_is_an_answer(value):
    ended = Ended(Ending.DONE, outputs={"n": value}, run_id="r\ud83d")

    outbound = answer(["e"], [ended], many=False)
    document = json.loads(outbound.body)

    assert outbound.status == 200
    assert document["run"] == "succeeded"
    if value == 2**64:
        assert document["outputs"] == {"n": 2**64}


def test_whatever_the_error_says_there_is_an_answer():
    outbound = answer(["e"], [Ended(Ending.FAILED, error="\ud83d")], many=False)

    assert outbound.status == 502
    assert json.loads(outbound.body)["detail"] == "?"


def test_what_is_left_out_is_named():
    documents = [{"id": "e"}]
    tell(documents, [Ended(Ending.DONE, outputs={"text": "x" * 1_000_000})])

    assert documents[0]["left_out"] == ["outputs"]
