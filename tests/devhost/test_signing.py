"""What the signer makes of every row of the table, the plugin takes; and what was tampered with it refuses."""

import base64
import json
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devhost.senders import SENDERS
from devhost.signing import (
    CannotSign,
    public_part,
    sample_body,
    sample_headers,
    sample_secret,
    sign,
    sns_certificate,
)
from devhost.verify import Captured, Setup, check
from kafka_bridge.ingress.scheme import Scheme
from kafka_bridge.ingress.schemes import SCHEMES
from kafka_bridge.ingress.signatures import Signature, Timestamp
from tests.stand_ins import NOW

URL = "https://hooks.example.com/e/abc/webhook?a=1&b=2"
SIGNED = sorted(SCHEMES.keys() - {"none"})
HEX_KEY = "11" * 32
OPTIONS = [
    {"algorithm": "sha512", "encoding": "base64", "key_encoding": "base64"},
    {"algorithm": "sha1", "key_encoding": "hex", "header": "X-Mine", "prefix": "sig="},
    {"encoding": "base64", "key_encoding": "whsec", "prefix": "v1,", "separator": " "},
    {
        "template": "{method}|{path}|{url}|{timestamp}.{body}",
        "timestamp": {"source": "element", "name": "t", "unit": "ms"},
        "separator": ",",
        "element": "s",
        "prefix": "",
    },
    {"template": "{id}.{timestamp}.{body}", "id": "header:X-Id", "timestamp": {"name": "X-Time", "unit": "rfc3339"}},
    {"timestamp": {"source": "body", "name": "meta.sent", "unit": "s", "tolerance": 10}},
]


def certificate(_url):
    return sns_certificate()


def signed(scheme, *, secret=None, body=None, now=NOW, options=None, **more):
    options = options or {}
    secret = sample_secret(scheme, options=options) if secret is None else secret
    body = sample_body(scheme, options=options) if body is None else body
    headers = sample_headers(scheme, options=options)
    found = sign(
        scheme, secret, body, now=now, event_id="evt_1", url=URL, options=options, **{"headers": headers, **more}
    )
    return Captured(headers=found.headers, body=found.body, url=found.url, method=more.get("method", "POST"))


def checked(scheme, captured, *, secret=None, now=NOW, options=None):
    secret = sample_secret(scheme, options=options or {}) if secret is None else secret
    setup = Setup(scheme=scheme, secret=public_part(scheme, secret, options=options or {}), options=options or {})
    return check(captured, setup, now=now, fetch=certificate)


@pytest.mark.parametrize("scheme", SIGNED)
def test_every_row_verifies_what_is_signed_for_it(scheme):
    found = checked(scheme, signed(scheme))

    assert (found.reason, found.verified) == ("", True)


@pytest.mark.parametrize("scheme", sorted(SCHEMES))
def test_type_and_id_of_a_sample_are_found(scheme):
    event = checked(scheme, signed(scheme)).outcome.event

    assert (event.type is not None) is bool(SCHEMES[scheme].type)
    # Of some an id stands in an item of an array, or nowhere.
    if SCHEMES[scheme].id and scheme != "hubspot-v3":
        assert event.id == "evt_1"


@pytest.mark.parametrize("scheme", SIGNED)
def test_another_secret_is_refused(scheme):
    others = {"aws-sns": "arn:aws:sns:us-east-1:123456789012:other", "basic": "other:secret", "discord": HEX_KEY}
    other = others.get(scheme) or sample_secret(scheme)
    if isinstance(other, dict):
        other = {**other, "token": "x" * 32, **({"encrypt_key": "y" * 32} if "encrypt_key" in other else {})}
    elif scheme not in others:
        other = "whsec_b3RoZXI=" if other.startswith("whsec_") else "other"

    assert not checked(scheme, signed(scheme), secret=other).verified


@pytest.mark.parametrize("scheme", [name for name in SIGNED if isinstance(SCHEMES[name].proof, Signature)])
@given(data=st.data())
def test_a_changed_body_is_refused_where_it_is_signed(scheme, data):
    captured = signed(scheme)
    place = data.draw(st.integers(0, len(captured.body) - 1))
    changed = captured.body[:place] + bytes([captured.body[place] ^ 1]) + captured.body[place + 1 :]

    verified = checked(scheme, replace(captured, body=changed)).verified

    if scheme not in {"mailgun", "twilio"}:
        # Mailgun signs its time and token; of a form two writings may be the same fields.
        assert not verified


@pytest.mark.parametrize("scheme", [name for name in SIGNED if name not in {"aws-sns", "contentful", "wecom"}])
@pytest.mark.parametrize("moved_s", [-301, 301])
def test_who_signs_a_time_is_refused_when_it_is_over(scheme, moved_s):
    proof = SCHEMES[scheme].proof
    timed = (isinstance(proof, Signature) and proof.timestamp) or scheme in {"feishu", "dingtalk"}

    assert checked(scheme, signed(scheme), now=NOW + moved_s).verified is not bool(timed)


@pytest.mark.parametrize("options", OPTIONS, ids=str)
@given(body=st.dictionaries(st.text(st.characters(codec="utf-8")), st.integers()), method=st.sampled_from(["POST"]))
def test_the_generic_row_with_its_options(options, body, method):
    captured = signed("hmac", body=json.dumps(body).encode(), options=options, method=method)

    assert checked("hmac", captured, options=options).reason == ""


def test_grafana_with_a_timestamp():
    options = {"timestamp_header": "X-Time"}

    assert checked("grafana", signed("grafana", options=options), options=options).verified
    assert not checked("grafana", signed("grafana"), options=options).verified


