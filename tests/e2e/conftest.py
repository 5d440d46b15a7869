"""The plugin's own process behind the local host, as Dify would run it."""

import secrets
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from devhost.host import BackgroundHost
from tests.brokers import Broker
from tests.e2e.topics import Topics


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
