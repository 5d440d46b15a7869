"""Who may look."""

import re

from playwright.sync_api import expect

# The browser itself logs answers that are no 2xx.
REFUSED = r"status of 401"


def test_the_sign_in_page_has_one_field_which_is_a_password_and_one_button(visit, endpoint):
    page = visit(endpoint, signed_in=False).page

    assert [field.get_attribute("type") for field in page.locator("input:not([type=hidden])").all()] == ["password"]
    assert page.get_by_role("button").all_text_contents() == ["Sign in"]
    assert page.get_by_role("link", name="Events").count() == 0
    expect(page.get_by_label("API token")).to_be_focused()


def test_who_has_signed_in_sees_the_events(visit, endpoint):
    event_id = endpoint.order()["id"]

    dashboard = visit(endpoint)

    expect(dashboard.page.get_by_role("heading", name="Events")).to_be_visible()
    expect(dashboard.row(event_id)).to_be_visible()


def test_the_only_cookie_is_of_this_endpoint_and_no_script_can_read_it(visit, endpoint):
    page = visit(endpoint).page
    expect(page.get_by_role("heading", name="Events")).to_be_visible()

    (cookie,) = page.context.cookies()

    assert cookie["httpOnly"]
    assert cookie["sameSite"] == "Strict"
    assert cookie["path"].rstrip("/") == f"/e/{endpoint.hook}"
    assert page.evaluate("document.cookie") == ""
    assert page.evaluate("[localStorage.length, sessionStorage.length]") == [0, 0]


def test_a_wrong_token_lets_nobody_in(visit, endpoint):
    endpoint.order()
    dashboard = visit(endpoint, signed_in=False)
    dashboard.watch.expect(REFUSED)

    dashboard.sign_in("a guess")

    expect(dashboard.page.get_by_role("alert")).to_have_text("This is not the API token.")
    expect(dashboard.page.locator("input[type=password]")).to_have_value("")
    assert dashboard.page.context.cookies() == []
    dashboard.open("events")
    expect(dashboard.page.get_by_role("button", name="Sign in")).to_be_visible()

    dashboard.sign_in()
    expect(dashboard.page.get_by_role("heading", name="Events")).to_be_visible()


def test_who_signs_out_is_out_and_the_old_cookie_does_not_bring_them_back(visit, endpoint):
    dashboard = visit(endpoint)
    page = dashboard.page
    cookies = page.context.cookies()

    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("button", name="Sign in")).to_be_visible()
    assert page.context.cookies() == []

    page.context.add_cookies(cookies)
    dashboard.open("events")
    expect(page.get_by_role("button", name="Sign in")).to_be_visible()
    page.go_back()
    expect(page.get_by_role("heading", name="Events")).to_have_count(0)


def test_a_cookie_is_worth_nothing_once_the_token_has_changed(visit, endpoint):
    dashboard = visit(endpoint)
    expect(dashboard.page.get_by_role("heading", name="Events")).to_be_visible()

    endpoint.save(api_token="another-token-of-some-length")
    dashboard.open("events")

    expect(dashboard.page.get_by_role("button", name="Sign in")).to_be_visible()
    assert len(dashboard.page.context.cookies()) <= 1
    dashboard.sign_in("another-token-of-some-length")
    expect(dashboard.page.get_by_role("heading", name="Events")).to_be_visible()


def test_two_endpoints_in_two_tabs_of_one_browser_do_not_see_each_other(visit, configure):
    here, there = configure(), configure()
    mine, theirs = here.order()["id"], there.order()["id"]
    first = visit(here)
    expect(first.row(mine)).to_be_visible()

    second = visit(there, in_browser_of=first, signed_in=False)
    expect(second.page.get_by_role("button", name="Sign in")).to_be_visible()
    second.sign_in()
    expect(second.row(theirs)).to_be_visible()
    second.watch.expect(r"status of 404")

    for tab, own, foreign in ((first, mine, theirs), (second, theirs, mine)):
        tab.open("events")
        expect(tab.row(own)).to_be_visible()
        expect(tab.row(foreign)).to_have_count(0)
    (entry,) = here.events()
    second.open("event", id=entry["id"])
    expect(second.page.get_by_role("heading", name=mine)).to_have_count(0)
    second.page.goto(f"{there.url}/events/{entry['id']}")
    assert mine not in second.page.content()

    # Who signs out here is still signed in there.
    second.open("events")
    second.page.get_by_role("button", name="Sign out").click()
    expect(second.page.get_by_role("button", name="Sign in")).to_be_visible()
    first.open("events")
    expect(first.row(mine)).to_be_visible()


def test_without_a_token_in_the_settings_the_page_says_which_one_to_set(visit, configure):
    endpoint = configure(api_token="")

    dashboard = visit(endpoint, signed_in=False)
    dashboard.watch.expect(r"status of 403")
    page = dashboard.page

    expect(page.get_by_role("main")).to_contain_text(re.compile("Set “API token” in the endpoint's settings"))
    expect(page.get_by_role("button")).to_have_count(0)
