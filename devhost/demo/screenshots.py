"""Pictures of the dashboard, with what the demo has sent: docs/images/*.png."""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from playwright.sync_api import Browser, Page
from rich.console import Console

from devhost.browser import chromium
from devhost.demo.run import HOOK, Running, running_demo

DESK: Final = {"viewport": {"width": 1200, "height": 680}}
PHONE: Final = {"viewport": {"width": 390, "height": 844}, "device_scale_factor": 2, "is_mobile": True}
# An endpoint whose faults are shown: nobody listens at its broker, and a source has no secret.
TROUBLE: Final = "trouble"
_TROUBLED: Final = {
    "bootstrap_servers": "127.0.0.1:9",
    "webhook_secret": "only-for-the-picture",
    "sources": '{"billing": {"scheme": "stripe"}}',
}


def take_screenshots(folder: Path) -> list[Path]:
    """Run the demo and look at it; the pictures. Raises NotRunning, and LookupError where there is no browser."""
    folder.mkdir(parents=True, exist_ok=True)
    taken: list[Path] = []
    with running_demo(Console(file=io.StringIO()), port=0, bootstrap="") as demo, chromium() as browser:
        demo.host.configure(TROUBLE, {**_TROUBLED, "api_token": demo.token})

        def shoot(page: Page, name: str) -> None:
            taken.append(folder / f"{name}.png")
            page.screenshot(path=taken[-1], animations="disabled")

        with _visit(browser, demo, HOOK, **DESK) as page:
            page.get_by_text("live", exact=True).wait_for()
            shoot(page, "events")
            page.emulate_media(color_scheme="dark")
            shoot(page, "dark")
            page.emulate_media(color_scheme="light")
            _open_an_order(page)
            shoot(page, "event")
            page.goto(f"{demo.host.url(HOOK)}/?view=connect")
            shoot(page, "connect")
        with _visit(browser, demo, HOOK, **PHONE) as page:
            _open_an_order(page)
            shoot(page, "phone")
        with _visit(browser, demo, TROUBLE, **DESK) as page:
            page.goto(f"{demo.host.url(TROUBLE)}/?view=health")
            shoot(page, "health")
    return taken


@contextmanager
def _visit(browser: Browser, demo: Running, hook: str, **options: Any) -> Iterator[Page]:
    """A tab that is signed in, in light and English whatever the machine's taste."""
    with browser.new_context(locale="en-US", timezone_id="UTC", color_scheme="light", **options) as context:
        page = context.new_page()
        page.goto(f"{demo.host.url(hook)}/")
        page.get_by_label("API token").fill(demo.token)
        page.get_by_role("button", name="Sign in").click()
        page.get_by_role("button", name="Sign out").wait_for()
        yield page


def _open_an_order(page: Page) -> None:
    """An event whose record ran: it has everything that a page of an event can show."""
    page.locator("#list").get_by_role("row").filter(has_text="succeeded").get_by_role("link").first.click()
    page.get_by_role("button", name="Replay").wait_for()
