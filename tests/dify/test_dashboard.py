"""The pages, as a browser gets them."""

import json
import re
import time
from html.parser import HTMLParser
from urllib.parse import parse_qs

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from devhost.signing import sign
from kafka_bridge.dashboard.letter_texts import LETTER_TEXTS
from kafka_bridge.dashboard.page import VIEWS
from kafka_bridge.dashboard.texts import TEXTS
from kafka_bridge.dify.call import Call
from kafka_bridge.dify.dashboard import PER_PAGE
from kafka_bridge.dify.http import MAX_ANSWER_BYTES
from kafka_bridge.errors import Cause, NotFound, Unauthorized, Unavailable
from kafka_bridge.events.run import Ran
from kafka_bridge.http import Inbound, Outbound, json_reply
from tests.dify.browsing import TOKEN, Endpoint, Person, signed_in
from tests.stand_ins import NOW, SECRET, log_of

SECRETS = "NEVER" + "SHOWN"


class Page(HTMLParser):
    """What a browser would make of a page: elements, texts, and what it would run or fetch."""

    VOID = frozenset({"meta", "link", "input", "br"})

    def __init__(self, text):
        super().__init__()
        self.elements = []
        self.open = []
        self.crossed = []
        self.texts = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.crossed.append(tag)

    def handle_data(self, data):
        if not {"script", "style"} & set(self.open):
            self.texts.append(data)

    @property
    def text(self):
        return "".join(self.texts)

    @property
    def spaced(self):
        """The texts with one space between them."""
        return " ".join(" ".join(self.texts).split())

    def having(self, *tags):
        return [attrs for tag, attrs in self.elements if tag in tags]


def deliver(endpoint, payload, *, path="/webhook", content_type="application/json", **headers):
    body = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    signed = sign("hmac", SECRET, body, now=NOW, event_id="x").headers
    named = {name.lower(): value for name, value in signed.items()}
    return endpoint.post(path, body, **{"content-type": content_type, **named, **headers})


def opened(endpoint, **asked):
    person = signed_in(endpoint)
    answer = person.open(**asked)
    assert answer.status == 200, person.page
    return Page(person.page)


def link_to_first(page):
    return next(attrs["href"] for attrs in page.having("a") if "view=event&" in attrs["href"])


def event_page(endpoint, **asked):
    person = signed_in(endpoint)
    person.open("events")
    link = link_to_first(Page(person.page))
    answer = person.open(**{name: values[0] for name, values in parse_qs(link[1:]).items()}, **asked)
    assert answer.status == 200, person.page
    return Page(person.page)


def ran(number, ending="failed", **fields):
    values = {
        "event_id": "order-1", "event_type": "order.paid", "topic": "webhooks.default", "partition": 3, "offset": 41,
        "attempt": number, "ending": ending, "run_id": f"run-{number}", "error": "below zero", "duration_s": 0.1,
        "time": NOW + number,
    }  # fmt: skip
    return Ran(**{**values, **fields})


# Every page.


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("language", ["en", "zh-CN,zh;q=0.9,en;q=0.8"])
def test_every_view_is_there_in_both_languages_and_well_formed(view, language):
    endpoint = Endpoint()
    deliver(endpoint, {"id": "order-1"})
    person = signed_in(endpoint, language=language)

    answer = person.open(view)

    page = Page(person.page)
    assert answer.status == 200
    assert page.open == page.crossed == []
    assert page.having("html") == [{"lang": "en" if language == "en" else "zh-Hans"}]
    current = [attrs for attrs in page.having("a") if attrs.get("aria-current") == "page"]
    assert [attrs["href"] for attrs in current] == [f"?view={view}"]
    assert {**TEXTS, **LETTER_TEXTS}[view][language != "en"] in page.text


def documents():
    """Every page there is, as answers."""
    endpoint = Endpoint()
    deliver(endpoint, {"id": "order-1"})
    person = signed_in(endpoint)
    yield from (person.open(view) for view in VIEWS)
    link = link_to_first(Page(person.open("events").body.decode()))
    asked = {name: values[0] for name, values in parse_qs(link[1:]).items()}
    yield person.open(**asked)
    yield person.open(**asked, replay="ask")
    yield person.open("events", part="list")
    yield person.open("nonsense")
    yield Person(endpoint).open()
    yield person.sign_in("wrong")
    yield Person(Endpoint(api_token="")).open()
    yield person.send("/logout")


