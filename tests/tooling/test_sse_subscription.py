"""What a call of `listen_sse` may ask for, and what of it goes along to whom."""

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kafka_bridge.errors import Malformed
from kafka_bridge.settings.secret import Secret
from kafka_bridge.tooling.parameters import Parameters
from kafka_bridge.tooling.sse.failures import NO_CONNECTION, Broken, Failure, of_status
from kafka_bridge.tooling.sse.hops import Hop
from kafka_bridge.tooling.sse.reconnection import DEFAULT_DELAY_S, DEFAULT_RECONNECTS, MOST_DELAY_S, Reconnection
from kafka_bridge.tooling.sse.subscription import MAX_HEADER_BYTES, Subscription, read_subscription
from kafka_bridge.tooling.sse.target import read_target


def asked(**parameters) -> Subscription:
    return read_subscription(Parameters({"url": "https://example.com/feed", **parameters}))


def test_what_the_call_does_not_say():
    subscription = asked(headers=None, body="", event_types="", auth_token="", reconnect_attempts=None)

    assert subscription == Subscription(
        Hop(read_target("https://example.com/feed"), "GET"), None, "", 30, 100, None, frozenset(), ""
    )


def test_numbers_may_be_texts():
    subscription = asked(timeout="2.5", max_events="7", reconnect_attempts="0")

    assert (subscription.timeout_s, subscription.max_events, subscription.reconnects) == (2.5, 7, 0)


@pytest.mark.parametrize(
    ("parameters", "problem"),
    [
        ({"url": ""}, "url: missing."),
        ({"url": "ftp://example.com"}, "url: must begin with http:// or https://."),
        ({"url": "https://user:s3cret@example.com"}, "url: must not hold a user name or a password"),
        ({"method": "PUT"}, "method: must be one of GET, POST."),
        ({"timeout": 0}, "timeout: must be a number from 1"),
        ({"timeout": "soon"}, "timeout: must be a number"),
        ({"max_events": 0}, "max_events: must be a number from 1"),
        ({"max_events": 1.5}, "max_events: must be a whole number."),
        ({"reconnect_attempts": -1}, "reconnect_attempts: must be a number from 0"),
        ({"headers": "X-A: b"}, "headers: is not valid JSON"),
        ({"headers": ["a"]}, "headers: must be a JSON object."),
        ({"headers": {"X A": "b"}}, "headers: must be names of HTTP headers"),
        ({"headers": {"": "b"}}, "headers: must be names of HTTP headers"),
        ({"headers": {"X-A": "b\r\nX-Injected: c"}}, "headers: must be names of HTTP headers"),
        ({"headers": {"X-A\r\nX-Injected": "c"}}, "headers: must be names of HTTP headers"),
        ({"headers": {"X-A": "b\nc"}}, "headers: must be names of HTTP headers"),
        ({"headers": {"X-A": "b\x00c"}}, "headers: must be names of HTTP headers"),
        ({"headers": {"X-A": ["b"]}}, "headers: must be names of HTTP headers"),
        ({"headers": {"X-A": "b" * (MAX_HEADER_BYTES + 1)}}, "headers: must be names of HTTP headers"),
        ({"headers": {f"X-{n}": "b" for n in range(65)}}, "headers: has more than 64 entries."),
        ({"query_params": {"a": {"b": 1}}}, "query_params: every value must be"),
        ({"query_params": {"a": None}}, "query_params: every value must be"),
        ({"auth_type": "basic"}, "auth_type: must be one of none, bearer, api_key."),
        ({"auth_type": "bearer"}, "auth_token: missing: auth_type bearer needs it."),
        ({"auth_token": "s3cret-token"}, "auth_type: must be bearer or api_key"),
        ({"auth_type": "bearer", "auth_token": "s3cret\r\nX-Injected: 1"}, "auth_token: must be of printable ASCII"),
        ({"auth_type": "api_key", "auth_token": "s3cret-é"}, "auth_token: must be of printable ASCII"),
        (
            {"auth_type": "bearer", "auth_token": "s3cret", "headers": {"authorization": "Basic x"}},
            "headers: Authorization is what auth_type sets.",
        ),
        ({"body": "{}"}, "body: is for method POST only."),
        ({"body": "x" * (1024 * 1024 + 1), "method": "POST"}, "body: is larger than"),
        ({"event_types": "[1]"}, "event_types: must be names"),
        ({"event_types": "[broken"}, "event_types: must be names"),
        ({"forward_topic": "no topic"}, "forward_topic: is no topic's name"),
    ],
)
def test_what_is_wrong_is_said_by_its_name(parameters, problem):
    with pytest.raises(Malformed) as malformed:
        asked(**parameters)

    assert str(malformed.value).startswith(problem)
    assert "s3cret" not in str(malformed.value)


@pytest.mark.parametrize(
    "name",
    [
        *("Connection", "keep-alive", "Proxy-Authorization", "Proxy-Connection", "TE", "Trailer", "Transfer-Encoding"),
        *("Upgrade", "Host", "Content-Length", "Expect", "Accept-Encoding"),
    ],
)
def test_a_header_that_belongs_to_the_connection_is_refused(name):
    with pytest.raises(Malformed, match=f"headers: {name.lower()} cannot be set"):
        asked(headers={name: "x"})


def test_everything_that_is_wrong_is_said_at_once():
    with pytest.raises(Malformed) as malformed:
        asked(url="nowhere", timeout=0, headers={"Host": "x"}, forward_topic="?")

    assert all(name in str(malformed.value) for name in ("url:", "timeout:", "headers:", "forward_topic:"))


