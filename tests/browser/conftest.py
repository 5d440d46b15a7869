"""A real Chromium in front of the plugin's process, which the local host runs as Dify would."""

import contextlib
import os
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Producer
from playwright.sync_api import Browser, BrowserContext, expect

from devhost.browser import chromium, find_chromium
from devhost.host import BackgroundHost
from devhost.timing import Timing
from tests.brokers import Broker, wait_until
from tests.browser.dashboard import Dashboard
from tests.browser.endpoint import Endpoint
from tests.browser.watch import Watch
from tests.dispatch.letters import letter_of
from tests.e2e.topics import Topics

# Far longer than a page needs: the machine may be busy.
PATIENCE_MS = 20_000

expect.set_options(PATIENCE_MS)

type Configure = Callable[..., Endpoint]
type Watched = Callable[..., tuple[BrowserContext, Watch]]
type Visit = Callable[..., Dashboard]


@pytest.fixture(scope="session")
def chromium_there() -> None:
    """Without a browser tests are skipped, or fail where CI=true."""
    if not find_chromium():
        reason = "no browser: chromium is not installed"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)


@pytest.fixture(scope="session")
def host(chromium_there: None, embedded: Broker) -> Iterator[BackgroundHost]:
    """A host whose plugin is started again soon after its end."""
    with BackgroundHost(endpoints={}, bootstrap=embedded.bootstrap, timing=Timing(restart_tick_s=0.5)) as running:
        yield running


@pytest.fixture(scope="session")
def topics(embedded: Broker) -> Topics:
    """What lies in the embedded broker."""
    return Topics(embedded.bootstrap)


@pytest.fixture
def bury(embedded: Broker) -> Callable[..., None]:
    """Write dead letters of a topic, as the consumer does."""

    def write(topic: str, count: int, *, origin: str = "", **fields: Any) -> None:
        producer = Producer({"bootstrap.servers": embedded.bootstrap, "log_level": 0})
        for number in range(count):
            letter = letter_of(number, topic=origin or topic, **fields)
            producer.produce(f"{topic}.dead-letter", letter.value, letter.key, 0, headers=list(letter.headers))
        assert producer.flush(20) == 0

    return write


@pytest.fixture
def configure(host: BackgroundHost) -> Iterator[Configure]:
    """Endpoints of the test's own, with tokens, secrets and topics of their own; other settings as they are saved."""
    with contextlib.ExitStack() as made:

        def make(**settings: Any) -> Endpoint:
            hook = f"hook-{secrets.token_hex(4)}"
            one = Endpoint(host, hook, token=secrets.token_urlsafe(16), secret=secrets.token_urlsafe(24))
            one.save(**settings)
            made.callback(host.remove, hook)
            return made.enter_context(one)

        yield make


@pytest.fixture
def endpoint(configure: Configure) -> Endpoint:
    """One endpoint of the test's own."""
    return configure()


@pytest.fixture(scope="module")
def browser(chromium_there: None) -> Iterator[Browser]:
    """A Chromium. One for each module: as long as it is there, no other test could run an asyncio loop in this thread.

    When it has ended none of its processes is left.
    """
    mark = f"KAFKA_BRIDGE_TEST_BROWSER={secrets.token_hex(8)}"
    with chromium(dict([mark.split("=")])) as running:
        assert _processes(mark)
        yield running
    wait_until(lambda: not _processes(mark))


@pytest.fixture
def watched(browser: Browser) -> Iterator[Watched]:
    """Browser contexts (each like a person of its own), watched: what a page must not do fails the test at its end."""
    opened: list[tuple[BrowserContext, Watch]] = []

    def make(**options: Any) -> tuple[BrowserContext, Watch]:
        context = browser.new_context(**options)
        context.set_default_timeout(PATIENCE_MS)
        opened.append((context, Watch(context)))
        return opened[-1]

    yield make
    for context, _ in opened:
        context.close()
    assert [trouble for _, watch in opened for trouble in watch.troubles] == []


@pytest.fixture
def visit(configure: Configure, watched: Watched) -> Visit:
    """Open an endpoint's dashboard in a tab, and sign in unless `signed_in` is False; other options are the browser's.

    `in_browser_of` another dashboard: a second tab, with the cookies of the first. Endpoints outlive the pages that
    follow them: `configure` comes first.
    """

    def open_tab(
        endpoint: Endpoint,
        *,
        url: str = "",
        signed_in: bool = True,
        in_browser_of: Dashboard | None = None,
        **options: Any,
    ) -> Dashboard:
        if in_browser_of is None:
            context, watch = watched(**options)
        else:
            context, watch = in_browser_of.page.context, in_browser_of.watch
        dashboard = Dashboard(context.new_page(), watch, endpoint, url)
        dashboard.open()
        if signed_in:
            dashboard.sign_in()
            dashboard.page.get_by_role("navigation").wait_for()
        return dashboard

    return open_tab


def _processes(mark: str) -> list[str]:
    """The processes with this in their environment, wherever they hang in the tree."""
    found = []
    for path in Path("/proc").glob("[0-9]*/environ"):
        # A process may end meanwhile, and belong to somebody else.
        with contextlib.suppress(OSError):
            if mark.encode() in path.read_bytes().split(b"\0"):
                found.append(path.parent.name)
    return found
