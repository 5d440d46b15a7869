"""`listen_sse` on real sockets: events as they arrive, the end of a call, coming back to a stream that has ended."""

import threading
import time

import orjson
import pytest

from kafka_bridge.errors import Busy, Cause, StreamFailed, Unavailable
from kafka_bridge.tooling.listen_sse import MAX_LISTENERS, MOST_S, longest_s
from kafka_bridge.tooling.messages import Json
from kafka_bridge.tooling.sse.account import MAX_SUMMARY_BYTES, MAX_TOTAL_BYTES
from tests.stand_ins import Registry
from tests.tooling.listeners import Heard, Listener, listen, outputs_of
from tests.tooling.streams import STREAM, Peer, Server, dripping, event


def streaming(*chunks, ended=True, headers=STREAM):
    return lambda peer: peer.stream(*chunks, ended=ended, headers=headers)


def staying(*chunks, ended=True):
    """Sends them, and then nothing until the other side hangs up."""

    def script(peer: Peer):
        peer.stream(*chunks, ended=False)
        peer.until_gone()

    return script


def url_of(server, path="/"):
    return f"http://127.0.0.1:{server.port}{path}"


# Events, and the summary.


def test_each_event_is_told_before_the_next_one_is_sent():
    seen = threading.Semaphore(0)

    def one_by_one(peer):
        peer.answer()
        for data in ("one", "two", "three"):
            peer.chunk(event(data, id=data))
            assert seen.acquire(timeout=10)
        peer.send(b"0\r\n\r\n")

    with Server(one_by_one) as server:
        heard = []
        for message in Listener().start(url_of(server), reconnect_attempts=0):
            heard.append(message)
            seen.release()

    assert [message.value["data"] for message in heard if isinstance(message, Json) and "data" in message.value] == [
        "one",
        "two",
        "three",
    ]


def test_an_event_has_its_type_data_time_and_id():
    with Server(streaming(event("{}", event="order", id="7"))) as server:
        heard = listen(url_of(server), reconnect_attempts=0)

    assert heard.error is None
    (told,) = heard.events
    assert set(told) == {"type", "event_type", "data", "timestamp", "event_id"}
    assert (told["event_type"], told["data"], told["event_id"]) == ("order", "{}", "7")
    assert abs(time.time() - _unix(told["timestamp"])) < 10


def _unix(text):
    return time.mktime(time.strptime(text[:19], "%Y-%m-%dT%H:%M:%S")) - time.timezone


def test_the_last_message_is_the_summary_and_its_fields_are_the_outputs_of_the_node():
    with Server(streaming(event("a", id="1"), event("b", id="2"))) as server:
        heard = listen(url_of(server), reconnect_attempts=0)

    outputs = outputs_of(heard)
    assert outputs.items() <= heard.summary.items()
    assert outputs["status"] == "completed"
    assert outputs["total_events"] == 2
    assert outputs["events"] == [
        {name: value for name, value in told.items() if name != "type"} for told in heard.events
    ]
    assert (outputs["last_event_id"], outputs["error"], outputs["reconnects"]) == ("2", "", 0)
    assert outputs["summary"].startswith(f"2 events from 127.0.0.1:{server.port} in ")


def test_an_id_that_no_header_can_have_is_not_told_so_that_no_server_can_make_a_message_the_platform_kills_for():
    # As JSON six times as long, and a line above 5 MiB is the end of the process, for all workspaces.
    with Server(streaming(b"id: 1\n\nid: " + b"\x01" * 1_000_000 + b"\n\n")) as server:
        heard = listen(url_of(server), reconnect_attempts=0)

    assert heard.status == "completed"
    assert len(orjson.dumps(heard.summary)) < 4096
    assert heard.summary["last_event_id"] == ""


def test_enough_is_enough_and_the_connection_is_closed():
    with Server(staying(event("a") + event("b") + event("c"))) as server:
        heard = listen(url_of(server), max_events=2)
        assert server.hung_up.acquire(timeout=5)

    assert heard.data == ["a", "b"]
    assert (heard.status, heard.summary["total_events"]) == ("completed", 2)


