"""Against the vendors' own Python libraries: what they accept we accept, and what is tampered with neither does.

They look at the system's clock; so everything here is signed at this very moment.
"""

import asyncio
import base64
import hmac
import importlib
import json
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from types import SimpleNamespace
from urllib.parse import parse_qsl, urlencode

import pytest
from cloudevents.core.bindings.kafka import KafkaMessage, from_binary, from_kafka, from_structured
from cloudevents.core.formats.json import JSONFormat
from gidgethub.sansio import validate_event
from hubspot.utils.signature import Signature as HubSpot
from hypothesis import assume, given
from hypothesis import strategies as st
from linebot.v3.webhook import SignatureValidator
from slack_sdk.signature import SignatureVerifier
from square.utils.webhooks_helper import verify_signature as verify_square
from standardwebhooks.webhooks import Webhook
from stripe import WebhookSignature
from twilio.request_validator import RequestValidator

from devhost.signing import sign
from devhost.verify import Captured, Setup, check
from kafka_bridge.events.envelope import Envelope, Event
from kafka_bridge.ingress.outside import no_fetch

URL = "https://hooks.example.com/e/abc/webhook?a=1&b=2"
FORM = "application/x-www-form-urlencoded"

characters = st.characters(codec="utf-8")
# What is not only white space, as settings are; and no NUL, which nobody pastes.
# With something to see in it: what has nothing is refused as empty.
secrets = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=40).filter(
    lambda text: any(character.isprintable() and not character.isspace() for character in text)
)
whsecs = st.binary(min_size=1, max_size=64).filter(any).map(lambda raw: "whsec_" + base64.b64encode(raw).decode())
texts = st.text(characters, min_size=1, max_size=200)
forms = st.lists(st.tuples(st.text(characters, min_size=1, max_size=9), st.text(characters, max_size=9)), min_size=1)


class Fields:
    """A form as web frameworks give it to Twilio's library."""

    def __init__(self, body: str) -> None:
        self.pairs = parse_qsl(body, keep_blank_values=True)

    def __iter__(self):
        return iter([name for name, _ in self.pairs])

    def __bool__(self) -> bool:
        return bool(self.pairs)

    def getall(self, wanted: str) -> list[str]:
        return [value for name, value in self.pairs if name == wanted]


@dataclass
class Request:
    headers: dict[str, str]
    body: str
    url: str = URL


@dataclass
class Library:
    """`accepts` as the vendor says, exceptions apart; `signs` gives the headers, where the library can sign."""

    scheme: str
    accepts: Callable[[str, Request], object]
    signs: Callable[[str, str], dict[str, str]] | None = None
    secrets: st.SearchStrategy[str] = secrets
    bodies: st.SearchStrategy[str] = texts

    def takes(self, secret: str, request: Request) -> bool:
        try:
            return self.accepts(secret, request) is not False
        except Exception:  # noqa: BLE001 - they raise whatever happens to them
            return False


def twilio_accepts(secret: str, request: Request) -> bool:
    form = request.headers.get("content-type") == FORM
    algorithm = "HMAC_SHA256" if "x-twilio-webhooks-signature-settings" in request.headers else None
    fields = Fields(request.body) if form else request.body
    return RequestValidator(secret).validate(request.url, fields, request.headers["x-twilio-signature"], algorithm)


def hubspot_accepts(secret: str, request: Request) -> bool:
    return HubSpot.is_valid(
        request.headers["x-hubspot-signature-v3"],
        secret,
        request.body,
        request.url,
        "POST",
        "v3",
        request.headers["x-hubspot-request-timestamp"],
    )


def standard_signs(secret: str, body: str) -> dict[str, str]:
    now = datetime.now(UTC)
    return {
        "webhook-id": "msg_1",
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": Webhook(secret).sign("msg_1", now, body),
    }


def slack_signs(secret: str, body: str) -> dict[str, str]:
    now = str(int(time.time()))
    signature = SignatureVerifier(secret).generate_signature(timestamp=now, body=body)
    return {"x-slack-request-timestamp": now, "x-slack-signature": str(signature)}


def hubspot_signs(secret: str, body: str) -> dict[str, str]:
    now = str(int(time.time() * 1000))
    signature = HubSpot.get_signature(secret, body, "v3", URL, "POST", now)
    return {"x-hubspot-request-timestamp": now, "x-hubspot-signature-v3": signature}


