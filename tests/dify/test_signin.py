"""Signing in and out: cookies, throttling, forms of other sites."""

import re

import pytest

from kafka_bridge.dify.sessions import LASTS_S
from kafka_bridge.dify.signin import WRONG_AT_ONCE, WRONG_EVERY_S
from kafka_bridge.errors import Unauthorized
from tests.dify.browsing import HOST, TOKEN, Endpoint, Person, signed_in
from tests.stand_ins import log_of


def cookie_of(answer):
    """The value and the attributes of the cookie that an answer sets."""
    values = [value for name, value in answer.headers if name == "Set-Cookie"]
    assert len(values) == 1
    first, *rest = values[0].split("; ")
    return first, {name: value for name, _, value in (part.partition("=") for part in rest)}


def test_without_a_cookie_there_is_one_password_field_and_one_button():
    answer = Person(Endpoint()).open()

    page = answer.body.decode()
    assert answer.status == 200
    assert len(re.findall("<input", page)) == 1
    assert len(re.findall('<input[^>]*type="password"', page)) == 1
    assert re.findall(r"<button[^>]*>([^<]*)</button>", page) == ["Sign in"]
    assert '<form class="signin card" method="post" action="login">' in page


@pytest.mark.parametrize("view", ["events", "event", "health", "settings", "connect", "consumer", "nonsense"])
def test_no_view_shows_anything_to_whoever_is_not_signed_in(view):
    endpoint = Endpoint(sources='{"hush": {"scheme": "none"}}')

    assert "hush" not in Person(endpoint).open(view).body.decode()


def test_the_token_opens_the_dashboard_and_a_reload_sends_no_form_again():
    person = Person(Endpoint())

    answer = person.sign_in()

    assert (answer.status, dict(answer.headers)["Location"], answer.body) == (303, "./", b"")
    assert "<h1>Events</h1>" in person.open().body.decode()


def test_white_space_around_the_token_is_nothing():
    assert Person(Endpoint()).sign_in(f" {TOKEN}\n").status == 303


def test_the_cookie_is_for_this_endpoint_and_for_no_script():
    first, attributes = cookie_of(Person(Endpoint()).sign_in())

    assert re.fullmatch(r"kafka_bridge=[A-Za-z0-9_.-]+", first)
    assert attributes == {
        "Max-Age": str(LASTS_S),
        "HttpOnly": "",
        "SameSite": "Strict",
        "Path": "/e/abc123/",
        "Secure": "",
    }


@pytest.mark.parametrize(
    ("headers", "path"),
    [
        ({"referer": f"https://{HOST}/some/prefix/e/abc123/?view=health"}, "/some/prefix/e/abc123/"),
        ({"referer": f"https://{HOST}/e/abc123/login"}, "/e/abc123/"),
        # Of the nearest one, should a prefix look like it.
        ({"referer": f"https://{HOST}/e/abc123/e/abc123/"}, "/e/abc123/e/abc123/"),
        # No page of this endpoint: what the platform says.
        ({"referer": f"https://{HOST}/e/other/"}, "/e/abc123/"),
        ({"referer": "https://evil.example.com/x/e/abc123/"}, "/e/abc123/"),
        ({"referer": f"https://{HOST}/a;Domain=example.com/e/abc123/"}, "/e/abc123/"),
        ({"referer": "https://[broken/e/abc123/"}, "/e/abc123/"),
        ({"referer": ""}, "/e/abc123/"),
        ({"referer": "", "dify-hook-url": f"https://{HOST}/x/e/abc123/login?a=1"}, "/x/e/abc123/"),
        # Nobody knows: the browser takes the path of the form.
        ({"referer": "", "dify-hook-url": ""}, None),
        ({"referer": "", "dify-hook-url": "http://localhost/e/other/login"}, None),
        ({"referer": f"https://{HOST}/e/abc123456/", "dify-hook-url": ""}, None),
    ],
)
def test_its_path_is_that_of_the_endpoint_as_the_browser_sees_it(headers, path):
    _, attributes = cookie_of(Person(Endpoint()).sign_in(**headers))

    assert attributes.get("Path") == path