def test_every_page_says_what_a_browser_may_do_with_it():
    nonces = []
    for answer in documents():
        headers = dict(answer.headers)
        nonce = re.search(r"style-src 'nonce-([\w-]+)'", headers["Content-Security-Policy"])[1]
        nonces.append(nonce)
        assert answer.content_type == "text/html; charset=utf-8"
        assert headers["Content-Security-Policy"] == (
            f"default-src 'none'; style-src 'nonce-{nonce}'; script-src 'nonce-{nonce}'; connect-src 'self';"
            " img-src data:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
        )
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Referrer-Policy"] == "same-origin"
        assert headers["Cache-Control"] == "no-store"
        assert headers["Cross-Origin-Opener-Policy"] == "same-origin"
        page = Page(answer.body.decode())
        assert {attrs["nonce"] for attrs in page.having("style", "script")} <= {nonce}
        assert len(answer.headers) == len(headers), "of a repeated header the platform keeps one"

    assert len(nonces) == len(set(nonces)) == len(list(documents()))


def test_no_page_holds_anything_that_its_policy_would_forbid_or_that_comes_from_elsewhere():
    for answer in documents():
        for tag, attrs in Page(answer.body.decode()).elements:
            assert not [name for name in attrs if name.startswith("on") or name == "style"], (tag, attrs)
            assert tag not in {"iframe", "object", "embed", "base", "img"}
            for name in ("href", "src", "action"):
                link = attrs.get(name) or ""
                assert not re.match(r"[a-z]+:|/", link) or link.startswith("data:image/svg+xml,"), (tag, link)


def test_a_page_works_under_any_base_path():
    # All links are relative to the endpoint's own address.
    endpoint = Endpoint()
    deliver(endpoint, {"id": "order-1"})
    page = event_page(endpoint, replay="ask")

    actions = {attrs["action"] for attrs in page.having("form")}
    assert {re.sub(r"[0-9a-f]{24}", "<id>", action) for action in actions} == {"logout", "events/<id>/replay"}


def test_no_secret_is_on_any_page():
    endpoint = Endpoint(
        sasl_username="alice", sasl_password=SECRETS, source_secrets=json.dumps({"shop": SECRETS}),
        webhook_secret=SECRETS, sources='{"shop": {"scheme": "github"}, "bad": {"scheme": "x"}}', ssl_key_pem=SECRETS,
        ssl_ca_pem=SECRETS, ssl_key_password=SECRETS, client_config=json.dumps({SECRETS: SECRETS}),
        public_url=f"https://user:{SECRETS}@dify.example.com/e/abc123?token={SECRETS}",
        oauth_token_url=f"https://{SECRETS}@example.com/?a={SECRETS}",
    )  # fmt: skip
    person = signed_in(endpoint)
    for view in VIEWS:
        person.open(view)
        assert SECRETS not in person.page
        assert TOKEN not in person.page


# The list.


def test_a_row_says_what_came_and_what_became_of_it():
    endpoint = Endpoint()
    deliver(endpoint, {"id": "order-1", "event_type": "order.paid"})
    for number in (1, 2, 3):
        endpoint.recorder.ran("endpoint-1", ran(number, "succeeded" if number == 3 else "failed"))
    endpoint.time.at = 125.0

    page = opened(endpoint)

    (row,) = page.having("tr")[1:]
    cells = page.spaced
    link = next(attrs for attrs in page.having("a") if "view=event&" in attrs["href"])
    assert link["href"] == f"?view=event&id={row['data-id']}"
    for text in ("order-1", "order.paid", "default", "accepted", "webhooks.default[3]@41", "3 succeeded", "2 min ago"):
        assert text in cells
    assert page.having("time") == [{"datetime": "2023-11-14T22:13:20.000Z"}]
    assert "2023-11-14 22:13:20" in cells