def test_only_the_types_that_were_asked_for_are_told_and_counted():
    with Server(streaming(event("1", event="a"), event("2", event="b"), event("3"), event("4", event="a"))) as server:
        assert listen(url_of(server), event_types="a, message").data == ["1", "3", "4"]
        assert listen(url_of(server), event_types='["b"]', max_events=1).data == ["2"]


def test_a_server_that_says_that_there_is_nothing_is_not_asked_again():
    with Server(lambda peer: peer.whole("204 No Content")) as server:
        heard = listen(url_of(server), reconnect_attempts=5)

    assert (heard.status, heard.summary["total_events"], heard.error, server.connections) == ("completed", 0, None, 1)


# The time.


def test_a_stream_that_goes_on_ends_with_the_timeout():
    with Server(staying(event("a"))) as server:
        heard = listen(url_of(server), timeout=2)

    assert (heard.status, heard.data, heard.error) == ("timeout", ["a"], None)
    assert 1.9 < heard.summary["connection_duration"] < 15


def test_a_stream_that_drips_ends_with_the_timeout_too():
    with Server(dripping(b": still here\n", every_s=0.01)) as server:
        heard = listen(url_of(server), timeout=2)

    assert (heard.status, heard.summary["total_events"], heard.error) == ("timeout", 0, None)
    assert heard.summary["connection_duration"] < 15


def test_long_listening_is_cut_before_the_platform_ends_the_call():
    with Server(staying(event("a"))) as server:
        heard = Listener(most_s=2)(url_of(server), timeout=600)

    assert (heard.status, heard.data, heard.error) == ("partial", ["a"], None)
    assert "cut" in heard.summary["summary"]
    assert heard.summary["connection_duration"] < 15


@pytest.mark.parametrize(
    ("limit", "longest"),
    [("", MOST_S), ("600", MOST_S), ("60", 45), ("20", 5), ("3", 1), ("never", MOST_S), ("9" * 30, MOST_S)],
)
def test_the_longest_call_is_well_within_the_platforms(limit, longest):
    assert longest_s({"PLUGIN_MAX_EXECUTION_TIMEOUT": limit} if limit else {}) == longest


def test_a_server_that_never_answers_is_an_error():
    with Server(lambda peer: peer.until_gone()) as server:
        heard = listen(url_of(server), timeout=2)

    assert heard.status == "error"
    assert isinstance(heard.error, StreamFailed)
    assert "no answer in time" in str(heard.error)


# Coming back.


def test_the_server_says_when_to_come_back_and_is_told_what_came_last():
    at = []

    def timed(script):
        def run(peer):
            at.append(time.monotonic())
            script(peer)
            at.append(time.monotonic())

        return run

    first = timed(streaming(b"retry: 700\n", event("a", id="41 é")))
    with Server(
        first, timed(streaming(event("b", id="42"))), timed(lambda peer: peer.whole("204 No Content"))
    ) as server:
        heard = listen(url_of(server))

    assert heard.data == ["a", "b"]
    assert (heard.status, heard.summary["reconnects"], server.connections) == ("completed", 2, 3)
    assert [request.headers.get("last-event-id") for request in server.requests] == [None, "41 é", "42"]
    # Connected anew no sooner than it said; the same delay holds for the next time.
    assert at[2] - at[1] >= 0.69
    assert at[4] - at[3] >= 0.69


def test_an_event_that_was_cut_in_the_middle_comes_whole_the_next_time():
    with Server(
        streaming(b"retry: 1\nid: 1\ndata: a\n\n", b"id: 2\ndata: hal", ended=False), streaming(event("half", id="2"))
    ) as server:
        heard = listen(url_of(server), max_events=2)

    assert heard.data == ["a", "half"]
    assert [request.headers.get("last-event-id") for request in server.requests] == [None, "1"]


def test_an_id_outlives_connections_that_name_none():
    with Server(
        streaming(b"retry: 1\n", event("a", id="7")), streaming(event("b")), streaming(), streaming(event("c"))
    ) as server:
        heard = listen(url_of(server), max_events=3)

    assert [(told["data"], told["event_id"]) for told in heard.events] == [("a", "7"), ("b", "7"), ("c", "7")]
    assert [request.headers.get("last-event-id") for request in server.requests] == [None, "7", "7", "7"]


