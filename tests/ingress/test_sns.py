import base64
import json
import threading
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from hypothesis import assume, given
from hypothesis import strategies as st

from kafka_bridge import web
from kafka_bridge.errors import CertificateUnreachable, Unverified
from kafka_bridge.http import Inbound
from kafka_bridge.ingress.certificates import MAX_ASKED
from kafka_bridge.ingress.content import Content, Location
from kafka_bridge.ingress.keys import BadSecret
from kafka_bridge.ingress.outside import FetchFailed, Outside, no_fetch
from kafka_bridge.ingress.receive import answer
from kafka_bridge.ingress.sns import Sns
from kafka_bridge.ingress.source import compile_sources
from kafka_bridge.settings import endpoint
from kafka_bridge.settings.sources import SourceSecret, parse_secret
from tests.ingress.issuer import YEAR, Web, certificate, good_certificate, key
from tests.stand_ins import NOW, Broker, receive_at, saved

TOPIC = "arn:aws:sns:us-west-2:123456789012:MyTopic"
SECRET = parse_secret(TOPIC)
HOST = "https://sns.us-west-2.amazonaws.com"
CERTIFICATE = f"{HOST}/SimpleNotificationService-f3ecfb7224c7233fe7bb5f59f96de52f.pem"
SUBSCRIBE = f"{HOST}/?Action=ConfirmSubscription&TopicArn={TOPIC}&Token=2336412f37"
any_text = st.text(st.characters(exclude_categories=[]))
texts = st.text(st.characters(codec="utf-8"))


# A sender written apart from the verifier, after the vendor's description.