def test_an_event_without_an_id_is_named_by_its_entry():
    endpoint = Endpoint()
    deliver(endpoint, {"id": "x"}, **{"x-webhook-signature": "00"})

    page = opened(endpoint)

    (row,) = page.having("tr")[1:]
    assert row["data-id"] in page.text
    assert "the signature does not match" in page.text


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ({"text": "ORDER-1"}, ["order-1"]),
        ({"source": "shop"}, ["shop-1"]),
        ({"type": "order.paid"}, ["order-2", "order-1"]),
        ({"outcome": "rejected"}, []),
        ({"outcome": "accepted", "text": "2"}, ["order-2"]),
        ({"since": "2023-11-14T22:14"}, ["order-2"]),
        ({"until": "2023-11-14T22:14"}, ["shop-1", "order-1"]),
        ({"text": "nothing like it"}, []),
    ],
)
def test_the_list_is_filtered_and_the_form_keeps_what_was_asked_for(asked, found):
    endpoint = Endpoint(sources='{"shop": {"scheme": "none"}}')
    deliver(endpoint, {"id": "order-1", "event_type": "order.paid"})
    deliver(endpoint, {"id": "shop-1"}, path="/webhook/shop")
    endpoint.time.at = 60.0
    deliver(endpoint, {"id": "order-2", "event_type": "order.paid"})

    page = opened(endpoint, view="events", **asked)

    shown = [text for text in page.texts if text in {"order-1", "order-2", "shop-1"}]
    assert shown == found
    fields = {attrs.get("name"): attrs.get("value") for attrs in page.having("input")}
    chosen = [attrs["value"] for attrs in page.having("option") if "selected" in attrs]
    assert all(value == fields.get(name) or value in chosen for name, value in asked.items())
    if not found:
        assert "No event matches the filter." in page.text


def test_pages_follow_one_another_and_keep_the_filter():
    endpoint = Endpoint()
    for number in range(PER_PAGE + 3):
        endpoint.time.at = float(number)
        deliver(endpoint, {"id": f"order-{number:03}", "event_type": "order.paid"})
    person, ids, links = signed_in(endpoint), [], []
    asked = {"view": "events", "type": "order.paid"}
    while True:
        person.open(**asked)
        page = Page(person.page)
        ids += [text for text in page.texts if re.fullmatch(r"order-\d+", text)]
        older = [attrs["href"] for attrs in page.having("a") if attrs.get("rel") == "next"]
        links.append((any("data-live" in attrs for attrs in page.having("div")), bool(older)))
        if not older:
            break
        asked = {name: values[0] for name, values in parse_qs(older[0][1:]).items()}

    assert ids == [f"order-{number:03}" for number in reversed(range(PER_PAGE + 3))]
    # Only the newest page follows what comes.
    assert links == [(True, True), (False, False)]
    assert asked["type"] == "order.paid"


def test_an_empty_log_leads_to_where_senders_are_connected():
    page = opened(Endpoint())

    assert "No events yet." in page.text
    assert "Events to keep" in opened(Endpoint(keep_events="0")).text


def test_a_log_that_cannot_be_read_is_said_and_the_page_is_shown():
    endpoint = Endpoint()

    def fail(_key):
        raise Exception("permission denied")  # noqa: TRY002

    endpoint.disk.get = fail
    page = opened(endpoint)

    assert "This list may be incomplete" in page.text
    assert "the plugin has no permission to use storage" in page.text


def test_a_wrong_filter_is_a_page_that_says_so():
    person = signed_in(Endpoint())

    assert person.open("events", since="yesterday").status == 400
    assert person.open("events", cursor="<script>").status == 400
    assert "The cursor must be one" in person.page


def test_the_part_that_a_script_asks_for_is_the_list_alone():
    endpoint = Endpoint()
    deliver(endpoint, {"id": "order-1"})
    person = signed_in(endpoint)
    person.open("events", part="list")

    assert not person.page.startswith("<!doctype")
    assert not Page(person.page).having("form", "script", "style", "html", "nav")
    assert "order-1" in Page(person.page).text
    person.cookie = ""
    person.open("events", part="list")
    assert person.page.startswith("<!doctype")


# One event.


def test_an_event_is_shown_whole():
    endpoint = Endpoint(key="{body.customer}")
    deliver(endpoint, {"id": "order-1", "event_type": "order.paid", "customer": "c-7"}, **{"user-agent": "shop/1.0"})
    endpoint.recorder.ran("endpoint-1", ran(1))
    endpoint.recorder.ran("endpoint-1", ran(2, dead_lettered=True))

    page = event_page(endpoint)

    text = page.spaced
    for wanted in (
        "order-1", "order.paid", "the id is signed by the sender", "verified", "POST /webhook", "200 ·", "c-7",
        "webhooks.default", "41", "user-agent", "shop/1.0", "run-1", "below zero", "dead-lettered",
        "Received from default", "Acknowledged by Kafka at webhooks.default[3]@41", "Dead-lettered after attempt 2",
    ):  # fmt: skip
        assert wanted in text, wanted
    assert '{\n  "id": "order-1",\n  "event_type": "order.paid",\n  "customer": "c-7"\n}' in page.text