def test_the_delay_grows_only_while_nothing_comes():
    nothing, something = streaming(b"retry: 100\n"), streaming(event("a", id="1"))
    listener = Listener()
    with Server(nothing, nothing, something, something, nothing) as server:
        listener(url_of(server), reconnect_attempts=5)

    assert listener.loop.waits == [0.1, 0.2, 0.1, 0.1, 0.2]


def test_it_comes_back_as_often_as_the_call_says_and_no_more():
    with Server(streaming(b"retry: 1\n", event("a"))) as server:
        heard = listen(url_of(server), reconnect_attempts=2)

    assert (heard.data, server.connections, heard.status) == (["a", "a", "a"], 3, "completed")


def test_it_does_not_come_back_where_the_call_says_so():
    with Server(streaming(event("a", id="1"), ended=False)) as server:
        heard = listen(url_of(server), reconnect_attempts=0)

    assert (heard.data, server.connections, heard.status) == (["a"], 1, "partial")
    assert "the connection broke" in heard.summary["error"]
    # What came is a result, and no error of the node.
    assert heard.error is None


def test_a_stream_that_cannot_be_gone_on_with_is_not_repeated_unless_the_call_says_so():
    with Server(streaming(event("a"))) as server:
        assert (listen(url_of(server)).data, server.connections) == (["a"], 1)


def test_a_post_is_not_repeated_unless_the_call_says_so():
    with Server(streaming(b"retry: 1\n", event("a", id="1"), ended=False)) as server:
        assert listen(url_of(server), method="POST", body="{}").status == "partial"
        assert server.connections == 1
        assert listen(url_of(server), method="POST", body="{}", reconnect_attempts=1).data == ["a", "a"]


def test_a_server_in_trouble_is_asked_again():
    with Server(lambda peer: peer.whole("503 Service Unavailable"), streaming(event("a"))) as server:
        heard = listen(url_of(server), max_events=1)

    assert (heard.data, heard.status, server.connections) == (["a"], "completed", 2)


def test_a_delay_longer_than_the_time_that_is_left_is_not_waited_for():
    began = time.monotonic()
    with Server(streaming(b"retry: 3600000\n", event("a"))) as server:
        heard = listen(url_of(server), timeout=20)

    assert (heard.status, heard.data, server.connections) == ("timeout", ["a"], 1)
    assert time.monotonic() - began < 10


def test_a_call_may_go_on_from_where_an_earlier_one_ended():
    with Server(streaming(event("b", id="8"))) as server:
        listen(url_of(server), headers={"Last-Event-ID": "7"}, max_events=1)

    assert server.requests[0].headers["last-event-id"] == "7"


def test_an_id_that_no_header_can_have_is_not_sent():
    with Server(streaming(b"retry: 1\nid: a\x01b\ndata: 1\n\n"), streaming(event("2"))) as server:
        heard = listen(url_of(server), max_events=2)

    assert heard.data == ["1", "2"]
    assert "last-event-id" not in server.requests[1].headers


# What is asked for.


def test_the_request_asks_for_a_stream_and_has_what_the_call_says():
    with Server(streaming(event("a"))) as server:
        listen(
            url_of(server, "/feed?lang=en"),
            headers='{"X-Tenant": "acme", "accept": "text/event-stream, application/json"}',
            query_params={"topic": "a b", "n": 3, "tag": ["x", "y"]},
            auth_type="bearer",
            auth_token="not-a-real-token",
        )

    (request,) = server.requests
    assert request.line == "GET /feed?lang=en&topic=a+b&n=3&tag=x&tag=y HTTP/1.1"
    assert request.headers["accept"] == "text/event-stream, application/json"
    assert request.headers["x-tenant"] == "acme"
    assert request.headers["cache-control"] == "no-store"
    assert request.headers["authorization"] == "Bearer not-a-real-token"
    assert request.headers["host"] == f"127.0.0.1:{server.port}"
    assert request.headers["accept-encoding"] == "identity"


def test_an_api_key_has_a_header_of_its_own():
    with Server(streaming(event("a"))) as server:
        listen(url_of(server), auth_type="api_key", auth_token="not-a-real-token")

    assert server.requests[0].headers["x-api-key"] == "not-a-real-token"
    assert "authorization" not in server.requests[0].headers


