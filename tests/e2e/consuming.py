"""An app that a test scripts, an endpoint that consumes with it, and what lies in Kafka."""

import json
import secrets
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx
from confluent_kafka import Consumer, Message, Producer, TopicPartition

from devhost.apps import AppError
from devhost.host import BackgroundHost
from tests.brokers import wait_until

# What the daemon says while Dify's api is down, and of an app that is not published.
API_DOWN = (
    "invoke app failed: failed to send request: Post "
    '"http://api:5001/inner/api/invoke/app": dial tcp 172.18.0.4:5001: connect: connection refused'
)
NOT_PUBLISHED = (
    "invoke app failed: request failed with status code: 400 and respond with: "
    '{"code":"invalid_param","message":"unexpected app type","status":400}\n'
)
COUNTS = ("consumed", "succeeded", "failed", "retried", "dead_lettered")
ANSWER = {*COUNTS, "lag", "ended_by"}

type Act = Callable[[dict[str, Any]], Mapping[str, object]]


class Flow:
    """Stands for an app of Dify's: `act` is what it does, `calls` what it was given, `down` what Dify says instead."""

    def __init__(self) -> None:
        self.act: Act = lambda inputs: {"seen": inputs.get("event_id")}
        self.form: list[dict[str, dict[str, object]]] | None = None
        self.down = ""
        self.asked = 0
        self.calls: list[dict[str, Any]] = []

    def __call__(self, inputs: dict[str, Any]) -> Mapping[str, object]:
        self.calls.append(inputs)
        return self.act(inputs)

    @property
    def user_input_form(self) -> list[dict[str, dict[str, object]]] | None:
        """The form, as the host asks for it; while the app is down nobody gets it."""
        self.asked += 1
        if self.down:
            raise AppError(self.down)
        return self.form

    def ids(self) -> list[str]:
        """The events that were run, in the order of their starts."""
        return [call["event_id"] for call in self.calls]


@dataclass
class Endpoint:
    """A configured endpoint with a token, seen from outside."""

    url: str
    token: str
    client: httpx.Client
    flow: Flow
    topic: str
    group: str
    bootstrap: str
    totals: Counter[str] = field(default_factory=Counter)

    @property
    def hook(self) -> str:
        """Its name in the URL."""
        return self.url.rpartition("/")[2]

    def post(self, path: str, content: bytes | None = None, **headers: str) -> httpx.Response:
        """Send a body with the token."""
        return self.client.post(
            f"{self.url}{path}", content=content, headers={"Authorization": f"Bearer {self.token}", **headers}
        )

    def consumer(self) -> dict[str, Any]:
        """What `/consumer` tells."""
        answer = self.client.get(f"{self.url}/consumer", headers={"Authorization": f"Bearer {self.token}"})
        assert answer.status_code == 200, answer.text
        return answer.json()

    def consume(self, **asked: object) -> dict[str, Any]:
        """One window, whose answer must be a 200."""
        answer = self.post("/consume", json.dumps(asked).encode())
        assert answer.status_code == 200, answer.text
        told = answer.json()
        assert set(told) - {"reason", "blocked"} == ANSWER
        self.totals.update({name: told[name] for name in COUNTS})
        return told

    def consume_until(self, condition: Callable[[Counter[str]], bool], **asked: object) -> dict[str, Any]:
        """Windows until what they did altogether fulfils the condition; gives the last one's answer."""
        last: list[dict[str, Any]] = []
        wait_until(lambda: last.append(self.consume(**asked)) or condition(self.totals), 60)
        return last[-1]

    def produce(self, records: Iterable[Mapping[str, Any]], *, topic: str = "") -> None:
        """Write records and wait for them; each says what `Producer.produce` takes."""
        producer = Producer({"bootstrap.servers": self.bootstrap, "message.max.bytes": 20_000_000, "log_level": 0})
        for record in records:
            producer.produce(topic or self.topic, **{"partition": 0, **record})
        assert producer.flush(30) == 0

    def committed(self, partition: int = 0) -> int:
        """The group's committed offset."""
        reader = Consumer({"bootstrap.servers": self.bootstrap, "group.id": self.group, "log_level": 0})
        try:
            return reader.committed([TopicPartition(self.topic, partition)], timeout=20)[0].offset
        finally:
            reader.close()


def endpoint_on(
    host: BackgroundHost, app: str, flow: Flow, /, *, token: str, client: httpx.Client, **settings: Any
) -> Endpoint:
    """Configure an endpoint with a topic and a group of its own; `settings` as they are saved."""
    hook = fresh("hook")
    broker = str(settings.get("bootstrap_servers", host.bootstrap))
    # The new protocol joins the embedded broker at once, where the classic one takes three seconds.
    quick = {"client_config": '{"group.protocol": "consumer"}'} if broker == host.bootstrap else {}
    saved = {
        "api_token": token,
        "app": {"app_id": app},
        "consume_topics": fresh("orders"),
        "group_id": fresh("group"),
        "offset_reset": "earliest",
        **quick,
        **settings,
    }
    host.configure(hook, saved)
    topic = str(saved["consume_topics"])
    return Endpoint(host.url(hook), token, client, flow, topic, str(saved["group_id"]), broker)


def event(number: int, *, key: str | None = None, **fields: object) -> dict[str, Any]:
    """A record of an event `e-<number>`."""
    return {
        "key": key,
        "value": json.dumps({"n": number, **fields}).encode(),
        "headers": [("ce_id", f"e-{number}".encode())],
    }


def fresh(what: str) -> str:
    """A name that no other test has."""
    return f"{what}-{secrets.token_hex(4)}"


def headers_of(message: Message) -> dict[str, bytes | None]:
    """Headers by name; of a repeated one the last."""
    return dict(message.headers() or [])
