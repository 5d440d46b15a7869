import hashlib
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from devhost.signing import CannotSign, sample_body, sample_secret
from kafka_bridge.clock import Clock
from kafka_bridge.errors import Cause, Malformed, TooLarge, Unavailable, Unroutable, Unverified
from kafka_bridge.events.outcome import Outcome, Verdict
from kafka_bridge.events.record import Delivery, is_topic_name
from kafka_bridge.http import PLATFORM_BODY_LIMIT_BYTES
from kafka_bridge.ingress.receive import MAX_NAME_CHARS, answer, receive
from kafka_bridge.ingress.schemes import SCHEMES
from kafka_bridge.ingress.source import compile_sources
from kafka_bridge.settings.endpoint import parse
from tests.brokers import SOAK
from tests.ingress.signer import PUBLIC_URL, compiled, delivery, operators
from tests.stand_ins import NOW, Broker, publisher_to, receive_at, request, saved

LIMIT = 1_000_000
BODY = b'{"id": "evt_1", "type": "order.created", "data": {"customer": "cus_1", "n": 7, "none": null, "list": []}}'


def signed(scheme, body=BODY, **headers):
    beside = {"content-type": "", "x-github-event": "push"} | {name.lower(): text for name, text in headers.items()}
    return dict(delivery(scheme, body, headers=beside).headers)


def run(source, body=BODY, headers=None, *, error=None, limit_bytes=LIMIT):
    broker = Broker(error)
    inbound = request(body, signed(source.scheme_id, body) if headers is None else headers)
    outcome = receive_at(inbound, source, broker, now=NOW, limit_bytes=limit_bytes)
    assert (outcome.delivery is not None) is (len(broker.records) == 1 and error is None)
    return outcome, broker.records


def record_of(source, body=BODY, headers=None):
    outcome, records = run(source, body, headers)
    assert outcome.error is None
    (record,) = records
    return record


def source(scheme="hmac", **settings):
    return compiled(scheme, **{"topic": "orders", **settings})


def document(outcome):
    return json.loads(answer(outcome).body)


# A delivery, whole.


def test_a_delivery_becomes_a_record_and_an_answer():
    outcome, (record,) = run(
        source(key="{body.data.customer}"), headers=signed("hmac", **{"Content-Type": "application/json"})
    )

    assert (record.topic, record.key, record.value) == ("orders", b"cus_1", BODY)
    assert record.headers == (
        ("ce_specversion", b"1.0"),
        ("ce_id", b"evt_1"),
        ("ce_source", b"/webhook/default"),
        ("ce_type", b"order.created"),
        ("ce_time", b"2023-11-14T22:13:20.000Z"),
        ("content-type", b"application/json"),
        ("webhook-source", b"default"),
        ("webhook-scheme", b"hmac"),
    )
    assert (outcome.verdict, outcome.record) == (Verdict.VERIFIED, record)
    assert answer(outcome).status == 200
    assert document(outcome) == {"id": "evt_1", "topic": "orders", "partition": 3, "offset": 41, "duplicate": False}


@pytest.mark.parametrize("scheme", SCHEMES)
def test_every_scheme_delivers(scheme):
    broker = Broker()

    outcome = receive_at(delivery(scheme), source(scheme=scheme), broker, now=NOW)

    assert outcome.verdict is (Verdict.UNCHECKED if scheme == "none" else Verdict.VERIFIED)
    assert len(broker.records) == 1
    assert (outcome.source, outcome.scheme) == ("default", scheme)
    assert outcome.event.id
    assert answer(outcome).status in {200, 204}


@pytest.mark.parametrize("scheme", ["dingtalk", "wecom"])
def test_the_value_of_an_encrypted_message_is_what_was_inside(scheme):
    broker = Broker()

    receive_at(delivery(scheme), source(scheme=scheme), broker, now=NOW)

    assert [record.value for record in broker.records] == [sample_body(scheme)]


def test_an_offset_that_the_broker_does_not_know_any_more_is_null():
    def send(records):
        return [Delivery(record.topic, 0, None, None) for record in records]

    outcome = receive_at(request(BODY, signed("hmac")), source(), send, now=NOW)

    assert document(outcome)["offset"] is None