@pytest.mark.parametrize(
    ("body", "content_type"), [('{"q": "é"}', "application/json"), ("plain", "text/plain; charset=utf-8")]
)
def test_a_post_has_its_body(body, content_type):
    with Server(streaming(event("a"))) as server:
        heard = listen(url_of(server), method="POST", body=body)

    assert heard.data == ["a"]
    assert (server.requests[0].line, server.requests[0].body) == ("POST / HTTP/1.1", body.encode())
    assert server.requests[0].headers["content-type"] == content_type


# Answers that are no stream.


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (("200 OK", {"Content-Type": "application/json"}), "application/json instead of text/event-stream"),
        (("200 OK", {}), "no content type instead of text/event-stream"),
        (("200 OK", {"Content-Type": "text/event-streams"}), "text/event-streams instead of"),
        (("200 OK", {"Content-Type": "x" * 200}), "something else instead of"),
        (("401 Unauthorized", STREAM), "HTTP 401. Check auth_type"),
        (("404 Not Found", STREAM), "HTTP 404. Check url"),
        (("206 Partial Content", STREAM), "HTTP 206"),
    ],
)
def test_an_answer_that_is_no_stream_is_an_error_at_once(answer, why):
    with Server(lambda peer: peer.whole(*answer, body=b"secret of the server")) as server:
        heard = listen(url_of(server), reconnect_attempts=5)

    assert (heard.status, server.connections) == ("error", 1)
    assert isinstance(heard.error, StreamFailed)
    assert why in heard.summary["error"]
    assert why in str(heard.error)
    assert "secret" not in str(heard.messages)


@pytest.mark.parametrize(
    "content_type", ["text/event-stream; charset=utf-8", "Text/Event-Stream", "text/event-stream;x"]
)
def test_the_content_type_may_have_parameters_and_any_case(content_type):
    with Server(streaming(event("a"), headers={"Content-Type": content_type})) as server:
        assert listen(url_of(server)).data == ["a"]


def test_what_speaks_no_http_is_said_to():
    with Server(lambda peer: peer.send(b"SSH-2.0-OpenSSH_9.6\r\n")) as server:
        heard = listen(url_of(server))

    assert isinstance(heard.error, StreamFailed)
    assert "does not speak HTTP" in str(heard.error)


def test_nobody_there_is_an_error_that_says_so():
    with Server(streaming()) as server:
        pass
    heard = listen(url_of(server), reconnect_attempts=1, timeout=5)

    assert isinstance(heard.error, StreamFailed)
    assert "takes no connection" in str(heard.error)
    assert heard.summary["reconnects"] == 1


def test_a_host_that_does_not_exist_is_an_error_that_says_so():
    def nobody(host):
        raise OSError

    heard = Listener(resolve=nobody)("http://stream.example/", reconnect_attempts=0)

    assert isinstance(heard.error, StreamFailed)
    assert "the host was not found" in str(heard.error)


# What is bounded.


