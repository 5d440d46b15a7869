"""A headless Chromium, the machine's own, driven by Playwright: what tests and screenshots look at pages with.

Playwright is there only where tests are (`make .venv/.vendors`), and brings no browser of its own.
"""

import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Final

from playwright.sync_api import Browser, sync_playwright

COMMANDS: Final = ("chromium", "chromium-browser", "google-chrome-stable")
FLAGS: Final = (
    # Whatever a page asks for, nothing leaves this machine.
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
    # In a container /dev/shm is small, and a page that finds it full crashes.
    "--disable-dev-shm-usage",
    # Pixels that do not depend on the screen that there is not.
    "--font-render-hinting=none",
    "--force-color-profile=srgb",
)


def find_chromium() -> str:
    """The browser's path, empty where there is none."""
    return next((path for command in COMMANDS if (path := shutil.which(command))), "")


@contextmanager
def chromium(environment: Mapping[str, str] | None = None) -> Iterator[Browser]:
    """A running browser, which ends with the block. `environment` is added to its processes'. Raises LookupError.

    An asyncio loop seems to run in this thread meanwhile: Playwright's.
    """
    path = find_chromium()
    if not path:
        raise LookupError(f"no browser: none of {', '.join(COMMANDS)} is installed")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=path,
            args=FLAGS,
            env={**os.environ, **(environment or {})},
            # The sandbox does not work for root; then pages are trusted, which are our own.
            chromium_sandbox=os.geteuid() != 0,
        )
        try:
            yield browser
        finally:
            browser.close()