def at(age):
    return datetime.fromtimestamp(NOW - age, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def message(kind="Notification", **fields):
    found = {
        "Type": kind,
        "MessageId": "22b80b92-fdea-4c2c-8f9d-bdfb0c7bf324",
        "TopicArn": TOPIC,
        "Message": "Hello\nworld! é",
        "Timestamp": at(0),
        "SignatureVersion": "2",
        "SigningCertURL": CERTIFICATE,
        "UnsubscribeURL": f"{HOST}/?Action=Unsubscribe",
    }
    if kind != "Notification":
        found |= {"SubscribeURL": SUBSCRIBE, "Token": "2336412f37"}
    return found | fields


def signed(fields, *, by=None):
    last = ["Subject"] if fields["Type"] == "Notification" and "Subject" in fields else []
    confirms = ["SubscribeURL", "Token"] if fields["Type"] != "Notification" else []
    names = sorted(["Message", "MessageId", "Timestamp", "TopicArn", "Type", *last, *confirms])
    text = "".join(f"{name}\n{fields[name]}\n" for name in names)
    algorithm = hashes.SHA1() if fields["SignatureVersion"] == "1" else hashes.SHA256()
    signature = (by or key()).sign(text.encode(), padding.PKCS1v15(), algorithm)
    return {**fields, "Signature": base64.b64encode(signature).decode()}


def content(body, headers=None):
    body = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Content(Inbound(method="POST", path="/x", headers=headers or {"content-type": "text/plain"}, body=body))


def verifier(fetch=None, secret=SECRET):
    return Sns().within(Outside(fetch or Web())).verifier(secret)


def verify(body, fetch=None, *, now=NOW, secret=SECRET):
    return verifier(fetch, secret).verify(content(body), now=now)


def refused(body, fetch=None, *, now=NOW):
    with pytest.raises(Unverified) as caught:
        verify(body, fetch, now=now)
    return caught.value.reason


# Messages.


@pytest.mark.parametrize("version", ["1", "2"])
@pytest.mark.parametrize("kind", ["Notification", "SubscriptionConfirmation", "UnsubscribeConfirmation"])
def test_a_message_of_either_version_is_verified(version, kind):
    fields = signed(message(kind, SignatureVersion=version))

    opened = verify(fields)

    assert opened.document == fields
    assert opened.content_type == "application/json"


@given(texts, texts)
def test_any_message_and_subject_are_verified(text, subject):
    assert verify(signed(message(Message=text, Subject=subject))).document["Message"] == text


def test_the_string_that_is_signed_is_the_one_of_the_vendors_page():
    # https://docs.aws.amazon.com/sns/latest/dg/sns-verify-signature-of-message-verify-message-signature.html, where the
    # last line feed is not shown; Amazon's own libraries sign it.
    topic = "arn:aws:sns:us-east-2:123456789012:s4-MySNSTopic-1G1WEFCOXTC0P"
    fields = message(
        Message="My Test Message",
        MessageId="4d4dc071-ddbf-465d-bba8-08f81c89da64",
        Subject="My subject",
        Timestamp="2019-01-31T04:37:04.321Z",
        TopicArn=topic,
    )
    text = (
        "Message\nMy Test Message\nMessageId\n4d4dc071-ddbf-465d-bba8-08f81c89da64\nSubject\nMy subject\n"
        f"Timestamp\n2019-01-31T04:37:04.321Z\nTopicArn\n{topic}\nType\nNotification\n"
    )
    signature = base64.b64encode(key().sign(text.encode(), padding.PKCS1v15(), hashes.SHA256())).decode()
    fetch = Web(certificate(valid_from=-10 * YEAR))

    verify({**fields, "Signature": signature}, fetch, now=1_548_909_425, secret=parse_secret(topic))


def test_a_field_that_was_written_twice_comes_out_once():
    body = json.dumps(signed(message())).encode()
    twice = b'{"Message": "forged",' + body[1:]

    assert b"forged" not in verify(twice).inbound.body


def test_what_is_signed_in_every_message_is_covered_and_nothing_else():
    for name in ("Message", "MessageId", "Timestamp", "TopicArn", "Type"):
        assert Sns().covers(Location(f"body:{name}"))
    for text in ("body:MessageAttributes.a.Value", "body:UnsubscribeURL", "body:Subject", "header:MessageId"):
        assert not Sns().covers(Location(text))


@pytest.mark.parametrize("topic", ["arn:aws:sns:us-west-2:123456789012:Other", "", TOPIC + "x"])
def test_another_topic_is_refused_before_anything_is_fetched(topic):
    fetch = Web()

    assert "topic" in refused(signed(message(TopicArn=topic)), fetch)
    assert fetch.asked == []


def test_any_topic_of_the_settings_is_taken():
    other = "arn:aws-cn:sns:cn-north-1:123456789012:Other.fifo"
    secret = parse_secret([TOPIC, f" {other}\n"])

    for topic in (TOPIC, other):
        verify(signed(message(TopicArn=topic)), secret=secret)


@pytest.mark.parametrize(
    ("age", "good"), [(0, True), (3600, True), (86_400, True), (86_401, False), (-300, True), (-301, False)]
)
def test_a_message_is_taken_for_a_day(age, good):
    fields = signed(message(Timestamp=at(age)))

    if good:
        verify(fields)
    else:
        assert "timestamp" in refused(fields)


@pytest.mark.parametrize("text", ["", "yesterday", "1700000000", "2023-11-14T22:13:20", "2023-13-14T22:13:20Z"])
def test_a_timestamp_that_is_none_is_refused(text):
    assert "timestamp" in refused(signed(message(Timestamp=text)))


def test_a_raw_delivery_is_refused_with_the_way_out():
    with pytest.raises(Unverified) as caught:
        verifier().verify(content(b"{}", {"x-amz-sns-rawdelivery": "true"}), now=NOW)

    assert "raw message delivery" in caught.value.reason


@pytest.mark.parametrize("version", ["0", "3", "", None, 1, 2, ["1"]])
def test_an_unknown_version_is_refused(version):
    refused({**signed(message()), "SignatureVersion": version})


def test_the_version_says_which_hash_was_signed():
    for version, other in (("1", "2"), ("2", "1")):
        fields = signed(message(SignatureVersion=version))
        assert "signature" in refused({**fields, "SignatureVersion": other})


def test_another_key_is_refused():
    other = rsa.generate_private_key(public_exponent=65537, key_size=2048)

    assert "signature" in refused(signed(message(), by=other))


FIELDS = ["Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type", "Signature", "SubscribeURL", "Token"]


@pytest.mark.parametrize("kind", ["Notification", "SubscriptionConfirmation"])
@given(data=st.data())
def test_any_changed_character_is_refused(kind, data):
    fields = signed(message(kind, **({"Subject": "s"} if kind == "Notification" else {})))
    name = data.draw(st.sampled_from([name for name in FIELDS if name in fields]))
    at = data.draw(st.integers(0, len(fields[name]) - 1))
    other = data.draw(st.characters(codec="utf-8"))
    # The padding of base64 says nothing.
    assume(other != fields[name][at] and not (name == "Signature" and at >= len(fields[name]) - 3))

    refused({**fields, name: fields[name][:at] + other + fields[name][at + 1 :]})


@pytest.mark.parametrize("name", [*FIELDS, "SignatureVersion", "SigningCertURL"])
@pytest.mark.parametrize("value", [None, "", 1, True, [], {}, ["x"], "é"])
def test_no_field_may_be_something_else(name, value):
    kind = "SubscriptionConfirmation" if name in {"SubscribeURL", "Token"} else "Notification"
    fields = signed(message(kind, **({"Subject": "s"} if name == "Subject" else {})))

    refused({**fields, name: value})


@pytest.mark.parametrize("name", ["Message", "MessageId", "Timestamp", "TopicArn", "Type", "Signature"])
def test_no_field_may_be_missing(name):
    fields = signed(message())

    refused({key: fields[key] for key in fields if key != name})


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(FIELDS) | texts, inner, max_size=5),
    max_leaves=10,
)