LIBRARIES = [
    Library(
        "standard-webhooks",
        lambda secret, request: Webhook(secret).verify(request.body, request.headers, json_parse=False),
        standard_signs,
        secrets=whsecs,
    ),
    Library(
        "stripe",
        lambda secret, request: WebhookSignature.verify_header(
            request.body, request.headers["stripe-signature"], secret, tolerance=300
        ),
        lambda secret, body: {"stripe-signature": WebhookSignature.generate_signature_header(body, secret)},
    ),
    Library(
        "slack",
        lambda secret, request: SignatureVerifier(secret).is_valid_request(request.body, request.headers),
        slack_signs,
    ),
    Library(
        "twilio",
        twilio_accepts,
        lambda secret, body: {
            "content-type": FORM,
            "x-twilio-signature": RequestValidator(secret).compute_signature(URL, Fields(body)),
        },
        bodies=forms.map(urlencode),
    ),
    Library(
        "square",
        lambda secret, request: verify_square(
            request_body=request.body,
            signature_header=request.headers["x-square-hmacsha256-signature"],
            signature_key=secret,
            notification_url=request.url,
        ),
    ),
    Library("hubspot-v3", hubspot_accepts, hubspot_signs),
    Library(
        "github",
        lambda secret, request: validate_event(
            request.body.encode(), signature=request.headers["x-hub-signature-256"], secret=secret
        ),
    ),
    Library(
        "line",
        lambda secret, request: SignatureValidator(secret).validate(request.body, request.headers["x-line-signature"]),
    ),
]
BY_SCHEME = {library.scheme: library for library in LIBRARIES}
every = pytest.mark.parametrize("library", LIBRARIES, ids=list(BY_SCHEME))
those_that_sign = pytest.mark.parametrize("library", [each for each in LIBRARIES if each.signs], ids=lambda e: e.scheme)


def we_take(scheme: str, secret: str, request: Request) -> bool:
    captured = Captured(headers=request.headers, body=request.body.encode(), url=request.url)
    setup = Setup(scheme=scheme, secret=secret, verbatim=True)
    return check(captured, setup, now=time.time(), fetch=no_fetch).verified


def signed(scheme: str, secret: str, body: str, *, now: float | None = None, **more) -> Request:
    more.setdefault("url", URL)
    if scheme == "twilio":
        more.setdefault("headers", {"content-type": FORM})
    found = sign(scheme, secret, body.encode(), now=time.time() if now is None else now, event_id="msg_1", **more)
    return Request(found.headers, found.body.decode(), found.url)


@every
@given(data=st.data())
def test_what_we_sign_both_accept(library, data):
    secret, body = data.draw(library.secrets), data.draw(library.bodies)

    request = signed(library.scheme, secret, body)

    assert (library.takes(secret, request), we_take(library.scheme, secret, request)) == (True, True)


@those_that_sign
@given(data=st.data())
def test_what_the_library_signs_we_accept(library, data):
    secret, body = data.draw(library.secrets), data.draw(library.bodies)

    request = Request(library.signs(secret, body), body)

    assert library.takes(secret, request)
    assert we_take(library.scheme, secret, request)


@every
@given(data=st.data())
def test_another_body_or_secret_neither_accepts(library, data):
    secret, body = data.draw(library.secrets), data.draw(library.bodies)
    other_secret, other_body = data.draw(library.secrets), data.draw(library.bodies)
    # HMAC fills a short key with NULs, which no secret here ends with.
    assume(secret != other_secret)
    assume(sorted(set(Fields(body))) != sorted(set(Fields(other_body))) if library.scheme == "twilio" else True)
    assume(body != other_body)
    request = signed(library.scheme, secret, body)
    with_other_body = Request(request.headers, other_body, request.url)

    if library.scheme == "standard-webhooks":
        assume(key_of(secret) != key_of(other_secret))
    assert not library.takes(other_secret, request)
    assert not we_take(library.scheme, other_secret, request)
    assert not library.takes(secret, with_other_body)
    assert not we_take(library.scheme, secret, with_other_body)


def key_of(secret: str) -> bytes:
    return base64.b64decode(secret.removeprefix("whsec_")).rstrip(b"\0")


