import base64
import hashlib
import json

import orjson
import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from hypothesis import assume, given
from hypothesis import strategies as st

from kafka_bridge.errors import Unverified
from kafka_bridge.http import Inbound
from kafka_bridge.ingress.content import Content, Location
from kafka_bridge.ingress.encrypted import decrypt
from kafka_bridge.ingress.feishu import Feishu, FeishuChallenge
from kafka_bridge.ingress.keys import BadSecret
from kafka_bridge.settings.sources import SourceSecret, parse_secret

NOW = 1_700_000_000
KEY = "a-made-up-encrypt-key"
TOKEN = "a-made-up-token"
WITH_KEY = parse_secret({"encrypt_key": KEY})
WITH_TOKEN = parse_secret({"token": TOKEN})
WITH_BOTH = parse_secret({"encrypt_key": KEY, "token": TOKEN})
ALL = [WITH_KEY, WITH_TOKEN, WITH_BOTH]
EVENT = {"schema": "2.0", "header": {"event_id": "e-1", "event_type": "im.message", "token": TOKEN}, "event": {}}
EVENT_V1 = {"uuid": "u-1", "token": TOKEN, "type": "event_callback", "event": {"type": "message"}}
VERIFICATION = {"challenge": "ajls384kdjx98XX", "token": TOKEN, "type": "url_verification"}
any_text = st.text(st.characters(exclude_categories=[]))
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(st.characters(codec="utf-8")),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(st.characters(codec="utf-8")), inner),
    max_leaves=8,
)
# Field names and values that mean something, in any combination.
bodies = st.fixed_dictionaries(
    {},
    optional={
        "type": st.sampled_from(["url_verification", "event_callback", 1, None]),
        "token": st.sampled_from([TOKEN, "", "wrong", None, 1, [TOKEN]]),
        "challenge": st.sampled_from(["c", "", None, {"a": 1}]),
        "header": st.sampled_from([{"token": TOKEN}, {"token": "wrong"}, {}, [], TOKEN]),
        "encrypt": st.sampled_from(["", "x", None, 1, []]),
    },
)


# A sender written apart from the verifier, after the vendor's description.


def sealed(plain, key=KEY, iv=b"0123456789abcdef"):
    length = 16 - len(plain) % 16
    encryptor = Cipher(algorithms.AES(hashlib.sha256(key.encode()).digest()), modes.CBC(iv)).encryptor()
    data = encryptor.update(plain + bytes([length]) * length) + encryptor.finalize()
    return json.dumps({"encrypt": base64.b64encode(iv + data).decode()}).encode()


def plain(document):
    return json.dumps(document).encode()


def signed(body, *, now=NOW, key=KEY, nonce="n"):
    timestamp = str(now)
    text = (timestamp + nonce + key).encode() + body
    return {
        "x-lark-request-timestamp": timestamp,
        "x-lark-request-nonce": nonce,
        "x-lark-signature": hashlib.sha256(text).hexdigest(),
    }


def content(body, headers=None, method="POST"):
    return Content(Inbound(method=method, path="/x", headers=headers or {}, body=body))


def verify(secret, body, headers=None, *, now=NOW):
    return Feishu().verifier(secret).verify(content(body, headers), now=now)


def refused(secret, body, headers=None, *, now=NOW):
    with pytest.raises(Unverified) as caught:
        verify(secret, body, headers, now=now)
    assert KEY not in caught.value.reason
    assert TOKEN not in caught.value.reason
    return caught.value.reason


def ask(secret, body, headers=None, method="POST"):
    return FeishuChallenge(secret).unsigned(content(body, headers, method), now=NOW)


# What the vendor published.


def test_the_published_text_is_decrypted():
    # https://open.feishu.cn/document/event-subscription-guide/event-subscriptions/event-subscription-configure-/encrypt-key-encryption-configuration-case
    data = base64.b64decode("P37w+VZImNgPEO1RBhJ6RtKl7n6zymIbEG1pReEzghk=")

    assert decrypt(hashlib.sha256(b"test key").digest(), data[:16], data[16:], 16) == b"hello world"


# Events with an encrypt key.


@given(st.dictionaries(st.text(st.characters(codec="utf-8")), json_values), st.binary(min_size=16, max_size=16))
def test_any_encrypted_event_comes_out_as_it_was_written(event, iv):
    body = sealed(plain(event), iv=iv)

    opened = verify(WITH_KEY, body, signed(body))

    assert (opened.inbound.body, opened.document, opened.content_type) == (plain(event), event, "application/json")


@pytest.mark.parametrize("event", [EVENT, EVENT_V1])
@pytest.mark.parametrize("secret", [WITH_KEY, WITH_BOTH, parse_secret(KEY), parse_secret(["another", KEY])])
def test_an_event_of_either_version_is_taken_encrypted_or_not(event, secret):
    for body in (sealed(plain(event)), plain(event)):
        assert verify(secret, body, signed(body)).document == event


