"""The plugin's own process behind the local host, as Dify would run it."""

import secrets
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from devhost.host import BackgroundHost
from tests.brokers import Broker
from tests.e2e.consuming import Endpoint, Flow, endpoint_on
from tests.e2e.topics import Topics

# One for each test that consumes: a host knows its apps from the start.
FLOWS = 180

type Consuming = Callable[..., Endpoint]


@pytest.fixture(scope="session")
def token() -> str:
    """An API token of this session."""
    return secrets.token_urlsafe(16)


@pytest.fixture(scope="session")
def secret() -> str:
    """A webhook secret of this session."""
    return secrets.token_urlsafe(24)


@pytest.fixture(scope="session")
def host(embedded: Broker, token: str, secret: str) -> Iterator[BackgroundHost]:
    """A host with one ordinary endpoint, `shop`; tests add their own with `configure`."""
    settings = {"webhook_secret": secret, "api_token": token, "topic": "e2e.{source}"}
    with BackgroundHost(endpoints={"shop": settings}, bootstrap=embedded.bootstrap) as running:
        yield running


@pytest.fixture(scope="session")
def topics(embedded: Broker) -> Topics:
    """What lies in the embedded broker."""
    return Topics(embedded.bootstrap)


@pytest.fixture
def client() -> Iterator[httpx.Client]:
    """An HTTP client without proxies of the environment."""
    with httpx.Client(trust_env=False, timeout=30) as one:
        yield one


@pytest.fixture
def endpoint(host: BackgroundHost) -> Iterator[Callable[..., str]]:
    """Configure an endpoint of the test's own; gives its URL."""
    made: list[str] = []

    def make(**settings: Any) -> str:
        hook = f"hook-{secrets.token_hex(4)}"
        host.configure(hook, settings)
        made.append(hook)
        return host.url(hook)

    yield make
    for hook in made:
        host.remove(hook)


@pytest.fixture(scope="session")
def flows() -> dict[str, Flow]:
    """The apps of the host that consumes."""
    return {f"flow-{number}": Flow() for number in range(FLOWS)}


@pytest.fixture(scope="session")
def consuming_host(embedded: Broker, flows: dict[str, Flow]) -> Iterator[BackgroundHost]:
    """A host whose apps tests script."""
    with BackgroundHost(endpoints={}, bootstrap=embedded.bootstrap, apps=flows) as running:
        yield running


@pytest.fixture(scope="session")
def unused(flows: dict[str, Flow]) -> Iterator[str]:
    """Names of apps that no test has had."""
    return iter(flows)


@pytest.fixture
def consuming(
    consuming_host: BackgroundHost, flows: dict[str, Flow], unused: Iterator[str], token: str, client: httpx.Client
) -> Iterator[Consuming]:
    """Configure an endpoint with an app, a topic and a group of its own; settings as they are saved."""
    made: list[Endpoint] = []

    def make(**settings: Any) -> Endpoint:
        app = next(unused)
        made.append(endpoint_on(consuming_host, app, flows[app], token=token, client=client, **settings))
        return made[-1]

    yield make
    for each in made:
        consuming_host.remove(each.hook)