@given(st.binary() | any_text.map(lambda text: text.encode("utf-8", "surrogatepass")) | json_values)
def test_garbage_is_unverified_and_nothing_else(body):
    fetch = Web()
    refused(body, fetch)
    assert fetch.asked == []


@given(st.dictionaries(st.sampled_from([*FIELDS, "SigningCertURL", "SignatureVersion"]), json_values, min_size=1))
def test_a_message_with_garbage_in_it_is_verified_or_unverified(changes):
    try:
        verify({**signed(message()), **changes})
    except Unverified:
        return


def test_what_is_not_signed_cannot_break_the_verifier():
    body = json.dumps(signed(message())).encode()
    deep = b'{"MessageAttributes": ' + b"[" * 900 + b"]" * 900 + b"," + body[1:]

    refused(deep)
    assert verify(b'{"x": 100000000000000000000000, "y": 1e300,' + body[1:]).document["Type"] == "Notification"


# Certificates.

NOT_SNS = [
    "",
    CERTIFICATE.replace("https", "http"),
    CERTIFICATE.replace("https", "HTTPS"),
    CERTIFICATE.replace("https:", "file:"),
    CERTIFICATE.replace("amazonaws.com", "amazonaws.com.evil.com"),
    CERTIFICATE.replace("amazonaws.com", "amazonaws.com@evil.com"),
    CERTIFICATE.replace("amazonaws.com", "amazonaws.com:443"),
    CERTIFICATE.replace("amazonaws.com", "amazonaws.com:8080"),
    CERTIFICATE.replace("amazonaws.com", "amazonaws.com."),
    CERTIFICATE.replace("amazonaws.com", "amazonaws.com.br"),
    CERTIFICATE.replace("amazonaws.com", "amazonaws%2ecom"),
    CERTIFICATE.replace("amazonaws.com", "amazonawsxcom"),
    CERTIFICATE.replace("amazonaws.com", "amazonaws。com"),
    CERTIFICATE.replace("sns.", "snsx"),
    CERTIFICATE.replace("sns.", "evil.com/sns."),
    CERTIFICATE.replace("sns.", "evil.com\\@sns."),
    CERTIFICATE.replace("sns.", "user:password@sns."),
    CERTIFICATE.replace("sns.", "sns.evil."),
    # Buckets named sns.
    CERTIFICATE.replace("us-west-2", "s3-us-west-2"),
    CERTIFICATE.replace("us-west-2", "s3"),
    CERTIFICATE.replace("us-west-2", "s3.us-west-2"),
    CERTIFICATE.replace("us-west-2", "execute-api.us-west-2"),
    CERTIFICATE.replace("us-west-2", "us-west-2/.evil.com"),
    CERTIFICATE.replace("us-west-2", "us-west-٢"),
    CERTIFICATE + "?x=.pem",
    CERTIFICATE + "#.pem",
    CERTIFICATE + "\n",
    " " + CERTIFICATE,
    CERTIFICATE.removesuffix(".pem"),
    f"{HOST}/?Action=GetTopic&x=.pem",
    f"{HOST}/../x.pem",
    f"{HOST}/%2e%2e/x.pem",
    f"{HOST}/%2e.pem",
    f"{HOST}//evil.com/x.pem",
    f"{HOST}/a/x.pem",
    f"{HOST}/.pem",
    f"{HOST}\\x.pem",
    f"{HOST}/x\r\nHost: evil.com\r\n.pem",
    "https://sns.us-east-1.amazonaws.com.evil.com/x.pem",
    "https://sns.us-east-1.amazonaws.com@evil.com/",
    "//sns.us-east-1.amazonaws.com/x.pem",
    "https:sns.us-east-1.amazonaws.com/x.pem",
]


