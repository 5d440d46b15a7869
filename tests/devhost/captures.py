"""Requests as they would have been recorded."""

from devhost.signing import sign
from devhost.verify import Captured
from tests.stand_ins import NOW

URL = "https://hooks.example.com/e/abc/webhook?a=%2Fb"
SECRET = "correct-horse-battery-staple"
BODY = b'{"type": "invoice.paid", "id": "evt_1", "name": "caf\xc3\xa9", "nested": {"b": 1, "a": [1, 2]}}'


def capture(scheme="github", *, secret=SECRET, body=BODY, now=NOW, url=URL, **more):
    found = sign(scheme, secret, body, now=now, event_id="evt_1", url=url, **more)
    return Captured(headers=found.headers, body=found.body, url=found.url)
