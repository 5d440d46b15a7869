import base64
import hashlib
import json
import struct
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlencode, urlsplit

import orjson
import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from hypothesis import assume, given
from hypothesis import strategies as st

from kafka_bridge.errors import Unverified
from kafka_bridge.http import Inbound
from kafka_bridge.ingress.content import Content, Location
from kafka_bridge.ingress.encrypted import Box, DingTalk, DingTalkAnswers, WeCom, WeComAnswers
from kafka_bridge.ingress.keys import BadSecret
from kafka_bridge.ingress.xmltree import read_xml
from kafka_bridge.settings.sources import parse_secret

NOW = 1_700_000_000
VECTORS = {v["id"]: v for v in json.loads((Path(__file__).parent.parent / "vectors/webhook_vectors.json").read_text())}
VALUES = {
    "token": "a-made-up-token",
    "aes_key": "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG",
    "receiver_id": "ding0123456789abcdef",
}
SECRET = parse_secret(VALUES)
KEY = base64.b64decode(VALUES["aes_key"] + "=")
UNITS = {DingTalk: 1000, WeCom: 1}
BOTH = pytest.mark.parametrize("proof", [DingTalk, WeCom])
any_text = st.text(st.characters(exclude_categories=[]))
# What JSON and XML can hold.
texts = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"], exclude_characters="￾￿]>"))
names = st.from_regex(r"[A-Za-z][A-Za-z0-9]{0,9}", fullmatch=True)


# A sender written apart from the verifier, after the vendors' descriptions.


def aes(plain):
    encryptor = Cipher(algorithms.AES(KEY), modes.CBC(KEY[:16])).encryptor()
    return base64.b64encode(encryptor.update(plain) + encryptor.finalize()).decode()


def pad(plain):
    length = 32 - len(plain) % 32
    return plain + bytes([length]) * length


def sealed(message, receiver=VALUES["receiver_id"]):
    return aes(pad(b"0123456789abcdef" + struct.pack(">I", len(message)) + message + receiver.encode()))


def signature_of(*texts, token=VALUES["token"]):
    return hashlib.sha1("".join(sorted([token, *texts])).encode("utf-8", "surrogatepass")).hexdigest()


def signed(proof, encrypted, *, now=NOW, nonce="WL4PK6yA"):
    """A query, and the body that it signs."""
    timestamp = str(now * UNITS[proof])
    query = {
        "msg_signature": signature_of(timestamp, nonce, encrypted),
        "timestamp": timestamp,
        "nonce": nonce,
    }
    return query, body_of(proof, encrypted)


def body_of(proof, encrypted):
    if proof is DingTalk:
        return json.dumps({"encrypt": encrypted}).encode()
    return f"<xml><ToUserName>x</ToUserName><Encrypt><![CDATA[{encrypted}]]></Encrypt></xml>".encode()


def request(query, body=b"", method="POST"):
    return Inbound(method=method, path="/x", query=urlencode(query, errors="surrogatepass"), body=body)


def verify(proof, query, body, *, now=NOW, secret=SECRET):
    return proof().verifier(secret).verify(Content(request(query, body)), now=now)


def refused(proof, query, body, *, now=NOW):
    with pytest.raises(Unverified) as caught:
        verify(proof, query, body, now=now)
    assert not any(value in caught.value.reason for value in VALUES.values())
    return caught.value.reason


MESSAGES = {DingTalk: b'{"EventType":"user_add_org"}', WeCom: b"<xml><MsgType>text</MsgType></xml>"}


# What vendors published.


def published(number):
    vector = VECTORS[number]
    url = urlsplit(vector["url"])
    inbound = Inbound(method=vector["method"], path=url.path, query=url.query, body=vector["body"].encode())
    return parse_secret(vector["secret"]), Content(inbound), vector


def test_the_published_event_of_dingtalk_is_decrypted():
    secret, content, vector = published("17")

    opened = DingTalk().verifier(secret).verify(content, now=vector["now"])

    assert opened.inbound.body.decode() == vector["expect"]["plaintext"]
    assert opened.document == {"EventType": "check_url"}
    assert opened.content_type == "application/json"


def test_the_published_text_of_wecom_is_shown_in_clear():
    secret, content, vector = published("15")

    answer = WeComAnswers(secret).unsigned(content, now=vector["now"])

    assert (answer.status, answer.body.decode()) == (200, vector["expect"]["response_body"])
    assert answer.content_type.startswith("text/plain")
    assert ("X-Content-Type-Options", "nosniff") in answer.headers


# The box.