@every
@given(data=st.data())
def test_a_changed_signature_neither_accepts(library, data):
    secret, body = data.draw(library.secrets), data.draw(library.bodies)
    request = signed(library.scheme, secret, body)
    name = next(name for name in request.headers if "signature" in name or "hmac" in name)
    # The last character of base64 has bits that nobody reads; the first of the digest has none.
    value = request.headers[name]
    place = max(value.rfind("=", 0, len(value) - 3), value.rfind(",")) + 1
    changed = value[:place] + ("1" if value[place] == "0" else "0") + value[place + 1 :]
    request.headers[name] = changed

    assert not library.takes(secret, request)
    assert not we_take(library.scheme, secret, request)


@given(header=texts)
@every
def test_whatever_stands_in_the_signature_header_is_refused_without_an_exception(library, header):
    request = signed(library.scheme, "c2VjcmV0", "a=b")
    name = next(name for name in request.headers if "signature" in name or "hmac" in name)
    assume(request.headers[name] != header)

    assert not we_take(library.scheme, "c2VjcmV0", Request({**request.headers, name: header}, "a=b", request.url))


@every
@pytest.mark.parametrize("moved_s", [-301, -400, 400])
def test_an_old_request_neither_accepts_and_one_from_the_future_we_never_do(library, moved_s):
    secret = "whsec_c2VjcmV0" if library.scheme == "standard-webhooks" else "secret"
    request = signed(library.scheme, secret, "a=b", now=time.time() + moved_s)
    timed = library.scheme in {"standard-webhooks", "stripe", "slack", "hubspot-v3"}
    # Stripe's and HubSpot's look at the past alone.
    theirs = not timed or (moved_s > 0 and library.scheme in {"stripe", "hubspot-v3"})

    assert we_take(library.scheme, secret, request) is not timed
    assert library.takes(secret, request) is theirs


