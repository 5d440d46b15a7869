"""The tools in the plugin's own process, called as Dify calls them."""

import json
import secrets
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Consumer, Producer

from bench.driver import Plugin, Request, ToolCall
from bench.plugins import peer_folder
from devhost.broker import EmbeddedBroker
from devhost.host import BackgroundHost
from devhost.tools import NoTool, ToolFailed
from tests.brokers import REPOSITORY
from tests.e2e.consuming import fresh

# Of `org.apache.kafka.common.utils.UtilsTest.testMurmur2`: the hashes by which Java clients choose a partition.
JAVA_HASHES = {
    "21": -973932308,
    "foobar": -790332482,
    "a-little-bit-long-string": -985981536,
    "a-little-bit-longer-string": -1486304829,
    "lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89k8": -58897971,
    "abc": 479470107,
}
PARTITIONS = 4

type Call = Callable[..., dict[str, Any]]


@pytest.fixture
def call(host: BackgroundHost) -> Call:
    """Call a tool; gives the first JSON message."""

    def one(tool: str, credentials: dict[str, object] | None = None, /, **parameters: object) -> dict[str, Any]:
        first = next(message for message in host.tool(tool, parameters, credentials) if message["type"] == "json")
        return first["message"]["json_object"]

    return one


def failure(host, tool, credentials=None, /, **parameters):
    with pytest.raises(ToolFailed) as caught:
        list(host.tool(tool, parameters, credentials))
    return caught.value


# What Dify gets.


def test_a_call_is_json_then_text_then_the_nodes_outputs(host):
    topic = fresh("tools")
    messages = list(host.tool("publish", {"topic": topic, "message": "m"}))
    result = messages[0]["message"]["json_object"]

    assert [message["type"] for message in messages] == ["json", "text", *["variable"] * 5]
    assert (result["status"], result["topic"], result["offset"]) == ("success", topic, 0)
    assert isinstance(result["latency_ms"], float)
    assert {m["message"]["variable_name"]: m["message"]["variable_value"] for m in messages[2:]} == {
        name: result[name] for name in ("topic", "partition", "offset", "timestamp", "latency_ms")
    }


def test_what_is_published_lies_there_as_it_was_given(call, topics):
    topic = fresh("tools")
    result = call("publish", topic=topic, message="zażółć", key="k", headers='{"h": "v"}', event_id="e-1", partition=2)
    record = topics.at(topic, result["partition"], result["offset"])

    assert (record.value().decode(), record.key(), record.partition()) == ("zażółć", b"k", 2)
    assert record.headers() == [("h", b"v"), ("ce_id", b"e-1")]


def test_a_batch_lies_there_record_by_record(call, topics):
    topic = fresh("tools")
    result = call("publish", topic=topic, message='[{"n": 1}, "two"]', format="batch", key="k")

    assert [message.value() for message in topics.read(topic)] == [b'{"n": 1}', b"two"]
    assert [record["offset"] for record in result["records"]] == [0, 1]


# The rules of the plugin that users come from.


@pytest.mark.parametrize("key", JAVA_HASHES)
def test_a_key_goes_where_java_clients_put_it(call, key):
    expected = (JAVA_HASHES[key] & 0x7FFFFFFF) % PARTITIONS

    assert {call("publish", topic=f"keys-{key[:9]}", message=str(n), key=key)["partition"] for n in range(3)} == {
        expected
    }


def test_several_clusters_are_written_to_at_once(call):
    brokers = [EmbeddedBroker() for _ in range(3)]
    topic = fresh("many")

    def publish(number: int) -> dict[str, Any]:
        return call(
            "publish", topic=topic, message=str(number), bootstrap_servers=brokers[number % 3].bootstrap, key="k"
        )

    try:
        with ThreadPoolExecutor(12) as pool:
            results = list(pool.map(publish, range(30)))
        offsets = [sorted(r["offset"] for n, r in enumerate(results) if n % 3 == which) for which in range(3)]
        # Each has its own ten, so that none went astray.
        assert offsets == [list(range(10))] * 3
    finally:
        for broker in brokers:
            broker.close()


def test_an_empty_override_is_none(call, host):
    nothing = dict.fromkeys(
        ("bootstrap_servers", "security_protocol", "sasl_mechanism", "sasl_username", "sasl_password"), ""
    )

    assert call("publish", topic=fresh("tools"), message="m", **nothing)["status"] == "success"


# Connections.


def connected(pid: int, port: int) -> set[str]:
    """The sockets of a process that are connected to a port, by their inodes."""
    lines = [line.split() for line in Path(f"/proc/{pid}/net/tcp").read_text().splitlines()[1:]]
    there = {fields[9] for fields in lines if int(fields[2].rpartition(":")[2], 16) == port and fields[3] == "01"}
    own = set()
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        # Files come and go meanwhile.
        with suppress(FileNotFoundError):
            own.add(str(entry.readlink()).removeprefix("socket:[").removesuffix("]"))
    return there & own