def test_time_and_duration_are_the_clocks():
    ticks = iter([100.0, 100.25])
    clock = Clock(now=lambda: 1234.5, monotonic=lambda: next(ticks))

    outcome = receive(
        request(), source(scheme="none"), publisher=publisher_to(Broker()), clock=clock, limit_bytes=LIMIT
    )

    assert (outcome.time, outcome.duration_s) == (1234.5, 0.25)


# Nothing unverified is sent.


@pytest.mark.parametrize("scheme", [name for name in SCHEMES if name != "none"])
def test_what_is_not_verified_is_not_sent_and_the_reason_is_not_told(scheme):
    outcome, records = run(source(scheme=scheme), headers={})

    assert records == []
    assert isinstance(outcome.error, Unverified)
    assert (outcome.verdict, outcome.events) == (Verdict.REJECTED, ())
    assert outcome.reason
    assert answer(outcome).status == 401
    assert outcome.reason not in answer(outcome).body.decode()


def test_every_cause_of_401_gives_the_same_answer():
    headers = [{}, {"x-webhook-signature": ""}, {"x-webhook-signature": "0" * 64}, signed("hmac", b"other")]
    answers = [answer(run(source(), headers=some)[0]) for some in headers]

    assert {outbound.status for outbound in answers} == {401}
    assert all(outbound == answers[0] for outbound in answers)


# Size, before anything else.


def test_a_body_that_the_platform_may_have_cut_off_is_refused_before_its_signature_is_looked_at():
    body = b"x" * PLATFORM_BODY_LIMIT_BYTES

    outcome, records = run(source(), body, limit_bytes=10**9)

    assert records == []
    assert outcome.verdict is Verdict.SKIPPED
    assert (answer(outcome).status, document(outcome)["detail"]) == (
        413,
        "The platform cuts bodies off at 10 MiB (10485760 bytes).",
    )


def test_a_body_one_byte_below_the_platform_limit_is_taken():
    outcome, _ = run(source(), b"x" * (PLATFORM_BODY_LIMIT_BYTES - 1), limit_bytes=10**9)

    assert outcome.error is None


def test_a_body_at_the_limit_of_the_client_is_taken_and_one_byte_more_is_not():
    taken, _ = run(source(), b"x" * 1000, limit_bytes=1000)
    refused, records = run(source(), b"x" * 1001, limit_bytes=1000)

    assert taken.error is None
    assert records == []
    assert isinstance(refused.error, TooLarge)
    assert "message.max.bytes is 1000" in document(refused)["detail"]


def test_whoever_cannot_sign_does_not_learn_the_limit_of_the_client():
    outcome, _ = run(source(), b"x" * 1001, {}, limit_bytes=1000)

    assert answer(outcome).status == 401


# The event's id and type.


@pytest.mark.parametrize(
    ("scheme", "event_id", "id_signed", "event_type"),
    [
        ("hmac", "evt_1", True, "order.created"),
        ("standard-webhooks", "msg_1", True, "order.created"),
        ("stripe", "evt_1", True, "order.created"),
        ("github", "0b1e2e4f", False, "push"),
        ("none", "evt_1", False, "order.created"),
    ],
)
def test_a_scheme_says_where_id_and_type_are(scheme, event_id, id_signed, event_type):
    headers = signed(scheme)
    if scheme == "github":
        headers["X-GitHub-Delivery"] = event_id

    outcome, _ = run(source(scheme=scheme), headers=headers)

    event = outcome.event
    assert (event.id, event.id_signed, event.type) == (event_id, id_signed, event_type)


@pytest.mark.parametrize("body", [b"", b"{}", b"not json", b"\xff\x00", b'{"id": ""}', b'{"id": null}', b'{"id": {}}'])
@pytest.mark.parametrize(("scheme", "id_signed"), [("hmac", True), ("stripe", True), ("none", False)])
def test_an_event_without_an_id_has_the_sha256_of_source_and_body(body, scheme, id_signed):
    outcome, (record,) = run(source(scheme=scheme), body)

    digest = hashlib.sha256(b"default\x00" + body).hexdigest()
    assert (outcome.event.id, outcome.event.id_signed) == (digest, id_signed)
    assert dict(record.headers)["ce_id"] == digest.encode()
    assert document(outcome)["id"] == digest