def test_an_event_that_came_again_leads_to_its_first_and_back():
    endpoint = Endpoint(sources='{"default": {"dedupe_seconds": 300}}')
    for _ in range(2):
        deliver(endpoint, {"id": "order-1"})

    page = event_page(endpoint)

    assert "Came again" in page.text
    assert len([attrs for attrs in page.having("a") if "view=event&" in attrs["href"]]) == 1


@pytest.mark.parametrize("entry_id", ["", "x", "0" * 24, "../events", "<script>"])
def test_an_event_that_is_not_there_is_a_page_that_says_so(entry_id):
    person = signed_in(Endpoint())

    assert person.open("event", id=entry_id).status == 404
    assert "There is no such event" in person.page


def buttons(page):
    return [text.strip() for text in page.texts if text.strip() in {"Replay", "Confirm"}]


def test_an_event_is_sent_again_in_two_steps():
    endpoint = Endpoint(app={"app_id": "app-1"})
    deliver(endpoint, {"id": "order-1"})

    assert buttons(event_page(endpoint)) == ["Replay"]
    page = event_page(endpoint, replay="ask")

    fields = [(attrs["name"], attrs["type"], attrs["value"]) for attrs in page.having("input")]
    assert buttons(page) == ["Confirm"]
    assert [field for field in fields if field[0] == "to"] == [("to", "radio", "kafka"), ("to", "radio", "workflow")]
    assert re.fullmatch("[0-9a-f]{64}", dict(field[::2] for field in fields)["csrf"])


def test_without_an_app_there_is_only_kafka_to_send_it_to():
    endpoint = Endpoint()
    deliver(endpoint, {"id": "order-1"})
    page = event_page(endpoint, replay="ask")

    assert [(attrs["type"], attrs["value"]) for attrs in page.having("input") if attrs["name"] == "to"] == [
        ("hidden", "kafka")
    ]


@pytest.mark.parametrize(
    ("payload", "settings", "headers", "why"),
    [
        ({"id": "x"}, {}, {"x-webhook-signature": "00"}, "Only events that were verified"),
        ({"id": "x", "a": "b" * 20_000}, {}, {}, "its body is not kept whole"),
        (b'{"id": "x"', {"mask_paths": "a"}, {}, "its body is not kept whole"),
        ({"id": "x", "a": "b"}, {"mask_paths": "a"}, {}, "its body is not kept whole"),
        ({"id": "x"}, {"sources": '{"default": {"topic": "{body.none}"}}'}, {}, "it has led to no topic"),
        (
            {"id": "x", "type": "t"},
            {"sources": '{"default": {"routes": {"*": "drop"}}}'},
            {},
            "it has led to no topic",
        ),
    ],
)
def test_what_cannot_be_sent_again_has_no_button_but_a_reason(payload, settings, headers, why):
    endpoint = Endpoint(**settings)
    deliver(endpoint, payload, **headers)

    for asked in ({}, {"replay": "ask"}):
        page = event_page(endpoint, **asked)
        assert (buttons(page) == []) == bool(why)
        assert why in page.text


def test_what_was_done_is_said_in_our_own_words_alone():
    endpoint = Endpoint()
    deliver(endpoint, {"id": "order-1"})

    assert "It was sent again." in event_page(endpoint, done="replayed").text
    assert "The app has run for it." in event_page(endpoint, done="run").text
    assert "hello" not in event_page(endpoint, done="hello").text


# Whatever a sender sends.

HOSTILE = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "</pre></code></script><svg onload=alert(1)>",
    "{{ 7 * 7 }}{% raw %}",
    "javascript:alert(1)",
    "\u202eevil\u202c \u2066x\u2069 \u200f",
    "\x00\x07\x1b[31m",
    "&lt;b&gt;&amp;",
    "' onmouseover='alert(1)",
)


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_is_text_wherever_it_stands(text):
    endpoint = Endpoint(key="{body.key}")
    headers = {"user-agent": text.replace("\x00", ""), "x-request-id": text, "content-type": text}
    deliver(endpoint, {"id": text, "event_type": text, "key": text, "deep": [{text: text}]}, **headers)
    endpoint.recorder.ran("endpoint-1", ran(1, run_id=text, error=text))

    for page in (opened(endpoint), event_page(endpoint), event_page(endpoint, replay="ask")):
        assert page.open == page.crossed == []
        assert {tag for tag, _ in page.elements} & {"img", "svg"} == set()
        assert len(page.having("script")) == 1
        assert not [attrs for _, attrs in page.elements if [name for name in attrs if name.startswith("on")]]
        assert "49" not in page.text


