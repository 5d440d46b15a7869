"""Whose cookie is good, and what it is good for."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from kafka_bridge.dify.call import Call
from kafka_bridge.dify.hooks import compile_hook
from kafka_bridge.dify.sessions import COOKIE, LASTS_S, MAX_COOKIES, MAX_SIGNED_OUT, Sessions
from kafka_bridge.errors import TokenNotConfigured, Unauthorized
from kafka_bridge.settings.secret import Secret
from tests.stand_ins import Ticking, request, saved

TOKEN = "not-a-real-token"
FORM = "application/x-www-form-urlencoded"


class Browser:
    """Sends requests with a cookie to an endpoint."""

    def __init__(self, *, endpoint="endpoint-1", token=TOKEN):
        self.time = Ticking()
        self.sessions = Sessions(self.time.clock)
        self.endpoint, self.token = endpoint, token
        self.cookie = f"{COOKIE}={self.sessions.issue(endpoint, Secret(token))}"
        self.csrf = self.call().session.csrf

    def call(self, method="GET", body=b"", *, cookie=None, endpoint=None, token=None, **headers):
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        inbound = request(body, {"Cookie": self.cookie if cookie is None else cookie, **names}, method=method)
        hook = compile_hook(saved(api_token=self.token if token is None else token))
        return Call(inbound, hook, endpoint or self.endpoint, sessions=self.sessions)

    def form(self, body, content_type=FORM, **options):
        return self.call("POST", body, content_type=content_type, **options)


@pytest.fixture
def browser():
    return Browser()


# Looking.


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_who_has_a_cookie_may_look(browser, method):
    assert browser.call(method).authorized
    browser.call(method).authorize()


def test_a_cookie_of_another_endpoint_is_worth_nothing(browser):
    assert not browser.call(endpoint="endpoint-2").authorized
    assert browser.call(endpoint="endpoint-2").session is None


@pytest.mark.parametrize("token", ["another", f"{TOKEN}x", TOKEN.upper()])
def test_a_cookie_of_an_old_token_is_worth_nothing(browser, token):
    assert not browser.call(token=token).authorized
    with pytest.raises(Unauthorized):
        browser.call(token=token).authorize()


def test_without_a_token_in_the_settings_no_cookie_is_good(browser):
    assert not browser.call(token="").authorized
    with pytest.raises(TokenNotConfigured):
        browser.call(token="").authorize()


def test_a_cookie_lasts_for_some_hours_and_no_longer(browser):
    browser.time.at += LASTS_S - 2
    assert browser.call().authorized
    browser.time.at += 3
    assert not browser.call().authorized


def test_a_cookie_of_the_future_is_none(browser):
    browser.time.at -= 60
    assert not browser.call().authorized


def test_two_cookies_are_never_the_same(browser):
    other = browser.sessions.issue(browser.endpoint, Secret(TOKEN))

    assert f"{COOKIE}={other}" != browser.cookie
    assert browser.sessions.find(f"{COOKIE}={other}", browser.endpoint, Secret(TOKEN)).csrf != browser.csrf


def test_neither_the_token_nor_what_a_form_carries_can_be_read_in_a_cookie(browser):
    assert TOKEN not in browser.cookie
    assert browser.csrf not in browser.cookie


# Signing out.


def test_who_has_signed_out_is_not_signed_in_any_more_and_others_are(browser):
    other = browser.sessions.issue(browser.endpoint, Secret(TOKEN))
    browser.sessions.sign_out(browser.call().session)

    assert not browser.call().authorized
    assert browser.call(cookie=f"{COOKIE}={other}").authorized


def test_what_is_remembered_of_who_has_signed_out_is_bounded(browser):
    session = browser.call().session
    for number in range(MAX_SIGNED_OUT + 10):
        browser.sessions.sign_out(session._replace(nonce=f"n-{number}"))

    assert len(browser.sessions._signed_out) == MAX_SIGNED_OUT


# Changing something.


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "get", ""])
def test_a_cookie_alone_changes_nothing(browser, method):
    assert browser.call(method).session is not None
    assert not browser.call(method).authorized


def test_with_the_token_of_our_forms_it_does(browser):
    assert browser.call("POST", x_csrf_token=browser.csrf).authorized
    assert browser.form(f"a=1&csrf={browser.csrf}".encode()).authorized
    assert browser.form(f"csrf={browser.csrf}".encode(), f"{FORM}; charset=UTF-8").authorized


def test_the_form_token_of_somebody_else_does_not(browser):
    other = browser.sessions.issue(browser.endpoint, Secret(TOKEN))
    session = browser.call(cookie=f"{COOKIE}={other}").session
    elsewhere = Browser(endpoint="endpoint-2")

    for csrf in (session.csrf, elsewhere.csrf, browser.csrf[:-1], browser.csrf.upper(), session.nonce, "", TOKEN):
        assert not browser.call("POST", x_csrf_token=csrf).authorized
        assert not browser.form(f"csrf={csrf}".encode()).authorized


def test_a_form_token_counts_in_a_form_alone(browser):
    body = f"csrf={browser.csrf}".encode()

    for content_type in ("text/plain", "application/json", "multipart/form-data", ""):
        assert not browser.form(body, content_type).authorized
    assert not browser.call("POST", body, content_type=FORM, x_csrf_token="wrong").authorized


@pytest.mark.parametrize(
    "body", [b"\xff\xfe", b"&" * 1000, b"csrf", b"csrf=", b"=", b"a=1&" * 200, b"csrf=\xed\xa0\x80"]
)
def test_a_form_that_is_none_changes_nothing(browser, body):
    assert not browser.form(body).authorized


def test_whoever_shows_the_token_itself_needs_neither_cookie_nor_form():
    browser = Browser()

    for cookie in ("", "garbage", browser.cookie):
        assert browser.call("POST", cookie=cookie, authorization=f"Bearer {TOKEN}").authorized


def test_a_form_token_without_a_cookie_is_nothing(browser):
    assert not browser.call("POST", cookie="", x_csrf_token=browser.csrf).authorized
    assert not browser.call(cookie="", x_csrf_token=browser.csrf).authorized


def test_without_sessions_a_cookie_is_not_even_looked_at(browser):
    assert not browser.call()._replace(sessions=None).authorized


# Cookies as browsers and others send them.


@pytest.mark.parametrize(
    "around",
    [
        "{}",
        "a=1; {}",
        "{}; a=1",
        "a=1;{};b=2",
        '{{"broken": "cookie"}}; {}; x',
        'q="a\\";b"; {}',
        "é=\ud800; {}",
        "kafka_bridge2=x; {}",
        "xkafka_bridge=x; {}",
        # Of another path of the same host, the more specific one first or last.
        f"{COOKIE}=garbage; {{}}",
        f"{{}}; {COOKIE}=garbage",
        f"access_token={'x' * 6000}; {{}}",
        f"{COOKIE}={'x' * 6000}; {{}}",
        ";;; {} ;;;",
    ],
)
def test_it_is_found_among_whatever_else_a_browser_sends(browser, around):
    assert browser.call(cookie=around.format(browser.cookie)).authorized


def test_among_very_many_of_our_name_it_is_not_looked_for(browser):
    many = "; ".join([f"{COOKIE}=x"] * MAX_COOKIES)

    assert not browser.call(cookie=f"{many}; {browser.cookie}").authorized


@given(st.text())
@example("\ud800")
@example(".eJwB")
@example("W10.AAAA")
@example("W10")
@example('"')
@example("\x00")
def test_no_garbage_is_good_and_none_raises(garbage):
    browser = Browser()

    for cookie in (garbage, f"{COOKIE}={garbage}", f"{garbage}; {COOKIE}"):
        assert not browser.call(cookie=cookie).authorized
    assert not browser.call("POST", x_csrf_token=garbage).authorized
    assert not browser.form(b"csrf=" + garbage.encode("utf-8", "surrogatepass")).authorized


@given(st.data())
def test_no_changed_cookie_is_good(data):
    browser = Browser()
    value = browser.cookie.partition("=")[2]
    at = data.draw(st.integers(0, len(value) - 1))
    other = data.draw(st.sampled_from("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_."))
    changed = f"{value[:at]}{other}{value[at + 1 :]}"
    same = browser.sessions.find(f"{COOKIE}={changed}", browser.endpoint, Secret(TOKEN))

    # The last character of base64 may carry bits that mean nothing.
    assert changed == value or same is None or at == len(value) - 1


@pytest.mark.parametrize(
    ("endpoint", "token"), [("a", "bc"), ("ab", "c"), ("", "abc"), ("é", "ü" * 30), ("a", "\ud800bc")]
)
def test_any_endpoint_and_any_token_has_cookies_of_its_own(endpoint, token):
    browser = Browser(endpoint=endpoint, token=token)

    assert browser.call().authorized
    assert not Browser().call(cookie=browser.cookie).authorized