@pytest.mark.parametrize(
    ("scheme", "id_signed"), [("bearer", False), ("api-key", False), ("mailgun", False), ("typeform", True)]
)
def test_a_digest_is_signed_exactly_where_the_body_is(scheme, id_signed):
    outcome = receive_at(delivery(scheme, b"{}", event_id="x" * 600), source(scheme=scheme), Broker(), now=NOW)

    assert (len(outcome.event.id), outcome.event.id_signed) == (64, id_signed)


def test_the_same_body_sent_to_two_sources_is_two_events():
    parsed = parse(saved(scheme="none", topic="t", sources='{"shop": {"scheme": "none"}}'))
    sources, _ = compile_sources(parsed)

    assert len({run(each, b"x")[0].event.id for each in sources.values()}) == 2


def test_the_longest_id_is_kept_and_a_longer_one_is_a_digest():
    kept, _ = run(source(scheme="none"), json.dumps({"id": "x" * MAX_NAME_CHARS}).encode())
    digested, _ = run(source(scheme="none"), json.dumps({"id": "x" * (MAX_NAME_CHARS + 1)}).encode())

    assert kept.event.id == "x" * MAX_NAME_CHARS
    assert len(digested.event.id) == 64


def test_a_long_type_is_cut():
    outcome, _ = run(source(scheme="none"), json.dumps({"type": "x" * 10_000}).encode())

    assert outcome.event.type == "x" * MAX_NAME_CHARS


def test_an_event_without_a_type_has_one_on_the_wire():
    outcome, (record,) = run(source(), b"{}")

    assert outcome.event.type is None
    assert dict(record.headers)["ce_type"] == b"webhook"


# The way to a topic.


@pytest.mark.parametrize(
    ("template", "topic"),
    [
        ("orders", "orders"),
        ("webhooks.{source}", "webhooks.default"),
        ("{type}", "order.created"),
        ("e-{id}", "e-evt_1"),
        ("{header.X-Region}", "eu"),
        ("{body.data.customer}.{body.data.n}", "cus_1.7"),
    ],
)
def test_a_topic_is_made_of_the_event(template, topic):
    assert record_of(source(topic=template), headers=signed("hmac", **{"x-region": "eu"})).topic == topic


@pytest.mark.parametrize(
    "template", ["{body.x}", "{header.x-region}", "{body.data}", "{body.data.none}", "{body.data.list}", "a.{body.x}"]
)
def test_a_topic_whose_value_is_missing_is_unroutable(template):
    outcome, records = run(source(topic=template))

    assert records == []
    assert isinstance(outcome.error, Unroutable)
    assert (answer(outcome).status, document(outcome)["instance"]) == (422, "evt_1")
    assert document(outcome)["detail"].startswith("The topic cannot be made: the event has no value for ")


def test_a_type_that_is_missing_is_unroutable():
    assert isinstance(run(source(topic="{type}"), b"{}")[0].error, Unroutable)


@pytest.mark.parametrize("value", ["..", ".", "a b", "a/b", "é", "x" * 250, "a\nb", "a\x00"])
def test_a_topic_that_kafka_refuses_is_unroutable_and_the_value_is_not_told(value):
    body = json.dumps({"topic": value}).encode()

    outcome, records = run(source(topic="{body.topic}"), body)

    assert records == []
    assert document(outcome)["detail"] == "The topic that the event leads to is not a legal topic name."


def test_a_topic_that_is_not_allowed_is_unroutable():
    allowing = source(topic="{type}", topic_allow="order.*")

    assert record_of(allowing).topic == "order.created"
    outcome, records = run(allowing, b'{"type": "payments"}')
    assert records == []
    assert document(outcome)["detail"] == "The topic that the event leads to is not among the allowed topics."


