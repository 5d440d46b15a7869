"""An endpoint of a test's own, as its operator and its senders see it."""

import json
import time
import uuid
from collections.abc import Mapping
from typing import Any, Self

import httpx

from devhost.host import BackgroundHost
from devhost.senders import SENDERS


class Endpoint:
    """Use it as a context manager. `url` is without a slash at the end."""

    def __init__(self, host: BackgroundHost, hook: str, *, token: str, secret: str) -> None:
        self.hook = hook
        self.token = token
        self.secret = secret
        self.url = host.url(hook)
        self.topic = f"{hook}.events"
        self._host = host
        self._client = httpx.Client(trust_env=False, timeout=30)

    def save(self, **settings: Any) -> None:
        """Save its settings, with others than the usual ones."""
        usual = {"api_token": self.token, "webhook_secret": self.secret, "topic": self.topic}
        self._host.configure(self.hook, {**usual, **settings})

    def deliver(self, payload: object, *, headers: Mapping[str, str] = {}, path: str = "/webhook") -> dict[str, Any]:
        """A signed webhook, which is acknowledged; what it was answered."""
        body = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
        answer = self.post(body, headers={**self.signed(body), **headers}, path=path)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def order(self, **fields: Any) -> dict[str, Any]:
        """An ordinary event; what its webhook was answered."""
        return self.deliver({"event_type": "order.paid", "id": f"order-{uuid.uuid4().hex[:8]}", **fields})

    def forged(self) -> None:
        """A webhook whose signature is a guess."""
        body = b'{"event_type":"order.paid","id":"forged"}'
        headers = SENDERS["hmac"]("a guess", body, time.time(), "")
        assert self.post(body, headers=headers).status_code == 401

    def signed(self, body: bytes) -> dict[str, str]:
        """The headers of a signed body."""
        return {**SENDERS["hmac"](self.secret, body, time.time(), ""), "Content-Type": "application/json"}

    def post(self, body: bytes, *, headers: Mapping[str, str], path: str = "/webhook") -> httpx.Response:
        """Any delivery."""
        return self._client.post(self.url + path, content=body, headers=headers)

    def answers(self) -> bool:
        """Whether the plugin's process is there, and Kafka."""
        return self._client.get(f"{self.url}/health").status_code == 200

    def events(self, **asked: str) -> list[dict[str, Any]]:
        """What the API lists."""
        answer = self._client.get(f"{self.url}/events", params=asked, headers={"Authorization": f"Bearer {self.token}"})
        return answer.raise_for_status().json()["events"]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()