class TestKnownDifferences:
    def test_githubs_library_takes_the_legacy_sha1_in_the_place_of_sha256(self):
        digest = hmac.digest(b"secret", b"{}", "sha1").hex()
        request = Request({"x-hub-signature-256": f"sha1={digest}"}, "{}")

        assert BY_SCHEME["github"].takes("secret", request)
        assert not we_take("github", "secret", request)

    @pytest.mark.parametrize("scheme", ["github", "slack", "stripe"])
    def test_we_read_hexadecimal_in_either_case(self, scheme):
        request = signed(scheme, "secret", "{}")
        name = next(name for name in request.headers if "signature" in name)
        value = request.headers[name]
        digest = value[-64:]
        request.headers[name] = value.replace(digest, digest.upper())

        assert not BY_SCHEME[scheme].takes("secret", request)
        assert we_take(scheme, "secret", request)

    @pytest.mark.parametrize("scheme", ["square", "line", "hubspot-v3", "twilio"])
    def test_we_read_base64_without_its_padding(self, scheme):
        request = signed(scheme, "secret", "a=b")
        name = next(name for name in request.headers if "signature" in name)
        request.headers[name] = request.headers[name].rstrip("=")

        assert not BY_SCHEME[scheme].takes("secret", request)
        assert we_take(scheme, "secret", request)

    def test_squares_library_refuses_an_empty_body(self):
        request = signed("square", "secret", "")

        assert not BY_SCHEME["square"].takes("secret", request)
        assert we_take("square", "secret", request)

    @pytest.mark.parametrize("scheme", ["standard-webhooks", "stripe", "slack"])
    def test_a_body_that_is_not_text_is_an_event_to_us_and_an_exception_to_them(self, scheme):
        secret = "whsec_c2VjcmV0" if scheme == "standard-webhooks" else "secret"
        found = sign(scheme, secret, b"\xff\xfe", now=time.time(), event_id="msg_1")
        captured = Captured(headers=found.headers, body=found.body)
        setup = Setup(scheme=scheme, secret=secret)

        assert check(captured, setup, now=time.time(), fetch=no_fetch).verified
        with pytest.raises(UnicodeDecodeError):
            BY_SCHEME[scheme].accepts(secret, SimpleNamespace(body=found.body, headers=found.headers))

    def test_hubspots_library_does_not_decode_the_escapes_that_hubspot_decodes(self):
        called, signed_by_hubspot = "https://x.example/hook?next=%2Fa%40b", "https://x.example/hook?next=/a@b"
        request = signed("hubspot-v3", "secret", "[]", url=signed_by_hubspot)
        request.url = called

        assert not BY_SCHEME["hubspot-v3"].takes("secret", request)
        assert we_take("hubspot-v3", "secret", request)

    def test_twilio_signs_json_by_its_digest_in_the_url(self):
        request = signed("twilio", "secret", '{"a":1}', headers={"content-type": "application/json"})
        changed = Request(request.headers, '{"a":2}', request.url)

        library = BY_SCHEME["twilio"]
        assert "bodySHA256=" in request.url
        assert (library.takes("secret", request), we_take("twilio", "secret", request)) == (True, True)
        assert (library.takes("secret", changed), we_take("twilio", "secret", changed)) == (False, False)

    @given(secret=secrets, pairs=forms)
    def test_twilio_signs_with_sha256_when_it_says_so(self, secret, pairs):
        request = signed("twilio", secret, urlencode(pairs), stronger=True)

        assert BY_SCHEME["twilio"].takes(secret, request)
        assert we_take("twilio", secret, request)

    @pytest.mark.parametrize(
        ("called", "by_twilio"),
        [
            ("https://x.example/hook", "https://x.example:443/hook"),
            ("https://x.example:8443/hook", "https://x.example/hook"),
            ("http://x.example/hook?a=b", "http://x.example:80/hook?a=b"),
        ],
    )
    def test_twilios_url_with_and_without_its_port(self, called, by_twilio):
        request = signed("twilio", "secret", "a=b", url=by_twilio)
        request.url = called

        assert BY_SCHEME["twilio"].takes("secret", request)
        assert we_take("twilio", "secret", request)

    @pytest.mark.parametrize("signature", ["nocomma", "v1,abcde", "v1,a,b"])
    def test_standard_webhooks_library_raises_on_a_hostile_header(self, signature):
        secret = "whsec_c2VjcmV0"
        request = signed("standard-webhooks", secret, "{}")
        request.headers["webhook-signature"] = signature

        with pytest.raises(ValueError, match=r".+"):
            BY_SCHEME["standard-webhooks"].accepts(secret, request)
        assert not we_take("standard-webhooks", secret, request)