def test_what_a_sender_chose_is_isolated_from_the_direction_of_the_page():
    endpoint = Endpoint()
    deliver(endpoint, {"id": "abc\u202edef", "event_type": "type\u202e"})
    text = signed_in(endpoint).open("events").body.decode()

    for shown in ("abc\u202edef", "type\u202e"):
        assert re.search(rf"<bdi[^>]*>{shown}</bdi>", text)


anything = st.text(max_size=40) | st.text("<>\"'&{}%/\\ \u202e\x00\n", max_size=20)


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(anything, anything, max_size=5), st.binary(max_size=60), anything)
def test_no_request_at_all_breaks_a_page(document, raw, header):
    endpoint = Endpoint()
    deliver(endpoint, {"id": header, "event_type": header, **document}, **{"user-agent": header})
    deliver(endpoint, raw, content_type=header)
    person = signed_in(endpoint)
    person.open("events")
    page = Page(person.page)
    links = [attrs["href"] for attrs in page.having("a") if "view=event&" in attrs["href"]]
    assert len(links) == 2
    for link in links:
        assert page.open == page.crossed == []
        assert len(page.having("script")) == 1
        person.open(**{name: values[0] for name, values in parse_qs(link[1:]).items()})
        page = Page(person.page)


def test_bytes_that_are_no_text_are_shown_as_hex():
    endpoint = Endpoint()
    deliver(endpoint, b"\xff\x00abc", content_type="application/octet-stream")

    page = event_page(endpoint)

    assert "00000000  ff 00 61 62 63" in page.text
    assert "|..abc|" in page.text
    assert "shown as hex" in page.text


def test_a_long_body_is_cut_and_said_to_be():
    endpoint = Endpoint(client_config='{"message.max.bytes": 5000000}')
    deliver(endpoint, {"id": "big", "rows": [{"text": "y" * 100, "n": number} for number in range(16_000)]})

    began = time.perf_counter()
    page = event_page(endpoint)

    assert time.perf_counter() - began < 1.0
    assert re.search(r"Only its beginning is kept: it was \d,\d{3},\d{3} bytes long", page.text)
    assert '\n    {\n      "text": "yyy' in page.text


def test_500_huge_events_make_a_list_of_bounded_size_in_no_time():
    endpoint = Endpoint()
    quotes = '"' * 5000
    for number in range(500):
        fields = {"id": f"{number}{quotes}"[:512], "event_type": quotes[:512], "text": quotes}
        deliver(endpoint, fields, **{"user-agent": quotes})
    person = signed_in(endpoint)
    person.open("events")

    began = time.perf_counter()
    answer = person.open("events")
    took_s = time.perf_counter() - began

    assert len(answer.body) < MAX_ANSWER_BYTES / 4
    assert took_s < 0.5


@pytest.mark.parametrize("character", ['"', "<", "\u4e2d", "\U0001f600", "[", "{", "[,"])
def test_no_body_makes_a_page_too_long(character):
    endpoint = Endpoint()
    for body in (character * 16_384, '{"a":' + character * 16_380):
        deliver(endpoint, body.encode()[: 16 * 1024])
    person = signed_in(endpoint)
    person.open("events")
    for attrs in Page(person.page).having("a"):
        if "view=event&" in attrs["href"]:
            answer = person.open(**{name: values[0] for name, values in parse_qs(attrs["href"][1:]).items()})
            assert answer.status == 200
            assert len(answer.body) < MAX_ANSWER_BYTES * 0.7


def test_as_many_settings_as_there_may_be_make_no_page_too_long():
    long = "{body." + ".".join(["x" * 60] * 15) + "}"
    sources = {f"source-{number}": {"scheme": "none", "key": long, "topic": "<" * 900} for number in range(99)}
    endpoint = Endpoint(
        sources=json.dumps(sources), mask_paths=",".join("<" * 200 for _ in range(200)),
        consume_topics=",".join("t" * 200 for _ in range(200)),
    )  # fmt: skip
    person = signed_in(endpoint)
    for view in VIEWS:
        answer = person.open(view)
        assert answer.status == 200
        assert len(answer.body) < MAX_ANSWER_BYTES * 0.7


# The other views.


