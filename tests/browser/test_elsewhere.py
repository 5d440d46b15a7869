"""Where nothing is as it usually is: under another path, and without scripts."""

import pytest
from playwright.sync_api import expect

from tests.browser.dashboard import VIEWS
from tests.browser.proxy import PREFIX, PrefixProxy
from tests.browser.watch import eventually


@pytest.fixture
def proxy(host):
    with PrefixProxy(host.host.port) as running:
        yield running


def test_under_another_path_signing_in_and_every_link_and_form_work(visit, endpoint, proxy, topics):
    sent = endpoint.order()
    dashboard = visit(endpoint, url=proxy.url(endpoint.hook))
    page = dashboard.page
    expect(dashboard.row(sent["id"])).to_be_visible()
    (cookie,) = page.context.cookies()
    assert cookie["path"].rstrip("/") == f"{PREFIX}/e/{endpoint.hook}"
    for view in VIEWS:
        dashboard.go_to(view)
        expect(page.get_by_role("navigation").locator("[aria-current=page]")).to_be_visible()
    addresses = {
        address
        for view in VIEWS
        for address in (dashboard.open(view), page.evaluate("Array.from(document.links, link => link.href)"))[1]
    }
    assert all(address.startswith(f"{dashboard.url}/") for address in addresses)

    dashboard.go_to("events")
    dashboard.wait_for_live()
    second = endpoint.order()["id"]
    expect(dashboard.row(second)).to_be_visible()
    dashboard.row(second).click()
    page.get_by_role("button", name="Replay").click()
    page.get_by_role("button", name="Confirm").click()
    expect(page.get_by_role("status")).to_contain_text("It was sent again.")
    assert topics.count(endpoint.topic) == 3
    dashboard.go_to("connect")
    expect(page.get_by_text(f"{dashboard.url}/webhook", exact=True)).to_be_visible()
    page.get_by_role("button", name="Send a test event").click()
    eventually(page, lambda: topics.count(endpoint.topic) == 4)
    assert page.url.startswith(f"{dashboard.url}/")
    dashboard.go_to("events")
    # So the browser calls a page that becomes a file.
    dashboard.watch.expect(r"format=ndjson net::ERR_ABORTED")
    with page.expect_download() as download:
        page.get_by_role("link", name="Export as NDJSON").click()
    assert len(download.value.path().read_text().splitlines()) == 4
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("button", name="Sign in")).to_be_visible()
    assert page.url.startswith(f"{dashboard.url}/")
    assert page.context.cookies() == []


def test_the_public_url_of_the_settings_is_what_senders_are_told(visit, configure):
    endpoint = configure(public_url="https://hooks.example.com/kafka/webhook")
    dashboard = visit(endpoint)

    dashboard.go_to("connect")

    expect(dashboard.page.get_by_text("https://hooks.example.com/kafka/webhook", exact=True)).to_be_visible()


def test_without_scripts_one_can_sign_in_open_an_event_and_send_it_again(visit, endpoint, topics):
    first = endpoint.order()["id"]
    dashboard = visit(endpoint, java_script_enabled=False)
    page = dashboard.page
    expect(dashboard.row(first)).to_be_visible()
    expect(page.get_by_text("live", exact=True)).to_have_count(0)
    page.get_by_role("search").get_by_label("Text", exact=True).fill("nothing has this text")
    page.get_by_role("button", name="Filter").click()
    expect(page.get_by_text("No event matches the filter.")).to_be_visible()
    page.get_by_role("link", name="Clear").click()
    for view in VIEWS:
        dashboard.go_to(view)
        expect(page.locator("nav [aria-current=page]")).to_be_visible()
    dashboard.go_to("events")

    dashboard.row(first).click()
    page.get_by_role("button", name="Replay").click()
    page.get_by_role("button", name="Confirm").click()

    expect(page.get_by_role("status")).to_contain_text("It was sent again.")
    assert topics.count(endpoint.topic) == 2
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("button", name="Sign in")).to_be_visible()