def test_an_array_of_types_may_hold_commas():
    assert asked(event_types='["a,b", "c"]').event_types == {"a,b", "c"}
    assert asked(event_types=["a"]).event_types == {"a"}
    assert asked(event_types=" a , ,b ").event_types == {"a", "b"}


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
names = ["url", "headers", "query_params", "timeout", "max_events", "auth_type", "auth_token", "method", "body"]
names += ["reconnect_attempts", "event_types", "forward_topic"]


@given(st.dictionaries(st.sampled_from(names), anything))
def test_whatever_a_model_says_it_is_a_subscription_or_malformed(parameters):
    try:
        subscription = asked(**parameters)
    except Malformed:
        return
    for name, value in subscription.hop.lines(subscription.last_event_id):
        assert not {"\r", "\n", "\0"} & {*name, *value}


# Redirects.

TOKEN = ("Authorization", Secret("Bearer not-a-real-token"))
FIRST = Hop(read_target("https://example.com/feed"), "POST", (("Cookie", "a=b"), ("Content-Type", "x/y")), TOKEN, b"{}")


def lines(hop):
    return {name.lower(): value for name, value in hop.lines("")}


@pytest.mark.parametrize("location", ["/other", "https://example.com:443/other", "https://EXAMPLE.com/other"])
def test_a_redirect_within_the_origin_takes_everything_along(location):
    hop = FIRST.redirected(307, location)

    assert (hop.method, hop.body, hop.target.path) == ("POST", b"{}", "/other")
    assert lines(hop)["authorization"] == "Bearer not-a-real-token"
    assert lines(hop)["cookie"] == "a=b"


@pytest.mark.parametrize(
    "location", ["https://example.com:8443/", "https://other.example/", "https://sub.example.com/", "//example.org"]
)
def test_a_redirect_to_another_origin_takes_nothing_along_that_the_call_has_put_in(location):
    hop = FIRST.redirected(302, location)

    assert not {"authorization", "cookie", "content-type"} & lines(hop).keys()
    # Not even when it comes back.
    assert "authorization" not in lines(hop.redirected(302, "https://example.com/feed"))


@pytest.mark.parametrize("status", [301, 302, 303])
def test_a_post_that_is_redirected_asks_for_the_result(status):
    assert (FIRST.redirected(status, "/x").method, FIRST.redirected(status, "/x").body) == ("GET", b"")


@pytest.mark.parametrize("status", [307, 308])
def test_a_body_is_for_the_server_that_it_was_meant_for(status):
    with pytest.raises(Broken, match="which the body is not meant for"):
        FIRST.redirected(status, "https://other.example/")


def test_a_redirect_does_not_leave_tls():
    with pytest.raises(Broken, match="from https to http"):
        FIRST.redirected(302, "http://example.com/feed")


# When to come back.


def coming_back(allowed=None, *, method="GET", random=0.0):
    return Reconnection(allowed, method=method, random=lambda: random)


BROKE = NO_CONNECTION


def test_the_delay_doubles_while_nothing_comes_and_is_bounded():
    again = coming_back(100)

    delays = [again.delay_s(BROKE, resumable=False, retry_ms=None) for _ in range(8)]
    assert delays == [1, 2, 4, 8, 16, MOST_DELAY_S, MOST_DELAY_S, MOST_DELAY_S]
    again.received()
    assert again.delay_s(BROKE, resumable=False, retry_ms=None) == DEFAULT_DELAY_S


@given(st.integers(0, 10**9), st.floats(0, 1), st.integers(1, 20))
def test_it_is_never_sooner_than_the_server_says(retry_ms, random, attempts):
    again = coming_back(100, random=random)

    for _ in range(attempts):
        delay_s = again.delay_s(BROKE, resumable=True, retry_ms=retry_ms)
        assert delay_s >= max(retry_ms / 1000, 0.1)
        assert delay_s <= max(MOST_DELAY_S, retry_ms / 1000) * 1.25


def test_a_busy_server_says_when_too():
    assert coming_back().delay_s(of_status(503, "7"), resumable=False, retry_ms=None) == 7
    assert coming_back().delay_s(of_status(429, "Wed, 21 Oct 2026 07:28:00 GMT"), resumable=False, retry_ms=None) == 1


@pytest.mark.parametrize("retry_after", ["-1", "1e9", "\u0663", "9" * 5000, "nan"])
def test_nonsense_of_a_server_is_no_delay(retry_after):
    assert of_status(503, retry_after).after_s == 0


def test_a_failure_that_stays_is_not_asked_about_again():
    assert coming_back(5).delay_s(of_status(404, ""), resumable=True, retry_ms=None) is None
    assert coming_back(5).delay_s(Failure("no"), resumable=True, retry_ms=None) is None


def test_unless_the_call_says_it_comes_back_three_times():
    again = coming_back()

    assert sum(again.delay_s(BROKE, resumable=True, retry_ms=None) is not None for _ in range(10)) == DEFAULT_RECONNECTS


@pytest.mark.parametrize(
    ("allowed", "method", "resumable", "comes_back"),
    [
        (None, "GET", True, True),
        (None, "GET", False, False),
        (None, "POST", True, False),
        (1, "GET", False, True),
        (1, "POST", False, True),
        (0, "GET", True, False),
    ],
)
def test_a_stream_that_the_server_ended(allowed, method, resumable, comes_back):
    delay_s = coming_back(allowed, method=method).delay_s(None, resumable=resumable, retry_ms=None)

    assert (delay_s is not None) == comes_back


def test_headers_as_a_text_are_json():
    assert dict(asked(headers=orjson.dumps({"X-N": 1, "X-B": True}).decode()).hop.headers) == {
        "X-N": "1",
        "X-B": "true",
    }
