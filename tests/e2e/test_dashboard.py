"""The dashboard through the plugin's own process, as a browser without a script would use it."""

import html
import json
import re
import time
from urllib.parse import urljoin

import httpx
import pytest

from devhost.host import BackgroundHost
from devhost.senders import SENDERS
from tests.brokers import wait_until
from tests.e2e.topics import Topics

ACCEPT = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}


class Person:
    """Somebody at an endpoint, with a cookie jar. `url` is without a slash at the end."""

    def __init__(self, url):
        self.url = f"{url}/"
        self.client = httpx.Client(trust_env=False, timeout=30, headers=ACCEPT)

    def open(self, link=""):
        return self.client.get(urljoin(self.url, link))

    def send(self, path, **fields):
        return self.client.post(urljoin(self.url, path), data=fields, headers={"Referer": self.url})

    def sign_in(self, token):
        answer = self.send("login", token=token)
        assert answer.status_code == 303, answer.text
        return self.open(answer.headers["location"])

    def csrf(self):
        return re.search(r'name="csrf" value="([0-9a-f]{64})"', self.open().text)[1]


@pytest.fixture
def person():
    made = []

    def make(url):
        made.append(Person(url))
        return made[-1]

    yield make
    for each in made:
        each.client.close()


def deliver(client, url, secret, document):
    body = json.dumps(document).encode()
    headers = {**SENDERS["hmac"](secret, body, time.time(), ""), "Content-Type": "application/json"}
    answer = client.post(f"{url}/webhook", content=body, headers=headers)
    assert answer.status_code == 200, answer.text
    return answer.json()


def link_to(page, name):
    """The link of the row whose text is the event's id."""
    found = re.search(rf'<a href="([^"]*)"><bdi class="code">{re.escape(name)}</bdi></a>', page.text)
    return html.unescape(found[1]) if found else ""


def test_a_person_signs_in_looks_and_signs_out(host: BackgroundHost, person, client, secret, token):
    url = host.url("shop")
    deliver(client, url, secret, {"id": "seen-1", "event_type": "order.paid"})
    somebody = person(url)

    before = somebody.open()
    wrong = somebody.send("login", token="wrong")
    events = somebody.sign_in(token)
    wait_until(lambda: link_to(somebody.open(), "seen-1"))
    event = somebody.open(link_to(somebody.open(), "seen-1"))

    assert (before.status_code, before.text.count("<input"), "seen-1" in before.text) == (200, 1, False)
    assert wrong.status_code == 401
    assert "This is not the API token." in wrong.text
    assert events.status_code == event.status_code == 200
    assert "order.paid" in event.text
    assert "e2e.default" in event.text

    out = somebody.send("logout", csrf=somebody.csrf())
    assert (out.status_code, out.headers["location"]) == (303, "./")
    assert not somebody.client.cookies
    assert "<h1>Sign in</h1>" in somebody.open().text


@pytest.mark.parametrize("view", ["events", "consumer", "health", "settings", "connect"])
def test_every_view_passes_the_platform_whole(host, person, token, secret, view):
    somebody = person(host.url("shop"))
    somebody.sign_in(token)

    answer = somebody.open(f"?view={view}")

    assert answer.status_code == 200
    assert answer.text.rstrip().endswith("</html>")
    nonce = re.search(r"script-src 'nonce-([\w-]+)'", answer.headers["content-security-policy"])[1]
    assert f'<script nonce="{nonce}">' in answer.text
    assert token not in answer.text
    assert secret not in answer.text


def test_the_cookie_is_for_one_endpoint_and_no_script(host, person, token):
    somebody = person(host.url("shop"))
    answer = somebody.send("login", token=token)

    assert re.fullmatch(
        r"kafka_bridge=[\w.-]+; Max-Age=43200; HttpOnly; SameSite=Strict; Path=/e/shop/", answer.headers["set-cookie"]
    )


def test_two_endpoints_know_nothing_of_each_other(endpoint, person, client):
    secrets = {name: f"secret-of-{name}-endpoint" for name in ("one", "other")}
    tokens = {name: f"token-of-{name}-endpoint" for name in secrets}
    urls = {
        name: endpoint(webhook_secret=secrets[name], api_token=tokens[name], topic=f"dash.{name}") for name in secrets
    }
    for name, url in urls.items():
        deliver(client, url, secrets[name], {"id": f"event-of-{name}"})
    somebody = person(urls["one"])
    page = somebody.sign_in(tokens["one"])
    assert "event-of-one" in page.text
    assert "event-of-other" not in page.text

    # A browser would not even send it; whoever does so by hand gets nowhere.
    (cookie,) = somebody.client.cookies.jar
    stolen = {**ACCEPT, "Cookie": f"{cookie.name}={cookie.value}"}
    other = f"{urls['other']}/"
    assert "<h1>Sign in</h1>" in client.get(other, headers=stolen).text
    assert client.get(f"{urls['other']}/events", headers={"Cookie": stolen["Cookie"]}).status_code == 401
    assert client.post(f"{other}login", data={"token": tokens["one"]}).status_code == 401
    entry = re.search(r'data-id="([0-9a-f]{24})"', page.text)[1]
    bearer = {"Authorization": f"Bearer {tokens['other']}"}
    assert client.get(f"{other}?view=event&id={entry}", headers={**ACCEPT, **bearer}).status_code == 404
    assert client.get(f"{urls['other']}/events/{entry}", headers=bearer).status_code == 404


