"""What a call of `listen_sse` asks for, read from its parameters. Pure."""

import re
from collections.abc import Iterator
from typing import Final, NamedTuple

import orjson

from kafka_bridge.documents import text_of
from kafka_bridge.events.record import is_topic_name
from kafka_bridge.settings.secret import Secret
from kafka_bridge.tooling.order import TOPIC_RULE
from kafka_bridge.tooling.parameters import Parameters
from kafka_bridge.tooling.sse.hops import Headers, Hop
from kafka_bridge.tooling.sse.target import NotATarget, Target, read_target

DEFAULT_TIMEOUT_S: Final = 30
# What is more than the platform allows is cut there, and not refused.
MOST_TIMEOUT_S: Final = 86_400
DEFAULT_EVENTS: Final = 100
MOST_EVENTS: Final = 10_000
MOST_RECONNECTS: Final = 100
MAX_BODY_BYTES: Final = 1024 * 1024
MAX_HEADERS: Final = 64
MAX_HEADER_BYTES: Final = 8 * 1024
NONE, BEARER, API_KEY = "none", "bearer", "api_key"

_TOKEN: Final = re.compile(r"[-!#$%&'*+.^_`|~0-9A-Za-z]+", re.ASCII)
# RFC 9110 §7.6.1, and what the framing, the host and the decoding of the answer depend on.
_OURS: Final = frozenset(
    {
        *("connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "proxy-connection", "te", "trailer"),
        *("transfer-encoding", "upgrade", "host", "content-length", "expect", "accept-encoding"),
    }
)
_RESUME: Final = "last-event-id"


class Subscription(NamedTuple):
    """`reconnects` is None where the call does not say; no `event_types` are all of them."""

    hop: Hop
    token: Secret | None
    last_event_id: str
    timeout_s: float
    max_events: int
    reconnects: int | None
    event_types: frozenset[str]
    forward_topic: str


def read_subscription(parameters: Parameters) -> Subscription:
    """What is asked for. Raises Malformed, with all that is wrong."""
    target = _target(parameters)
    method = parameters.choice("method", ("GET", "POST"))
    headers, last_event_id = _headers(parameters)
    credential, token = _credential(parameters)
    if credential and credential[0].lower() in {name.lower() for name, _ in headers}:
        parameters.problem("headers", f"{credential[0]} is what auth_type sets")
    body = _body(parameters, method)
    if body and "content-type" not in {name.lower() for name, _ in headers}:
        headers = (*headers, ("Content-Type", _content_type(body)))
    topic = parameters.text("forward_topic")
    if topic and not is_topic_name(topic):
        parameters.problem("forward_topic", TOPIC_RULE)
    reconnects = parameters.integer("reconnect_attempts", default=-1, low=0, high=MOST_RECONNECTS)
    subscription = Subscription(
        Hop(target, method, headers, credential, body),
        token,
        last_event_id,
        timeout_s=parameters.number("timeout", default=DEFAULT_TIMEOUT_S, low=1, high=MOST_TIMEOUT_S),
        max_events=parameters.integer("max_events", default=DEFAULT_EVENTS, low=1, high=MOST_EVENTS),
        reconnects=None if reconnects < 0 else reconnects,
        event_types=_event_types(parameters),
        forward_topic=topic,
    )
    parameters.check()
    return subscription


def _target(parameters: Parameters) -> Target:
    url = parameters.required("url")
    pairs = tuple(_pairs(parameters))
    try:
        return read_target(url).asking(pairs) if url else _NOWHERE
    except NotATarget as wrong:
        parameters.problem("url", str(wrong))
        return _NOWHERE


_NOWHERE: Final = Target("https", "nowhere.invalid", 443, "/")


def _pairs(parameters: Parameters) -> Iterator[tuple[str, str]]:
    for name, value in parameters.json_object("query_params").items():
        for one in value if isinstance(value, list) else (value,):
            if (text := text_of(one)) is None:
                parameters.problem(
                    "query_params", "every value must be a text, a number, true, false or an array of such"
                )
                return
            yield name, text


def _headers(parameters: Parameters) -> tuple[Headers, str]:
    """The headers, and the id that the call goes on from: an earlier call's last one."""
    headers: dict[str, tuple[str, str]] = {}
    for name, value in parameters.json_object("headers").items():
        text = text_of(value)
        if not _TOKEN.fullmatch(name) or text is None or not is_header_value(text.strip()):
            parameters.problem("headers", "must be names of HTTP headers with a text each, without line ends")
            return (), ""
        if name.lower() in _OURS:
            parameters.problem("headers", f"{name.lower()} cannot be set")
        headers[name.lower()] = (name, text.strip())
    if len(headers) > MAX_HEADERS:
        parameters.problem("headers", f"has more than {MAX_HEADERS} entries")
    _, last_event_id = headers.pop(_RESUME, ("", ""))
    return tuple(headers.values()), last_event_id


def is_header_value(text: str) -> bool:
    """Whether a header can have this value: nothing in it ends the line, or is invisible."""
    return len(text.encode("utf-8", "replace")) <= MAX_HEADER_BYTES and text.strip() == text and text.isprintable()


def _credential(parameters: Parameters) -> tuple[tuple[str, Secret] | None, Secret | None]:
    """The header that shows the token, and the token."""
    kind = parameters.choice("auth_type", (NONE, BEARER, API_KEY))
    token = parameters.text("auth_token")
    if kind == NONE:
        if token:
            parameters.problem("auth_type", "must be bearer or api_key where there is an auth_token")
        return None, None
    if not token:
        parameters.problem("auth_token", f"missing: auth_type {kind} needs it")
    elif not token.isascii() or not is_header_value(token):
        parameters.problem("auth_token", "must be of printable ASCII characters, in one line")
    header = ("Authorization", f"Bearer {token}") if kind == BEARER else ("X-API-Key", token)
    return (header[0], Secret(header[1])), Secret(token)


def _body(parameters: Parameters, method: str) -> bytes:
    body = parameters.verbatim("body").encode("utf-8", "replace")
    if body and method != "POST":
        parameters.problem("body", "is for method POST only")
    if len(body) > MAX_BODY_BYTES:
        parameters.problem("body", f"is larger than {MAX_BODY_BYTES} bytes")
    return body


def _content_type(body: bytes) -> str:
    try:
        orjson.loads(body)
    except orjson.JSONDecodeError:
        return "text/plain; charset=utf-8"
    return "application/json"


def _event_types(parameters: Parameters) -> frozenset[str]:
    text = parameters.text("event_types")
    if not text.startswith("["):
        return frozenset(name for name in (part.strip() for part in text.split(",")) if name)
    try:
        names = orjson.loads(text)
    except orjson.JSONDecodeError:
        names = [None]
    if not all(isinstance(name, str) for name in names):
        parameters.problem("event_types", "must be names, separated by commas or in a JSON array")
        return frozenset()
    return frozenset(names)
