"""Storage that works, or does not; an endpoint that records, seen from outside; and what lies in storage."""

import asyncio
import json
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx

from devhost.senders import SENDERS
from devhost.storage import Storage, StorageError
from kafka_bridge.events.log.entry import Entry
from kafka_bridge.events.log.segments import decode

FULL = "save data failed: allocated size is greater than max storage size"
LOOKS = 20
BROKEN = "save data failed: dial tcp 10.0.0.5:6379: connect: connection refused"


@dataclass
class Faults:
    """Put around every call to storage. `calls` counts them by operation."""

    pause_s: float = 0.0
    hangs: bool = False
    says: str = ""
    full: bool = False
    calls: Counter[str] = field(default_factory=Counter)

    @asynccontextmanager
    async def __call__(self, operation: str, _key: str) -> AsyncIterator[None]:
        self.calls[operation] += 1
        if self.hangs:
            await asyncio.Event().wait()
        if self.pause_s:
            await asyncio.sleep(self.pause_s)
        if self.says:
            raise StorageError(self.says)
        yield
        if self.full and operation == "set":
            # The daemon writes first and counts then.
            raise StorageError(FULL)

    @property
    def writes(self) -> int:
        """Calls that change something."""
        return self.calls["set"] + self.calls["del"]

    def mend(self) -> None:
        """Storage works from now on."""
        self.pause_s, self.hangs, self.says, self.full = 0.0, False, "", False


@dataclass
class Shop:
    """An endpoint with a sender and somebody who looks at its events."""

    url: str
    secret: str
    token: str
    client: httpx.Client

    def deliver(
        self, document: object, *, source: str = "", secret: str = "", scheme: str = "hmac", **headers: str
    ) -> httpx.Response:
        """A signed event."""
        body = document if isinstance(document, bytes) else json.dumps(document).encode()
        signed = SENDERS[scheme](secret or self.secret, body, time.time(), "event")
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        path = f"/webhook/{source}" if source else "/webhook"
        headers = {"content-type": "application/json", **named, **signed}
        return self.client.post(f"{self.url}{path}", content=body, headers=headers)

    def get(self, path: str, **parameters: object) -> httpx.Response:
        """A look, with the token."""
        return self.client.get(
            f"{self.url}{path}", params=parameters, headers={"Authorization": f"Bearer {self.token}"}
        )

    def page(self, **parameters: object) -> dict[str, Any]:
        """One page of the list."""
        answer = self.get("/events", **parameters)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def events(self, **parameters: object) -> list[dict[str, Any]]:
        """All pages of the list; where storage is too slow for one look, after as many as it takes."""
        found: list[dict[str, Any]] = []
        cursor: str | None = ""
        while cursor is not None:
            page = self._whole_page({"limit": 500, **parameters, **({"cursor": cursor} if cursor else {})})
            found += page["events"]
            cursor = page["next"]
        return found

    def _whole_page(self, parameters: dict[str, object]) -> dict[str, Any]:
        pages = [self.page(**parameters)]
        while trouble := pages[-1].get("trouble"):
            assert "slow" in trouble or "in time" in trouble, trouble
            assert len(pages) < LOOKS, trouble
            pages.append(self.page(**parameters))
        return pages[-1]

    def show(self, entry_id: str) -> dict[str, Any]:
        """One event whole."""
        answer = self.get(f"/events/{entry_id}")
        assert answer.status_code == 200, answer.text
        return answer.json()

    def health(self) -> tuple[int, dict[str, Any]]:
        """What a probe sees."""
        answer = self.client.get(f"{self.url}/health")
        return answer.status_code, answer.json()


def stored_events(storage: Storage) -> dict[str, Entry]:
    """Every entry that lies in storage, by its id. Registers are no segments, and decode to nothing."""
    return {entry.id: entry for value in storage.values.values() for entry in decode(value).entries()}


def stored_texts(storage: Storage) -> Iterator[bytes]:
    """All that lies in storage, as it is and as it can be read."""
    for key, value in storage.values.items():
        yield key.encode()
        yield value
        yield from decode(value).rows