def test_two_endpoints_with_the_same_token_share_no_cookie(endpoint, person, token, client):
    one, other = (endpoint(webhook_secret="s" * 20, api_token=token, topic="dash.same") for _ in range(2))
    somebody = person(one)
    somebody.sign_in(token)
    (cookie,) = somebody.client.cookies.jar

    stolen = {**ACCEPT, "Cookie": f"{cookie.name}={cookie.value}"}
    assert "<h1>Events</h1>" in client.get(f"{one}/", headers=stolen).text
    assert "<h1>Sign in</h1>" in client.get(f"{other}/", headers=stolen).text


def test_a_test_event_lies_in_kafka_and_on_its_page(endpoint, person, token, secret, topics: Topics):
    url = endpoint(webhook_secret=secret, api_token=token, topic="dash.tried", key="{id}")
    somebody = person(url)
    somebody.sign_in(token)

    answer = somebody.send("test", source="default", csrf=somebody.csrf())
    page = somebody.open(answer.headers["location"])

    assert answer.status_code == 303
    (name,) = set(re.findall(r"test-[0-9a-f]{32}", page.text))
    (partition,) = re.findall(r"dash\.tried\[(\d+)\]@0", page.text)
    message = topics.at("dash.tried", int(partition), 0)
    assert (message.key(), json.loads(message.value())["id"]) == (name.encode(), name)
    assert dict(message.headers())["webhook-scheme"] == b"test"


def test_without_a_token_the_page_names_the_setting(endpoint, person, secret):
    answer = person(endpoint(webhook_secret=secret)).open()

    assert answer.status_code == 403
    assert "API token" in answer.text


def test_wrong_tokens_are_slowed_down_per_endpoint(endpoint, person, token, secret):
    one, other = (person(endpoint(webhook_secret=secret, api_token=token)) for _ in range(2))

    statuses = [one.send("login", token="wrong").status_code for _ in range(11)]

    assert statuses == [401] * 10 + [429]
    assert other.send("login", token="wrong").status_code == 401
    assert one.send("login", token=token).status_code == 303


def test_a_page_is_shown_where_a_browser_would_get_a_problem_document(host, person, client):
    somebody = person(host.url("shop"))
    shown, told = somebody.open("nowhere"), client.get(f"{host.url('shop')}/nowhere")

    assert (shown.status_code, shown.headers["content-type"]) == (404, "text/html; charset=utf-8")
    assert (told.status_code, told.headers["content-type"]) == (404, "application/problem+json")


def test_a_cookie_dies_with_the_token_it_was_given_for(host, endpoint, person, secret):
    url = endpoint(webhook_secret=secret, api_token="the-first-token-of-all")
    somebody = person(url)
    somebody.sign_in("the-first-token-of-all")

    host.configure(url.rpartition("/")[2], {"webhook_secret": secret, "api_token": "another-token-entirely"})

    assert "<h1>Sign in</h1>" in somebody.open().text


def test_an_event_is_sent_again_without_a_script(endpoint, person, client, token, topics: Topics):
    secret = "secret-of-the-one-sent-again"
    url = endpoint(webhook_secret=secret, api_token=token, topic="dash.again", key="{id}")
    first = deliver(client, url, secret, {"id": "again-1"})
    somebody = person(url)
    event = somebody.open(link_to(somebody.sign_in(token), "again-1"))
    assert "Replay" in event.text
    entry = re.search(r'name="id" value="([0-9a-f]{24})"', event.text)[1]

    asked = somebody.open(f"?view=event&id={entry}&replay=ask")
    csrf = re.search(r'name="csrf" value="([0-9a-f]{64})"', asked.text)[1]
    refused = somebody.send(f"events/{entry}/replay", to="kafka")
    answer = somebody.send(f"events/{entry}/replay", to="kafka", csrf=csrf)
    page = somebody.client.get(urljoin(str(answer.url), answer.headers["location"]))

    assert "Confirm" in asked.text
    assert (refused.status_code, refused.headers["content-type"]) == (401, "text/html; charset=utf-8")
    assert 'href="../../"' in refused.text
    assert answer.status_code == 303
    assert "It was sent again." in page.text
    message = topics.at("dash.again", first["partition"], first["offset"] + 1)
    assert dict(message.headers())["replayed-from"].decode() == entry
    assert topics.count("dash.again") == 2