def test_the_body_is_signed_as_it_came():
    body = b' { "a" : "\xc3\xa9" } '

    assert verify(WITH_KEY, body, signed(body)).inbound.body == body
    assert "signature" in refused(WITH_KEY, body.strip(), signed(body))


@pytest.mark.parametrize(("age", "good"), [(0, True), (300, True), (301, False), (-300, True), (-301, False)])
def test_an_event_is_taken_for_five_minutes_on_either_side(age, good):
    body = sealed(plain(EVENT))
    headers = signed(body, now=NOW - age)

    if good:
        verify(WITH_KEY, body, headers)
    else:
        assert "tolerance" in refused(WITH_KEY, body, headers)


def test_an_unsigned_event_is_refused_though_it_is_encrypted_and_shows_the_token():
    for secret in (WITH_KEY, WITH_BOTH):
        assert "no signature" in refused(secret, sealed(plain(EVENT)))
        assert "no signature" in refused(secret, plain(EVENT))


def test_another_key_is_refused():
    body = sealed(plain(EVENT), key="another")

    assert "signature" in refused(WITH_KEY, body, signed(body, key="another"))
    assert "decrypted" in refused(WITH_KEY, body, signed(body))


@pytest.mark.parametrize("token", ["wrong", "", None, 1, [TOKEN], {"token": TOKEN}])
@pytest.mark.parametrize("secret", [WITH_BOTH, WITH_TOKEN])
def test_a_token_that_is_known_must_be_shown(secret, token):
    for event in ({"header": {"token": token}}, {"token": token}, {}, {"header": TOKEN}):
        body = plain(event)
        assert "token" in refused(secret, body, signed(body))
    if secret is WITH_BOTH:
        body = sealed(plain({"token": token}))
        assert "token" in refused(secret, body, signed(body))


@given(data=st.data())
def test_any_changed_character_is_refused(data):
    body = sealed(plain(EVENT))
    parts = {**signed(body, nonce="WL4PK6yA"), "body": body.decode()}
    name = data.draw(st.sampled_from(sorted(parts)))
    at = data.draw(st.integers(0, len(parts[name]) - 1))
    other = data.draw(st.characters(exclude_categories=["Cs"]))
    assume(other != parts[name][at])
    parts[name] = parts[name][:at] + other + parts[name][at + 1 :]

    refused(WITH_KEY, parts.pop("body").encode(), parts)


@pytest.mark.parametrize("name", ["x-lark-signature", "x-lark-request-timestamp", "x-lark-request-nonce"])
@pytest.mark.parametrize("value", ["", "x", "٣", "9" * 40, "\ud800"])
def test_every_header_is_needed(name, value):
    body = sealed(plain(EVENT))

    refused(WITH_KEY, body, {**signed(body), name: value})


HEADERS = st.dictionaries(st.sampled_from(list(signed(b""))), any_text | st.just(str(NOW)))


@pytest.mark.parametrize("secret", ALL)
@given(headers=HEADERS, body=st.binary() | any_text.map(lambda text: text.encode("utf-8", "surrogatepass")))
def test_garbage_is_unverified_and_nothing_else(secret, headers, body):
    refused(secret, body, headers)


def is_object(data):
    try:
        return isinstance(orjson.loads(data), dict)
    except orjson.JSONDecodeError:
        return False