@pytest.mark.parametrize(
    ("headers", "secure"),
    [
        ({"dify-hook-url": f"http://{HOST}/e/abc123/login"}, False),
        ({"dify-hook-url": f"http://{HOST}/e/abc123/login", "x-forwarded-proto": "https"}, True),
        ({"dify-hook-url": f"http://{HOST}/e/abc123/login", "x-forwarded-proto": "https, http"}, True),
        ({"dify-hook-url": f"https://{HOST}/e/abc123/login"}, True),
        ({"dify-hook-url": f"http://{HOST}/e/abc123/login", "origin": f"https://{HOST}"}, True),
    ],
)
def test_it_is_sent_by_https_alone_where_it_came_by_https(headers, secure):
    _, attributes = cookie_of(Person(Endpoint()).sign_in(**headers))

    assert ("Secure" in attributes) == secure


def test_a_wrong_token_is_the_form_again_and_says_so():
    person = Person(Endpoint())

    answer = person.sign_in("wrong")

    assert (answer.status, dict(answer.headers)["WWW-Authenticate"]) == (401, "Bearer")
    assert "This is not the API token." in person.page
    assert person.cookie == ""
    assert "wrong" not in person.page


@pytest.mark.parametrize("fields", [{}, {"token": ""}, {"password": TOKEN}])
def test_no_token_at_all_is_a_wrong_one(fields):
    assert Person(Endpoint()).send("/login", **fields).status == 401


def test_wrong_tokens_are_slowed_down_and_the_right_one_still_opens():
    endpoint = Endpoint()
    person = Person(endpoint)
    statuses = [person.sign_in(f"guess {number}").status for number in range(WRONG_AT_ONCE + 2)]

    refused = person.sign_in("one more")

    assert statuses == [401] * WRONG_AT_ONCE + [429] * 2
    assert dict(refused.headers)["Retry-After"] == str(WRONG_EVERY_S)
    assert "Too many wrong tokens" in person.page
    assert person.sign_in().status == 303
    endpoint.time.at += WRONG_EVERY_S
    assert [person.sign_in("guess").status for _ in range(2)] == [401, 429]


def test_wrong_tokens_stand_in_the_log_at_a_bounded_rate_and_never_themselves():
    endpoint = Endpoint()
    person = Person(endpoint)
    with log_of("kafka_bridge.dify.signin") as lines:
        for number in range(30):
            person.sign_in(f"guess {number}")
        endpoint.time.at += WRONG_EVERY_S
        person.sign_in("guess")
        person.sign_in()

    assert len(lines) == WRONG_AT_ONCE + 1
    assert lines[0] == "sign-in answered 401: endpoint endpoint-1: not the API token"
    assert lines[-1].endswith(" [20 more like it were not logged]")
    assert not [line for line in lines if "guess" in line]


def test_right_tokens_are_not_counted():
    person = Person(Endpoint())

    assert {person.sign_in().status for _ in range(WRONG_AT_ONCE * 2)} == {303}
    assert person.sign_in("wrong").status == 401


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://evil.example.com"},
        {"origin": "null"},
        {"origin": f"https://{HOST}.evil.example.com"},
        {"origin": f"https://{HOST}:8443"},
        {"origin": f"https://user@{HOST}@evil.example.com"},
        {"sec-fetch-site": "cross-site", "origin": f"https://{HOST}"},
        {"sec-fetch-site": "same-site"},
    ],
)
def test_a_form_of_another_site_signs_nobody_in(headers):
    person = Person(Endpoint())

    answer = person.sign_in(host=f"{HOST}:443", **{"dify-hook-url": ""} | headers)

    assert answer.status == 403
    assert person.cookie == ""


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": f"https://{HOST}"},
        # The proxy that Dify ships takes the port off.
        {"origin": f"https://{HOST}:8443"},
        {"origin": f"http://{HOST}:8080", "host": f"{HOST}:8080"},
        # A proxy that changes the host; the browser knows better.
        {"origin": "https://public.example.com", "host": "internal:5002", "sec-fetch-site": "same-origin"},
        {},
    ],
)
def test_a_form_of_our_own_does_wherever_proxies_stand(headers):
    assert Person(Endpoint()).sign_in(**headers).status == 303