def test_the_summary_repeats_what_fits_and_says_how_much_does_not():
    large = "x" * (MAX_SUMMARY_BYTES // 2)
    with Server(streaming(*(event(large) for _ in range(4)), event("small"))) as server:
        heard = listen(url_of(server))

    assert [len(data) for data in heard.data] == [len(large)] * 4 + [5]
    assert [told["data"] for told in heard.summary["events"]] == [large, "small"]
    assert heard.summary["events_omitted"] == 3
    assert "3 of them" in heard.summary["summary"]
    assert len(orjson.dumps(heard.summary)) < 2 * MAX_SUMMARY_BYTES


def test_a_call_brings_no_more_than_a_workflow_can_keep():
    megabyte = event("x" * 1024 * 1000)

    def endless(peer):
        peer.answer()
        while True:
            peer.chunk(megabyte)

    with Server(endless) as server:
        heard = listen(url_of(server))

    assert heard.status == "partial"
    assert sum(map(len, heard.data)) < MAX_TOTAL_BYTES + 2 * 1024 * 1024
    assert "no more than that" in heard.summary["summary"]


def test_no_more_calls_listen_at_once_than_the_process_can_hold():
    listener = Listener()
    with Server(staying(event("a"))) as server:
        calls = [listener.start(url_of(server)) for _ in range(MAX_LISTENERS)]
        assert all(isinstance(next(call), Json) for call in calls)
        with pytest.raises(Busy):
            next(listener.start(url_of(server)))
        # Who hangs up makes room.
        calls[0].close()
        assert server.hung_up.acquire(timeout=5)
        assert listener(url_of(server), max_events=1).data == ["a"]
        for call in calls:
            call.close()


def test_a_call_that_fails_makes_room_as_well():
    listener = Listener()
    with Server(lambda peer: peer.whole("404 Not Found")) as server:
        for _ in range(MAX_LISTENERS + 1):
            assert isinstance(listener(url_of(server)).error, StreamFailed)


# Into Kafka.


def test_every_event_is_acknowledged_by_kafka_before_it_is_told():
    registry = Registry()
    stream = b"event: order\nid: 7\ndata: {}\n\ndata: text\n\nid: 8\nevent: order\ndata: []\n\n"
    with Server(streaming(stream)) as server:
        messages = Listener(registry=registry).start(
            url_of(server, "/feed?key=secret"),
            forward_topic="events",
            event_types="order,message",
            reconnect_attempts=0,
        )
        first = next(messages)
        assert len(registry.broker.records) == 3
        summary = [message.value for message in [first, *messages] if isinstance(message, Json)][-1]

    assert (summary["forwarded"], summary["total_events"], summary["status"]) == (3, 3, "completed")
    assert registry.connection.checked == [("events", 9.0)]
    assert {record.topic for record in registry.broker.records} == {"events"}
    assert [record.value for record in registry.broker.records] == [b"{}", b"text", b"[]"]
    headers = [dict(record.headers) for record in registry.broker.records]
    source = f"http://127.0.0.1:{server.port}/feed".encode()
    assert [header["ce_id"] for header in headers][::2] == [b"7", b"8"]
    # Not the id of the event before it: a consumer would take it for a copy.
    assert headers[1]["ce_id"].startswith(b"new-")
    assert [header["ce_type"] for header in headers] == [b"order", b"message", b"order"]
    assert {header["ce_source"] for header in headers} == {source}
    assert [header["content-type"] for header in headers] == [
        b"application/json",
        b"text/plain; charset=utf-8",
        b"application/json",
    ]
    assert {record.key for record in registry.broker.records} == {source}


def test_only_what_is_told_is_written():
    registry = Registry()
    with Server(
        staying(event("1", event="a"), event("2", event="b") + event("3", event="a") + event("4", event="a"))
    ) as server:
        Listener(registry=registry)(url_of(server), forward_topic="events", event_types="a", max_events=2)

    assert [record.value for record in registry.broker.records] == [b"1", b"3"]


def test_nothing_is_listened_to_when_kafka_is_away():
    registry = Registry(Unavailable(Cause.TOPIC_DOES_NOT_EXIST))
    with Server(streaming(event("a"))) as server:
        heard = Listener(registry=registry)(url_of(server), forward_topic="events")

    assert isinstance(heard.error, Unavailable)
    assert (heard.messages, server.connections) == ([], 0)


def test_events_that_kafka_does_not_take_are_told_and_fail_the_call():
    told = threading.Event()
    registry = Registry()

    def then_gone(peer):
        peer.answer()
        peer.chunk(event("a"))
        assert told.wait(10)
        registry.broker.error = Unavailable(Cause.NOT_ACKNOWLEDGED)
        peer.chunk(event("b"))
        peer.until_gone()

    heard = Heard()
    with Server(then_gone) as server:
        messages = Listener(registry=registry).start(url_of(server), forward_topic="events")
        heard.messages.append(next(messages))
        told.set()
        with pytest.raises(Unavailable):
            heard.messages.extend(messages)

    assert heard.data == ["a", "b"]
    assert (heard.status, heard.summary["forwarded"], heard.summary["total_events"]) == ("error", 1, 2)
    assert "could not be written to Kafka: not acknowledged in time" in heard.summary["error"]