def test_health_says_what_is_wrong_and_which_settings_mend_it():
    endpoint = Endpoint(
        Unavailable(Cause.AUTHENTICATION_FAILED, "SASL: <b>no</b>"), sources='{"shop": {"scheme": "x"}}'
    )
    text = opened(endpoint, view="health").spaced

    for wanted in (
        "unhealthy", "Kafka: authentication failed", "SASL user name , SASL password , SASL mechanism",
        "SASL: <b>no</b>",
        "Sources (JSON) (shop): the scheme must be one of", "settings invalid",
    ):  # fmt: skip
        assert wanted in text, wanted


@pytest.mark.parametrize("cause", list(Cause))
def test_every_cause_comes_with_advice(cause):
    text = opened(Endpoint(Unavailable(cause)), view="health").text

    assert cause.value in text
    assert cause is Cause.QUEUE_FULL or "Settings to look at" in text


def test_health_says_that_nothing_is_wrong_when_nothing_is():
    text = opened(Endpoint(), view="health").text

    assert "Nothing is wrong." in text
    assert "healthy" in text


def test_a_token_that_can_be_guessed_is_a_warning():
    endpoint = Endpoint(api_token="short")
    person = Person(endpoint)
    person.sign_in("short")
    person.open("health")

    assert "shorter than 16 characters" in person.page
    assert "shorter than" not in opened(Endpoint(), view="health").text


def test_storage_that_fails_is_seen():
    endpoint = Endpoint()

    def fail(*_):
        raise Exception("allocated size is greater than max storage size")  # noqa: TRY002

    endpoint.disk.set = fail
    deliver(endpoint, {"id": "x"})

    text = opened(endpoint, view="health").text
    assert "degraded" in text
    assert "the plugin's storage is full" in text


def test_settings_are_summed_up_by_their_labels():
    endpoint = Endpoint(
        sasl_username="alice", sasl_password="x", topic="orders", sources='{"open": {"scheme": "none"}}',
        max_age_seconds="x", group_id="<b>",
    )  # fmt: skip
    page = opened(endpoint, view="settings")

    text = page.text
    for wanted in (
        "Bootstrap servers",
        "broker.example.com:9092",
        "SASL_SSL",
        "alice",
        "set",
        "not set",
        "orders",
        "<b>",
    ):
        assert wanted in text, wanted
    assert "invalid: see Health" in text
    red = [attrs for attrs in page.having("span") if attrs.get("class") == "badge bad"]
    assert len(red) == 2, "the setting that is invalid, and the scheme that verifies nothing"


@pytest.mark.parametrize("view", VIEWS)
def test_a_source_that_verifies_nothing_is_in_red_on_every_page(view):
    page = opened(Endpoint(sources='{"open": {"scheme": "none"}}'), view=view)

    assert "Not verified: whoever knows the URL" in page.text
    assert "Not verified: whoever knows the URL" not in opened(Endpoint(), view=view).text


def test_each_sender_gets_its_url_and_what_to_paste_where():
    sources = {"hub": {"scheme": "github", "secret": "gh"}, "pay": {"scheme": "stripe"}}
    endpoint = Endpoint(sources=json.dumps(sources), source_secrets='{"gh": "x"}')
    text = opened(endpoint, view="connect").spaced

    for wanted in (
        "https://dify.example.com/e/abc123/webhook", "https://dify.example.com/e/abc123/webhook/hub",
        "Settings → Webhooks → Add webhook", "It belongs into “Source secrets (JSON)”, under “hub”.",
        "x-hub-signature-256", "It belongs into “Webhook secret”.", "openssl dgst -sha256 -hmac", "It cannot work yet:",
    ):  # fmt: skip
        assert wanted in text, wanted
    assert text.count("Send a test event") == 2


@pytest.mark.parametrize(
    "public",
    [
        "https://public.example.com:8443/x/e/abc123",
        "https://public.example.com:8443/x/e/abc123/",
        "https://public.example.com:8443/x/e/abc123/webhook/hub?a=1",
    ],
)
def test_the_public_url_is_the_one_that_senders_are_given(public):
    text = opened(Endpoint(public_url=public), view="connect").text

    assert "https://public.example.com:8443/x/e/abc123/webhook" in text
    assert "The URL is as you reached this page" not in text


