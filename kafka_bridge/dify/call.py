"""One request to one hook, as handlers see it."""

from collections.abc import Callable
from typing import NamedTuple

from kafka_bridge.dify.apps import SessionApps
from kafka_bridge.dify.hooks import Hook
from kafka_bridge.dify.storage import NO_STORAGE, SessionStorage
from kafka_bridge.errors import TokenNotConfigured, Unauthorized
from kafka_bridge.http import Inbound, Outbound
from kafka_bridge.settings.table import SETTINGS


class Call(NamedTuple):
    """A request, its hook, and what the route says.

    `endpoint` is the platform's id of the hook: whatever is kept per endpoint is kept under it. `name` is the last part
    of the path where the route has one (a source, an event). `apps` and `storage` are the session's, and work while the
    request is open; `ask` asks the session for nothing, and returns or raises as long as that is so.
    """

    inbound: Inbound
    hook: Hook
    endpoint: str
    name: str = ""
    apps: SessionApps | None = None
    storage: SessionStorage = NO_STORAGE
    ask: Callable[[], object] = lambda: None

    @property
    def authorized(self) -> bool:
        """Whether the request carries the API token."""
        token = self.hook.settings.api_token
        kind, _, presented = self.inbound.header("authorization").partition(" ")
        return token is not None and kind.lower() == "bearer" and token.matches(presented.strip())

    def authorize(self) -> None:
        """Return if the request carries the API token. Raises TokenNotConfigured, Unauthorized."""
        if self.hook.settings.api_token is None:
            raise TokenNotConfigured(
                f"Set “{SETTINGS['api_token'].label}” in the endpoint's settings to use this path."
            )
        if not self.authorized:
            raise Unauthorized("Send it as Authorization: Bearer <token>.")


type Handler = Callable[[Call], Outbound]
