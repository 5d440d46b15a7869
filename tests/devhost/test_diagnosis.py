"""The verdict is the plugin's, the sentence mends what is wrong, and nothing secret is said."""

import re
from dataclasses import replace
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devhost.signing import public_part, sample_body, sample_headers, sample_secret, sign
from devhost.verify import Captured, Setup, certificates_only, check, explain
from kafka_bridge.ingress.outside import FetchFailed, no_fetch
from kafka_bridge.ingress.schemes import SCHEMES
from kafka_bridge.web import fetch
from tests.devhost.captures import BODY, SECRET, URL, capture
from tests.stand_ins import NOW


def told(captured, scheme="github", *, secret=SECRET, now=NOW, options=None):
    setup = Setup(scheme=scheme, secret=secret, options=options or {})
    checked = check(captured, setup, now=now, fetch=no_fetch)
    assert not checked.verified
    return " ".join(explain(captured, setup, checked, now=now, fetch=no_fetch))


def test_the_plugins_own_reason_comes_first():
    assert told(capture(secret="other")).startswith("The signature does not match:")


@pytest.mark.parametrize(
    ("signed", "came", "sentence"),
    [
        (b"{}", b"{}\n", "without the newline at its end"),
        (b"{}", b"{}\r\n", "without the newline at its end"),
        (b"{}\n", b"{}", "with a newline at its end"),
        (b"{\n}", b"{\r\n}", "lines that end with LF"),
        (b"{\r\n}", b"{\n}", "lines that end with CRLF"),
        (b"{}", b"\xef\xbb\xbf{}", "without the byte order mark"),
        (b"\xef\xbb\xbf{}", b"{}", "with a byte order mark"),
        (b"", b"null", "an empty body"),
        (b'{"a":1,"b":[1,2]}', b'{"a": 1, "b": [1, 2]}', "re-serialised: the sender signed the same JSON, compact"),
        (b'{"b": 1, "a": 2}', b'{"b":1,"a":2}', "re-serialised: the sender signed the same JSON, with a space"),
        (b'{\n  "b": 1,\n  "a": 2\n}', b'{"b":1,"a":2}', "indented by two spaces"),
        (b'{\n    "b": 1\n}\n', b'{"b":1}', "indented by four spaces"),
        (b'{\n\t"b": 1\n}', b'{"b":1}', "indented by tabs"),
        (b'{"u":"\\u00e9"}', '{"u": "\u00e9"}'.encode(), "re-serialised"),
        (b'{"u":"http:\\/\\/x"}', b'{"u":"http://x"}', "re-serialised"),
    ],
)
def test_a_body_that_was_changed(signed, came, sentence):
    assert sentence in told(replace(capture(body=signed), body=came))


@pytest.mark.parametrize(
    ("scheme", "right", "pasted", "sentence"),
    [
        ("github", SECRET, f" {SECRET}\n", "white space"),
        ("github", SECRET, f'"{SECRET}"', "quotation marks"),
        ("github", f"{SECRET}\n", SECRET, "ends with a newline"),
        ("stripe", f"whsec_{SECRET}", SECRET, "with whsec_ before it"),
        ("github", SECRET, f"whsec_{SECRET}", "without whsec_"),
        ("standard-webhooks", "whsec_c2VjcmV0LWtleQ==", "v1,whsec_c2VjcmV0LWtleQ==", "paste it from whsec_ on"),
    ],
)
def test_a_secret_that_was_pasted_wrongly(scheme, right, pasted, sentence):
    assert sentence in told(capture(scheme, secret=right), scheme, secret=pasted)


@pytest.mark.parametrize(
    ("wanted", "signed_with", "sentence"),
    [
        ("utf-8", "base64", "the secret decoded from base64"),
        ("utf-8", "hex", "the secret decoded from"),
        ("utf-8", "whsec", "the secret decoded from base64|without whsec_"),
        ("hex", "utf-8", "the secret as text"),
        ("base64", "utf-8", "the secret as text"),
    ],
)
def test_a_key_that_is_read_otherwise(wanted, signed_with, sentence):
    secret = {"whsec": "whsec_" + "ab" * 16}.get(signed_with, "ab" * 16)
    captured = capture("hmac", secret=secret, options={"key_encoding": signed_with})

    assert re.search(sentence, told(captured, "hmac", secret=secret, options={"key_encoding": wanted}))