@given(message=st.binary(max_size=300), salt=st.binary(min_size=16, max_size=16))
def test_what_was_sealed_is_opened_and_is_what_the_vendors_describe(message, salt):
    box = Box(VALUES["aes_key"], VALUES["receiver_id"])
    text = box.seal(message, salt)

    assert box.open(text) == message
    assert text == aes(pad(salt + struct.pack(">I", len(message)) + message + VALUES["receiver_id"].encode()))


@given(st.binary(max_size=200) | st.binary(min_size=1, max_size=6).map(lambda head: head * 16))
def test_whatever_is_in_the_box_it_is_a_message_or_unverified(plain):
    box = Box(VALUES["aes_key"], VALUES["receiver_id"])
    for text in (aes(pad(plain)), aes(plain[: len(plain) // 16 * 16]), base64.b64encode(plain).decode()):
        try:
            message = box.open(text)
        except Unverified:
            continue
        assert len(message) <= len(plain)


@pytest.mark.parametrize(
    "plain",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"x" * 15 + b"\0", id="padding of no bytes"),
        pytest.param(b"x" * 31 + b"\x21", id="padding of more than a block"),
        pytest.param(b"x" * 15 + b"\x20", id="padding longer than the text"),
        pytest.param(b"x" * 30 + b"\x03\x02", id="padding of different bytes"),
        pytest.param(pad(b""), id="only padding"),
        pytest.param(pad(b"0" * 19), id="no length"),
        pytest.param(pad(b"0" * 16 + struct.pack(">I", 999) + b"message"), id="length beyond the end"),
        pytest.param(pad(b"0" * 16 + b"\xff" * 4 + b"message"), id="negative length"),
        pytest.param(pad(b"0" * 16 + struct.pack(">I", 7) + b"message"), id="no receiver"),
    ],
)
def test_a_message_in_another_form_is_unverified(plain):
    with pytest.raises(Unverified):
        Box(VALUES["aes_key"], VALUES["receiver_id"]).open(aes(plain))


@pytest.mark.parametrize("text", ["", "=", "a", "é", "not base64!", "AAAA", "A" * 63, "\ud800", "QUFB\n" * 16])
def test_a_text_that_is_not_the_base64_of_whole_blocks_is_unverified(text):
    with pytest.raises(Unverified):
        Box(VALUES["aes_key"], VALUES["receiver_id"]).open(text)


# Events.


@given(st.dictionaries(texts, texts | st.integers(-(2**53), 2**53) | st.lists(texts), max_size=5))
def test_any_event_of_dingtalk_comes_out_as_it_was_written(event):
    message = json.dumps(event).encode()

    opened = verify(DingTalk, *signed(DingTalk, sealed(message)))

    assert (opened.inbound.body, opened.document, opened.content_type) == (message, event, "application/json")


@given(st.dictionaries(names, texts, min_size=1, max_size=5))
def test_any_message_of_wecom_comes_out_as_data(fields):
    message = "<xml>" + "".join(f"<{name}><![CDATA[{text}]]></{name}>" for name, text in fields.items()) + "</xml>"

    opened = verify(WeCom, *signed(WeCom, sealed(message.encode())))

    assert (opened.inbound.body, opened.document) == (message.encode(), fields)
    assert opened.content_type == "application/xml"


def test_nested_elements_are_objects_and_repeated_ones_are_lists():
    message = b"""<?xml version="1.0"?>
    <xml><A at="1">1</A><B><C>2</C><C>3</C><D/></B><E>4</E><E><F>5</F></E><E>6</E></xml>"""

    opened = verify(WeCom, *signed(WeCom, sealed(message)))

    assert opened.document == {"A": "1", "B": {"C": ["2", "3"], "D": ""}, "E": ["4", {"F": "5"}, "6"]}
    assert Location("body:B.C.1").find(opened) == "3"


@BOTH
def test_the_query_may_name_signature_and_timestamp_in_the_older_way(proof):
    query, body = signed(proof, sealed(MESSAGES[proof]))
    query["signature"], query["timeStamp"] = query.pop("msg_signature"), query.pop("timestamp")

    assert verify(proof, query, body).inbound.body == MESSAGES[proof]


@BOTH
def test_what_was_verified_keeps_the_request_around_it(proof):
    query, body = signed(proof, sealed(MESSAGES[proof]))

    opened = verify(proof, query, body)

    assert opened.query["nonce"] == "WL4PK6yA"
    assert opened.inbound.path == "/x"


@BOTH
def test_the_body_is_covered_and_nothing_else(proof):
    assert proof().covers(Location("body:EventType"))
    assert not proof().covers(Location("header:x-event"))
    assert not proof().covers(Location("query:nonce"))


@BOTH
@pytest.mark.parametrize(("age", "good"), [(0, True), (300, True), (301, False), (-300, True), (-301, False)])
def test_a_message_is_taken_for_five_minutes_on_either_side(proof, age, good):
    query, body = signed(proof, sealed(MESSAGES[proof]), now=NOW - age)

    if good:
        verify(proof, query, body)
    else:
        assert "tolerance" in refused(proof, query, body)


@BOTH
def test_a_timestamp_in_the_other_unit_is_refused(proof):
    other = next(each for each in UNITS if each is not proof)
    query, _ = signed(other, sealed(MESSAGES[proof]))

    assert "timestamp" in refused(proof, query, body_of(proof, sealed(MESSAGES[proof])))


@BOTH
def test_another_token_or_receiver_is_refused(proof):
    query, body = signed(proof, sealed(MESSAGES[proof]))
    query["msg_signature"] = signature_of(
        query["timestamp"], query["nonce"], sealed(MESSAGES[proof]), token="another-token"
    )

    assert "signature" in refused(proof, query, body)
    assert "receiver" in refused(proof, *signed(proof, sealed(MESSAGES[proof], receiver="somebody-else")))


@BOTH
@pytest.mark.parametrize("name", ["msg_signature", "timestamp", "nonce"])
@pytest.mark.parametrize("value", [None, "", "x", "٣", "9" * 40, "-1", "\ud800"])
def test_every_part_of_the_query_is_needed(proof, name, value):
    query, body = signed(proof, sealed(MESSAGES[proof]))
    query = {**query, name: value} if value is not None else {key: query[key] for key in query if key != name}

    refused(proof, query, body)


@BOTH
@given(data=st.data())
def test_any_changed_character_is_refused(proof, data):
    encrypted = sealed(MESSAGES[proof])
    query, _ = signed(proof, encrypted)
    parts = {**query, "encrypt": encrypted}
    name = data.draw(st.sampled_from(sorted(parts)))
    at = data.draw(st.integers(0, len(parts[name]) - 1))
    other = data.draw(st.characters(codec="utf-8", exclude_characters="<]&"))
    assume(other != parts[name][at])
    parts[name] = parts[name][:at] + other + parts[name][at + 1 :]

    refused(proof, {key: parts[key] for key in query}, body_of(proof, parts["encrypt"]))


@BOTH
@given(data=st.data())
def test_any_flipped_bit_of_the_body_is_refused_or_changes_nothing(proof, data):
    query, body = signed(proof, sealed(MESSAGES[proof]))
    at = data.draw(st.integers(0, len(body) - 1))
    body = body[:at] + bytes([body[at] ^ 1 << data.draw(st.integers(0, 7))]) + body[at + 1 :]

    try:
        opened = verify(proof, query, body)
    except Unverified:
        return
    # A letter outside the encrypted text, which nobody reads.
    assert opened.inbound.body == MESSAGES[proof]


@BOTH
def test_blocks_cannot_be_moved_from_the_message_to_the_nonce(proof):
    # Nothing separates what is signed: the same text, and so the same signature, split at another place.
    for spaces in range(64, 512):
        encrypted = sealed(MESSAGES[proof] + b" " * spaces)
        query, _ = signed(proof, encrypted, nonce=encrypted[:4])
        moved = {**query, "nonce": query["nonce"] + encrypted[:64]}
        if signature_of(query["timestamp"], moved["nonce"], encrypted[64:]) == query["msg_signature"]:
            break
    else:
        pytest.fail("no message of which the order stays the same")

    assert refused(proof, moved, body_of(proof, encrypted[64:])) == "the nonce is too long"


@BOTH
@given(
    query=st.dictionaries(st.sampled_from(["msg_signature", "signature", "timestamp", "nonce"]) | any_text, any_text),
    body=st.binary() | any_text.map(lambda text: text.encode("utf-8", "surrogatepass")),
)
def test_garbage_is_unverified_and_nothing_else(proof, query, body):
    refused(proof, query, body)


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | texts, st.lists))
def test_an_encrypted_message_that_is_no_text_is_unverified(value):
    query, _ = signed(DingTalk, "x")

    refused(DingTalk, query, json.dumps({"encrypt": value}).encode())


