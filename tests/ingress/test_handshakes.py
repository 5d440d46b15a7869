"""What senders ask before they deliver: answered only to who may ask, and never published."""

import base64
import hashlib
import hmac
import json
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devhost.signing import sample_secret
from kafka_bridge.errors import Unverified
from kafka_bridge.events.outcome import Verdict
from kafka_bridge.http import Inbound
from kafka_bridge.ingress.receive import answer, ask
from tests.ingress.signer import compiled, delivery, source_for
from tests.stand_ins import NOW, Broker, clock_at, receive_at

PLAIN = "text/plain; charset=utf-8"
NOSNIFF = (("X-Content-Type-Options", "nosniff"),)
META = {"secret": "a-made-up-app-secret", "token": "a-made-up-verify-token"}
CHALLENGES = ["3eZbrw1aB1", "<script>alert(1)</script>", "ü 🔑", "", " ", 'a"b\nc']


def asked(scheme, query, *, source=None):
    return ask(Inbound("GET", "/webhook", query), source or source_for(scheme), clock=clock_at(NOW))


def posted(inbound, source):
    broker = Broker()
    outcome = receive_at(inbound, source, broker, now=NOW)
    assert broker.records == []
    assert outcome.events == ()
    return outcome


def signed(scheme, document):
    return delivery(scheme, json.dumps(document).encode())


def replied(scheme, document):
    outcome = posted(signed(scheme, document), source_for(scheme))
    assert outcome.error is None
    return answer(outcome)


def assert_echo(outbound, text):
    assert (outbound.status, outbound.body.decode(), outbound.content_type) == (200, text, PLAIN)
    assert outbound.headers == NOSNIFF


SIGNED = {
    "slack": {"type": "url_verification", "challenge": "c"},
    "zoom": {"event": "endpoint.url_validation", "payload": {"plainToken": "p"}},
    "discord": {"type": 0},
    "dingtalk": {"EventType": "check_url"},
}


@pytest.mark.parametrize("scheme", SIGNED)
def test_what_the_vendor_signs_is_verified_before_it_is_answered(scheme):
    inbound = signed(scheme, SIGNED[scheme])

    assert answer(posted(inbound, source_for(scheme))).status in {200, 204}
    for forged in (inbound._replace(headers={}, query=""), inbound._replace(body=inbound.body + b" x")):
        outcome = posted(forged, source_for(scheme))
        assert (outcome.verdict, answer(outcome).status) == (Verdict.REJECTED, 401)
    late = receive_at(inbound, source_for(scheme), Broker(), now=NOW + 301)
    assert answer(late).status == 401


@pytest.mark.parametrize("challenge", CHALLENGES)
def test_slack_reads_its_challenge_as_plain_text(challenge):
    assert_echo(replied("slack", {"type": "url_verification", "challenge": challenge}), challenge)


def test_another_message_of_slacks_is_an_event():
    broker = Broker()
    receive_at(signed("slack", {"type": "event_callback", "challenge": "c"}), source_for("slack"), broker, now=NOW)

    assert len(broker.records) == 1


def test_zoom_reads_the_hmac_of_its_token():
    outbound = replied(
        "zoom", {"event": "endpoint.url_validation", "payload": {"plainToken": "qgg8vlvZRS6UYooatFL8Aw"}}
    )

    digest = hmac.new(sample_secret("zoom").encode(), b"qgg8vlvZRS6UYooatFL8Aw", hashlib.sha256).hexdigest()
    assert (outbound.status, outbound.content_type) == (200, "application/json")
    assert json.loads(outbound.body) == {"plainToken": "qgg8vlvZRS6UYooatFL8Aw", "encryptedToken": digest}


def test_zoom_is_answered_with_the_newest_secret_of_a_rotation():
    source = compiled("zoom", secret=["new", "old"])
    document = json.dumps({"event": "endpoint.url_validation", "payload": {"plainToken": "p"}}).encode()

    outbound = answer(posted(delivery("zoom", document, secret="old"), source))

    assert json.loads(outbound.body)["encryptedToken"] == hmac.new(b"new", b"p", hashlib.sha256).hexdigest()


