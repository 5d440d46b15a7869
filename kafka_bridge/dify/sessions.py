"""Who is signed in: one signed cookie per browser, and the token that its forms carry.

The key is made of the endpoint's id and API token, so a cookie is worth nothing at another endpoint, and nothing any
more once the token has changed. Signing out is remembered for as long as the cookie would have lasted.
"""

import hashlib
import hmac
import secrets
from collections import OrderedDict
from typing import Final, NamedTuple

from itsdangerous import BadData, URLSafeSerializer

from kafka_bridge.clock import Clock
from kafka_bridge.settings.secret import Secret

COOKIE: Final = "kafka_bridge"
LASTS_S: Final = 12 * 3600
MAX_SIGNED_OUT: Final = 4096
# What other pages of the same host have set comes along.
MAX_COOKIE_CHARS: Final = 16_384
MAX_COOKIES: Final = 8


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
        if token is None or f"{COOKIE}=" not in cookies or len(cookies) > MAX_COOKIE_CHARS:
            return None
        signer = _signer(endpoint, token)
        # Another page of the same host may have set one of the same name for a wider path.
        found = (self._session(value, signer, endpoint, token) for value in _values(cookies)[:MAX_COOKIES])
        return next(filter(None, found), None)

    def _session(self, value: str, signer: URLSafeSerializer, endpoint: str, token: Secret) -> Session | None:
        try:
            nonce, issued = signer.loads(value)
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


def _values(cookies: str) -> list[str]:
    """Those of our name. Not by the standard library, which stops at the first cookie that it does not like."""
    pairs = [pair.strip().partition("=") for pair in cookies.split(";")]
    return [value for name, _, value in pairs if name == COOKIE]


def _signer(endpoint: str, token: Secret) -> URLSafeSerializer:
    return URLSafeSerializer(_key(endpoint, token), salt="kafka-bridge session")


def _key(endpoint: str, token: Secret) -> bytes:
    return hmac.new(token.reveal().encode("utf-8", "surrogatepass"), endpoint.encode(), hashlib.sha256).digest()