def is_object(data):
    try:
        return isinstance(orjson.loads(data), dict)
    except orjson.JSONDecodeError:
        return False


@BOTH
@given(message=st.binary())
def test_a_sender_with_the_secret_who_sends_no_event_is_unverified(proof, message):
    # Of such as can be read, an XML element without children is a text, and a number is no object.
    # Of DingTalk's an object is an event, also an empty one.
    assume(proof is not DingTalk or not is_object(message))
    refused(proof, *signed(proof, sealed(message)))


@pytest.mark.parametrize("message", [b"success", b"1", b"null", b"[]", b'"text"', b"{", b"\xff", b"[" * 5000])
def test_an_event_of_dingtalk_is_a_json_object(message):
    refused(DingTalk, *signed(DingTalk, sealed(message)))


def test_our_own_answer_is_no_event():
    answer = json.loads(DingTalkAnswers(SECRET).success(Content(request({})), now=NOW).body)
    query = {
        "msg_signature": answer["msg_signature"],
        "timestamp": answer["timeStamp"],
        "nonce": answer["nonce"],
    }

    assert "JSON" in refused(DingTalk, query, json.dumps({"encrypt": answer["encrypt"]}).encode())


# XML of people who are not verified.

LAUGHS = (
    '<!DOCTYPE lolz [<!ENTITY a "lol">'
    + "".join(f'<!ENTITY {chr(98 + n)} "{f"&{chr(97 + n)};" * 10}">' for n in range(9))
    + "]><xml><Encrypt>&j;</Encrypt></xml>"
)


