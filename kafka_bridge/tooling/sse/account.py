"""What has come of a call so far, what is said of each event, and the summary at the end. Pure."""

from collections.abc import Mapping
from enum import Enum
from types import MappingProxyType
from typing import Final

import orjson

from kafka_bridge.events.envelope import rfc3339
from kafka_bridge.settings.secret import Secret
from kafka_bridge.tooling.sse.failures import Failure
from kafka_bridge.tooling.sse.parser import Event, TooLarge

# A message is one line on stdout, and one above 5 MiB is the end of the process. Control characters take six times
# their size there.
MAX_MESSAGE_BYTES: Final = 2 * 1024 * 1024
# Of the events that the summary repeats; and of all events of a call, which a workflow keeps in memory.
MAX_SUMMARY_BYTES: Final = 256 * 1024
MAX_TOTAL_BYTES: Final = 8 * 1024 * 1024
# What is shorter would be found in texts that do not hold it.
LEAST_MASKED_CHARS: Final = 6


class Ending(Enum):
    """Why nothing is listened to any more."""

    ENOUGH = "max_events was reached"
    SAID_SO = "the server said that there is no more"
    CLOSED = "the server ended the stream"
    TIME = "the timeout was over"
    CUT = "listening was cut at the longest time that a call may take here"
    FULL = "a call may bring no more than that"
    FAILED = "the stream could not be read"
    LOST = "events could not be written to Kafka"


_STATUS: Final = MappingProxyType(
    {
        Ending.ENOUGH: "completed",
        Ending.SAID_SO: "completed",
        Ending.CLOSED: "completed",
        Ending.TIME: "timeout",
        Ending.CUT: "partial",
        Ending.FULL: "partial",
    }
)


class Account:
    """Counts and keeps the events of one call; what it keeps is bounded. `host` is for the summary's text."""

    def __init__(self, host: str, token: Secret | None) -> None:
        self.total = 0
        self.forwarded = 0
        self.attempts = 0
        self.last_event_id = ""
        self._host = host
        self._hidden = _spellings(token.reveal()) if token else ()
        self._bytes = 0
        self._kept: list[Mapping[str, object]] = []
        self._kept_bytes = 0

    @property
    def is_full(self) -> bool:
        """Whether no more events may come."""
        return self._bytes >= MAX_TOTAL_BYTES

    def masked(self, event: Event) -> Event:
        """The event as it may be shown: a server may repeat what it was sent, the token too."""
        return Event(self._mask(event.type), self._mask(event.data), self._mask(event.id), event.own_id)

    def _mask(self, text: str) -> str:
        for spelling in self._hidden:
            text = text.replace(spelling, "***")
        return text

    def add(self, event: Event, now: float) -> Mapping[str, object]:
        """The message for an event. Raises TooLarge."""
        message = {"event_type": event.type, "data": event.data, "timestamp": rfc3339(now), "event_id": event.id}
        size = len(orjson.dumps(message))
        if size > MAX_MESSAGE_BYTES:
            raise TooLarge
        self.total += 1
        self._bytes += size
        if self._kept_bytes + size <= MAX_SUMMARY_BYTES:
            self._kept_bytes += size
            self._kept.append(message)
        return {"type": "event", **message}

    def status(self, ending: Ending) -> str:
        """`completed`, `timeout`, `partial`, or `error` where nothing came of it."""
        if ending is Ending.FAILED:
            return "partial" if self.total else "error"
        return _STATUS.get(ending, "error")

    def summary(self, ending: Ending, failure: Failure | None, duration_s: float) -> Mapping[str, object]:
        """The last message, whose fields are the node's outputs."""
        return {
            "type": "summary",
            "status": self.status(ending),
            "total_events": self.total,
            "connection_duration": round(duration_s, 3),
            "events": self._kept,
            "events_omitted": self.total - len(self._kept),
            "last_event_id": self._mask(self.last_event_id),
            "reconnects": max(0, self.attempts - 1),
            "forwarded": self.forwarded,
            "error": str(failure) if failure else "",
            "summary": self._sentence(ending, failure, duration_s),
        }

    def _sentence(self, ending: Ending, failure: Failure | None, duration_s: float) -> str:
        counted = f"{self.total} {'event' if self.total == 1 else 'events'} from {self._host} in {duration_s:.1f} s"
        why = failure.text if failure else ending.value
        parts = [f"{counted}: {why}."]
        if failure and failure.advice:
            parts.append(failure.advice)
        if omitted := self.total - len(self._kept):
            parts.append(f"{omitted} of them are too large to be repeated in this summary; each was sent when it came.")
        if self.forwarded:
            parts.append(f"{self.forwarded} written to Kafka.")
        return " ".join(parts)


def _spellings(token: str) -> tuple[str, ...]:
    """The token as a server may write it: as it is, and within JSON."""
    if len(token) < LEAST_MASKED_CHARS:
        return ()
    quoted = orjson.dumps(token).decode()[1:-1]
    return tuple(dict.fromkeys((token, quoted, quoted.replace("/", "\\/"))))