def test_the_public_url_is_an_origin_of_ours():
    endpoint = Endpoint(public_url="https://public.example.com/e/abc123")

    assert Person(endpoint).sign_in(origin="https://public.example.com", host="internal").status == 303


def test_without_a_token_in_the_settings_the_page_names_the_setting():
    endpoint = Endpoint(api_token="")
    for answer in (Person(endpoint).open(), Person(endpoint).open("health"), Person(endpoint).sign_in("")):
        assert answer.status == 403
        assert "“API token”" in answer.body.decode()
        assert "<form" not in answer.body.decode()


# Signing out.


def test_signing_out_ends_the_session_and_takes_the_cookie_away():
    person = signed_in(Endpoint())
    person.open()
    before = person.cookie

    answer = person.send("/logout", csrf=person.csrf)

    assert (answer.status, dict(answer.headers)["Location"]) == (303, "./")
    first, attributes = cookie_of(answer)
    assert (first, attributes["Max-Age"], attributes["Path"]) == ("kafka_bridge=", "0", "/e/abc123/")
    person.cookie = before
    assert "<h1>Sign in</h1>" in person.open().body.decode()


@pytest.mark.parametrize("fields", [{}, {"csrf": ""}, {"csrf": "0" * 64}])
def test_nobody_else_can_sign_a_person_out(fields):
    person = signed_in(Endpoint())
    before = person.cookie

    assert person.send("/logout", **fields).status == 401
    person.cookie = before
    assert "<h1>Events</h1>" in person.open().body.decode()


def test_signing_out_without_a_session_is_refused():
    endpoint = Endpoint()

    assert Person(endpoint).send("/logout").status == 401
    with pytest.raises(Unauthorized):
        endpoint.post("/logout")


# Sessions.


def test_a_cookie_is_worth_nothing_once_the_token_has_changed():
    person = signed_in(endpoint := Endpoint())
    endpoint.save(api_token="another-token")

    assert "<h1>Sign in</h1>" in person.open().body.decode()


def test_a_cookie_is_worth_nothing_at_another_endpoint_of_the_same_token():
    person = signed_in(Endpoint(name="endpoint-1"))
    person.endpoint = Endpoint(name="endpoint-2")

    assert "<h1>Sign in</h1>" in person.open().body.decode()


def test_a_session_ends_after_half_a_day():
    person = signed_in(endpoint := Endpoint())
    endpoint.time.at = LASTS_S - 1
    assert "<h1>Events</h1>" in person.open().body.decode()
    endpoint.time.at = LASTS_S

    assert "<h1>Sign in</h1>" in person.open().body.decode()


def test_cookies_of_others_on_the_same_host_do_not_matter():
    person = signed_in(Endpoint())
    name, value = person.cookie.split("=", 1)
    for others in (
        "{own}; {name}=planted",
        "{name}=planted; {own}",
        "locale=en; a[b]:c={{}}; {own}; =; ;;x",
        "token=" + "x" * 8000 + "; {own}",
        "a" + name + "=x; {own}",
    ):
        person.cookie = others.format(own=f"{name}={value}", name=name)
        assert "<h1>Events</h1>" in person.open().body.decode(), others


@pytest.mark.parametrize(
    "cookie", ["kafka_bridge=", "kafka_bridge=a.b.c", "kafka_bridge", "kafka_bridge=W10.x", "x" * 20_000]
)
def test_what_is_no_cookie_of_ours_is_nobody(cookie):
    person = Person(Endpoint())
    person.cookie = cookie

    assert "<h1>Sign in</h1>" in person.open().body.decode()


def test_the_bearer_token_shows_the_dashboard_too():
    answer = Endpoint().ask("GET", "/", headers={"authorization": f"Bearer {TOKEN}"})

    assert "<h1>Events</h1>" in answer.body.decode()
    assert "csrf" not in answer.body.decode()
    assert "Sign out" not in answer.body.decode()
