"""What comes in may be anything, and is shown as what it is."""

import json
import math
import time

import pytest
from playwright.sync_api import expect

SCRIPT = "<script>alert(1)</script>"
IMAGE = '"><img src=x onerror=alert(1)>'
TEMPLATE = "{{ 7 * 7 }}{% for x in y %}"
# Turns what follows it around, and marks that do so more quietly.
RTL = "safe\u202egnp.exe\u2066\u200f"
CONTROL = "bell\u0007 escape\u001b[31m null-like\u0000"
USABLE_S = 1.0

NASTY = {"script": SCRIPT, "image": IMAGE, "template": TEMPLATE, "rtl": RTL, "quote": "'\"`</title></style></textarea>"}


def usable_s(dashboard, action, sight):
    """Seconds until a page is there and answers to its user: the best of some, as others use this machine too."""
    taken = [math.inf]
    while min(taken) > USABLE_S and len(taken) < 10:
        began = time.perf_counter()
        action()
        sight()
        # The main thread is free again.
        dashboard.page.evaluate("() => new Promise(done => requestAnimationFrame(() => setTimeout(done)))")
        taken.append(time.perf_counter() - began)
    return min(taken)


def harmless(page):
    """Nothing that came in has become part of the page."""
    assert page.locator("img, iframe, object, embed").count() == 0
    assert page.locator("script:not([nonce]), style:not([nonce]), [style], [onerror], [onclick]").count() == 0
    assert page.evaluate("document.querySelectorAll('script').length") <= 1


@pytest.mark.parametrize("name", NASTY)
def test_a_text_of_a_sender_is_shown_letter_by_letter(visit, endpoint, name):
    text = NASTY[name]
    endpoint.deliver({"event_type": text, "id": text, "note": text}, headers={"User-Agent": text.encode()})
    dashboard = visit(endpoint)
    page = dashboard.page

    expect(dashboard.rows).to_have_count(1)
    harmless(page)
    assert dashboard.rows.get_by_role("link").text_content() == text
    dashboard.rows.get_by_role("link").click()
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    harmless(page)
    assert page.get_by_role("heading", level=1).text_content().strip() == text
    assert json.loads(page.locator("pre").text_content())["note"] == text
    page.get_by_role("button", name="Replay").click()
    page.get_by_role("button", name="Confirm").click()
    expect(page.get_by_role("status")).to_contain_text("It was sent again.")
    harmless(page)


@pytest.mark.parametrize("name", NASTY)
def test_a_text_that_somebody_filters_by_is_harmless_too(visit, endpoint, name):
    text = NASTY[name]
    endpoint.order()
    dashboard = visit(endpoint)

    dashboard.open("events", text=text, type=text, source=text, outcome=text)

    expect(dashboard.page.get_by_text("No event matches the filter.")).to_be_visible()
    harmless(dashboard.page)
    expect(dashboard.page.get_by_label("Text", exact=True)).to_have_value(text)


def test_what_turns_text_around_stays_within_its_cell(visit, endpoint):
    endpoint.deliver({"event_type": "order.paid", "id": RTL})
    dashboard = visit(endpoint)
    row = dashboard.rows.first
    expect(row).to_be_visible()

    order = row.evaluate("node => [...node.cells].map(cell => cell.getBoundingClientRect().left)")

    assert order == sorted(order)
    isolated = row.get_by_role("link").locator("bdi")
    assert isolated.evaluate("node => getComputedStyle(node).unicodeBidi") in {
        "isolate",
        "plaintext",
        "isolate-override",
    }
    expect(row).to_contain_text("order.paid")


def test_control_characters_do_not_reach_the_page(visit, endpoint):
    endpoint.deliver({"event_type": "order.paid", "id": CONTROL, "note": CONTROL})
    dashboard = visit(endpoint)

    shown = dashboard.rows.get_by_role("link").text_content()
    dashboard.rows.get_by_role("link").click()
    expect(dashboard.page.get_by_role("heading", level=1)).to_be_visible()

    assert shown.startswith("bell")
    for text in (shown, dashboard.page.get_by_role("main").text_content()):
        assert not set(text) & {chr(code) for code in (*range(9), *range(14, 32), 127)}