@pytest.mark.parametrize(
    ("template", "key"),
    [
        ("", None),
        ("{id}", b"evt_1"),
        ("{type}/{body.data.n}", b"order.created/7"),
        ("constant", b"constant"),
        ("{body.x}", None),
        ("{type}.{body.x}", None),
        ("{header.x-none}", None),
    ],
)
def test_a_key_is_made_of_the_event_or_there_is_none(template, key):
    assert record_of(source(key=template)).key == key


def test_a_key_may_be_any_text():
    assert record_of(source(key="{body.k}"), json.dumps({"k": "ü{id}"}).encode()).key == "ü{id}".encode()


@pytest.mark.parametrize("body", [b"", b"\xff\xfe\x00", b"\x00", b"not json", b" {} ", "ü".encode("latin-1")])
def test_a_body_is_sent_byte_for_byte(body):
    assert record_of(source(), body).value == body


# What Kafka says.


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (Unavailable(Cause.NOT_ACKNOWLEDGED), 503),
        (Unavailable(Cause.PUBLISHING_DISABLED), 503),
        (TooLarge("The record is above the limit of the broker."), 413),
        (Unroutable("The topic refuses the record."), 422),
        (Malformed(), 400),
    ],
)
def test_what_is_not_acknowledged_is_not_a_success(error, status):
    outcome, (record,) = run(source(), error=error)

    assert (outcome.error, outcome.delivery, outcome.record) == (error, None, record)
    assert answer(outcome).status == status
    assert document(outcome)["instance"] == "evt_1"


def test_unavailable_tells_when_to_come_back():
    outcome, _ = run(source(), error=Unavailable(Cause.CONNECTION_REFUSED))

    assert answer(outcome).headers == (("Retry-After", "2"),)


# Whatever comes.

templates = st.lists(
    st.sampled_from(["orders", ".", "{type}", "{id}", "{source}", "{header.x-a}", "{body.a}", "{body.data.0.b}", "é"]),
    max_size=3,
).map("".join)
header_text = st.text(st.characters(codec="utf-8"))
bodies = (
    st.binary()
    | st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
        lambda inner: st.dictionaries(st.sampled_from(["id", "type", "event", "a", "data", "b"]), inner),
        max_leaves=5,
    ).map(lambda value: json.dumps(value).encode())
    | st.integers(995, 1005).map(lambda size: b"x" * size)
)
SIGNING = ["x-webhook-signature", "x-hub-signature-256", "webhook-id", "webhook-timestamp", "webhook-signature"]
names = st.sampled_from([*SIGNING, "stripe-signature", "content-type", "x-github-event", "x-github-delivery", "x-a"])


PIECES = [
    b"",
    b"{}",
    b"[]",
    b"null",
    b"x=1&y=2",
    b'{"type": "url_verification", "challenge": "c"}',
    b"\xff",
    b"[" * 200,
]
PIECES += [b'{"data": ' + b"[" * 290 + b"]" * 290 + b"}", b"[" * 270 + b"]" * 270]
TYPES = ["application/json", "application/cloudevents+json", "application/cloudevents-batch+json", "text/plain"]
TYPES += ["application/x-ndjson", "application/x-www-form-urlencoded; charset=utf-8", "", "x" * 600]
queries = st.text(st.characters(codec="latin-1"), max_size=20) | st.sampled_from(
    ["validationToken=v", "hub.mode=subscribe&hub.challenge=c", "challenge=c", "crc_token=c", "echostr=c", "a=1&a=2"]
)
hooks = st.sampled_from(["", "http://[", "https://example.com:x/a", "https://example.com/e-1/webhook", "//", "?", "x"])
options = st.dictionaries(
    st.sampled_from(["header", "algorithm", "prefix", "separator", "template", "id", "type", "timestamp_header"]),
    st.sampled_from(["X-Sig", "sha512", "v1=", ",", "{method}{url}{body}", "{path}{body}", "header:x-a", "body:a.b"]),
    max_size=2,
)
entries = st.fixed_dictionaries(
    {},
    optional={
        "record_format": st.sampled_from(["binary", "structured", "raw"]),
        "split": st.sampled_from([True, False, "", "data", "data.0", "events"]),
        "dedupe_seconds": st.sampled_from([0, 1, 86_400]),
        "routes": st.sampled_from([{"*": "drop"}, {"order.*": "orders", "*": {"key": "{id}"}}, {"a": "{body.a}"}]),
        "scheme_options": options,
    },
)