def test_meta_reads_its_challenge_where_the_token_is_right():
    source = compiled("meta", secret=META)
    query = f"hub.mode=subscribe&hub.challenge=1158201444&hub.verify_token={META['token']}"

    assert_echo(asked("meta", query, source=source), "1158201444")
    receive_at(delivery("meta", secret=META), source, broker := Broker(), now=NOW)
    assert len(broker.records) == 1


@pytest.mark.parametrize("token", ["", "&hub.verify_token=", "&hub.verify_token=wrong", "&hub.verify_token=%C3%A9"])
def test_meta_with_a_wrong_token_is_not_answered(token):
    for source in (compiled("meta", secret=META), source_for("meta")):
        with pytest.raises(Unverified):
            asked("meta", f"hub.mode=subscribe&hub.challenge=1{token}", source=source)


def test_without_a_question_there_is_no_answer():
    for scheme in ("meta", "dropbox", "twitter", "microsoft-graph", "wecom", "slack", "feishu", "aws-sns"):
        for query in ("", "hub.mode=unsubscribe", "x=1"):
            assert asked(scheme, query) is None
    for scheme in ("hmac", "none", "github", "stripe"):
        assert asked(scheme, "challenge=x&validationToken=y&crc_token=z&hub.mode=subscribe") is None


@pytest.mark.parametrize(("scheme", "name"), [("dropbox", "challenge"), ("microsoft-graph", "validationToken")])
@pytest.mark.parametrize(
    ("written", "read"), [("abc", "abc"), ("a%20b+c", "a b c"), ("%3Cscript%3E", "<script>"), ("%C3%BC", "ü"), ("", "")]
)
def test_an_echo_is_plain_text_that_no_browser_runs(scheme, name, written, read):
    assert_echo(asked(scheme, f"{name}={written}"), read)


def test_graph_asks_by_post_and_shows_no_client_state():
    outcome = posted(Inbound("POST", "/webhook", "validationToken=a%3Ab"), source_for("microsoft-graph"))

    assert_echo(answer(outcome), "a:b")
    assert (outcome.verdict, outcome.error) == (Verdict.SKIPPED, None)


def test_a_delivery_of_dropboxs_is_not_taken_for_its_challenge():
    broker = Broker()
    inbound = Inbound("POST", "/webhook", "challenge=x", body=b"{}")

    outcome = receive_at(inbound, source_for("dropbox"), broker, now=NOW)

    assert (answer(outcome).status, broker.records) == (401, [])


def test_x_reads_the_hmac_of_its_token():
    outbound = asked("twitter", "crc_token=a%2Bb")

    digest = base64.b64encode(hmac.new(sample_secret("twitter").encode(), b"a+b", hashlib.sha256).digest()).decode()
    assert (outbound.status, json.loads(outbound.body)) == (200, {"response_token": f"sha256={digest}"})


@pytest.mark.parametrize("token", ['{"tweet_create_events":[]}', " ", "a b", "é", "x" * 257, "[1]", '"x"'])
def test_x_is_not_asked_to_sign_what_could_be_an_event(token):
    with pytest.raises(Unverified):
        asked("twitter", f"crc_token={quote(token)}")


@given(st.text(st.characters(codec="ascii"), min_size=1, max_size=40))
def test_no_answer_to_xs_challenge_signs_an_event(token):
    try:
        reply = asked("twitter", f"crc_token={quote(token)}")
    except Unverified:
        return
    header = {"x-twitter-webhooks-signature": json.loads(reply.body)["response_token"]}

    outcome = posted(Inbound("POST", "/webhook", headers=header, body=token.encode()), source_for("twitter"))

    assert (outcome.verdict, answer(outcome).status) == (Verdict.REJECTED, 401)


def test_discord_reads_204_for_a_ping_of_events_and_1_for_one_of_interactions():
    assert replied("discord", {"version": 1, "type": 0}) == (204, b"", "application/json", ())
    outbound = replied("discord", {"type": 1})
    assert (outbound.status, json.loads(outbound.body), outbound.content_type) == (200, {"type": 1}, "application/json")


