"""Watches what pages do behind a test's back: errors, refused content, dialogs, requests that fail or go elsewhere."""

import re
import time
from collections.abc import Callable
from urllib.parse import urlsplit

from playwright.sync_api import BrowserContext, ConsoleMessage, Dialog, Page, Request, Response, WebError

# The browser logs them as errors too, but for report-only policies and what happens before a page's own listeners.
TELL_VIOLATIONS = """
document.addEventListener('securitypolicyviolation', event => console.error(
    `CSP: ${event.effectiveDirective} forbids ${event.blockedURI} at ${event.sourceFile}:${event.lineNumber}`));
"""
# Whoever leaves a page leaves its stream, and the list that is being fetched.
ENDED = "net::ERR_ABORTED"
BY_SCRIPT = ("eventsource", "fetch")


def eventually(page: Page, condition: Callable[[], bool], timeout_s: float = 10.0) -> None:
    """Wait for a condition while the browser's events are heard; fail the test when it does not come true."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "the condition did not come true in time"
        page.wait_for_timeout(10)


class Watch:
    """Of one browser context. What happens is told in sentences, `all` of it; a test says which of it it provokes."""

    def __init__(self, context: BrowserContext) -> None:
        self.all: list[str] = []
        self._expected: list[re.Pattern[str]] = []
        context.add_init_script(TELL_VIOLATIONS)
        context.on("console", self._console)
        context.on("weberror", self._error)
        context.on("dialog", self._dialog)
        context.on("request", self._request)
        context.on("requestfailed", self._failed)
        context.on("response", self._response)

    def expect(self, pattern: str) -> None:
        """Sentences that this is found in are part of the test."""
        self._expected.append(re.compile(pattern))

    @property
    def troubles(self) -> list[str]:
        """What happened that should not have."""
        return [found for found in self.all if not any(pattern.search(found) for pattern in self._expected)]

    def _console(self, message: ConsoleMessage) -> None:
        if message.type in {"error", "warning", "assert"}:
            self.all.append(f"console {message.type}: {message.text} ({message.location.get('url')})")

    def _error(self, error: WebError) -> None:
        self.all.append(f"uncaught: {error.error}")

    def _dialog(self, dialog: Dialog) -> None:
        self.all.append(f"dialog: {dialog.type} {dialog.message}")
        dialog.dismiss()

    def _request(self, request: Request) -> None:
        parts = urlsplit(request.url)
        if parts.scheme != "http" or parts.hostname != "127.0.0.1":
            self.all.append(f"outside: {request.method} {request.url[:200]}")

    def _failed(self, request: Request) -> None:
        if request.failure != ENDED or request.resource_type not in BY_SCRIPT:
            self.all.append(f"failed: {request.method} {request.url} {request.failure}")

    def _response(self, response: Response) -> None:
        if response.request.resource_type != "document":
            return
        policy = response.headers.get("content-security-policy", "")
        if "text/html" in response.headers.get("content-type", "") and "default-src 'none'" not in policy:
            self.all.append(f"no policy: {response.url} has {policy!r}")