@given(data=st.binary(max_size=80), value=json_values)
def test_a_signed_body_that_holds_no_event_is_unverified(data, value):
    assume(not isinstance(value, dict) and not is_object(data))
    key = hashlib.sha256(KEY.encode()).digest()
    encryptor = Cipher(algorithms.AES(key), modes.CBC(bytes(16))).encryptor()
    whole = bytes(16) + encryptor.update(data[: len(data) // 16 * 16])
    bodies_ = [
        data,
        plain(value),
        sealed(data),
        sealed(plain(value)),
        plain({"encrypt": base64.b64encode(data).decode()}),
        plain({"encrypt": base64.b64encode(whole).decode()}),
    ]
    for body in bodies_:
        refused(WITH_KEY, body, signed(body))


@pytest.mark.parametrize("encrypted", ["", "=", "é", "AAAA", 1, [], {}, True])
def test_what_is_encrypted_is_whole_blocks_in_base64(encrypted):
    body = plain({"encrypt": encrypted})

    refused(WITH_KEY, body, signed(body))


# Events with a token alone.


def test_a_token_alone_verifies_and_covers_nothing():
    for event in (EVENT, EVENT_V1):
        assert verify(WITH_TOKEN, plain(event)).document == event
    assert not Feishu().having(WITH_TOKEN).covers(Location("body:header.event_id"))


def test_an_encrypt_key_covers_the_body_alone():
    for secret in (WITH_KEY, WITH_BOTH, parse_secret(KEY)):
        proof = Feishu().having(secret)
        assert proof.covers(Location("body:header.event_id"))
        assert not proof.covers(Location("header:x-lark-request-nonce"))


def test_a_row_that_knows_no_secret_claims_nothing():
    assert not Feishu().covers(Location("body:uuid"))


def test_an_encrypted_event_needs_an_encrypt_key():
    assert "encrypt_key" in refused(WITH_TOKEN, sealed(plain(EVENT)))


# The verification of the URL.


@pytest.mark.parametrize(
    ("secret", "body"),
    [
        (WITH_TOKEN, plain(VERIFICATION)),
        (WITH_BOTH, plain(VERIFICATION)),
        (WITH_BOTH, sealed(plain(VERIFICATION))),
        (WITH_KEY, sealed(plain(VERIFICATION))),
        (WITH_KEY, sealed(plain({**VERIFICATION, "token": "of no interest"}))),
    ],
)
def test_the_challenge_is_answered_without_a_signature(secret, body):
    answer = ask(secret, body)

    assert answer.status == 200
    assert json.loads(answer.body) == {"challenge": "ajls384kdjx98XX"}


@pytest.mark.parametrize(
    ("secret", "body"),
    [
        pytest.param(WITH_KEY, plain(VERIFICATION), id="in clear, and an encrypt key is set"),
        pytest.param(WITH_KEY, sealed(plain(VERIFICATION), key="another"), id="another encrypt key"),
        pytest.param(WITH_TOKEN, plain({**VERIFICATION, "token": "wrong"}), id="another token"),
        pytest.param(WITH_BOTH, plain({**VERIFICATION, "token": "wrong"}), id="another token, in clear"),
        pytest.param(WITH_BOTH, sealed(plain({**VERIFICATION, "token": "wrong"})), id="another token, encrypted"),
        pytest.param(WITH_TOKEN, sealed(plain(VERIFICATION)), id="encrypted, and no encrypt key is set"),
        pytest.param(WITH_TOKEN, plain({"type": "url_verification", "challenge": "x"}), id="no token"),
        pytest.param(WITH_TOKEN, plain({**VERIFICATION, "challenge": None}), id="no challenge"),
        pytest.param(WITH_TOKEN, plain({**VERIFICATION, "challenge": {"a": 1}}), id="a challenge that is no text"),
    ],
)
def test_a_challenge_of_somebody_else_is_refused(secret, body):
    with pytest.raises(Unverified):
        ask(secret, body)


@pytest.mark.parametrize("secret", ALL)
def test_an_event_is_not_answered_as_a_challenge(secret):
    body = plain(EVENT)

    assert ask(secret, body) is None
    assert ask(secret, body, signed(body)) is None
    assert FeishuChallenge(secret).signed(content(body)) is None
    assert FeishuChallenge(secret).success(content(body), now=NOW) is None


def test_a_challenge_comes_by_post_alone():
    for method in ("GET", "PUT", "OPTIONS", "HEAD"):
        assert ask(WITH_TOKEN, plain(VERIFICATION), method=method) is None


@pytest.mark.parametrize("secret", [WITH_KEY, WITH_BOTH])
def test_a_challenge_that_is_signed_is_verified_first_and_answered_too(secret):
    body = sealed(plain(VERIFICATION))

    assert ask(secret, body, signed(body)) is None
    answer = FeishuChallenge(secret).signed(verify(secret, body, signed(body)))

    assert json.loads(answer.body) == {"challenge": "ajls384kdjx98XX"}


@given(bodies, st.sampled_from(ALL), st.booleans())
def test_what_is_said_to_a_challenge_is_an_answer_nothing_or_unverified(document, secret, encrypt):
    body = sealed(plain(document)) if encrypt else plain(document)
    try:
        answer = ask(secret, body)
    except Unverified:
        return
    if answer is not None:
        assert document["type"] == "url_verification"
        assert json.loads(answer.body) == {"challenge": document["challenge"]}
        assert encrypt or secret is not WITH_KEY
        return
    # What is left to the verifier, and may become an event, is no challenge; unsigned, it passes with a token alone.
    assert document.get("type") != "url_verification"
    if secret is not WITH_TOKEN:
        refused(secret, body)


@pytest.mark.parametrize("secret", ALL)
@given(headers=HEADERS, body=st.binary() | any_text.map(lambda text: text.encode("utf-8", "surrogatepass")))
def test_garbage_is_no_challenge(secret, headers, body):
    assert ask(secret, body, headers) is None


# Settings.


@pytest.mark.parametrize(
    "secret",
    [
        SourceSecret(),
        parse_secret({"encrypt-key": KEY, "token": TOKEN}),
        parse_secret({"secret": KEY}),
        parse_secret({"encrypt_key": KEY, "verification_token": TOKEN}),
    ],
)
def test_a_secret_of_another_form_is_refused_by_proof_and_handshake(secret):
    for make in (Feishu().verifier, FeishuChallenge):
        with pytest.raises(BadSecret, match="encrypt_key") as caught:
            make(secret)
        assert KEY not in str(caught.value)


def test_values_that_were_pasted_with_spaces_around_them_are_the_same():
    body = sealed(plain(EVENT))

    verify(parse_secret({"encrypt_key": f" {KEY}\n", "token": f"{TOKEN} "}), body, signed(body))