@pytest.mark.parametrize(
    "xml",
    [
        pytest.param(LAUGHS.encode(), id="a billion laughs"),
        pytest.param(LAUGHS.encode("utf-16"), id="in another encoding"),
        pytest.param(b'<!DOCTYPE x SYSTEM "file:///etc/passwd"><xml/>', id="a file"),
        pytest.param(b'<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]><xml>&e;</xml>', id="a file's entity"),
        pytest.param(b"<!DOCTYPE xml><xml/>", id="a declaration without entities"),
        pytest.param(b"<xml>&unknown;</xml>", id="an unknown entity"),
        pytest.param(b"", id="nothing"),
        pytest.param(b"<xml>", id="no end"),
        pytest.param(b"<a/><b/>", id="two"),
        pytest.param(b"<xml>\0</xml>", id="a null"),
        pytest.param(b"<xml>\xff</xml>", id="not UTF-8"),
        pytest.param("<xml/>".encode("utf-16"), id="UTF-16"),
        pytest.param(b"<a>" * 50 + b"</a>" * 50, id="too deep"),
        pytest.param(b"<a>" * 100_000, id="much too deep"),
        pytest.param(b"<xml>" + b"<a/>" * 20_000 + b"</xml>", id="too many elements"),
        pytest.param(b"<xml>" + b"x" * 2_000_000 + b"</xml>", id="too large"),
    ],
)
def test_hostile_xml_is_unverified(xml):
    with pytest.raises(Unverified):
        read_xml(xml)
    refused(WeCom, signed(WeCom, "x")[0], xml)
    refused(WeCom, *signed(WeCom, sealed(xml)))


@given(st.binary() | st.text("<>/&;![]\"'=ax? ").map(str.encode))
def test_any_xml_is_data_or_unverified(xml):
    try:
        read_xml(xml)
    except Unverified:
        return


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "no-such-encoding"])
def test_xml_is_utf_8_whatever_it_says(encoding):
    assert read_xml(f'<?xml version="1.0" encoding="{encoding}"?><xml><a>é</a></xml>'.encode()) == {"a": "é"}


# Settings.


@BOTH
@pytest.mark.parametrize("name", VALUES)
def test_all_three_values_are_needed_and_named_when_missing(proof, name):
    values = {key: value for key, value in VALUES.items() if key != name}

    with pytest.raises(BadSecret, match=f"missing: {name}"):
        proof().verifier(parse_secret(values))


@BOTH
@pytest.mark.parametrize("handshake", [DingTalkAnswers, WeComAnswers])
@pytest.mark.parametrize("secret", ["a text", ["an", "array"], {"other": "x"}])
def test_a_secret_of_another_form_is_refused_by_proof_and_handshake(proof, handshake, secret):
    for make in (proof().verifier, handshake):
        with pytest.raises(BadSecret, match="token, aes_key, receiver_id"):
            make(parse_secret(secret))


@BOTH
@pytest.mark.parametrize("key", ["short", "x" * 42, "x" * 44, "é" * 43, "!" * 43, "x" * 42 + "="])
def test_an_aes_key_that_is_none_is_refused_and_not_quoted(proof, key):
    with pytest.raises(BadSecret, match="aes_key") as caught:
        proof().verifier(parse_secret({**VALUES, "aes_key": key}))

    assert key not in str(caught.value)


def test_values_that_were_pasted_with_spaces_around_them_are_the_same():
    secret = parse_secret({name: f" {value}\n" for name, value in VALUES.items()})

    verify(DingTalk, *signed(DingTalk, sealed(b"{}")), secret=secret)


