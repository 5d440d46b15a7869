"""Whoever looks, on whatever they look with."""

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from tests.browser.dashboard import VIEWS

PHONE = {"viewport": {"width": 360, "height": 740}, "is_mobile": True, "has_touch": True, "device_scale_factor": 2}
BACKGROUND = "getComputedStyle(document.body).backgroundColor"
# Wider than the window, and nothing around it that scrolls or cuts it off.
TOO_WIDE = """() => {
    const found = [];
    for (const node of document.querySelectorAll('body *')) {
        const box = node.getBoundingClientRect();
        if (!box.width || !box.height || box.right <= innerWidth + 0.5) continue;
        let outer = node.parentElement;
        while (outer && getComputedStyle(outer).overflowX === 'visible') outer = outer.parentElement;
        if (!outer || outer === document.documentElement) found.push(`${node.tagName} ${node.className} ${box.right}`);
    }
    return found;
}"""


@pytest.fixture
def busy(configure, bury):
    """An endpoint with events of every kind, dead letters, long names, and faults."""
    bury("orders", 3, key=b"customer-" * 30, value=b"x" * 3000, error="no stock " * 60)
    bury("orders", 1, origin="secrets")
    endpoint = configure(
        sources='{"shop": {"scheme": "hmac", "routes": {"order.ignored": "drop"}}, "open": {"scheme": "none"},'
        ' "broken": {"scheme": "stripe"}}',
        source_secrets='{"shop": "not-a-real-secret"}',
        app={"app_id": "some-app"},
        consume_topics="orders",
    )
    endpoint.order()
    endpoint.deliver(
        {
            "event_type": "com.example.orders." + "and-a-very-long-name-" * 6,
            "id": "https://shop.example.com/" + "0123456789abcdef" * 12,
            "text": "word " * 60 + "x" * 600,
        },
        headers={"User-Agent": "Sender/1.0 " + "y" * 400},
    )
    endpoint.forged()
    return endpoint


def tour(dashboard):
    """Each page that there is, by name, while it is shown."""
    for view in VIEWS:
        dashboard.open(view)
        yield view
    for entry in dashboard.endpoint.events():
        dashboard.open("event", id=entry["id"])
        yield f"event {entry['outcome']}"
    verified = next(entry for entry in dashboard.endpoint.events() if entry["outcome"] == "accepted")
    dashboard.open("event", id=verified["id"], replay="ask")
    yield "replay"
    dashboard.open("dead-letters", send="ask")
    yield "redrive"
    dashboard.open("events", text="nothing has this text")
    yield "no match"
    dashboard.open("event", id="0" * 24)
    yield "not found"


def findings(page):
    """What axe-core finds serious or critical, as sentences."""
    answer = Axe().run(page, options={"resultTypes": ["violations"]}).response
    return [
        f"{found['id']} ({found['impact']}): {found['help']}: {node['html'][:200]}"
        for found in answer["violations"]
        for node in found["nodes"]
        if found["impact"] in {"serious", "critical"}
    ]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious_on_any_page(visit, busy, scheme):
    dashboard = visit(busy, signed_in=False, color_scheme=scheme)
    dashboard.watch.expect(r"status of 40[134]")
    found = {"sign in": findings(dashboard.page)}
    dashboard.sign_in("a guess")
    expect(dashboard.page.get_by_role("alert")).to_be_visible()
    found["wrong token"] = findings(dashboard.page)
    dashboard.sign_in()
    expect(dashboard.page.get_by_role("heading", name="Events")).to_be_visible()
    for name in tour(dashboard):
        found[name] = findings(dashboard.page)
    dashboard.endpoint.save(api_token="")
    dashboard.open()
    found["locked"] = findings(dashboard.page)

    assert {name: told for name, told in found.items() if told} == {}
    assert len(found) > 10


def test_axe_finds_nothing_serious_on_a_phone(visit, busy):
    dashboard = visit(busy, **PHONE)
    found = {"events": findings(dashboard.page)}
    dashboard.rows.first.get_by_role("link").tap()
    expect(dashboard.page.get_by_role("heading", level=1)).to_be_visible()
    found["event"] = findings(dashboard.page)
    dashboard.open("connect")
    found["connect"] = findings(dashboard.page)

    assert {name: told for name, told in found.items() if told} == {}


def test_axe_would_find_something(visit, endpoint):
    page = visit(endpoint, color_scheme="light").page
    page.evaluate("document.querySelector('h1').style.color = '#ccc'")
    page.evaluate("document.querySelector('main').append(document.createElement('button'))")

    assert {told.partition(" ")[0] for told in findings(page)} == {"color-contrast", "button-name"}


def test_who_has_set_dark_gets_dark(visit, endpoint):
    endpoint.order()
    dashboard = visit(endpoint, color_scheme="light")
    page = dashboard.page
    expect(dashboard.rows).to_have_count(1)
    light = page.evaluate(BACKGROUND)

    page.emulate_media(color_scheme="dark")

    dark = page.evaluate(BACKGROUND)
    assert sum(map(int, light[4:-1].split(","))) > 3 * 200
    assert sum(map(int, dark[4:-1].split(","))) < 3 * 60
    # Controls and scroll bars are the browser's own.
    assert page.evaluate("getComputedStyle(document.documentElement).colorScheme") == "light dark"