def test_no_page_of_another_site_chooses_the_url_that_is_shown():
    endpoint = Endpoint()
    person = signed_in(endpoint)
    headers = {**person.headers(), "referer": "https://evil.example.com/e/abc123/"}
    page = endpoint.ask("GET", "/", query="view=connect", headers=headers).body.decode()

    assert "evil.example.com" not in page
    assert "https://dify.example.com/e/abc123/webhook" in page


class Consumer:
    def __init__(self, **state):
        self.told = state

    def state(self, _call):
        return self.told


def test_the_consumer_is_shown_with_its_partitions():
    consumer = Consumer(
        state="running", resident={"state": "disabled"}, group_id="kafka-bridge", topics=["orders"], lag=12,
        in_flight=3, waiting=7,
        assigned=[{"topic": "orders", "partition": 2, "position": 99, "lag": 5}], blocked={"orders[1]": "<dlq> away"},
        circuit="Dify is down", trouble="connection refused", dead_letter_topic="{topic}.dead-letter",
        result_topic="", problems=["App to run: missing."],
    )  # fmt: skip
    text = opened(Endpoint(consumer=consumer), view="consumer").spaced

    for wanted in (
        "running", "kafka-bridge", "orders", "12", "In flight 3", "Waiting 7", "99", "orders[1]", "<dlq> away",
        "Intake is paused: Dify is down", "Trouble: connection refused", "{topic}.dead-letter", "App to run: missing.",
    ):  # fmt: skip
        assert wanted in text, wanted


@pytest.mark.parametrize(
    ("told", "wanted", "buttons"),
    [
        ({"state": "disabled"}, ["disabled"], []),
        ({"state": "running", "windows": 7, "failures": 0}, ["running", "Windows 7"], ["stop"]),
        (
            {"state": "failing", "reason": "<HTTP 500>", "windows": 9, "failures": 3, "next_try_s": 12.5},
            ["failing", "<HTTP 500>", "Failures in a row 3", "12.5"],
            ["start", "stop"],
        ),
        ({"state": "stopped", "reason": "by hand"}, ["stopped", "by hand"], ["start"]),
        ({"state": "queued", "reason": "24 are at work"}, ["waits for its turn", "24 are at work"], ["stop"]),
        (
            {"state": "unavailable", "reason": "remote", "alternatives": ["x"]},
            ["unavailable", "remote", "from cron", "Schedule trigger", "kafka_bridge.worker"],
            [],
        ),
    ],
)
def test_the_resident_consumer_is_shown_with_what_can_be_done_about_it(told, wanted, buttons):
    page = opened(Endpoint(consumer=Consumer(resident=told)), view="consumer")

    for text in wanted:
        assert text in page.spaced, text
    found = [attrs["formaction"] for attrs in page.having("button") if "formaction" in attrs]
    assert found == [f"consumer/{each}" for each in buttons]


@pytest.mark.parametrize("action", ["start", "stop"])
def test_a_button_for_the_resident_consumer_leads_back_to_its_page(action):
    endpoint = Endpoint()
    endpoint.save(app={"app_id": "a"}, consume_topics="orders", consumer="enabled")
    person = signed_in(endpoint)
    csrf = re.search(r'name="csrf" value="([^"]+)"', endpoint.ask("GET", "/", headers=person.headers()).body.decode())
    headers = {**person.headers(), "content-type": "application/x-www-form-urlencoded"}

    forged = endpoint.ask("POST", f"/consumer/{action}", headers=headers, body=b"csrf=x")
    answer = endpoint.ask("POST", f"/consumer/{action}", headers=headers, body=f"csrf={csrf[1]}".encode())

    assert forged.status == 401
    if action == "stop":
        assert (answer.status, dict(answer.headers)["Location"]) == (303, "../?view=consumer")
    else:
        # Where it cannot be, on a page.
        assert (answer.status, answer.content_type) == (500, "text/html; charset=utf-8")
        assert "Resident consumer: there is no daemon." in answer.body.decode()


def test_a_consumer_that_says_nothing_is_shown_too():
    assert "No partition is assigned" in opened(Endpoint(consumer=Consumer()), view="consumer").text
    assert "not configured" in opened(Endpoint(), view="consumer").text


def test_the_consumers_page_lists_the_last_dead_letters_and_failed_runs():
    endpoint = Endpoint()
    deliver(endpoint, {"id": "order-1"})
    deliver(endpoint, {"id": "x"}, **{"x-webhook-signature": "00"})
    endpoint.recorder.ran("endpoint-1", ran(1))
    endpoint.recorder.ran("endpoint-1", ran(2, dead_lettered=True))
    endpoint.time.at = 62.0
    text = opened(endpoint, view="consumer").spaced

    place = "webhooks.default[3]@41 1 min ago 2023-11-14 22:13:22 below zero"
    assert f"dead-lettered order-1 {place}" in text
    # The dead letter itself tells of the same run.
    assert text.count("failed order-1") == 1
    assert "the signature does not match" not in text


