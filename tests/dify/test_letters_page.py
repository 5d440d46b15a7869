"""The page of dead letters, as somebody with a browser sees it and uses it."""

import re
from urllib.parse import parse_qs, urlsplit

import pytest

from kafka_bridge.dashboard.letters import done_of
from kafka_bridge.errors import Cause, Unavailable
from tests.dify.browsing import Endpoint, signed_in
from tests.dify.test_dashboard import Page
from tests.dispatch.letters import letter_of

LETTERS = "orders.dead-letter"
VIEW = "dead-letters"


class Shop(Endpoint):
    """An endpoint that consumes; what it sends lands in the topics in memory."""

    def __init__(self, **settings):
        super().__init__(**{"consume_topics": "orders", "app": {"app_id": "app-1"}, **settings})
        self.refusals = {}
        self.registry.connection.broker = self.accept

    def accept(self, records):
        ids = [dict(record.headers).get("ce_id", b"").decode() for record in records]
        return [
            self.refusals[event] if event in self.refusals else self.kafka.write(record)
            for event, record in zip(ids, records, strict=True)
        ]

    def fill(self, count, **fields):
        for number in range(count):
            self.kafka.write(letter_of(number, **fields))

    @property
    def sent(self):
        return [
            dict(record.headers)["ce_id"].decode()
            for at, log in self.kafka.logs.items()
            if at.topic == "orders"
            for record in log.values()
        ]


def follow(person, link):
    """Open what a link of the page leads to."""
    asked = {name: values[-1] for name, values in parse_qs(urlsplit(link).query).items()}
    answer = person.open(**asked)
    assert answer.status == 200, person.page
    return Page(person.page)


def links(page, text=""):
    return [attrs["href"] for attrs in page.having("a") if text in attrs["href"]]


def hidden(page):
    """The fields of the form that sends letters back."""
    fields = {attrs["name"]: attrs["value"] for attrs in page.having("input") if attrs.get("type") == "hidden"}
    return {name: value for name, value in fields.items() if name != "view"}


def confirm(person, page, **chosen):
    """Press Confirm, and go where that leads."""
    answer = person.send("/dead-letters/redrive", **{**hidden(page), **chosen})
    assert answer.status == 303, person.page
    return follow(person, dict(answer.headers)["Location"])


def test_they_are_listed_with_what_went_wrong():
    shop = Shop()
    shop.fill(3, error="no stock for <b>köln</b>", key=b"k\x1b[2J")

    page = Page(signed_in(shop).open(VIEW).body.decode())

    assert page.open == page.crossed == []
    for word in ("e-0", "e-2", "orders[2]@2", "attempts used up", "no stock for <b>köln</b>", "pending", "3"):
        assert word in page.spaced
    assert "\x1b" not in page.text
    assert len(links(page, "record=")) == 3


def test_one_is_sent_back_after_a_question():
    shop = Shop()
    shop.fill(3)
    person = signed_in(shop)
    person.open(VIEW)

    asking = follow(person, links(Page(person.page), "record=orders.dead-letter%2F0%2F1")[0])
    assert shop.sent == []
    assert "1 would be sent back." in asking.spaced
    assert hidden(asking)["record"] == f"{LETTERS}/0/1"
    done = confirm(person, asking, to="topic")

    assert shop.sent == ["e-1"]
    assert "1 sent back, 0 cannot go back." in done.spaced
    assert "More remain" not in done.spaced
    assert len(links(done, "record=")) == 2


def test_all_that_match_are_sent_back_after_a_question():
    shop = Shop()
    for number in range(6):
        shop.kafka.write(letter_of(number, error="timeout" if number % 2 else "boom"))
    person = signed_in(shop)
    person.open(VIEW, reason="timeout")

    (link,) = [link for link in links(Page(person.page), "send=ask") if "record=" not in link]
    asking = follow(person, link)
    assert "3 would be sent back." in asking.spaced
    confirm(person, asking, to="topic", count="2")

    assert shop.sent == ["e-1", "e-3"]