def test_on_a_narrow_screen_nothing_is_beside_the_page(visit, busy):
    dashboard = visit(busy, **PHONE)
    page = dashboard.page
    dashboard.watch.expect(r"status of 404")
    expect(page.get_by_role("heading", name="Events")).to_be_visible()

    beside = {}
    for name in tour(dashboard):
        width = page.evaluate("document.documentElement.scrollWidth")
        if width > 360 or page.evaluate("innerWidth") > 360:
            beside[name] = [width, *page.evaluate(TOO_WIDE)]
        elif wide := page.evaluate(TOO_WIDE):
            beside[name] = wide

    assert beside == {}


def test_on_a_narrow_screen_everything_can_be_reached_by_touch(visit, busy, topics):
    dashboard = visit(busy, **PHONE)
    page = dashboard.page
    for view in VIEWS:
        page.get_by_role("navigation").get_by_role("link").nth(VIEWS.index(view)).tap()
        expect(page.get_by_role("navigation").locator("[aria-current=page]")).to_be_in_viewport()
    small = """() => [...document.querySelectorAll('a, button, input, select')].filter(node => node.checkVisibility())
        .map(node => [node.textContent || node.name, node.getBoundingClientRect()])
        .filter(([, box]) => box.width < 24 && box.height < 24).map(([name]) => name)"""
    assert page.evaluate(small) == []
    page.get_by_role("navigation").get_by_role("link", name="Events").tap()
    accepted = next(
        entry for entry in busy.events() if entry["type"] == "order.paid" and entry["outcome"] == "accepted"
    )

    dashboard.row(accepted["event_id"]).tap()
    page.get_by_role("button", name="Replay").tap()
    page.get_by_role("button", name="Confirm").tap()

    expect(page.get_by_role("status")).to_contain_text("It was sent again.")
    assert topics.count(busy.topic) == 3
    page.get_by_role("button", name="Sign out").tap()
    expect(page.get_by_role("button", name="Sign in")).to_be_visible()


def test_a_keyboard_is_enough(visit, endpoint, topics):
    event_id = endpoint.order()["id"]
    dashboard = visit(endpoint, signed_in=False)
    page = dashboard.page

    def tab_to(name):
        """Press Tab until the element with this text has the focus; it can be seen there."""
        for _ in range(60):
            page.keyboard.press("Tab")
            found = page.evaluate(
                "() => { const node = document.activeElement, style = getComputedStyle(node), box ="
                " node.getBoundingClientRect(); return [node.textContent.trim(), style.outlineStyle !== 'none' &&"
                " parseFloat(style.outlineWidth) > 0, box.top >= 0 && box.bottom <= innerHeight]; }"
            )
            if found[0] == name:
                assert found[1:] == [True, True], f"{name}: outline and in sight: {found[1:]}"
                return
        pytest.fail(f"Tab does not lead to {name}")

    expect(page.get_by_label("API token")).to_be_focused()
    page.keyboard.type(endpoint.token)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Events")).to_be_visible()
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to content")).to_be_focused()
    expect(page.get_by_role("link", name="Skip to content")).to_be_in_viewport()
    page.keyboard.press("Enter")
    expect(page.get_by_role("main")).to_be_focused()

    tab_to(event_id)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name=event_id)).to_be_visible()
    tab_to("Replay")
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Confirm")).to_be_visible()
    tab_to("Confirm")
    page.keyboard.press("Enter")

    expect(page.get_by_role("status")).to_contain_text("It was sent again.")
    assert topics.count(endpoint.topic) == 2


def test_who_reads_chinese_gets_chinese(visit, endpoint):
    event_id = endpoint.order()["id"]
    dashboard = visit(endpoint, signed_in=False, locale="zh-CN")
    page = dashboard.page

    assert page.evaluate("document.documentElement.lang").startswith("zh")
    assert page.get_by_role("button").all_text_contents() == ["登录"]
    dashboard.sign_in()
    expect(page.get_by_role("heading", name="事件")).to_be_visible()
    expect(page.get_by_text("实时", exact=True)).to_be_visible()
    second = endpoint.order()["id"]
    expect(dashboard.row(second)).to_be_visible()
    expect(page.get_by_role("status")).to_contain_text("新事件")
    dashboard.row(event_id).click()
    page.get_by_role("button", name="重放").click()
    page.get_by_role("button", name="确认").click()
    expect(page.get_by_role("status")).to_contain_text("已重新发送")


def test_who_reads_another_language_gets_english(visit, endpoint):
    page = visit(endpoint, locale="fr-FR").page

    expect(page.get_by_role("heading", name="Events")).to_be_visible()
    assert page.evaluate("document.documentElement.lang") == "en"
