"""What some senders sign besides the body: the URL, the form's fields, chosen headers."""

import hashlib
import json
from types import MappingProxyType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kafka_bridge.errors import Unverified
from kafka_bridge.http import Inbound
from kafka_bridge.ingress import canonical
from kafka_bridge.ingress.content import Content
from tests.ingress.signer import compiled, delivery
from tests.stand_ins import NOW

FORM = {"content-type": "application/x-www-form-urlencoded"}


def urls(*, public_url="", hook="", query="", path="/webhook", variants=canonical.as_is):
    headers = {"dify-hook-url": hook} if hook else {}
    return canonical.urls_of(Content(Inbound("POST", path, query, headers), public_url=public_url), variants)


# The URL that the sender called.


@pytest.mark.parametrize(
    ("public_url", "query", "found"),
    [
        ("https://a.example/e-1", "", "https://a.example/e-1/webhook"),
        ("https://a.example/e-1", "x=1", "https://a.example/e-1/webhook?x=1"),
        ("https://a.example/e-1/webhook", "", "https://a.example/e-1/webhook"),
        ("https://a.example/e-1/webhook", "x=1", "https://a.example/e-1/webhook?x=1"),
        ("https://a.example/e-1/webhook?b=2&a=1", "a=1&b=2", "https://a.example/e-1/webhook?b=2&a=1"),
    ],
)
def test_the_public_url_is_a_base_or_the_whole(public_url, query, found):
    assert urls(public_url=public_url, query=query, hook="https://other.example/webhook") == (found,)


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_without_a_public_url_it_is_the_one_that_dify_saw_by_either_scheme(scheme):
    other = {"http": "https", "https": "http"}[scheme]

    assert urls(hook=f"{scheme}://a.example/e-1/webhook", query="x=1") == (
        f"{scheme}://a.example/e-1/webhook?x=1",
        f"{other}://a.example/e-1/webhook?x=1",
    )
    assert urls(hook=f"{scheme}://a.example/webhook?y=2&x=1", query="x=1&y=2")[0].endswith("/webhook?y=2&x=1")


@pytest.mark.parametrize(
    "hook", ["https://a.example/other", "https://a.example/webhook?y=2", "https://a.example/?/webhook"]
)
def test_a_header_that_names_another_path_or_query_is_not_believed(hook):
    # Where no proxy overrides it, it comes from the sender.
    assert urls(hook=hook, query="x=1") == ()


def test_nobody_knows_the_url_where_nobody_says():
    assert urls() == ()
    source = compiled("square", public_url="")
    with pytest.raises(Unverified) as caught:
        source.verifier.verify(Content(delivery("square")), now=NOW)
    assert caught.value.reason == "the sender signs the URL, and it is not known: set the public URL"


@pytest.mark.parametrize("hook", ["http://[", "https://a]b/", "http://\u2100.example/", "http://[::1/webhook"])
@pytest.mark.parametrize("scheme", ["twilio", "square", "hubspot-v3", "contentful"])
def test_a_url_that_is_none_is_not_known(hook, scheme):
    inbound = delivery(scheme)
    source = compiled(scheme, public_url="")

    with pytest.raises(Unverified):
        source.verifier.verify(Content(inbound._replace(headers={**inbound.headers, "dify-hook-url": hook})), now=NOW)


@pytest.mark.parametrize("scheme", ["twilio", "square", "hubspot-v3", "contentful"])
def test_a_sender_that_signs_the_url_is_verified_behind_dify_and_at_no_other_url(scheme):
    url = "https://dify.example/e/abc/webhook"
    inbound, source = delivery(scheme, url=url), compiled(scheme, public_url="")

    for hook, right in ((url, True), (url.replace("https", "http"), True), (url + "x", False)):
        content = Content(inbound._replace(headers={**inbound.headers, "dify-hook-url": hook}))
        # Contentful signs the path alone.
        if right:
            source.verifier.verify(content, now=NOW)
        else:
            with pytest.raises(Unverified):
                source.verifier.verify(content, now=NOW)


@given(st.text(st.characters(codec="latin-1")), st.text(st.characters(codec="latin-1")))
def test_no_header_and_no_query_raise(hook, query):
    for variants in (canonical.as_is, canonical.with_and_without_port, canonical.partly_decoded):
        for url in urls(hook=hook, query=query, variants=variants):
            assert isinstance(canonical.path_of(url), str)


# Twilio.


@pytest.mark.parametrize(
    ("url", "other"),
    [
        ("https://a.example/x", ("https://a.example:443/x",)),
        ("http://a.example/x?y=1", ("http://a.example:80/x?y=1",)),
        ("https://a.example:443/x", ("https://a.example/x",)),
        ("https://a.example:8443/x", ("https://a.example/x",)),
        ("https://user:pass@a.example/x", ("https://user:pass@a.example:443/x",)),
        ("https://a.example:x/", ()),
        ("ftp://a.example/x", ()),
    ],
)
def test_twilio_signs_with_or_without_the_port(url, other):
    assert canonical.with_and_without_port(url) == other


