"""One request to one hook, as handlers see it."""

import hmac
from collections.abc import Callable, Mapping
from typing import Final, NamedTuple
from urllib.parse import parse_qsl

from kafka_bridge.dify.apps import SessionApps
from kafka_bridge.dify.hooks import Hook
from kafka_bridge.dify.sessions import Session, Sessions
from kafka_bridge.dify.storage import NO_STORAGE, SessionStorage
from kafka_bridge.errors import TokenNotConfigured, Unauthorized
from kafka_bridge.http import Answer, Inbound
from kafka_bridge.settings.table import SETTINGS

SAFE: Final = ("GET", "HEAD")
FORM: Final = "application/x-www-form-urlencoded"
MAX_FIELDS: Final = 100
# Anybody may send a form, and a large one would keep everybody else waiting.
MAX_FORM_BYTES: Final = 64 * 1024


class Call(NamedTuple):
    """A request, its hook, and what the route says.

    `endpoint` is the platform's id of the hook: whatever is kept per endpoint is kept under it. `name` is the last part
    of the path where the route has one (a source, an event). `apps` and `storage` are the session's, and work while the
    request is open; `ask` asks the session for nothing, and returns or raises as long as that is so.
    `sessions` knows whose cookie is good.
    """

    inbound: Inbound
    hook: Hook
    endpoint: str
    name: str = ""
    apps: SessionApps | None = None
    storage: SessionStorage = NO_STORAGE
    ask: Callable[[], object] = lambda: None
    sessions: Sessions | None = None

    @property
    def authorized(self) -> bool:
        """Whether the request carries the API token, or the cookie of somebody who has shown it.

        A cookie alone changes nothing: a request that may do so also carries the token that is in our own forms.
        """
        return self._has_token or (
            (session := self.session) is not None
            and (self.inbound.method in SAFE or _is_same(self._csrf, session.csrf))
        )

    @property
    def session(self) -> Session | None:
        """Who is signed in with the request's cookie."""
        if self.sessions is None:
            return None
        return self.sessions.find(self.inbound.header("cookie"), self.endpoint, self.hook.settings.api_token)

    @property
    def form(self) -> Mapping[str, str]:
        """The fields of a form; of one that comes twice the last. Empty where the body is none, or larger than ours."""
        body = self.inbound.body
        if len(body) > MAX_FORM_BYTES or not self.inbound.header("content-type").startswith(FORM):
            return {}
        try:
            return dict(parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=MAX_FIELDS))
        except ValueError:
            return {}

    def authorize(self) -> None:
        """Return if the request is `authorized`. Raises TokenNotConfigured, Unauthorized."""
        if self.hook.settings.api_token is None:
            raise TokenNotConfigured(
                f"Set “{SETTINGS['api_token'].label}” in the endpoint's settings to use this path."
            )
        if not self.authorized:
            raise Unauthorized("Send it as Authorization: Bearer <token>.")

    @property
    def _has_token(self) -> bool:
        token = self.hook.settings.api_token
        kind, _, presented = self.inbound.header("authorization").partition(" ")
        return token is not None and kind.lower() == "bearer" and token.matches(presented.strip())

    @property
    def _csrf(self) -> str:
        return self.inbound.header("x-csrf-token") or self.form.get("csrf", "")


def _is_same(presented: str, csrf: str) -> bool:
    return hmac.compare_digest(presented.encode("utf-8", "surrogatepass"), csrf.encode())


type Handler = Callable[[Call], Answer]