@pytest.mark.parametrize("url", NOT_SNS)
def test_nothing_is_fetched_from_anywhere_but_sns(url):
    fetch = Web()

    assert refused({**signed(message()), "SigningCertURL": url}, fetch) == "the certificate is not at SNS"
    assert fetch.asked == []


@given(any_text | st.text("sn.usweatamzoc-1:/@%?#\\.pem2", max_size=60).map(lambda text: f"https://sns.{text}.pem"))
def test_no_other_url_is_fetched(url):
    fetch = Web()
    with pytest.raises(Unverified):
        verify({**signed_once(), "SigningCertURL": url, "Message": "forged"}, fetch)
    assert all("amazonaws.com" in asked for asked in fetch.asked)


@pytest.mark.parametrize(
    "region", ["us-east-1", "us-gov-west-1", "ap-southeast-3", "mx-central-1", "eu-central-1", "me-south-1"]
)
@pytest.mark.parametrize("suffix", ["", ".cn"])
def test_a_certificate_of_any_region_is_fetched(region, suffix):
    fetch = Web()
    url = f"https://sns.{region}.amazonaws.com{suffix}/SimpleNotificationService-0a1b.pem"

    verify(signed(message(SigningCertURL=url)), fetch)

    assert fetch.asked == [url]


def test_a_certificate_is_fetched_once():
    fetch = Web()
    one = verifier(fetch)

    for number in range(3):
        one.verify(content(signed(message(MessageId=str(number)))), now=NOW)

    assert fetch.asked == [CERTIFICATE]


def test_a_flood_of_forged_messages_is_no_flood_of_requests_and_the_true_ones_still_verify():
    def fetch(url):
        asked.append(url)
        if url != CERTIFICATE:
            raise FetchFailed("HTTP 404", lasting=True)
        return good_certificate()

    asked: list[str] = []
    one, true = verifier(fetch), signed(message())
    one.verify(content(true), now=NOW)

    for number in range(1000):
        forged = {**true, "SigningCertURL": f"{HOST}/SimpleNotificationService-{number:032x}.pem"}
        with pytest.raises((Unverified, CertificateUnreachable)):
            one.verify(content(forged), now=NOW + number / 100)
        one.verify(content(true), now=NOW + number / 100)

    assert len(asked) == 1 + MAX_ASKED


def test_certificates_of_amazon_in_forged_messages_do_not_push_out_the_one_that_verifies():
    fetch = Web()
    one, true = verifier(fetch), signed(message())
    one.verify(content(true), now=NOW)

    for number in range(1000):
        forged = {**true, "Message": "forged", "SigningCertURL": f"{HOST}/SimpleNotificationService-{number % 200}.pem"}
        with pytest.raises((Unverified, CertificateUnreachable)):
            one.verify(content(forged), now=NOW)
    one.verify(content(true), now=NOW)

    assert len(fetch.asked) == 1 + MAX_ASKED
    assert fetch.asked.count(CERTIFICATE) == 1


@pytest.mark.parametrize(
    ("dates", "good"),
    [
        ({"valid_from": timedelta(0)}, True),
        ({"valid_until": timedelta(0)}, True),
        ({"valid_from": timedelta(seconds=1)}, False),
        ({"valid_until": timedelta(seconds=-1)}, False),
    ],
)
def test_a_certificate_must_be_valid_now(dates, good):
    fields, fetch = signed(message()), Web(certificate(**dates))

    if good:
        verify(fields, fetch)
    else:
        assert "expired" in refused(fields, fetch)