@pytest.mark.parametrize(
    ("body", "signed"),
    [
        (b"b=2&a=1", "a1b2"),
        (b"a=2&a=1&a=2", "a1a2"),
        (b"A=1&a=2&Z=3", "A1Z3a2"),
        (b"a=&b", "ab"),
        (b"a=1+2%2B3", "a1 2+3"),
        (b"", ""),
    ],
)
def test_twilio_signs_the_fields_of_a_form_sorted_and_once(body, signed):
    assert canonical.form_of(Content(Inbound("POST", "/", "", FORM, body)), "https://a.example/x") == signed


def test_twilio_signs_other_bodies_by_their_sha256_in_the_url():
    body = b'{"a": 1}'
    digest = hashlib.sha256(body).hexdigest()

    for text in (digest, digest.upper()):
        assert form_of(f"https://a.example/x?y=1&bodySHA256={text}", body) == ""
    wrong = ["", "?bodySHA256=", "?bodySHA256=00", f"?bodySHA256={digest}&more=1", f"?other=bodySHA256={digest}"]
    for query, changed in (*((text, body) for text in wrong), (f"?bodySHA256={digest}", b"x")):
        with pytest.raises(Unverified):
            form_of(f"https://a.example/x{query}", changed)


def test_a_form_is_signed_by_its_fields_whatever_its_url_says():
    digest = hashlib.sha256(b"a=1").hexdigest()

    assert form_of(f"https://a.example/x?bodySHA256={digest}", b"a=1", FORM) == "a1"


def form_of(url, body, headers=MappingProxyType({})):
    # The query that arrives is not looked at: only the URL that is verified is signed.
    query = f"bodySHA256={hashlib.sha256(body).hexdigest()}"
    return canonical.form_of(Content(Inbound("POST", "/x", query, headers, body)), url)


def test_twilio_delivers_json():
    inbound = delivery("twilio", b'{"EventType": "x"}')

    assert "bodySHA256=" in inbound.query
    compiled("twilio").verifier.verify(Content(inbound, public_url="https://example.com/hooks/e-1"), now=NOW)


# HubSpot.


@pytest.mark.parametrize(
    ("url", "decoded"),
    [
        ("https://a.example/x%3Ay%2fz", "https://a.example/x:y/z"),
        ("https://a.example/?q=%40%26%3D%2B%24%60%22%2C%3B%3E%3C%3F", 'https://a.example/?q=@&=+$`",;><?'),
        ("https://a.example/a%20b%25%C3%BC", "https://a.example/a%20b%25%C3%BC"),
    ],
)
def test_hubspot_decodes_some_escapes_alone(url, decoded):
    assert canonical.partly_decoded(url) == (decoded,)


# Contentful.


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("https://a.example/x/webhook", "/x/webhook"),
        ("https://a.example/x?a=b&c=d", "/x?a=b&c=d"),
        ("https://a.example/x y", "/x%20y"),
        ("https://a.example/x%20y", "/x%20y"),
        ("https://a.example/ü", "/%C3%BC"),
        ("https://a.example/x#f", "/x"),
    ],
)
def test_contentful_signs_the_encoded_path(url, path):
    assert canonical.path_of(url) == path


LISTED = "x-contentful-signed-headers"


def headers_of(headers):
    return canonical.headers_of(
        Content(Inbound("POST", "/", "", headers)), listed_in=LISTED, must_have="x-contentful-timestamp"
    )


def test_contentful_signs_the_headers_that_it_lists():
    names = "X-Contentful-Topic, x-contentful-timestamp,x-contentful-signed-headers"
    headers = {LISTED: names, "x-contentful-timestamp": " 1 ", "x-contentful-topic": "t", "x-other": "o"}

    assert headers_of(headers) == f"{LISTED}:{names};x-contentful-timestamp:1;x-contentful-topic:t"


@pytest.mark.parametrize("names", ["", LISTED, "x-contentful-timestamp", "*", f"{LISTED};x-contentful-timestamp"])
def test_contentful_must_sign_its_timestamp_and_its_list(names):
    with pytest.raises(Unverified):
        headers_of({LISTED: names, "x-contentful-timestamp": "1"})


def test_a_header_that_contentful_did_not_list_is_not_signed():
    inbound, source = delivery("contentful"), compiled("contentful")
    content = Content(
        inbound._replace(headers={**inbound.headers, "x-other": "o"}), public_url="https://example.com/hooks/e-1"
    )

    source.verifier.verify(content, now=NOW)
    changed = {**inbound.headers, "x-contentful-topic": "other"}
    with pytest.raises(Unverified):
        source.verifier.verify(
            Content(inbound._replace(headers=changed), public_url="https://example.com/hooks/e-1"), now=NOW
        )
    assert json.loads(inbound.body)
