"""A secret that is shown: where its row wants it."""

import base64
import json

from devhost.signing.draft import CannotSign, Draft, Places, SecretValue, Signed, object_of, set_at
from devhost.signing.keys import texts
from kafka_bridge.ingress.scheme import Scheme
from kafka_bridge.ingress.tokens import Token


def shown(token: Token, scheme: Scheme, secret: SecretValue, draft: Draft) -> Signed:
    """A token where its row wants it."""
    text, places = texts(secret)[0], Places(draft)
    text = base64.b64encode(text.encode()).decode() if token.encoded else text
    if not token.each:
        places.put(token.place, token.prefix + text)
        return places.signed()
    document = object_of(draft.body)
    items = document.setdefault(token.each, [{}])
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        raise CannotSign(f"{token.each} in the body must be an array of objects")
    for item in items or [{}]:
        set_at(item, token.place.name.split("."), token.prefix + text)
    assert scheme.proof is token
    places.body = json.dumps(document).encode()
    return places.signed()
