"""See what was dead-lettered, and send it back."""

import uuid

import pytest
from playwright.sync_api import expect


@pytest.fixture
def consuming(configure, bury):
    """An endpoint with five dead letters, and the topic that they came from."""
    topic = f"orders-{uuid.uuid4().hex[:8]}"
    bury(topic, 5, error="no stock")
    return configure(consume_topics=topic), topic


def rows(dashboard):
    return dashboard.page.locator("tbody tr")


def sent_back(topics, topic):
    return sorted(dict(message.headers())["ce_id"].decode() for message in topics.read(topic))


def test_one_goes_back_after_a_question_and_says_so(visit, consuming, topics):
    endpoint, topic = consuming
    dashboard = visit(endpoint)
    dashboard.go_to("dead-letters")
    expect(rows(dashboard)).to_have_count(5)
    expect(rows(dashboard).first).to_contain_text("no stock")

    rows(dashboard).filter(has_text="e-3").get_by_role("link", name="Send back…").click()
    expect(dashboard.page.get_by_text("1 would be sent back.")).to_be_visible()
    assert topic not in topics.counts()
    dashboard.page.get_by_role("button", name="Confirm").click()

    expect(dashboard.page.get_by_role("status")).to_have_text("1 sent back, 0 cannot go back.")
    expect(rows(dashboard).filter(has_text="e-3")).to_contain_text("sent back")
    expect(dashboard.page.get_by_role("link", name="Send back…")).to_have_count(4)
    assert sent_back(topics, topic) == ["e-3"]


def test_all_go_back_in_two_steps_and_nothing_twice(visit, consuming, topics):
    endpoint, topic = consuming
    dashboard = visit(endpoint)
    page = dashboard.page
    dashboard.go_to("dead-letters")

    page.get_by_role("link", name="Send all of these back…").click()
    expect(page.get_by_text("5 would be sent back.")).to_be_visible()
    page.get_by_label("At the most").fill("2")
    page.get_by_role("button", name="Confirm").click()
    expect(page.get_by_role("status")).to_have_text("2 sent back, 0 cannot go back. More remain: send back again.")
    page.get_by_role("link", name="Send all of these back…").click()
    expect(page.get_by_text("3 would be sent back.")).to_be_visible()
    page.get_by_role("button", name="Confirm").click()
    expect(page.get_by_role("status")).to_have_text("3 sent back, 0 cannot go back.")
    page.reload()

    assert sent_back(topics, topic) == [f"e-{number}" for number in range(5)]


def test_a_question_is_not_an_order(visit, consuming, topics):
    endpoint, topic = consuming
    dashboard = visit(endpoint)
    dashboard.open("dead-letters", send="ask")

    dashboard.page.get_by_role("link", name="Cancel").click()

    expect(dashboard.page.get_by_role("button", name="Confirm")).to_have_count(0)
    assert topic not in topics.counts()
