"""What senders ask before they deliver: proofs that the endpoint is its owner's. Pure.

Each is verified before it is answered, where the vendor signs it; the others only ever echo what was sent, as plain
text that no browser takes for a page.
"""

import base64
import hashlib
import hmac
import re
from http import HTTPStatus
from typing import Final

from kafka_bridge.documents import at
from kafka_bridge.errors import Unverified
from kafka_bridge.http import Outbound, json_reply
from kafka_bridge.ingress.content import Content
from kafka_bridge.ingress.keys import SECRET, secrets_of
from kafka_bridge.settings.sources import SourceSecret

TOKEN: Final = "token"  # noqa: S105 - the name of a field
_CRC_TOKEN: Final = re.compile(r"[A-Za-z0-9_.~+/=-]{1,256}", re.ASCII)
_NO_SNIFF: Final = (("X-Content-Type-Options", "nosniff"),)
_PLAIN: Final = "text/plain; charset=utf-8"


class NoHandshake:
    """A sender that only delivers; and the base of those that ask for one of the three."""

    def __init__(self, secret: SourceSecret) -> None:
        self.secret = secret

    def unsigned(self, content: Content, *, now: float) -> Outbound | None:  # noqa: ARG002
        return None

    def signed(self, content: Content) -> Outbound | None:  # noqa: ARG002
        return None

    def success(self, content: Content, *, now: float) -> Outbound | None:  # noqa: ARG002
        return None


class Slack(NoHandshake):
    """`url_verification`, signed.

    https://docs.slack.dev/reference/events/url_verification
    """

    def signed(self, content: Content) -> Outbound | None:
        if content.text_at(("type",)) != "url_verification":
            return None
        return echo(content.text_at(("challenge",)) or "")


class Zoom(NoHandshake):
    """`endpoint.url_validation`, signed, again every 72 hours.

    https://developers.zoom.us/docs/api/webhooks/
    """

    def signed(self, content: Content) -> Outbound | None:
        if content.text_at(("event",)) != "endpoint.url_validation":
            return None
        token = content.text_at(("payload", "plainToken")) or ""
        # Zoom compares with the newest secret.
        key = secrets_of(self.secret)[0].reveal().encode("utf-8", "surrogatepass")
        digest = hmac.new(key, token.encode("utf-8", "surrogatepass"), hashlib.sha256).hexdigest()
        return json_reply({"plainToken": token, "encryptedToken": digest})


class Meta(NoHandshake):
    """GET with a verify token that the operator chose: `token` beside `secret`.

    https://developers.facebook.com/docs/graph-api/webhooks/getting-started#verification-requests
    """

    def unsigned(self, content: Content, *, now: float) -> Outbound | None:  # noqa: ARG002
        if content.inbound.method == "POST" or content.query.get("hub.mode") != "subscribe":
            return None
        token = self.secret.named.get(TOKEN)
        if token is None:
            raise Unverified(f"the verify token is not known: write the secret as an object with {SECRET} and {TOKEN}")
        if not token.matches(content.query.get("hub.verify_token", "")):
            raise Unverified("the verify token is not the one of the settings")
        return echo(content.query.get("hub.challenge", ""))


class Dropbox(NoHandshake):
    """GET with a challenge.

    https://www.dropbox.com/developers/reference/webhooks#documentation
    """

    def unsigned(self, content: Content, *, now: float) -> Outbound | None:  # noqa: ARG002
        challenge = content.query.get("challenge")
        return None if challenge is None or content.inbound.method == "POST" else echo(challenge)


class Graph(NoHandshake):
    """POST with a validation token.

    https://learn.microsoft.com/en-us/graph/change-notifications-delivery-webhooks
    """

    def unsigned(self, content: Content, *, now: float) -> Outbound | None:  # noqa: ARG002
        token = content.query.get("validationToken")
        return None if token is None else echo(token)


class X(NoHandshake):
    """The challenge-response check (CRC) by GET.

    https://docs.x.com/x-api/webhooks/quickstart

    The answer is what an event with the token as its body would be signed with, and anybody may ask. So no answer is
    given to what could be an event, and nothing is an event that could have been a token.
    """

    def unsigned(self, content: Content, *, now: float) -> Outbound | None:  # noqa: ARG002
        token = content.query.get("crc_token")
        if token is None or content.inbound.method == "POST":
            return None
        if not _CRC_TOKEN.fullmatch(token):
            raise Unverified("the crc_token has not the form of one")
        key = secrets_of(self.secret)[0].reveal().encode("utf-8", "surrogatepass")
        digest = hmac.digest(key, token.encode(), "sha256")
        return json_reply({"response_token": f"sha256={base64.b64encode(digest).decode()}"})

    def signed(self, content: Content) -> Outbound | None:
        if _CRC_TOKEN.fullmatch(content.inbound.body.decode("latin-1")):
            raise Unverified("the body may be a token, whose signature anybody can have")
        return None


class Discord(NoHandshake):
    """A ping, signed: 0 among webhook events, 1 among interactions.

    https://discord.com/developers/docs/events/webhook-events
    """

    def signed(self, content: Content) -> Outbound | None:
        kind = at(content.document, ("type",))
        # `True == 1`, and it is no number.
        if isinstance(kind, bool) or not isinstance(kind, int):
            return None
        if kind == 0:
            return Outbound(HTTPStatus.NO_CONTENT)
        return json_reply({"type": 1}) if kind == 1 and "event" not in _keys(content) else None

    def success(self, content: Content, *, now: float) -> Outbound | None:  # noqa: ARG002
        return Outbound(HTTPStatus.NO_CONTENT) if "event" in _keys(content) else None


def echo(text: str) -> Outbound:
    """What was sent, as text that no browser runs."""
    return Outbound(HTTPStatus.OK, text.encode("utf-8", "replace"), _PLAIN, _NO_SNIFF)


def _keys(content: Content) -> frozenset[object]:
    return frozenset(content.document) if isinstance(content.document, dict) else frozenset()
