"""What a sender shows as its secret never becomes what everybody sees."""

import json

import pytest

from kafka_bridge.ingress.content import Content
from kafka_bridge.ingress.feishu import Feishu
from kafka_bridge.ingress.receive import answer
from kafka_bridge.ingress.schemes import SCHEMES
from kafka_bridge.ingress.source import compile_sources
from kafka_bridge.ingress.tokens import Token
from kafka_bridge.settings import endpoint
from tests.ingress.signer import PROVING, compiled, delivery, operators, sample_secret
from tests.stand_ins import NOW, Broker, receive_at, saved

SHOWING = [name for name, row in SCHEMES.items() if isinstance(row.proof, Token | Feishu)]


def placeholder(scheme):
    """Where a row's secret stands, as a template writes it."""
    proof = SCHEMES[scheme].proof
    if isinstance(proof, Feishu):
        return "{body.header.token}"
    return f"{{{proof.place.where}.{proof.each + '.0.' if proof.each else ''}{proof.place.name}}}"


def problems(scheme, **settings):
    parsed = endpoint.parse(
        saved(**{"scheme": scheme, "webhook_secret": operators(scheme, sample_secret(scheme)), "topic": "t"} | settings)
    )
    sources, found = compile_sources(parsed)
    return [str(problem) for problem in found], sources


def paths(document, path=()):
    """The path of every value in a document."""
    items = document.items() if isinstance(document, dict) else enumerate(document)
    for name, value in items:
        if isinstance(value, dict | list):
            yield from paths(value, (*path, str(name)))
        else:
            yield ".".join((*path, str(name)))


def places(scheme):
    """Every place in a delivery, as templates write them; of one that is encrypted in what was inside."""
    inbound = delivery(scheme)
    opened = compiled(scheme).verifier.verify(Content(inbound), now=NOW) if scheme == "feishu" else Content(inbound)
    document = opened.document if isinstance(opened.document, dict | list) else {}
    return [*(f"{{header.{name}}}" for name in inbound.headers), *(f"{{body.{path}}}" for path in paths(document))]


@pytest.mark.parametrize("split", [False, True], ids=["whole", "split"])
@pytest.mark.parametrize("scheme", PROVING)
def test_wherever_a_key_is_taken_from_no_secret_is_in_it(scheme, split):
    if split and SCHEMES[scheme].items is None:
        return
    secret = sample_secret(scheme)
    hidden = [text for name, text in secret.items() if name != "receiver_id"] if isinstance(secret, dict) else [secret]
    if scheme == "aws-sns":
        hidden = []
    inbound, proof = delivery(scheme), SCHEMES[scheme].proof
    if isinstance(proof, Token) and not proof.place.in_body:
        # As it stands there, which may be in base64.
        hidden.append(inbound.headers[proof.place.name].removeprefix(proof.prefix))
    for place in places(scheme):
        entry = {"default": {"split": split, "key": f"k-{place}"}}
        found, sources = problems(scheme, sources=json.dumps(entry), public_url="https://example.com/hooks/e-1")
        if found:
            assert "the sender shows its secret there" in found[0]
            continue
        broker = Broker()
        outcome = receive_at(inbound, sources["default"], broker, now=NOW)
        for record in broker.records:
            seen = repr((record.topic, record.key, record.headers, answer(outcome).body, outcome.event))
            assert not [text for text in hidden if text in seen]


@pytest.mark.parametrize("scheme", SHOWING)
@pytest.mark.parametrize(
    ("settings", "setting"),
    [
        ({"topic": "a.{place}"}, "Topic"),
        ({"key": "{place}"}, "Record key"),
        ({"sources": '{"default": {"routes": {"*": {"topic": "{place}"}}}}'}, "Sources"),
        ({"sources": '{"default": {"routes": {"*": {"topic": "t", "key": "{place}"}}}}'}, "Sources"),
    ],
)
def test_a_topic_or_a_key_made_of_the_secret_is_refused_and_the_setting_named(scheme, settings, setting):
    made = {name: text.replace("{place}", placeholder(scheme)) for name, text in settings.items()}

    found, sources = problems(scheme, **made)

    assert sources == {}
    assert found[0].startswith(setting)
    assert "topic or key must not be made of" in found[0]


@pytest.mark.parametrize("option", ["id", "type"])
def test_an_id_or_a_type_made_of_the_key_is_refused(option):
    options = {"header": "X-Key", option: "header:x-key"}
    found, sources = problems("api-key", sources=json.dumps({"default": {"scheme_options": options}}))

    assert sources == {}
    assert "id or type must not be made of header x-key" in found[0]


@pytest.mark.parametrize("header", ["Content-Type", "ce-subject", "CE-x"])
def test_a_key_in_a_header_that_goes_along_into_the_record_is_refused(header):
    found, sources = problems("api-key", sources=json.dumps({"default": {"scheme_options": {"header": header}}}))

    assert sources == {}
    assert "go along into the record" in found[0]


def test_other_places_of_a_sender_that_shows_its_secret_may_be_used():
    for scheme in SHOWING:
        assert problems(scheme, key="{header.x-tenant}/{body.tenant}/{body.value.0.resource}")[0] == []


@pytest.mark.parametrize("secret", [":", "user:", "user: ", "user"])
def test_a_user_without_a_password_is_no_secret(secret):
    parsed = endpoint.parse(saved(scheme="basic", webhook_secret=secret, topic="t"))

    sources, found = compile_sources(parsed)

    assert sources == {}
    assert "must be user:password" in str(found[0])