@pytest.mark.parametrize("pem", [b"", b"<html>", b"\xff" * 100, b"-----BEGIN CERTIFICATE-----\nAAAA\n"])
def test_what_is_not_a_certificate_is_refused(pem):
    assert "certificate" in refused(signed(message()), Web(pem))


@given(st.data())
def test_a_broken_certificate_is_refused_or_verifies_with_the_same_key(data):
    pem = good_certificate()
    at = data.draw(st.integers(0, len(pem) - 1))
    pem = pem[:at] + data.draw(st.binary(min_size=1, max_size=2)) + pem[at + 1 :]
    try:
        verify(signed_once(), Web(pem))
    except Unverified:
        return


@cache
def signed_once():
    return signed(message())


def test_a_certificate_of_another_kind_is_refused():
    pem = certificate(of=ec.generate_private_key(ec.SECP256R1()))

    assert "RSA" in refused(signed(message()), Web(pem))


def test_a_message_whose_certificate_cannot_be_fetched_now_comes_again_and_is_verified():
    fetch = Web(FetchFailed("ConnectError"))
    source = compile_source(fetch)
    inbound = content(signed(message())).inbound

    outcome = receive_at(inbound, source, Broker(), now=NOW)

    # SNS throws away what is answered with a 4xx.
    assert (answer(outcome).status, answer(outcome).headers) == (503, (("Retry-After", "10"),))
    assert outcome.error.hint == "the certificate cannot be fetched: ConnectError"
    assert b"ConnectError" not in answer(outcome).body
    fetch.answer = good_certificate()
    assert answer(receive_at(inbound, source, Broker(), now=NOW + 20)).status == 200


def test_a_message_whose_certificate_does_not_exist_is_not_verified():
    outcome = receive_at(
        content(signed(message())).inbound,
        compile_source(Web(FetchFailed("HTTP 404", lasting=True))),
        Broker(),
        now=NOW,
    )

    assert (answer(outcome).status, outcome.reason) == (401, "the certificate cannot be fetched: HTTP 404")


def compile_source(fetch):
    settings = endpoint.parse(saved(scheme="aws-sns", webhook_secret=TOPIC))
    return compile_sources(settings, outside=Outside(fetch))[0]["default"]


def test_a_row_of_the_table_reaches_nothing():
    with pytest.raises(Unverified) as caught:
        Sns().verifier(SECRET).verify(content(signed(message())), now=NOW)

    assert "fetched" in caught.value.reason
    assert Sns() == Sns(Outside(no_fetch))


# The confirmation.


def confirm(fields, fetch):
    return Sns().within(Outside(fetch)).handshake(SECRET).signed(content(fields))


def test_a_subscription_is_confirmed():
    fetch = Web(b"<ConfirmSubscriptionResponse/>")

    answer = confirm(message("SubscriptionConfirmation"), fetch)

    assert fetch.asked == [SUBSCRIBE]
    assert (answer.status, json.loads(answer.body)) == (200, {"status": "confirmed"})


@pytest.mark.parametrize("topic", [TOPIC.replace(":", "%3A"), TOPIC + ".fifo"])
def test_the_topic_in_the_url_may_be_escaped(topic):
    fetch = Web(b"")
    url = f"{HOST}/?Action=ConfirmSubscription&TopicArn={topic}&Token=0a"

    assert confirm(message("SubscriptionConfirmation", SubscribeURL=url), fetch).status == 200


def test_a_subscription_that_could_not_be_confirmed_is_asked_for_again():
    answer = confirm(message("SubscriptionConfirmation"), Web(FetchFailed("HTTP 500")))

    assert (answer.status, answer.content_type) == (502, "application/problem+json")
    assert json.loads(answer.body)["status"] == 502


@pytest.mark.parametrize(
    "url",
    [
        *[url for url in NOT_SNS if "/?" not in url],
        SUBSCRIBE.replace("amazonaws.com", "amazonaws.com.evil.com"),
        SUBSCRIBE.replace("amazonaws.com", "amazonaws.com@evil.com"),
        SUBSCRIBE.replace("https", "http"),
        SUBSCRIBE.replace("us-west-2.", "s3-us-west-2."),
        SUBSCRIBE.replace("ConfirmSubscription", "DeleteTopic"),
        SUBSCRIBE.replace("/?", "/x?"),
        SUBSCRIBE.replace("/?", "?"),
        SUBSCRIBE + "#x",
        SUBSCRIBE + "\n",
        SUBSCRIBE + "/../x",
        CERTIFICATE,
        None,
        1,
    ],
)
def test_no_other_url_confirms(url):
    fetch = Web(b"")

    assert confirm(message("SubscriptionConfirmation", SubscribeURL=url), fetch).status == 502
    assert fetch.asked == []