def test_an_event_of_discords_is_published_and_answered_with_204():
    broker = Broker()
    outcome = receive_at(delivery("discord"), source_for("discord"), broker, now=NOW)

    assert (len(broker.records), answer(outcome).status, answer(outcome).body) == (1, 204, b"")


@pytest.mark.parametrize("kind", [True, False, "0", "1", 2, None, 0.0])
def test_another_type_of_discords_is_an_event(kind):
    broker = Broker()
    receive_at(signed("discord", {"type": kind}), source_for("discord"), broker, now=NOW)

    assert len(broker.records) == 1


def test_feishu_reads_its_challenge_where_the_token_is_right():
    source = compiled("feishu", secret={"token": "right"})

    def verification(token):
        document = {"type": "url_verification", "challenge": "c", "token": token}
        return posted(Inbound("POST", "/webhook", body=json.dumps(document).encode()), source)

    assert answer(verification("right"))[:3] == (200, b'{"challenge":"c"}', "application/json")
    outcome = verification("wrong")
    assert (outcome.verdict, answer(outcome).status, bool(outcome.reason)) == (Verdict.REJECTED, 401, True)


def test_a_signed_verification_without_a_challenge_is_rejected_with_a_reason():
    outcome = posted(signed("feishu", {"type": "url_verification"}), source_for("feishu"))

    assert (outcome.verdict, answer(outcome).status) == (Verdict.REJECTED, 401)
    assert outcome.reason == "the URL's verification has no challenge"


def test_dingtalk_reads_an_encrypted_success_for_every_check_and_every_event():
    broker = Broker()
    check = replied("dingtalk", {"EventType": "check_url"})
    event = answer(receive_at(delivery("dingtalk"), source_for("dingtalk"), broker, now=NOW))

    assert len(broker.records) == 1
    for outbound in (check, event):
        assert (outbound.status, outbound.content_type) == (200, "application/json")
        assert set(json.loads(outbound.body)) == {"msg_signature", "timeStamp", "nonce", "encrypt"}


def test_wecom_is_not_answered_without_a_signature():
    for query in ("echostr=x", "echostr=", "echostr=x&msg_signature=y&timestamp=1700000000&nonce=n"):
        with pytest.raises(Unverified):
            asked("wecom", query)


def test_sns_is_answered_502_where_its_subscription_cannot_be_confirmed():
    url = "https://sns.us-east-1.amazonaws.com/?Action=ConfirmSubscription&Token=t"
    document = {"Type": "SubscriptionConfirmation", "Token": "t", "Message": "m", "SubscribeURL": url}

    outcome = posted(signed("aws-sns", document), source_for("aws-sns"))

    assert (outcome.verdict, answer(outcome).status) == (Verdict.VERIFIED, 502)


leaves = st.none() | st.booleans() | st.integers(-1, 2) | st.sampled_from(["", "url_verification", "x"])
any_json = leaves | st.dictionaries(st.sampled_from(["type", "challenge", "event", "payload", "plainToken"]), leaves)


@given(
    st.sampled_from(["slack", "zoom", "discord", "dingtalk", "feishu"]),
    st.dictionaries(st.sampled_from(["type", "challenge", "event", "payload", "EventType", "encrypt"]), any_json),
)
def test_no_signed_question_raises_and_none_is_both_answered_and_published(scheme, document):
    broker = Broker()
    outcome = receive_at(signed(scheme, document), source_for(scheme), broker, now=NOW)

    assert bool(broker.records) is bool(outcome.events)
    assert answer(outcome).status in {200, 204, 401}
    assert outcome.events or outcome.reply is not None or outcome.verdict is Verdict.REJECTED


@given(
    st.sampled_from(["meta", "dropbox", "microsoft-graph", "twitter", "wecom"]),
    st.text(st.characters(codec="latin-1")) | st.text().map(lambda text: f"echostr={text}&crc_token={text}"),
)
def test_no_query_raises_anything_but_unverified(scheme, query):
    try:
        outbound = asked(scheme, query)
    except Unverified as error:
        assert error.reason  # noqa: PT017
    else:
        assert outbound is None or outbound.status == 200