@pytest.mark.parametrize("scheme", ["stripe", "standard-webhooks", "docusign"])
def test_both_secrets_of_a_rotation_sign_where_there_is_room(scheme):
    old, new = ("whsec_b2xk", "whsec_bmV3") if scheme == "standard-webhooks" else ("old", "new")

    captured = signed(scheme, secret=[new, old])

    assert [checked(scheme, captured, secret=key).verified for key in (old, new)] == [True, True]


def test_a_sender_with_one_signature_signs_with_the_newest_secret():
    captured = signed("github", secret=["new", "old"])

    assert checked("github", captured, secret="new").verified
    assert checked("github", captured, secret=["other", "new"]).verified


def test_standard_webhooks_with_a_key_pair():
    private = "whsk_" + base64.b64encode(bytes(range(32))).decode()
    captured = signed("standard-webhooks", secret=private)

    assert captured.headers["webhook-signature"].startswith("v1a,")
    assert str(public_part("standard-webhooks", private)).startswith("whpk_")
    assert checked("standard-webhooks", captured, secret=private).verified


def test_discords_public_key_is_not_the_private_one():
    private = str(sample_secret("discord"))

    assert public_part("discord", private) not in {private, private.upper()}
    assert public_part("discord", [private]) == [public_part("discord", private)]


def test_other_names_of_a_row():
    rows = [name for name, row in SCHEMES.items() if isinstance(row.proof, Signature) and row.proof.fallback]

    for scheme in rows:
        assert checked(scheme, signed(scheme, fallback=True, headers={})).verified
    with pytest.raises(CannotSign):
        signed("github", fallback=True)


def test_twilio_signs_json_by_its_digest_in_the_url():
    captured = signed("twilio", body=b'{"a": 1}')

    assert "bodySHA256=" in urlsplit(captured.url).query
    assert checked("twilio", captured).verified


@pytest.mark.parametrize("secret", ["only an encrypt key", {"encrypt_key": "k"}, {"token": "t"}])
def test_feishu_with_key_or_token_alone(secret):
    captured = signed("feishu", secret=secret)

    assert ("x-lark-signature" in captured.headers) is (secret != {"token": "t"})
    assert checked("feishu", captured, secret=secret).verified


def test_a_row_that_is_only_data_is_signed_without_new_code(monkeypatch):
    proof = Signature(
        header="x-new-vendor",
        algorithm="sha512",
        encoding="base64",
        element="sig",
        separator=";",
        prefix="p:",
        template="{timestamp}/{method}/{url}/{body}",
        timestamp=Timestamp(source="element", name="at", unit="ms"),
    )
    table = {**SCHEMES, "new": Scheme(proof=proof)}
    monkeypatch.setattr("devhost.signing.rows.SCHEMES", table)
    monkeypatch.setattr("kafka_bridge.ingress.source.SCHEMES", table)

    assert checked("new", signed("new")).verified


class Strange:
    """A proof of which nobody here knows anything."""


@pytest.mark.parametrize(
    ("scheme", "secret", "body"),
    [
        ("unheard-of", "k", b"{}"),
        ("github", "", b"{}"),
        ("github", [], b"{}"),
        ("github", {"token": "k"}, b"{}"),
        ("discord", "zz-private", b"{}"),
        ("discord", "11", b"{}"),
        ("standard-webhooks", "whsec_?", b"{}"),
        ("standard-webhooks", "whsec_", b"{}"),
        ("linear", "k", b"no object"),
        ("linear", "k", b"[]"),
        ("microsoft-graph", "k", b'{"value": [1]}'),
        ("feishu", {"other": "k"}, b"{}"),
        ("dingtalk", "k", b"{}"),
        ("dingtalk", {"token": "t", "aes_key": "YWJj", "receiver_id": "r"}, b"{}"),
    ],
)
def test_what_cannot_be_signed_is_said_and_no_secret_quoted(scheme, secret, body):
    with pytest.raises(CannotSign) as caught:
        sign(scheme, secret, body, now=NOW, event_id="e", url=URL)

    assert not isinstance(secret, str) or len(secret) < 3 or secret not in str(caught.value)


def test_who_signs_the_url_must_be_given_it():
    with pytest.raises(CannotSign, match="URL"):
        sign("square", "k", b"{}", now=NOW, event_id="e")


def test_unknown_proofs_parts_and_options_are_said(monkeypatch):
    rows = {"strange": Scheme(proof=Strange()), "part": Scheme(proof=Signature(template="{moon}{body}"))}
    monkeypatch.setattr("devhost.signing.rows.SCHEMES", {**SCHEMES, **rows})

    for scheme in rows:
        with pytest.raises(CannotSign, match="nobody has written"):
            sign(scheme, "k", b"{}", now=NOW, event_id="e")
    with pytest.raises(CannotSign, match="no scheme_options"):
        sign("github", "k", b"{}", now=NOW, event_id="e", options={"header": "x"})


@dataclass
class Pair:
    scheme: str
    headers: tuple[str, ...]


@pytest.mark.parametrize(
    "pair",
    [
        Pair("hmac", ("x-webhook-signature",)),
        Pair("github", ("x-hub-signature-256",)),
        Pair("standard-webhooks", ("webhook-id", "webhook-timestamp", "webhook-signature")),
        Pair("stripe", ("stripe-signature",)),
    ],
    ids=lambda pair: pair.scheme,
)
@given(body=st.binary())
def test_the_senders_that_were_written_one_by_one_sign_the_same(pair, body):
    secret = str(sample_secret(pair.scheme))
    by_hand = {name.lower(): value for name, value in SENDERS[pair.scheme](secret, body, float(NOW), "evt_1").items()}
    generic = sign(pair.scheme, secret, body, now=NOW, event_id="evt_1").headers

    for name in pair.headers:
        assert generic[name].removeprefix("sha256=") == by_hand[name].removeprefix("sha256=")