def test_a_thousand_calls_of_thirty_two_at_once_share_one_connection(embedded, host):
    broker = EmbeddedBroker()
    port = int(broker.bootstrap.rpartition(":")[2])
    topic = fresh("thousand")

    def publish(number: int) -> int:
        (first, *_) = host.tool(
            "publish", {"topic": topic, "message": str(number), "bootstrap_servers": broker.bootstrap}
        )
        return first["message"]["json_object"]["offset"]

    try:
        publish(0)
        before = connected(host.pid, port)
        seen: list[set[str]] = []
        with ThreadPoolExecutor(32) as pool:
            for _ in pool.map(publish, range(1, 1000)):
                if len(seen) < 100:
                    seen.append(connected(host.pid, port))
        # One, and the same one all the time.
        assert len(before) == 1
        assert all(sockets == before for sockets in seen)
        assert connected(host.pid, port) == before
    finally:
        broker.close()


@pytest.mark.slow
@pytest.mark.parametrize("ack_ms", [5, 10])
def test_it_is_many_times_faster_than_a_flush_for_every_call(tmp_path, figures, ack_ms):
    broker = EmbeddedBroker(rtt_ms=ack_ms)
    settings = {"bootstrap_servers": broker.bootstrap}
    ours = ToolCall("kafka_bridge", "publish", settings, {"topic": "bench", "message": "m", "key": "k"})
    theirs = Request({"Content-Type": "text/plain"}, b"m", settings)
    rates: dict[str, list[float]] = {"ours": [], "flush": []}
    try:
        with (
            Plugin(REPOSITORY) as plugin,
            Plugin(peer_folder(tmp_path, "flush"), {"BENCH_TOPIC": "bench"}) as peer,
        ):
            plugin.closed_loop(ours, 64, 32)
            peer.closed_loop(theirs, 8, 8)
            for _ in range(3):
                rates["flush"].append(peer.closed_loop(theirs, 150, 32).rate)
                rates["ours"].append(plugin.closed_loop(ours, 1000, 32).rate)
    finally:
        broker.close()
    mine, flush = (sorted(rates[name])[1] for name in ("ours", "flush"))
    figures(
        f"publish: {mine:.0f} calls/s of 32 at once, a producer with a flush for every call {flush:.0f}/s"
        f" ({mine / flush:.1f}x; acks after {ack_ms} ms, medians of 3 rounds of 1,000 and 150)"
    )

    assert mine > 3 * flush


# Reading.


def test_what_was_published_is_consumed(call):
    topic = fresh("tools")
    call("publish", topic=topic, message='[{"id": 1}, {"id": 2}, {"id": 3}]', format="batch", key="k")

    result = call("consume", topics=topic, filter="$.id=2")

    assert (result["count"], result["reason"], result["looked_at"]) == (1, "end", 3)
    assert result["records"][0] | {"timestamp": 0} == {
        "topic": topic,
        "partition": result["records"][0]["partition"],
        "offset": 1,
        "timestamp": 0,
        "key": "k",
        "headers": {},
        "value": '{"id": 2}',
        "encoding": "utf-8",
        "parsed": {"id": 2},
    }


def test_bytes_that_are_no_text_come_as_base64(call, embedded):
    topic = fresh("tools")
    producer = Producer({"bootstrap.servers": embedded.bootstrap, "log_level": 0})
    producer.produce(topic, b"\xff\x00", key=b"\xfe", headers=[("h", b"\xfd"), ("n", None)])
    producer.flush(10)
    (record,) = call("consume", topics=topic)["records"]

    assert (record["value"], record["encoding"]) == ("/wA=", "base64")
    assert (record["key"], record["key_encoding"]) == ("/g==", "base64")
    assert record["headers"] == {"h": {"base64": "/Q=="}, "n": None}


def test_json_that_is_nested_too_deep_to_be_written_is_there_as_text_only(call):
    topic = fresh("tools")
    deep = "[" * 400 + "]" * 400
    call("publish", topic=topic, message=deep)
    (record,) = call("consume", topics=topic)["records"]

    assert (record["value"], record["parsed"]) == (deep, None)


def test_an_answer_of_a_thousand_large_records_does_not_kill_the_process(call, host, embedded):
    topic = fresh("tools")
    pid = host.pid
    producer = Producer({"bootstrap.servers": embedded.bootstrap, "log_level": 0})
    for _ in range(1000):
        # What JSON writes as six characters each.
        producer.produce(topic, b"\x01" * 20_000, partition=0)
    producer.flush(30)

    result = call("consume", topics=topic, max_messages=1000, max_seconds=60)

    assert (host.pid, result["reason"]) == (pid, "size")
    assert 1 <= result["count"] < 1000