@pytest.mark.parametrize("kind", ["Notification", "UnsubscribeConfirmation"])
def test_nothing_else_is_confirmed(kind):
    fetch = Web(b"")
    handshake = Sns().within(Outside(fetch)).handshake(SECRET)
    event = content(message(kind))

    assert handshake.unsigned(event, now=NOW) is None
    assert handshake.signed(event) is None
    assert handshake.success(event, now=NOW) is None
    assert fetch.asked == []


# Settings.


@pytest.mark.parametrize(
    "secret",
    [
        SourceSecret(),
        parse_secret("MyTopic"),
        parse_secret("arn:aws:sqs:us-west-2:123456789012:MyTopic"),
        parse_secret([TOPIC, "arn:aws:sns:us-west-2:123456789012:*"]),
        parse_secret({"topic": TOPIC}),
    ],
)
def test_a_secret_that_is_no_topic_is_refused(secret):
    with pytest.raises(BadSecret):
        Sns().verifier(secret)


# The fetch itself, against a server of our own.


@contextmanager
def server(status=200, body=b"", headers=()):
    asked = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append((self.path, dict(self.headers)))
            self.send_response(status)
            for name, value in headers:
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{http.server_port}", asked
        http.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "*")


def test_what_is_there_is_fetched_as_it_is():
    body = bytes(range(256)) * 200
    with server(body=body, headers=[("Content-Encoding", "gzip")]) as (url, asked):
        assert web.fetch(f"{url}/x.pem?a=1") == body

    assert asked[0][0] == "/x.pem?a=1"
    assert asked[0][1]["Accept-Encoding"] == "identity"


@pytest.mark.parametrize(
    ("status", "lasting"),
    [
        *[(status, True) for status in (201, 204, 302, 400, 403, 404, 410)],
        *[(status, False) for status in (408, 429, 500, 503)],
    ],
)
def test_another_status_is_a_failure_and_a_redirect_is_not_followed(status, lasting):
    with server(status, headers=[("Location", "/elsewhere")]) as (url, asked):
        with pytest.raises(FetchFailed, match=f"HTTP {status}") as caught:
            web.fetch(f"{url}/x.pem")
        assert len(asked) == 1
    assert caught.value.lasting is lasting


def test_no_more_is_read_than_a_certificate_has():
    with server(body=b"x" * web.MAX_BYTES) as (url, _):
        assert len(web.fetch(url)) == web.MAX_BYTES
    with server(body=b"x" * (web.MAX_BYTES + 1)) as (url, _), pytest.raises(FetchFailed, match="bytes"):
        web.fetch(url)


def test_a_server_that_drips_is_given_up(monkeypatch):
    monkeypatch.setattr(web, "TIMEOUT_S", 0.0)
    with server(body=b"x") as (url, _), pytest.raises(FetchFailed):
        web.fetch(url)


def test_no_server_is_a_failure():
    with server() as (url, _):
        pass
    with pytest.raises(FetchFailed, match="ConnectError") as caught:
        web.fetch(url)
    assert not caught.value.lasting


@pytest.mark.parametrize("url", ["", "no-scheme", "ftp://127.0.0.1/", "http://", "http://[", "https://\ud800/"])
def test_a_url_that_is_none_is_a_failure(url):
    with pytest.raises(FetchFailed):
        web.fetch(url)


def test_a_proxy_that_is_none_is_a_failure(monkeypatch):
    for name in ("HTTP_PROXY", "http_proxy"):
        monkeypatch.setenv(name, "nonsense://secret@nowhere")
    monkeypatch.setenv("NO_PROXY", "")
    monkeypatch.setenv("no_proxy", "")

    with pytest.raises(FetchFailed) as caught:
        web.fetch("http://127.0.0.1/")

    assert "secret" not in str(caught.value)
