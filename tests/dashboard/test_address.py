"""Where the browser sees the endpoint; `tests/dify/test_signin.py` has what that means for cookies and forms."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kafka_bridge.dashboard.address import address_of, is_foreign, public_base
from kafka_bridge.http import Inbound

NAMES = ("host", "origin", "referer", "dify-hook-url", "dify-hook-id", "x-forwarded-proto", "sec-fetch-site")
urlish = st.text("htps:/e.abc?#@[]%;, \x00\u202e-", max_size=40) | st.text(max_size=40)


def inbound(**headers):
    return Inbound("POST", "/login", headers={name.replace("_", "-"): value for name, value in headers.items()})


def test_the_page_that_a_form_stood_on_says_it_best():
    found = address_of(
        inbound(
            host="internal.example.com",
            dify_hook_id="abc",
            dify_hook_url="http://internal.example.com/e/abc/login",
            referer="http://internal.example.com:8080/prefix/e/abc/?view=health#x",
        )
    )

    assert found == ("/prefix/e/abc/", "http://internal.example.com:8080/prefix/e/abc/", False)


def test_https_is_https_whoever_says_so():
    found = address_of(
        inbound(host="h", dify_hook_id="abc", dify_hook_url="http://h/e/abc/login", x_forwarded_proto="HTTPS")
    )

    assert found == ("/e/abc/", "https://h/e/abc/", True)


def test_without_a_hook_nothing_is_known():
    assert address_of(inbound(host="h", referer="https://h/e//x")) == ("", "", False)


@given(st.fixed_dictionaries({}, optional=dict.fromkeys(NAMES, urlish)), urlish)
def test_no_header_does_any_harm(headers, public):
    request = Inbound("POST", "/login", headers=headers)
    found = address_of(request)

    assert is_foreign(request, public) in {True, False}
    assert found.path == "" or (found.path[0] == found.path[-1] == "/")
    assert not set(found.path) & set(';, \r\n\x00"<>\\')


@pytest.mark.parametrize(
    ("public", "base"),
    [
        ("", ""),
        ("nonsense", ""),
        ("ftp://h/e/abc", ""),
        ("https://u:p@h/e/abc", ""),
        ("https://h/e/abc", "https://h/e/abc/"),
        ("https://h/e/abc/", "https://h/e/abc/"),
        ("https://h:1/p/e/abc/webhook", "https://h:1/p/e/abc/"),
        ("https://h/e/abc/webhook/shop?x=1", "https://h/e/abc/"),
        # A proxy that has it under another path.
        ("https://hooks.example.com/kafka", "https://hooks.example.com/kafka/"),
        ("https://hooks.example.com/kafka/webhook/shop", "https://hooks.example.com/kafka/"),
        ("https://hooks.example.com", "https://hooks.example.com/"),
    ],
)
def test_the_public_url_may_be_the_endpoints_or_a_webhooks(public, base):
    assert public_base(public, "abc") == base
