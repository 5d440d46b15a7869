"""Signatures that vendors have published, and others that were computed by hand: `tests/vectors`."""

import base64
import json
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from kafka_bridge.events.outcome import Verdict
from kafka_bridge.ingress.receive import ask
from tests.stand_ins import Broker, clock_at, hmac_source, receive_at, request, source_of

VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "webhook_vectors.json").read_text())


def _header(name):
    return {"source": "header", "name": name}


STANDARD = {"encoding": "base64", "prefix": "v1,", "separator": " ", "key_encoding": "whsec"}
STANDARD["template"] = "{id}.{timestamp}.{body}"

# What the parameters of the generic scheme make of vendors that have no row of their own.
OPTIONS = {
    "svix": STANDARD | {"header": "svix-signature", "timestamp": _header("svix-timestamp"), "id": "header:svix-id"},
    "gitlab-signing-token": STANDARD
    | {"header": "webhook-signature", "timestamp": _header("webhook-timestamp"), "id": "header:webhook-id"},
    "jira": {"header": "X-Hub-Signature", "prefix": "sha256="},
    "bitbucket": {"header": "X-Hub-Signature", "prefix": "sha256="},
    "meta": {"header": "X-Hub-Signature-256", "prefix": "sha256="},
    "slack": {
        "header": "X-Slack-Signature",
        "prefix": "v0=",
        "template": "v0:{timestamp}:{body}",
        "timestamp": _header("X-Slack-Request-Timestamp"),
    },
    "zoom": {
        "header": "x-zm-signature",
        "prefix": "v0=",
        "template": "v0:{timestamp}:{body}",
        "timestamp": _header("x-zm-request-timestamp"),
    },
    "shopify": {"header": "X-Shopify-Hmac-Sha256", "encoding": "base64"},
    "zendesk": {
        "header": "X-Zendesk-Webhook-Signature",
        "encoding": "base64",
        "template": "{timestamp}{body}",
        "timestamp": _header("X-Zendesk-Webhook-Signature-Timestamp") | {"unit": "rfc3339"},
    },
    "dropbox": {"header": "X-Dropbox-Signature"},
    "linear": {
        "header": "Linear-Signature",
        "timestamp": {"source": "body", "name": "webhookTimestamp", "unit": "ms", "tolerance": 60},
    },
    "sentry": {"header": "Sentry-Hook-Signature"},
    "intercom": {"header": "X-Hub-Signature", "algorithm": "sha1", "prefix": "sha1="},
    "typeform": {"header": "Typeform-Signature", "encoding": "base64", "prefix": "sha256="},
    "calendly": {
        "header": "Calendly-Webhook-Signature",
        "separator": ",",
        "element": "v1",
        "template": "{timestamp}.{body}",
        "timestamp": {"source": "element", "name": "t"},
    },
    "docusign": {"header": "X-DocuSign-Signature-1", "encoding": "base64"},
    "vercel": {"header": "x-vercel-signature", "algorithm": "sha1"},
    "cloudflare-stream": {
        "header": "Webhook-Signature",
        "separator": ",",
        "element": "sig1",
        "template": "{timestamp}.{body}",
        "timestamp": {"source": "element", "name": "time"},
    },
}
GRAFANA_TIMED = {
    "header": "X-Grafana-Alerting-Signature",
    "template": "{timestamp}:{body}",
    "timestamp": _header("X-Grafana-Alerting-Timestamp"),
}


def ids(vectors):
    return {"argvalues": vectors, "ids": [vector["id"] for vector in vectors]}


def body_of(vector):
    return base64.b64decode(vector["body_b64"]) if "body_b64" in vector else vector["body"].encode()


def inbound_of(vector):
    url = urlsplit(vector["url"] or "https://receiver.example.com/webhook")
    return request(body_of(vector), vector["headers"], method=vector["method"], path=url.path, query=url.query)


def source_of_vector(vector):
    secret = vector["secret"] if isinstance(vector["secret"], str) else json.dumps(vector["secret"])
    options = {"default": {"scheme_options": vector["config"]}} if vector.get("config") else {}
    public_url = {"public_url": vector["url"]} if vector["url"] else {}
    return source_of(
        scheme=vector["scheme"], webhook_secret=secret, sources=json.dumps(options), topic="t", **public_url
    )


def outcome_of(vector, source):
    broker = Broker()
    outcome = receive_at(inbound_of(vector), source, broker, now=vector["now"] or 0)
    assert (len(broker.records) == 1) is (outcome.delivery is not None)
    return outcome


def assert_verdict(vector, outcome):
    assert (outcome.verdict is Verdict.VERIFIED) is vector["valid"], outcome.reason
    if not vector["valid"]:
        assert outcome.verdict is Verdict.REJECTED


@pytest.mark.parametrize("vector", **ids([vector for vector in VECTORS if vector["method"] == "POST"]))
def test_a_row_gives_the_verdict_of_the_vendor(vector):
    outcome = outcome_of(vector, source_of_vector(vector))

    if not vector.get("either"):
        assert_verdict(vector, outcome)


@pytest.mark.parametrize("vector", **ids([vector for vector in VECTORS if vector["method"] == "GET"]))
def test_a_handshake_is_answered_as_the_vendor_expects(vector):
    reply = ask(inbound_of(vector), source_of_vector(vector), clock=clock_at(vector["now"] or 0))

    assert vector["valid"]
    if "response_body" in vector["expect"]:
        assert reply.body.decode() == vector["expect"]["response_body"]
    else:
        assert json.loads(reply.body) == vector["expect"]["response_json"]


@pytest.mark.parametrize("vector", **ids([vector for vector in VECTORS if vector["scheme"] in OPTIONS]))
def test_the_parameters_of_the_generic_scheme_give_the_verdict_of_the_vendor(vector):
    assert_verdict(vector, outcome_of(vector, hmac_source(OPTIONS[vector["scheme"]], vector["secret"])))


@pytest.mark.parametrize("vector", **ids([vector for vector in VECTORS if vector["scheme"] == "grafana"]))
def test_grafana_signs_with_or_without_a_timestamp_as_it_was_told(vector):
    options = GRAFANA_TIMED if vector.get("config") else {"header": GRAFANA_TIMED["header"]}

    assert_verdict(vector, outcome_of(vector, hmac_source(options, vector["secret"])))


def test_the_vectors_are_all_there():
    assert len(VECTORS) == 51
