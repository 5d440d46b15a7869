"""Signs a payload as each vendor does: for the demo, for tests, and for trying an endpoint by hand.

Written from the vendors' pages, apart from the plugin's own verification, so that the two check each other.
"""

import base64
import hashlib
import hmac
import uuid
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

type Sign = Callable[[str, bytes, float, str], dict[str, str]]
"""Secret, body, unix time and event id to the request's headers."""


def generic(secret: str, body: bytes, _now: float, _event_id: str) -> dict[str, str]:
    """Hex HMAC-SHA256 of the body."""
    return {"X-Webhook-Signature": hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()}


def github(secret: str, body: bytes, _now: float, event_id: str) -> dict[str, str]:
    """As https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries says."""
    digest = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    delivery = str(uuid.uuid5(uuid.NAMESPACE_URL, event_id))
    return {"X-Hub-Signature-256": f"sha256={digest}", "X-GitHub-Event": "push", "X-GitHub-Delivery": delivery}


def standard_webhooks(secret: str, body: bytes, now: float, event_id: str) -> dict[str, str]:
    """As https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md says."""
    key = base64.b64decode(secret.removeprefix("whsec_"))
    signed = f"{event_id}.{int(now)}.".encode() + body
    signature = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    return {"webhook-id": event_id, "webhook-timestamp": str(int(now)), "webhook-signature": f"v1,{signature}"}


def stripe(secret: str, body: bytes, now: float, _event_id: str) -> dict[str, str]:
    """As https://docs.stripe.com/webhooks#verify-manually says."""
    signed = f"{int(now)}.".encode() + body
    digest = hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()
    return {"Stripe-Signature": f"t={int(now)},v1={digest}"}


def unsigned(_secret: str, _body: bytes, _now: float, _event_id: str) -> dict[str, str]:
    """No signature at all."""
    return {}


SENDERS: Final[Mapping[str, Sign]] = MappingProxyType(
    {
        "hmac": generic,
        "github": github,
        "standard-webhooks": standard_webhooks,
        "stripe": stripe,
        "none": unsigned,
    }
)
