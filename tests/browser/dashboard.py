"""The dashboard as a person sees it: one tab of a browser."""

from urllib.parse import urlencode

from playwright.sync_api import Locator, Page, expect

from tests.browser.endpoint import Endpoint
from tests.browser.watch import Watch

VIEWS = ("events", "consumer", "dead-letters", "health", "settings", "connect")


class Dashboard:
    """`url` is the endpoint's as this browser sees it, without a slash at the end."""

    def __init__(self, page: Page, watch: Watch, endpoint: Endpoint, url: str = "") -> None:
        self.page = page
        self.watch = watch
        self.endpoint = endpoint
        self.url = url or endpoint.url

    def open(self, view: str = "", **asked: str) -> None:
        """Go there by the address bar."""
        query = urlencode({**({"view": view} if view else {}), **asked})
        self.page.goto(f"{self.url}/{'?' if query else ''}{query}")

    def sign_in(self, token: str = "") -> None:
        """Fill in the form that is there, and send it."""
        self.page.locator("input[type=password]").fill(token or self.endpoint.token)
        self.page.get_by_role("button").click()

    def go_to(self, view: str) -> None:
        """Click a view's name."""
        self.page.get_by_role("navigation").get_by_role("link").nth(VIEWS.index(view)).click()

    @property
    def rows(self) -> Locator:
        """The list's rows."""
        return self.page.locator("#list tbody tr")

    def row(self, event_id: str) -> Locator:
        """The link that is an event's id, in the list."""
        return self.page.locator("#list").get_by_role("link", name=event_id, exact=True)

    def wait_for_live(self) -> None:
        """Until the list follows the stream."""
        expect(self.page.get_by_text("live", exact=True)).to_be_visible()

    def fact(self, label: str) -> Locator:
        """What stands beside a label."""
        return self.page.locator("dt", has_text=label).locator("xpath=following-sibling::dd[1]").first
