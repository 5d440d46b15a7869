"""The example for a terminal is true: what it prints is what the endpoint verifies."""

import base64
import json
import re
import subprocess
from itertools import pairwise

import pytest

from kafka_bridge.dashboard.connecting import sender_views
from kafka_bridge.dashboard.texts import TEXTS
from kafka_bridge.dashboard.words import Language, in_language
from kafka_bridge.dify.hooks import compile_hook
from tests.stand_ins import NOW, SECRET, Broker, receive_at, request, saved

WORDS = in_language(TEXTS, Language.ENGLISH)


def views(**settings):
    hook = compile_hook(saved(**settings))
    found = sender_views(
        hook.settings, hook.sources, hook.problems, "https://h/e/abc/", words=WORDS, language=Language.ENGLISH
    )
    return hook, {view.name: view for view in found}


@pytest.mark.parametrize(
    ("scheme", "options", "secret"),
    [
        ("hmac", {}, SECRET),
        ("hmac", {"header": "X-Shop-Signature"}, "it's $ecret"),
        ("bearer", {}, SECRET),
        ("basic", {}, "user:it's a secret"),
        ("none", {}, ""),
    ],
)
def test_the_example_for_a_terminal_verifies(scheme, options, secret, tmp_path):
    sources = {"shop": {"scheme": scheme, **({"scheme_options": options} if options else {})}}
    hook, found = views(sources=json.dumps(sources), source_secrets=json.dumps({"shop": secret} if secret else {}))
    curl = tmp_path / "curl"
    curl.write_text('#!/bin/sh\nfor each in "$@"; do printf "%s\\0" "$each"; done\n')
    curl.chmod(0o755)

    printed = subprocess.run(
        ["sh", "-c", found["shop"].example],
        env={"PATH": f"{tmp_path}:/usr/bin:/bin", "SECRET": secret},
        capture_output=True,
        check=True,
    ).stdout.decode()

    arguments = printed.split("\0")
    assert arguments[:2] == ["-i", "https://h/e/abc/webhook/shop"]
    headers = dict(line.split(": ", 1) for flag, line in pairwise(arguments) if flag == "-H")
    if "-u" in arguments:
        given = arguments[arguments.index("-u") + 1]
        headers["Authorization"] = f"Basic {base64.b64encode(given.encode()).decode()}"
    body = arguments[arguments.index("-d") + 1].encode()
    outcome = receive_at(request(body, headers), hook.sources["shop"], Broker(), now=NOW)
    assert (outcome.error, outcome.event.id) == (None, "order-1")


@pytest.mark.parametrize(
    "options",
    [{"algorithm": "sha512"}, {"encoding": "base64"}, {"key_encoding": "hex"}, {"template": "{body}{path}"}],
)
def test_there_is_no_example_where_it_would_be_wrong(options):
    secret = "ab" * 16
    sources = {"shop": {"scheme": "hmac", "scheme_options": options}}
    _, found = views(sources=json.dumps(sources), source_secrets=json.dumps({"shop": secret}))

    assert found["shop"].works
    assert found["shop"].example == ""


def test_what_the_row_knows_is_told():
    _, found = views(sources='{"hub": {"scheme": "gitlab-token"}}', source_secrets='{"hub": "x"}')

    assert found["hub"].header == "x-gitlab-token"
    assert found["hub"].type_from == "body object_kind, else header x-gitlab-event"
    assert found["hub"].id_from == "header idempotency-key, else header x-gitlab-event-uuid"


def test_a_default_source_that_nobody_has_set_up_is_left_out():
    _, found = views(webhook_secret="", sources='{"hub": {"scheme": "none"}}')
    assert list(found) == ["hub"]

    _, found = views(webhook_secret="")
    assert list(found) == ["default"]
    assert not found["default"].works
    assert re.match("Webhook secret: ", found["default"].problems[0])
