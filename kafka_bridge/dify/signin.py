"""`/login` and `/logout`: the API token for a cookie, and the cookie for nothing.

Wrong tokens are counted per endpoint; the right one always opens. Whoever floods the form would otherwise lock out
those who know it, for the platform does not say who asks.
"""

import logging
from http import HTTPStatus
from typing import Final

from kafka_bridge.clock import Clock
from kafka_bridge.dashboard.address import Address, address_of, is_foreign
from kafka_bridge.dashboard.page import Frame, Pages
from kafka_bridge.dashboard.words import language_of
from kafka_bridge.dify.call import Call
from kafka_bridge.dify.sessions import COOKIE, LASTS_S, Sessions
from kafka_bridge.http import Outbound
from kafka_bridge.ratelimit import RateLimit

logger = logging.getLogger(__name__)

WRONG_AT_ONCE: Final = 10
WRONG_EVERY_S: Final = 10

type Headers = tuple[tuple[str, str], ...]


class SignIn:
    """The handlers, and the page with the form."""

    def __init__(self, pages: Pages, sessions: Sessions, clock: Clock) -> None:
        self._pages = pages
        self._sessions = sessions
        self._clock = clock
        self._wrong = RateLimit(burst=WRONG_AT_ONCE, interval_s=float(WRONG_EVERY_S))

    def page(
        self, call: Call, status: HTTPStatus = HTTPStatus.OK, trouble: str = "", headers: Headers = ()
    ) -> Outbound:
        """The form, or, where no token is configured, which setting it is that is missing."""
        frame = Frame(language_of(call.inbound.header("accept-language")))
        if call.hook.settings.api_token is None:
            return self._pages.draw("locked", frame, status=HTTPStatus.FORBIDDEN)
        return self._pages.draw("signin", frame, status=status, headers=headers, trouble=trouble)

    def login(self, call: Call) -> Outbound:
        """A cookie for the token."""
        token = call.hook.settings.api_token
        if token is None:
            return self.page(call)
        if is_foreign(call.inbound, call.hook.settings.public_url):
            return self.page(call, HTTPStatus.FORBIDDEN, "other_site")
        # It travels in a header elsewhere, where white space at the ends does not survive.
        if token.matches(call.form.get("token", "").strip()):
            cookie = self._sessions.issue(call.endpoint, token)
            return _back(call, cookie, LASTS_S)
        suppressed = self._wrong.take(call.endpoint, now=self._clock.monotonic())
        if suppressed is None:
            retry = (("Retry-After", str(WRONG_EVERY_S)),)
            return self.page(call, HTTPStatus.TOO_MANY_REQUESTS, "too_many", retry)
        more = f" [{suppressed} more like it were not logged]" if suppressed else ""
        logger.warning("sign-in answered 401: endpoint %s: not the API token%s", call.endpoint, more)
        return self.page(call, HTTPStatus.UNAUTHORIZED, "wrong_token", (("WWW-Authenticate", "Bearer"),))

    def logout(self, call: Call) -> Outbound:
        """The end of the session. Raises TokenNotConfigured, Unauthorized."""
        call.authorize()
        if (session := call.session) is not None:
            self._sessions.sign_out(session)
        return _back(call, "", 0)


def _back(call: Call, cookie: str, lasts_s: int) -> Outbound:
    """To the dashboard, with a cookie: a form that was sent must not be sent again by a reload."""
    headers = (("Location", "./"), ("Set-Cookie", _cookie(address_of(call.inbound), cookie, lasts_s)))
    return Outbound(HTTPStatus.SEE_OTHER, headers=(*headers, ("Cache-Control", "no-store")))


def _cookie(address: Address, value: str, lasts_s: int) -> str:
    # Without a path the browser takes that of the form's own address, which is right as well.
    parts = [f"{COOKIE}={value}", f"Max-Age={lasts_s}", "HttpOnly", "SameSite=Strict"]
    if address.path:
        parts.append(f"Path={address.path}")
    if address.secure:
        parts.append("Secure")
    return "; ".join(parts)