def test_a_secret_that_is_refused_may_be_right_as_a_text():
    captured = capture("hmac", secret="not base64!")

    sentences = told(captured, "hmac", secret="not base64!", options={"key_encoding": "base64"})

    assert "is not base64" in sentences
    assert "the secret as text" in sentences


@pytest.mark.parametrize(
    ("scheme", "made_with", "sentence"),
    [
        ("github", {"algorithm": "sha1"}, "This is a SHA-1 signature; the scheme wants SHA-256."),
        ("github", {"algorithm": "sha512"}, "This is a SHA-512 signature; the scheme wants SHA-256."),
        ("github", {"encoding": "base64"}, "The signature is written in base64; the scheme wants hexadecimal."),
        ("shopify", {"encoding": "hex", "prefix": ""}, "written in hexadecimal; the scheme wants base64."),
        ("github", {"prefix": ""}, "has nothing before it; the scheme wants sha256=."),
        ("vercel", {"algorithm": "sha256", "prefix": ""}, "This is a SHA-256 signature; the scheme wants SHA-1."),
    ],
)
@pytest.mark.parametrize("known", [True, False], ids=["right secret", "other secret"])
def test_a_signature_of_another_make(scheme, made_with, sentence, known):
    header = SCHEMES[scheme].proof.header
    captured = capture("hmac", options={"header": header, **made_with}, secret=SECRET if known else "other")

    found = told(captured, scheme)

    if known:
        assert sentence in found
    elif "algorithm" in made_with:
        assert re.search(sentence.split(";", maxsplit=1)[0][-17:] + ".*; the scheme wants", found)


def test_a_signature_that_was_cut_off():
    captured = capture()
    headers = {**captured.headers, "x-hub-signature-256": captured.headers["x-hub-signature-256"][:30]}

    assert "was it cut off, or masked" in told(replace(captured, headers=headers))


@pytest.mark.parametrize(
    ("made_as", "taken_for"),
    [("zoom", "slack"), ("intercom", "jira"), ("svix", "github"), ("bearer", "stripe")],
)
def test_another_scheme_of_the_table(made_as, taken_for):
    secret = "whsec_c2VjcmV0LWtleQ==" if made_as == "svix" else SECRET

    found = told(capture(made_as, secret=secret), taken_for, secret=secret)

    assert re.search(rf"It verifies as [^:]*{made_as}[^:]*: choose that scheme instead of {taken_for}", found)


def test_headers_of_another_scheme_whose_secret_is_not_this_one():
    assert "The headers are those of slack" in told(capture("slack", secret="other"), "stripe")


def test_a_timestamp_that_is_too_old_says_that_the_rest_is_right():
    found = told(capture("slack", now=NOW - 412), "slack")

    assert found.startswith("The timestamp is 412 s old; the tolerance is 300 s.")
    assert "Secret and body are right" in found
    assert "--now" in found


@pytest.mark.parametrize("scheme", ["feishu", "dingtalk"])
def test_the_same_of_senders_that_encrypt(scheme):
    secret = sample_secret(scheme)
    captured = capture(scheme, secret=secret, body=sample_body(scheme), now=NOW - 412)

    assert "Secret and body are right" in told(captured, scheme, secret=secret)


def test_a_timestamp_in_the_wrong_unit():
    captured = capture("hmac", options={"header": "X-S", "template": "{timestamp}.{body}", "timestamp": _time("ms")})
    options = {"header": "X-S", "template": "{timestamp}.{body}", "timestamp": _time("s")}

    assert "The timestamp is in milliseconds; the scheme wants seconds." in told(captured, "hmac", options=options)


def _time(unit):
    return {"name": "X-Time", "unit": unit}


def test_a_missing_header_and_those_that_look_like_it():
    captured = Captured(headers={"x-my-signature": "a", "authorization": "b", "host": "c"}, body=BODY)

    assert (
        "Missing: x-hub-signature-256. Of the headers that came these look like signatures: authorization or"
        in told(captured)
    )
    assert "no header looks like a signature" in told(replace(captured, headers={"host": "c"}))


def test_a_header_that_a_program_wrote_in_its_own_way():
    captured = capture()
    headers = {"http_x_hub_signature_256": captured.headers["x-hub-signature-256"]}

    assert "The header http_x_hub_signature_256 is x-hub-signature-256" in told(replace(captured, headers=headers))


