"""A person signs in and finds what the other scenes have sent."""

import re
import time
from typing import Final

import httpx
from rich.console import Console

from devhost.demo.checks import Checks

# The events are written while requests come; a look at the page is one.
_WITHIN_S: Final = 10.0
_LOOK_S: Final = 0.2


class Dashboard:
    """The scene. `events` are ids that must be there."""

    def __init__(self, console: Console, checks: Checks, *, url: str, token: str, events: list[str]) -> None:
        self._console = console
        self._checks = checks
        self._url = f"{url}/"
        self._token = token
        self._events = events
        self._client = httpx.Client(timeout=30.0, trust_env=False, headers={"Accept": "text/html"})

    def run(self) -> None:
        """Without a cookie there is nothing to see; with one everything."""
        self._console.print("\n[bold]GET /[/]  [dim]the dashboard[/]")
        before = self._client.get(self._url).text
        answer = self._client.post(f"{self._url}login", data={"token": self._token})
        self._console.print(f"  {answer.status_code} {answer.headers.get('location')}", markup=False, style="dim")
        page = self._page()
        self._checks.that(
            "without the API token nothing is shown", holds=not any(map(before.__contains__, self._events))
        )
        found = [event for event in self._events if f">{event}<" in page]
        self._checks.that(
            f"signed in, {len(self._events)} events of this demo are in its list", holds=found == self._events
        )
        link = re.search(r'href="(\?view=event&amp;id=[0-9a-f]+)"', page)
        shown = self._client.get(self._url + link[1].replace("&amp;", "&")) if link else None
        self._checks.that("each of them leads to its page", holds=shown is not None and shown.is_success)

    def _page(self) -> str:
        until = time.monotonic() + _WITHIN_S
        while True:
            page = self._client.get(self._url).text
            if all(f">{event}<" in page for event in self._events) or time.monotonic() > until:
                return page
            time.sleep(_LOOK_S)  # noqa: TID251 - between two looks at the page