def test_proofs_are_values():
    assert DingTalk() == DingTalk()
    assert replace(WeCom()) == WeCom()


# What the senders read.


def opened_answer(outbound):
    answer = json.loads(outbound.body)
    assert outbound.status == 200
    assert answer.keys() == {"msg_signature", "timeStamp", "nonce", "encrypt"}
    assert all(isinstance(value, str) for value in answer.values())
    assert answer["msg_signature"] == signature_of(answer["timeStamp"], answer["nonce"], answer["encrypt"])
    return Box(VALUES["aes_key"], VALUES["receiver_id"]).open(answer["encrypt"]), answer


def test_every_event_of_dingtalk_is_answered_with_success():
    content = verify(DingTalk, *signed(DingTalk, sealed(b'{"EventType":"user_add_org"}')))
    handshake = DingTalkAnswers(SECRET)

    assert handshake.unsigned(content, now=NOW) is None
    assert handshake.signed(content) is None
    text, answer = opened_answer(handshake.success(content, now=NOW + 0.5))

    assert text == b"success"
    assert answer["timeStamp"] == str(NOW * 1000 + 500)
    assert len(answer["nonce"]) == 16


@pytest.mark.parametrize("event", ["check_url", "check_create_suite_url", "check_update_suite_url"])
@pytest.mark.parametrize("name", ["timestamp", "timeStamp"])
def test_a_check_of_the_url_is_answered_with_success_and_is_no_event(event, name):
    query, body = signed(DingTalk, sealed(json.dumps({"EventType": event}).encode()))
    query[name] = query.pop("timestamp")
    content = verify(DingTalk, query, body)

    text, answer = opened_answer(DingTalkAnswers(SECRET).signed(content))

    assert (text, answer["timeStamp"]) == (b"success", str(NOW * 1000))


def test_no_two_answers_are_alike_and_the_randomness_is_given():
    content = Content(request({}))
    fixed = DingTalkAnswers(SECRET, random=bytes)

    assert DingTalkAnswers(SECRET).success(content, now=NOW) != DingTalkAnswers(SECRET).success(content, now=NOW)
    assert fixed.success(content, now=NOW) == fixed.success(content, now=NOW)


def echo_of(encrypted, *, method="GET", now=NOW, **changes):
    query, _ = signed(WeCom, encrypted)
    query = {**query, "echostr": encrypted, **changes}
    return WeComAnswers(SECRET).unsigned(Content(request(query, method=method)), now=now)


@given(texts.filter(lambda text: not text.lstrip().startswith("<")))
def test_the_text_of_wecom_is_shown_as_it_is(text):
    assert echo_of(sealed(text.encode())).body == text.encode()


def test_a_message_of_wecom_is_not_decrypted_for_whoever_has_seen_it():
    with pytest.raises(Unverified) as caught:
        echo_of(sealed(MESSAGES[WeCom]))

    assert caught.value.reason == "a message is not answered with its text"


@pytest.mark.parametrize("name", ["msg_signature", "timestamp", "nonce", "echostr"])
def test_a_text_is_shown_to_nobody_who_has_not_signed_it(name):
    with pytest.raises(Unverified):
        echo_of(sealed(b"1616140317555161061"), **{name: "x"})


def test_an_old_text_is_not_shown():
    with pytest.raises(Unverified):
        echo_of(sealed(b"1616140317555161061"), now=NOW + 301)


def test_wecom_asks_by_get_alone():
    assert echo_of(sealed(b"1"), method="POST") is None
    assert WeComAnswers(SECRET).unsigned(Content(request({}, method="GET")), now=NOW) is None


@given(query=st.dictionaries(st.sampled_from(["msg_signature", "timestamp", "nonce"]) | any_text, any_text))
def test_any_question_is_answered_or_unverified(query):
    with pytest.raises(Unverified):
        WeComAnswers(SECRET).unsigned(Content(request({**query, "echostr": "x"}, method="GET")), now=NOW)


@pytest.mark.parametrize(
    ("message", "text"),
    [
        (b"<xml><InfoType>suite_ticket</InfoType></xml>", b"success"),
        (b"<xml><MsgType>text</MsgType></xml>", b""),
    ],
)
def test_a_suite_is_told_success_and_a_user_is_told_nothing(message, text):
    content = verify(WeCom, *signed(WeCom, sealed(message)))
    handshake = WeComAnswers(SECRET)
    answer = handshake.success(content, now=NOW)

    assert handshake.signed(content) is None
    assert (answer.status, answer.body) == (200, text)