def source_of_any(scheme, entry, **settings):
    """What such settings make, or None when they are refused; a problem is then told."""
    texts = {"scheme": scheme, "webhook_secret": operators(scheme, sample_secret(scheme)), **settings}
    parsed = parse(saved(**texts, sources=json.dumps({"default": entry})))
    sources, problems = compile_sources(parsed)
    assert sources or problems or parsed.problems
    return sources.get("default")


@pytest.mark.parametrize("scheme", SCHEMES)
@settings(max_examples=10**5 // len(SCHEMES) if SOAK else 15)
@given(data=st.data())
def test_receive_never_raises_and_answers_2xx_exactly_for_what_was_verified_and_acknowledged(scheme, data):
    draw = data.draw
    entry = draw(entries)
    public_url = draw(st.sampled_from([PUBLIC_URL, "", "http://[", "https://example.com/?a=b"]))
    source = source_of_any(
        scheme, entry, topic=draw(templates), key=draw(templates), topic_allow=draw(st.sampled_from(["", "orders,o*"])),
        public_url=public_url,
    )  # fmt: skip
    if source is None:
        return
    body = draw(st.just(sample_body(scheme)) | bodies | st.sampled_from(PIECES))
    right = draw(st.booleans())
    inbound = request(body, method="POST")
    try:
        inbound = delivery(scheme, body, now=NOW) if right else inbound
    except (CannotSign, RecursionError):
        right = False
    beside = draw(st.dictionaries(names | st.text(), header_text, max_size=4)) | {"dify-hook-url": draw(hooks)}
    if (content_type := draw(st.sampled_from(["as it is", *TYPES]))) != "as it is":
        beside["content-type"] = content_type
    untouched = right and draw(st.booleans())
    if not untouched:
        inbound = inbound._replace(
            headers={**beside, **inbound.headers} if draw(st.booleans()) else {**inbound.headers, **beside},
            query=draw(st.just(inbound.query) | queries),
            body=draw(st.sampled_from([inbound.body, inbound.body + b" ", b""])),
            method=draw(st.sampled_from(["POST", "GET"])),
        )
    now = NOW if untouched else draw(st.sampled_from([NOW, NOW + 300, NOW + 301, 0]))
    error = draw(st.sampled_from([None, None, Unavailable(Cause.QUEUE_FULL), TooLarge()]))
    broker = Broker(error)

    outcome = receive_at(inbound, source, broker, now=now, limit_bytes=1000)
    outbound = answer(outcome)

    assert isinstance(outcome, Outcome)
    wanted = [taken for taken in outcome.events if taken.record is not None]
    assert (200 <= outbound.status < 300) is (outcome.error is None)
    assert outcome.error is not None or all(taken.delivery is not None for taken in wanted)
    assert outcome.error is None or all(taken.delivery is None for taken in wanted)
    assert not (broker.records and error) or outcome.error is error
    if outcome.verdict is Verdict.REJECTED:
        assert (outbound.status, broker.records, bool(outcome.reason)) == (401, [], True)
    if outcome.verdict is Verdict.SKIPPED:
        assert broker.records == []
    if scheme != "none" and not right:
        assert broker.records == []
    for record in broker.records:
        assert outcome.verdict is (Verdict.UNCHECKED if scheme == "none" else Verdict.VERIFIED)
        assert is_topic_name(record.topic)
        assert source.routing.allows(record.topic)
        assert all(name and isinstance(value, bytes) for name, value in record.headers)


def test_a_content_type_of_unusual_length_is_no_header_of_the_record():
    record = record_of(source(), headers=signed("hmac", **{"Content-Type": "x" * (MAX_NAME_CHARS + 1)}))

    assert "content-type" not in dict(record.headers)
