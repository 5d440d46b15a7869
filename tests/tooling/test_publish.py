"""The tool `publish`: what it says once the broker has acknowledged."""

import orjson
import pytest

from kafka_bridge.errors import Cause, Malformed, SettingsInvalid, TooLarge, Unavailable
from kafka_bridge.tooling.call import ToolCall
from kafka_bridge.tooling.messages import Json, Text, Variable
from kafka_bridge.tooling.parameters import Parameters
from kafka_bridge.tooling.publish import OUTPUTS, Publish
from tests.stand_ins import Registry, clock_at
from tests.tooling.readers import SAVED


def call(registry, saved=SAVED, **parameters):
    tool = Publish(registry, clock_at(0))
    return list(tool(ToolCall(saved, Parameters({"topic": "orders", "message": "m", **parameters}))))


def test_the_first_message_is_the_flat_result_then_text_then_the_outputs():
    first, second, *others = call(Registry(), key="k", event_id="e")

    assert first == Json(
        {
            "status": "success",
            "topic": "orders",
            "partition": 3,
            "offset": 41,
            "timestamp": 1_700_000_000_000,
            "event_id": "e",
            "latency_ms": 0.0,
            "count": 1,
            "records": [],
            "key": "k",
        }
    )
    assert second == Text("Published to topic orders, partition 3, offset 41.")
    assert others == [
        Variable(name, first.value[name]) for name in ("topic", "partition", "offset", "timestamp", "latency_ms")
    ]


def test_a_batch_says_where_each_record_lies_and_is_as_flat():
    first, _, *variables = call(Registry(), message="[1, 2]", format="batch", event_id="e")

    assert [(one["offset"], one["event_id"]) for one in first.value["records"]] == [(41, "e-0"), (42, "e-1")]
    assert (first.value["count"], first.value["offset"], first.value["event_id"]) == (2, 42, "e-1")
    assert variables == [Variable(name, first.value[name]) for name in OUTPUTS]


def test_the_records_of_a_batch_are_sent_together():
    registry = Registry()
    call(registry, message="[1, 2, 3]", format="batch")

    assert [record.value for record in registry.broker.records] == [b"1", b"2", b"3"]
    assert len(registry.leased) == 1


def test_another_cluster_is_another_connection():
    registry = Registry()
    call(registry)
    call(registry, bootstrap_servers="away.example.com:9092")

    assert [cluster.servers for cluster in registry.leased] == [
        ("broker.example.com:9092",),
        ("away.example.com:9092",),
    ]


def test_nothing_is_sent_when_anything_is_wrong():
    registry = Registry()

    with pytest.raises(Malformed):
        call(registry, headers="{")
    with pytest.raises(Malformed):
        call(registry, sasl_username="u")
    with pytest.raises(SettingsInvalid, match="Bootstrap servers: missing"):
        call(registry, saved={})
    assert registry.leased == []


def test_what_kafka_says_is_raised():
    with pytest.raises(Unavailable, match="topic does not exist"):
        call(Registry(Unavailable(Cause.TOPIC_DOES_NOT_EXIST)))


def test_of_a_batch_the_record_that_was_refused_is_named():
    error = TooLarge("The record is above the limit of the client (message.max.bytes).")
    error.index = 1

    with pytest.raises(TooLarge, match=r"^Record 2 of the batch: The record is above"):
        call(Registry(error), message="[1, 2, 3]", format="batch")


# One line of stdout above 5 MiB, and the platform ends the process of all workspaces.
LINE_BYTES = 5 * 1024 * 1024


@pytest.mark.parametrize(
    "given",
    [
        {"message": f"[{'1,' * 3999}1]", "format": "batch", "topic": "t" * 249, "event_id": "e" * 500},
        {"key": "\x01" * 900_000},
    ],
)
def test_no_result_is_as_large_as_the_platform_kills_for(given):
    first, _, *variables = call(Registry(), **given)

    assert max(len(orjson.dumps(message.value)) for message in (first, *variables)) < LINE_BYTES