@pytest.mark.parametrize(
    ("signed", "came", "sentence"),
    [
        ("https://x.example/a", "http://x.example/a", "signed the URL with https"),
        ("http://x.example/a", "https://x.example/a", "signed the URL with http."),
        ("https://x.example/a/", "https://x.example/a", "with a slash"),
        ("https://x.example/a", "https://x.example/a/", "without a slash"),
        ("https://x.example/a", "https://x.example/a?b=c", "without its query"),
        ("https://x.example/a", "https://x.example:8443/a", "without the port"),
        ("https://x.example:443/a", "https://x.example/a", "port 443"),
        ("https://x.example/a b", "https://x.example/a%20b", "escapes decoded"),
    ],
)
def test_a_url_that_is_not_the_senders(signed, came, sentence):
    assert sentence in told(replace(capture("square", url=signed), url=came), "square")


def test_a_url_that_was_not_given():
    assert "with --url" in told(replace(capture("square"), url=""), "square")


def test_a_method_that_is_not_the_senders():
    found = sign("hubspot-v3", SECRET, b"[]", now=NOW, event_id="e", url=URL, method="PUT")

    assert "signed the method PUT" in told(Captured(headers=found.headers, body=found.body, url=URL), "hubspot-v3")


def test_when_nothing_helps_it_is_another_secret():
    assert "a body that was changed in a way that cannot be undone" in told(capture(secret="entirely another"))


def test_a_get_that_is_no_handshake():
    assert "no handshake" in told(replace(capture(), method="GET"))


def test_the_scheme_none_verifies_nothing():
    assert told(Captured(headers={}, body=b"{}"), "none") == "The scheme none verifies nothing."


def test_looking_at_a_request_confirms_no_subscription():
    asked = []
    careful = certificates_only(lambda url: asked.append(url) or b"")

    with pytest.raises(FetchFailed):
        careful("https://sns.us-east-1.amazonaws.com/?Action=ConfirmSubscription&Token=t")
    assert (careful("https://sns.us-east-1.amazonaws.com/a.pem"), len(asked)) == (b"", 1)


def test_what_cannot_be_fetched_is_said(receiver):
    # It takes no GET.
    for url, reason in ((receiver.url, "HTTP 501"), ("http://127.0.0.1:1/", "ConnectError"), ("http://[", ".+")):
        with pytest.raises(FetchFailed, match=reason):
            fetch(url)


# What is said never helps a forger.


@pytest.mark.parametrize("scheme", sorted(SCHEMES.keys() - {"none", "aws-sns"}))
@given(data=st.data())
def test_neither_secret_nor_signature_is_ever_said(scheme, data):
    secret = sample_secret(scheme)
    captured = capture(scheme, secret=secret, body=sample_body(scheme), headers=sample_headers(scheme))
    pasted = public_part(scheme, secret)
    mangle = data.draw(st.sampled_from(["body", "header", "secret", "age", "url"]))
    changed, now = captured, NOW
    if mangle == "body":
        changed = replace(captured, body=data.draw(st.sampled_from([captured.body + b"\n", b"", b"{}"])))
    elif mangle == "header":
        name = data.draw(st.sampled_from(sorted(captured.headers)))
        value = data.draw(st.sampled_from([None, "", "x", "v1=x", captured.headers[name] + "0"]))
        changed = replace(captured, headers={**captured.headers, name: value} if value is not None else {})
    elif mangle == "age":
        now += 100_000
    elif mangle == "secret" and isinstance(pasted, str):
        pasted = data.draw(st.sampled_from([f" {pasted}", f'"{pasted}"', f"whsec_{pasted}"]))
    else:
        changed = replace(captured, url="")
    setup = Setup(scheme=scheme, secret=pasted)

    checked = check(changed, setup, now=now, fetch=no_fetch)
    said = "" if checked.verified else " ".join(explain(changed, setup, checked, now=now, fetch=no_fetch))

    parts = [
        part
        for value in captured.headers.values()
        for part in re.split(r"[ ,=]", value)
        if len(part) > 20 and not part.startswith("x-")
    ]
    parts += [part for part in re.split(r"[&=]", urlsplit(captured.url).query) if len(part) > 20]
    for private in (*parts, *Setup(scheme=scheme, secret=secret).texts()):
        assert private == "sample" or private not in said