def test_bytes_that_are_no_text_are_shown_as_hex(visit, endpoint):
    raw = b'{"id":"\xff\xfe\x80", "broken": "\xc3\x28"}' + bytes(range(256))
    endpoint.deliver(raw)
    dashboard = visit(endpoint)

    dashboard.rows.get_by_role("link").first.click()

    expect(dashboard.page.get_by_text("It is not UTF-8; shown as hex.")).to_be_visible()
    expect(dashboard.page.locator("pre")).to_contain_text("7b 22 69 64")
    harmless(dashboard.page)


def test_header_values_of_64_kib_are_shown_at_once(visit, endpoint):
    huge = "<b>" * (64 * 1024 // 3)
    for number in range(20):
        body = json.dumps({"id": f"order-{number}", "event_type": "order.paid"}).encode()
        headers = {**endpoint.signed(body), "User-Agent": huge, "X-Request-Id": huge, "X-GitHub-Event": huge}
        assert endpoint.post(body, headers=headers).status_code == 200
    dashboard = visit(endpoint)

    taken = usable_s(dashboard, lambda: dashboard.open("events"), lambda: expect(dashboard.rows).to_have_count(20))
    entry = endpoint.events()[0]
    opened = usable_s(
        dashboard,
        lambda: dashboard.open("event", id=entry["id"]),
        lambda: expect(dashboard.page.get_by_role("heading", level=1)).to_be_visible(),
    )

    assert max(taken, opened) < USABLE_S
    harmless(dashboard.page)


@pytest.mark.parametrize(
    "document",
    [
        pytest.param({"items": [{"n": n, "text": "<script>alert(1)</script>" * 4} for n in range(16_000)]}, id="many"),
        pytest.param({"text": "<" * 2_000_000}, id="one text"),
        pytest.param(None, id="deep"),
    ],
)
def test_json_of_2_mb_is_shown_at_once(visit, endpoint, document, figures):
    body = b"[" * 1_000_000 + b"]" * 1_000_000 if document is None else json.dumps(document).encode()
    assert len(body) >= 2_000_000 - 100
    # Clients send 1 MB unless they are told otherwise: the sender is refused, and a person sees why.
    assert endpoint.post(body, headers=endpoint.signed(body)).status_code == 413
    endpoint.save(client_config='{"message.max.bytes": 4000000}')
    assert endpoint.post(body, headers=endpoint.signed(body)).status_code == 200
    dashboard = visit(endpoint)
    page = dashboard.page
    expect(dashboard.rows).to_have_count(2)

    listed = usable_s(dashboard, lambda: dashboard.open("events"), lambda: expect(dashboard.rows).to_have_count(2))
    opened = [
        usable_s(
            dashboard,
            lambda entry=entry: dashboard.open("event", id=entry["id"]),
            lambda: expect(page.locator("pre")).to_be_visible(),
        )
        for entry in endpoint.events()
    ]

    figures(f"2 MB of JSON: the list is usable after {listed:.2f} s, the event after {max(opened):.2f} s")
    assert max(listed, *opened) < USABLE_S
    harmless(page)


def test_a_full_list_of_long_hostile_events_is_usable_at_once(visit, endpoint, figures):
    for number in range(60):
        text = f"{number}{IMAGE}{SCRIPT}" * 10
        endpoint.deliver({"event_type": text, "id": text})
    dashboard = visit(endpoint)

    taken = usable_s(dashboard, lambda: dashboard.open("events"), lambda: expect(dashboard.rows).to_have_count(50))

    figures(f"50 long rows: usable after {taken:.2f} s")
    assert taken < USABLE_S
    harmless(dashboard.page)