def test_reading_stops_nobody_else(call, host):
    """Twenty calls that wait for records, and every publish beside them is quick."""
    topic, quiet = fresh("tools"), fresh("quiet")
    call("publish", topic=quiet, message="m")
    call("publish", topic=topic, message="m")

    def wait_for_nothing(_: int) -> str:
        return call("consume", **{"topics": quiet, "from": "latest", "max_seconds": 3})["reason"]

    with ThreadPoolExecutor(20) as pool:
        reading = [pool.submit(wait_for_nothing, number) for number in range(20)]
        latencies = []
        while not all(one.done() for one in reading):
            began = time.monotonic()
            call("publish", topic=topic, message="m")
            latencies.append(time.monotonic() - began)
        assert {one.result() for one in reading} == {"max_seconds"}
    assert sorted(latencies)[len(latencies) // 2] < 0.2


def test_with_a_group_it_goes_on_where_the_last_call_has_committed(call, embedded):
    topic, group = fresh("tools"), fresh("group")
    # The new protocol joins the embedded broker at once, where the classic one takes three seconds.
    quick = {"client_config": '{"group.protocol": "consumer"}', "bootstrap_servers": embedded.bootstrap}
    call("publish", topic=topic, message="[1, 2, 3]", format="batch", partition=0)
    asked = {"topics": topic, "from": "group", "group_id": group, "commit": True, "max_messages": 2}

    first = call("consume", quick, **asked)
    second = call("consume", quick, **asked)
    behind = call("list_topics", quick, topics=topic, group_id=group)["lag"]

    assert [record["value"] for record in first["records"] + second["records"]] == [*"123"]
    assert (first["committed"], second["committed"], behind) == (True, True, 0)


def test_without_a_commit_the_group_is_where_it_was(call):
    topic, group = fresh("tools"), fresh("group")
    call("publish", topic=topic, message="[1, 2, 3]", format="batch", partition=0)
    asked = {"topics": topic, "from": "group", "group_id": group}

    assert [call("consume", **asked)["count"] for _ in range(2)] == [3, 3]
    offsets = call("list_topics", topics=topic, group_id=group)["topics"][0]["offsets"]
    assert {offset["committed"] for offset in offsets} == {None}


# Request and reply.


@contextmanager
def service(bootstrap: str, topic: str) -> Iterator[None]:
    """Somebody else's service: it answers every request where the request says, with its correlation id."""
    stop, ready = threading.Event(), threading.Event()

    def serve() -> None:
        consumer = Consumer(
            {
                "bootstrap.servers": bootstrap,
                "group.id": fresh("service"),
                "auto.offset.reset": "earliest",
                "group.protocol": "consumer",
                "fetch.wait.max.ms": 10,
                "log_level": 0,
            }
        )
        producer = Producer({"bootstrap.servers": bootstrap, "linger.ms": 0, "log_level": 0})
        consumer.subscribe([topic], on_assign=lambda *_: ready.set())
        while not stop.is_set():
            message = consumer.poll(0.05)
            if message is not None and message.error() is None:
                headers = dict(message.headers() or ())
                reply = json.dumps({"re": message.value().decode()})
                producer.produce(
                    headers["reply-to"].decode(), reply, headers={"correlation-id": headers["correlation-id"]}
                )
                producer.flush(10)
        consumer.close()

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        assert ready.wait(20)
        yield
    finally:
        stop.set()
        thread.join()


def test_a_request_is_answered_by_a_consumer_that_replies(call, embedded):
    requests, replies = fresh("requests"), fresh("replies")
    call("publish", topic=replies, message="older")
    call("publish", topic=requests, message="older", headers={"reply-to": replies, "correlation-id": "older"})
    with service(embedded.bootstrap, requests):
        results = [
            call("wait_for_event", topic=replies, publish_topic=requests, message=f"question {n}", timeout=20)
            for n in range(3)
        ]

    assert [result["parsed"] for result in results] == [{"re": f"question {n}"} for n in range(3)]
    assert all(result["headers"]["correlation-id"] == result["correlation_id"] for result in results)


def test_many_wait_at_once_and_each_gets_its_own_reply(call, embedded):
    requests, replies = fresh("requests"), fresh("replies")
    call("publish", topic=replies, message="older")
    call("publish", topic=requests, message="older", headers={"reply-to": replies, "correlation-id": "older"})

    def ask(number: int) -> dict[str, Any]:
        return call("wait_for_event", topic=replies, publish_topic=requests, message=str(number), timeout=30)

    with service(embedded.bootstrap, requests), ThreadPoolExecutor(10) as pool:
        results = list(pool.map(ask, range(10)))

    assert [result["parsed"]["re"] for result in results] == [str(number) for number in range(10)]


def test_nothing_in_time_fails_the_node(call, host):
    topic = fresh("tools")
    call("publish", topic=topic, message="older")
    told = failure(host, "wait_for_event", topic=topic, timeout=0.3)

    assert told.kind == "InvokeServerUnavailableError"
    assert str(told).startswith(f"wait_for_event failed: No record came to {topic} within 0.3 s. Wait longer")


# Failures.


def test_a_failure_is_the_sdks_own_whose_text_dify_shows_as_it_is(host):
    told = failure(host, "publish", topic="a b", message="")

    assert told.kind == "InvokeBadRequestError"
    assert str(told) == (
        "publish failed: topic: is no topic's name: letters, digits, dots, underscores and hyphens, 249 at most."
        " message: missing. Correct the parameters and call the tool again."
    )
    # Older versions of Dify take it from here.
    assert json.loads(told.said)["args"]["description"] == str(told)


def test_a_broker_that_is_away_is_told_long_before_a_timeout(host):
    away = {"bootstrap_servers": "127.0.0.1:1"}
    for tool, parameters in (
        ("publish", {"topic": "t", "message": "m"}),
        ("consume", {"topics": "t"}),
        ("wait_for_event", {"topic": "t", "publish_topic": "t", "message": "m"}),
        ("list_topics", {}),
        ("create_topic", {"topic": "t"}),
    ):
        began = time.monotonic()
        told = failure(host, tool, {**away, "allow_admin": "enabled"}, **parameters)
        # On a machine that does other things too; what is not known at once would take eight.
        assert time.monotonic() - began < 7
        assert told.kind == "InvokeConnectionError"
        assert f"{tool} failed: connection refused. Check “Bootstrap servers”" in str(told)


def test_a_broker_that_says_nothing_is_not_waited_for_longer_than_the_platform_waits(host, silent_port):
    began = time.monotonic()
    told = failure(host, "consume", {"bootstrap_servers": f"127.0.0.1:{silent_port}"}, topics="t")

    assert "not acknowledged in time. Kafka did not answer" in str(told)
    assert time.monotonic() - began < 20


@pytest.fixture
def silent_port() -> Iterator[int]:
    """A port where somebody listens and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


SECRET = secrets.token_hex(16)


@pytest.mark.parametrize(
    "saved",
    [
        {"sasl_password": SECRET},
        {"sasl_username": SECRET, "sasl_password": SECRET},
        {"ssl_key_pem": SECRET},
        {"bootstrap_servers": f"{SECRET} {SECRET}"},
        {"client_config": f'{{"acks": "{SECRET}"}}'},
        {"security_protocol": SECRET},
        {"allow_admin": SECRET},
    ],
)
@pytest.mark.parametrize("tool", ["publish", "consume", "create_topic"])
def test_no_failure_holds_what_was_saved_or_given(host, saved, tool):
    lines = len(host.lines)
    told = failure(
        host, tool, {"bootstrap_servers": "127.0.0.1:1", **saved}, topic=SECRET, topics=SECRET, message=SECRET
    )

    # The topic's name is no secret, and may be told; the rest is.
    said = told.said.replace(f"topic does not exist: {SECRET}", "")
    assert SECRET not in said
    assert SECRET not in "".join(line for _, line in host.lines[lines:])


def test_a_tool_that_there_is_not_is_named(host):
    with pytest.raises(NoTool, match="publish, consume"):
        list(host.tool("produce", {}))


def test_without_permission_no_topic_is_created(host):
    told = failure(host, "create_topic", topic=fresh("tools"))

    assert "Allow creating topics: is disabled" in str(told)


# The credentials.


def test_credentials_are_tried_before_they_are_saved(host):
    assert host.validate({}) is None


def test_credentials_that_do_not_work_are_refused_with_the_settings_label(host):
    with pytest.raises(ToolFailed) as caught:
        host.validate({"bootstrap_servers": "127.0.0.1:1"})

    assert caught.value.kind == "ToolProviderCredentialValidationError"
    assert str(caught.value).startswith("Connecting to Kafka failed: connection refused. Check “Bootstrap servers”")


def test_all_that_is_wrong_with_them_is_told_at_once(host):
    with pytest.raises(ToolFailed) as caught:
        host.validate({"bootstrap_servers": "", "sasl_username": "u", "ssl_ca_pem": "x"})

    for label in ("Bootstrap servers", "SASL password", "CA certificate (PEM)"):
        assert f"{label}: " in str(caught.value)