# In the place of problem documents.


def test_a_browser_is_shown_a_page_where_a_script_gets_a_problem_document():
    endpoint = Endpoint()
    person = signed_in(endpoint)

    answer = endpoint.ask("GET", "/nowhere", headers=person.headers())
    assert (answer.status, answer.content_type) == (404, "text/html; charset=utf-8")
    assert "There is nothing at this path" in answer.body.decode()
    with pytest.raises(NotFound):
        endpoint.ask("GET", "/nowhere")
    with pytest.raises(Unauthorized):
        endpoint.ask("GET", "/events", headers={"accept": "*/*"})


@pytest.mark.parametrize(
    ("method", "path", "status", "header"),
    [
        ("GET", "/login", 405, ("Allow", "POST")),
        ("GET", "/events", 401, ("WWW-Authenticate", "Bearer")),
        ("POST", "/events/x/replay", 401, ("WWW-Authenticate", "Bearer")),
        ("POST", "/test", 401, ("WWW-Authenticate", "Bearer")),
    ],
)
def test_the_page_has_the_status_and_the_headers_of_the_problem(method, path, status, header):
    endpoint = Endpoint()
    answer = endpoint.ask(method, path, headers=Person(endpoint).headers())

    assert answer.status == status
    assert header in answer.headers
    assert answer.content_type == "text/html; charset=utf-8"


@pytest.mark.parametrize(
    ("path", "root"), [("/nowhere", "./"), ("/events/x/replay", "../../"), ("/a/", "../"), ("/", "./")]
)
def test_the_page_leads_back_to_the_dashboard_from_any_depth(path, root):
    endpoint = Endpoint()
    answer = endpoint.ask("POST", path, headers=Person(endpoint).headers())

    assert f'<a href="{root}">To the dashboard</a>' in answer.body.decode()


@pytest.mark.parametrize(
    "path", ["/webhook", "/webhook/nobody", "/dispatch", "/consume", "/health", "/metrics", "/stream"]
)
def test_machines_are_answered_as_ever_whatever_they_accept(path):
    endpoint = Endpoint()
    plain, accepting = (_outcome(endpoint, path, headers) for headers in ({}, {"accept": "text/html"}))

    assert plain == accepting


def _outcome(endpoint, path, headers):
    try:
        return endpoint.post(path, **headers)
    except Exception as error:  # noqa: BLE001 - what is raised is the outcome
        return type(error), str(error)


def test_a_problem_that_a_handler_answers_is_a_page_as_well():
    endpoint = Endpoint()
    document = {"title": "The run failed", "status": 502, "detail": "<b>below zero</b>"}
    shown = _around(endpoint, lambda _: Outbound(502, json.dumps(document).encode(), "application/problem+json"))

    assert (shown.status, "&lt;b&gt;below zero" in shown.body.decode()) == (502, True)
    assert _around(endpoint, lambda _: json_reply({"a": 1})) == json_reply({"a": 1})


def test_a_defect_is_a_page_with_an_incident_and_without_its_text():
    def fail(_call):
        raise RuntimeError(SECRETS)

    with log_of("kafka_bridge.dify.dashboard") as lines:
        shown = _around(Endpoint(), fail)

    assert shown.status == 500
    (incident,) = re.findall(r"under incident ([0-9a-f]{8})", shown.body.decode())
    assert incident in lines[0]
    assert SECRETS not in shown.body.decode() + lines[0]


def _around(endpoint, handler):
    inbound = Inbound("POST", "/events/x/replay", headers={"accept": "text/html"})
    return endpoint.dashboard.around(handler)(Call(inbound, endpoint.hook, endpoint.name))


def test_an_address_of_a_million_slashes_is_answered_with_a_page_of_ordinary_size():
    # The way back to the dashboard was as long as the way that led there, and above a limit a defect for the log.
    answer = Person(endpoint := Endpoint()).endpoint.ask(
        "GET", "/nothing" + "/" * 1_000_000, headers=Person(endpoint).headers()
    )

    assert (answer.status, len(answer.body) < 50_000) == (404, True)
