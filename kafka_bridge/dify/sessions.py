"""Who is signed in: one signed cookie per browser, and the token that its forms carry.

The key is made of the endpoint's id and API token, so a cookie is worth nothing at another endpoint, and nothing any
more once the token has changed. Signing out is remembered for as long as the cookie would have lasted.
"""

import hashlib
import hmac
import secrets
from collections import OrderedDict
from collections.abc import Iterator
from typing import Final, NamedTuple

from itsdangerous import BadData, URLSafeSerializer

from kafka_bridge.clock import Clock
from kafka_bridge.settings.secret import Secret

COOKIE: Final = "kafka_bridge"
LASTS_S: Final = 12 * 3600
MAX_SIGNED_OUT: Final = 4096
# What one of ours has, and some more. A browser sends those of whatever else is at the host with it.
MAX_COOKIE_CHARS: Final = 512
MAX_COOKIES: Final = 10


class Session(NamedTuple):
    """One browser that is signed in. `csrf` is what each of its forms carries (OWASP: HMAC-based token pattern)."""

    nonce: str
    csrf: str


class Sessions:
    """Issues cookies, and knows those that are good."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._signed_out: OrderedDict[str, None] = OrderedDict()

    def issue(self, endpoint: str, token: Secret) -> str:
        """The value of a fresh cookie."""
        return _signer(endpoint, token).dumps([secrets.token_urlsafe(16), int(self._clock.now())])

    def find(self, cookies: str, endpoint: str, token: Secret | None) -> Session | None:
        """The session of a request's `Cookie` header; None when there is no good one."""
        if token is None or f"{COOKIE}=" not in cookies:
            return None
        return next((found for value in _values(cookies) if (found := self._session(value, endpoint, token))), None)

    def _session(self, value: str, endpoint: str, token: Secret) -> Session | None:
        try:
            nonce, issued = _signer(endpoint, token).loads(value)
        except (BadData, TypeError, ValueError):
            return None
        if nonce in self._signed_out or not 0 <= self._clock.now() - issued < LASTS_S:
            return None
        return Session(nonce, hmac.new(_key(endpoint, token), f"csrf {nonce}".encode(), hashlib.sha256).hexdigest())

    def sign_out(self, session: Session) -> None:
        """The cookie is worth nothing from now on, in this process."""
        self._signed_out[session.nonce] = None
        while len(self._signed_out) > MAX_SIGNED_OUT:
            self._signed_out.popitem(last=False)


def _values(cookies: str) -> Iterator[str]:
    """Those of our name, of whatever path (RFC 6265, section 4.2.1); beside them may stand anything."""
    ours = [pair for pair in cookies.split(";") if pair.strip().startswith(f"{COOKIE}=")]
    for pair in ours[:MAX_COOKIES]:
        value = pair.partition("=")[2].strip().strip('"')
        if len(value) <= MAX_COOKIE_CHARS:
            yield value


def _signer(endpoint: str, token: Secret) -> URLSafeSerializer:
    return URLSafeSerializer(_key(endpoint, token), salt="kafka-bridge session")


def _key(endpoint: str, token: Secret) -> bytes:
    return hmac.new(token.reveal().encode("utf-8", "surrogatepass"), endpoint.encode(), hashlib.sha256).digest()