@pytest.fixture(scope="module")
def lark():
    """lark-oapi makes an event loop as it is imported, and warns of what it does itself."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        handler = importlib.import_module("lark_oapi.event.dispatcher_handler")
        raw = importlib.import_module("lark_oapi.core.model.raw_request")
        client = importlib.import_module("lark_oapi.ws.client")
    handler.logger.disabled = True
    yield SimpleNamespace(handler=handler.EventDispatcherHandler, request=raw.RawRequest)
    client.loop.close()
    asyncio.set_event_loop(None)


class TestLark:
    @staticmethod
    def taken(lark, secret, headers, body, events):
        request = lark.request()
        request.uri, request.body = "/", body
        request.headers = {name.title(): value for name, value in headers.items()}
        builder = lark.handler.builder(secret["encrypt_key"], secret["token"])
        builder.register_p2_customized_event("im.message", events.append)
        return builder.build().do(request).status_code == 200

    @given(key=secrets, token=secrets, note=texts)
    def test_what_we_sign_and_encrypt_both_accept(self, lark, key, token, note):
        # The form of the settings: white space at the ends does not survive.
        key, token = key.strip(), token.strip()
        body, secret = self.body(note), {"encrypt_key": key, "token": token}
        found = sign("feishu", secret, body, now=time.time(), event_id="e1")
        events = []

        assert self.taken(lark, secret, found.headers, found.body, events)
        checked = check(
            Captured(headers=found.headers, body=found.body),
            Setup(scheme="feishu", secret=secret),
            now=time.time(),
            fetch=no_fetch,
        )
        assert checked.verified
        assert json.loads(checked.opened)["event"] == {"note": note} == events[0].event

    @staticmethod
    def body(note):
        header = {"event_type": "im.message", "event_id": "e1"}
        return json.dumps({"schema": "2.0", "header": header, "event": {"note": note}}).encode()

    @pytest.mark.parametrize("what", ["x-lark-signature", "x-lark-request-nonce", "x-lark-request-timestamp", "body"])
    def test_what_is_changed_neither_accepts(self, lark, what):
        secret = {"encrypt_key": "key", "token": "token"}
        found = sign("feishu", secret, self.body("n"), now=time.time(), event_id="e1")
        headers, body = dict(found.headers), found.body
        if what == "body":
            body += b" "
        else:
            headers[what] = headers[what][:-1] + ("1" if headers[what][-1] == "0" else "0")

        assert not self.taken(lark, secret, headers, body, [])
        assert not self.ours(secret, headers, body)

    @staticmethod
    def ours(secret, headers, body):
        setup = Setup(scheme="feishu", secret=secret)
        return check(Captured(headers=headers, body=body), setup, now=time.time(), fetch=no_fetch).verified

    @pytest.mark.parametrize("moved_s", [-86_400, 86_400])
    def test_the_library_does_not_look_at_the_timestamp(self, lark, moved_s):
        secret = {"encrypt_key": "key", "token": "token"}
        found = sign("feishu", secret, self.body("n"), now=time.time() + moved_s, event_id="e1")

        assert self.taken(lark, secret, found.headers, found.body, [])
        assert not self.ours(secret, found.headers, found.body)


class TestCloudEvents:
    """Our records, read by the library of the CloudEvents project."""

    event_texts = st.text(st.characters(codec="utf-8", exclude_categories=["Cc"]), min_size=1, max_size=30)
    documents = st.dictionaries(st.text(characters, max_size=5), st.text(characters) | st.integers(), min_size=1)

    @staticmethod
    def record(event, value, record_format="binary", key=None):
        envelope = Envelope(source="shop", scheme="hmac", record_format=record_format)
        record = envelope.record(event, topic="t", key=key, value=value)
        return KafkaMessage(headers=dict(record.headers), key=record.key, value=record.value)

    @staticmethod
    def event(event_id="e", event_type="t", content_type="application/json", **attributes):
        return Event(
            id=event_id,
            type=event_type,
            source="shop",
            scheme="hmac",
            time=1_700_000_000.25,
            id_signed=True,
            content_type=content_type,
            attributes=attributes,
        )

    @pytest.mark.parametrize(
        ("record_format", "read"),
        [("binary", from_binary), ("structured", from_structured), ("binary", from_kafka), ("structured", from_kafka)],
    )
    @given(event_id=event_texts, event_type=event_texts, document=documents)
    def test_attributes_and_data_come_back(self, record_format, read, event_id, event_type, document):
        message = self.record(self.event(event_id, event_type), json.dumps(document).encode(), record_format)

        found = read(message, JSONFormat())

        assert found.get_id() == event_id
        assert found.get_type() == event_type
        assert found.get_source() == "/webhook/shop"
        assert found.get_specversion() == "1.0"
        assert found.get_time() == datetime.fromtimestamp(1_700_000_000.25, UTC)
        assert found.get_datacontenttype() == "application/json"
        assert found.get_data() == document

    @pytest.mark.parametrize("read", [from_binary, from_kafka])
    def test_a_key_becomes_the_partition_key(self, read):
        assert read(self.record(self.event(), b"{}", key="k"), JSONFormat()).get_extension("partitionkey") == "k"

    @pytest.mark.parametrize("record_format", ["binary", "structured"])
    @given(value=st.binary(min_size=1))
    def test_bytes_that_are_no_text_come_back(self, record_format, value):
        message = self.record(self.event(content_type="application/octet-stream"), value, record_format)

        found = from_kafka(message, JSONFormat()).get_data()

        assert (found.encode() if isinstance(found, str) else found) == value

    @pytest.mark.parametrize("record_format", ["binary", "structured"])
    def test_a_cloudevent_keeps_its_own_attributes(self, record_format):
        own = {"id": "7", "source": "/theirs", "type": "their.type", "subject": "s", "tenant": "blue"}

        found = from_kafka(self.record(self.event(**own), b"{}", record_format), JSONFormat())

        assert (found.get_id(), found.get_source(), found.get_type()) == ("7", "/theirs", "their.type")
        assert (found.get_subject(), found.get_extension("tenant")) == ("s", "blue")