def test_what_cannot_go_back_says_why_and_has_no_link():
    shop = Shop()
    shop.kafka.write(letter_of(topic="secrets")._replace(topic=LETTERS))

    page = Page(signed_in(shop).open(VIEW).body.decode())

    assert "It came from a topic that is not consumed here." in page.spaced
    assert links(page, "record=") == []
    asking = Page(signed_in(shop).open(VIEW, send="ask").body.decode())
    assert "There is nothing to send back. 1 cannot go back, and stay." in asking.spaced
    assert [attrs for attrs in asking.having("form") if "redrive" in attrs["action"]] == []


def test_without_an_app_there_is_no_choice():
    shop = Shop(app=None)
    shop.fill(1)

    asking = Page(signed_in(shop).open(VIEW, send="ask").body.decode())

    assert [attrs for attrs in asking.having("input") if attrs.get("type") == "radio"] == []
    assert hidden(asking)["to"] == "topic"


def test_what_fails_is_told_with_what_did_not():
    shop = Shop()
    shop.fill(3)
    shop.refusals["e-1"] = Unavailable(Cause.TOPIC_DOES_NOT_EXIST)
    person = signed_in(shop)
    asking = Page(person.open(VIEW, send="ask").body.decode())

    answer = person.send("/dead-letters/redrive", **{**hidden(asking), "to": "topic"})

    assert answer.status == 503
    assert "topic does not exist (1 redriven, 2 failed, 0 skipped)" in Page(person.page).spaced or (
        "topic does not exist (2 redriven, 1 failed, 0 skipped)" in Page(person.page).spaced
    )


def test_without_the_token_of_the_form_nothing_goes_back():
    shop = Shop()
    shop.fill(1)
    person = signed_in(shop)
    asking = Page(person.open(VIEW, send="ask").body.decode())

    answer = person.send("/dead-letters/redrive", **{**hidden(asking), "csrf": "forged"})

    assert (answer.status, shop.sent) == (401, [])


def test_a_link_from_elsewhere_only_asks():
    shop = Shop()
    shop.fill(1)

    signed_in(shop).open(VIEW, send="ask", dry_run="false", to="topic", redriven="1", skipped="0")

    assert (shop.sent, shop.kafka.marks) == ([], {})


def test_who_is_not_signed_in_sees_the_form_to_do_so():
    shop = Shop()
    shop.fill(1)

    answer = shop.ask("GET", "/", query=f"view={VIEW}", headers={"accept": "text/html"})

    assert b"e-0" not in answer.body


def test_older_ones_are_a_link_away():
    shop = Shop()
    shop.fill(70)
    person = signed_in(shop)
    first = Page(person.open(VIEW).body.decode())

    second = follow(person, links(first, "cursor=")[0])

    assert len(links(first, "record=")) == 50
    assert len(links(second, "record=")) == 20
    assert links(second, "cursor=") == []


@pytest.mark.parametrize(
    ("settings", "said"),
    [({"consume_topics": ""}, "Topics to consume: missing."), ({"bootstrap_servers": ""}, "missing")],
)
def test_what_is_missing_is_said_on_the_page(settings, said):
    page = Page(signed_in(Shop(**settings)).open(VIEW).body.decode())

    assert "The dead letters cannot be read:" in page.spaced
    assert said in page.spaced


def test_a_broker_that_is_away_is_said_on_the_page(monkeypatch):
    shop = Shop()

    def refuse(*_):
        raise Unavailable(Cause.CONNECTION_REFUSED)

    monkeypatch.setattr(shop.letters, "_make_scanner", refuse)
    page = Page(signed_in(shop).open(VIEW).body.decode())

    assert "The dead letters cannot be read: connection refused" in page.spaced


@pytest.mark.parametrize(
    "asked", [{}, {"redriven": "1"}, {"redriven": "<b>", "skipped": "1"}, {"redriven": "-1", "skipped": "1"}]
)
def test_what_a_link_says_has_been_done_is_two_numbers_or_nothing(asked):
    assert done_of(asked) is None


def test_a_value_is_shown_as_text():
    shop = Shop()
    shop.fill(1, value=b"<script>alert(1)</script>")

    text = signed_in(shop).open(VIEW).body.decode()

    assert "<script>alert" not in text
    assert re.search(r"&lt;script&gt;alert\(1\)", text)
