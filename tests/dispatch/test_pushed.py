"""Records in the body of a request."""

import orjson
import pytest

from kafka_bridge.dispatch.pushed import records_of
from kafka_bridge.errors import Malformed
from kafka_bridge.http import Inbound


def records(body):
    return records_of(Inbound("POST", "/dispatch", headers={"content-type": "application/json"}, body=body))[0]


@pytest.mark.parametrize("topic", ["", "..", "a b", "é", "x" * 250, "x" * 5_000_000])
def test_a_topic_that_is_none_is_refused(topic):
    with pytest.raises(Malformed):
        records(orjson.dumps({"topic": topic, "value": 1}))


@pytest.mark.parametrize("name", ["value", "key", "headers"])
def test_what_is_nested_too_deep_to_be_written_is_refused(name):
    deep = b"[" * 400 + b"]" * 400
    document = {b"value": b"1", name.encode(): b'{"a":' + deep + b"}"}
    body = b"{" + b",".join(b'"%s":%s' % pair for pair in document.items()) + b"}"

    with pytest.raises(Malformed):
        records(body)
