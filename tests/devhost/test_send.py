"""`send`: what it sends verifies, and it says what was answered."""

import json
import time
from dataclasses import replace

import pytest
from click.testing import CliRunner

from devhost.__main__ import devhost
from devhost.signing import CannotSign, public_part, sample_secret, sns_certificate, with_type
from devhost.verify import Setup, check
from kafka_bridge.ingress.outside import no_fetch
from kafka_bridge.ingress.schemes import SCHEMES
from tests.devhost.captures import SECRET
from tests.stand_ins import NOW


def run(*arguments, **environment):
    return CliRunner(env=environment).invoke(devhost, list(arguments))


@pytest.mark.parametrize("scheme", sorted(SCHEMES))
def test_send_sends_what_verifies(receiver, scheme):
    secret = sample_secret(scheme)
    text = secret if isinstance(secret, str) else json.dumps(secret)

    result = run("send", "--scheme", scheme, "--secret", text, receiver.url)

    assert (result.exit_code, "200 OK\ntaken" in result.output) == (0, True)
    assert scheme == "aws-sns" or all(part not in result.output for part in Setup(scheme=scheme, secret=secret).texts())
    if scheme not in {"none", "aws-sns"}:
        captured = replace(receiver.taken[0], url=receiver.url + receiver.taken[0].url.removeprefix("/hook"))
        assert check(
            captured, Setup(scheme=scheme, secret=public_part(scheme, secret)), now=time.time(), fetch=no_fetch
        ).verified


def test_send_a_file_as_it_is_under_another_url(receiver, tmp_path):
    (tmp_path / "body.json").write_bytes(b'{"a":\n1}')
    command = ["send", "--scheme", "square", "--secret", SECRET, "--signed-url", "https://x.example/hook?a=b"]

    assert run(*command, receiver.url, str(tmp_path / "body.json")).exit_code == 0
    captured = replace(receiver.taken[0], url="https://x.example/hook?a=b")
    assert captured.body == b'{"a":\n1}'
    assert check(captured, Setup(scheme="square", secret=SECRET), now=NOW, fetch=no_fetch).verified


def test_send_says_what_was_answered(receiver):
    receiver.handler.status = 401

    result = run("send", "--scheme", "github", "--secret", SECRET, receiver.url)

    assert (result.exit_code, result.output) == (1, "401 Unauthorized\ntaken \n")


def test_send_to_nobody(receiver):
    result = run("send", "--scheme", "github", "--secret", SECRET, "http://127.0.0.1:1/")

    assert (result.exit_code, result.output) == (1, "no answer: ConnectError\n")


# --type.


def type_seen(receiver, scheme, secret):
    """The type that the plugin finds in what was sent."""
    captured = replace(receiver.taken[0], url=receiver.url + receiver.taken[0].url.removeprefix("/hook"))
    setup = Setup(scheme=scheme, secret=public_part(scheme, secret))
    found = check(captured, setup, now=time.time(), fetch=lambda _url: sns_certificate())
    assert found.verified or scheme == "none", found.reason
    return found.outcome.event.type


@pytest.mark.parametrize("event_type", ["order", "order.paid", "order.paid.twice"])
@pytest.mark.parametrize("scheme", sorted(SCHEMES))
def test_send_a_type(receiver, scheme, event_type):
    secret = sample_secret(scheme)
    text = secret if isinstance(secret, str) else json.dumps(secret)
    if scheme == "aws-sns":
        event_type = "Notification"

    result = run("send", "--scheme", scheme, "--secret", text, "--type", event_type, receiver.url)

    if SCHEMES[scheme].type:
        assert result.exit_code == 0, result.output
        assert type_seen(receiver, scheme, secret) == event_type
    else:
        assert (result.exit_code, receiver.taken) == (2, [])
        assert f"{scheme} has no place for an event type: leave --type out" in result.output


@pytest.mark.parametrize(
    ("scheme", "body"),
    [
        ("github", b'{"action": "closed", "number": 7}'),
        ("stripe", b'{"id": "evt_9"}'),
        ("pagerduty", b'{"event": {"id": "x"}}'),
        ("line", b'{"events": [{"type": "message"}]}'),
        ("twilio", b"MessageSid=1&MessageStatus=sent&a=1&a=2"),
        ("wecom", b"<xml><Event>subscribe</Event></xml>"),
        ("hmac", b'{"type": "other"}'),
    ],
)
def test_send_a_file_with_another_type(receiver, tmp_path, scheme, body):
    (tmp_path / "body").write_bytes(body)
    secret = sample_secret(scheme)
    text = secret if isinstance(secret, str) else json.dumps(secret)

    result = run("send", "--scheme", scheme, "--secret", text, "--type", "a.b", receiver.url, str(tmp_path / "body"))

    assert result.exit_code == 0, result.output
    assert type_seen(receiver, scheme, secret) == "a.b"


def test_what_else_is_in_a_form_stays():
    body, _ = with_type("twilio", "delivered", b"MessageStatus=sent&a=1&a=2", {})

    assert body == b"a=1&a=2&MessageStatus=delivered"


@pytest.mark.parametrize(
    ("scheme", "event_type", "body"),
    [
        ("stripe", "", b"{}"),
        ("github", ".", b"{}"),
        ("github", "a.", b"{}"),
        ("github", ".a", b"{}"),
        ("stripe", "a", b"no json"),
        ("stripe", "a", b"[]"),
        ("stripe", "a", b"[" * 100_000),
        ("pagerduty", "a", b'{"event": []}'),
        ("pagerduty", "a", b'{"event": 1}'),
        ("wecom", "a", b"<xml>"),
    ],
)
def test_a_type_that_has_no_place_is_said(scheme, event_type, body):
    with pytest.raises(CannotSign):
        with_type(scheme, event_type, body, {})


def test_a_type_in_a_header_may_be_any_text(receiver):
    event_type = "bestellung/ge\u00e4ndert"

    result = run("send", "--scheme", "shopify", "--secret", SECRET, "--type", event_type, receiver.url)

    assert result.exit_code == 0
    assert receiver.taken[0].headers["x-shopify-topic"].encode("latin-1").decode() == event_type
