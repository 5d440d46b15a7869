"""`GET /stream`: entries of the event log as they are made, as server-sent events.

https://html.spec.whatwg.org/multipage/server-sent-events.html

The platform loses parts of an answer that come too fast, or whose end comes too soon; so there are few of them, and
every entry has a number that shows a gap. It ends an answer after a time of its own: a stream ends before that, and
says so. And it does not say that a client has gone: the session is asked.
"""

import logging
from collections import Counter
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from http import HTTPStatus
from typing import Final, NamedTuple

import orjson

from kafka_bridge.broker.loops import Interrupted, Loop
from kafka_bridge.clock import Clock
from kafka_bridge.dify.call import Call
from kafka_bridge.dify.caller import Caller
from kafka_bridge.dify.events import filter_of, query_of
from kafka_bridge.dify.recorder import EventRecorder
from kafka_bridge.errors import Busy
from kafka_bridge.events.log.document import document_of
from kafka_bridge.events.log.entry import from_row, to_row
from kafka_bridge.events.log.feed import Feed
from kafka_bridge.events.log.query import Filter, Row
from kafka_bridge.http import Answer, Outbound, Streamed
from kafka_bridge.incidents import incident_of

logger = logging.getLogger(__name__)

EVENT_STREAM: Final = "text/event-stream"
# `no`: a proxy that gathers an answer before it passes it on must not.
HEADERS: Final = (("Cache-Control", "no-store"), ("X-Accel-Buffering", "no"))
MAX_OF_ENDPOINT: Final = 8
MAX_OF_PROCESS: Final = 64
# The platform's limit is 600 s; an operator may have lowered it.
LASTS_S: Final = 240.0
LIMIT_VARIABLE: Final = "PLUGIN_MAX_EXECUTION_TIMEOUT"
LIMIT_SHARE: Final = 0.8
# Between two parts, and after the first and before the end, which the platform mixes up when they meet.
GAP_S: Final = 0.25
CALM_S: Final = 0.3
BEAT_S: Final = 15.0
# A browser's wait before it comes again.
RETRY_MS: Final = 1000
# Of one part; what it has no room for is in the next.
PART_BYTES: Final = 256 * 1024
MAX_NUMBER_CHARS: Final = 16
_NAMES: Final = frozenset({"source", "type", "outcome", "text", "last_event_id"})


def lasts_s(environment: Mapping[str, str]) -> float:
    """How long a stream lasts, in seconds, so that it ends before the platform ends it."""
    text = environment.get(LIMIT_VARIABLE, "").strip()
    limit_s = int(text) if text.isascii() and text.isdigit() and len(text) < MAX_NUMBER_CHARS else 0
    return min(LASTS_S, limit_s * LIMIT_SHARE) if limit_s else LASTS_S


class Stream:
    """The handler, and how many streams are open."""

    def __init__(self, recorder: EventRecorder, *, loop: Loop, clock: Clock, lasts_s: float = LASTS_S) -> None:
        self._recorder = recorder
        self._loop = loop
        self._clock = clock
        self._lasts_s = lasts_s
        self._open: Counter[str] = Counter()

    def show(self, call: Call) -> Answer:
        """The stream. Raises Busy when there are too many."""
        call.authorize()
        asked = query_of(call.inbound.query, _NAMES)
        wanted = filter_of(asked)
        if call.inbound.method == "HEAD":
            return Outbound(HTTPStatus.OK, b"", EVENT_STREAM, HEADERS)
        if self._open[call.endpoint] >= MAX_OF_ENDPOINT:
            raise Busy(f"{MAX_OF_ENDPOINT} streams of this endpoint are open.")
        if self._open.total() >= MAX_OF_PROCESS:
            raise Busy(f"{MAX_OF_PROCESS} streams are open.")
        # A browser that comes again asks with the URL of the first time, so the header is the newer one.
        since = call.inbound.header("last-event-id").strip() or asked.get("last_event_id", "")
        return Streamed(HTTPStatus.OK, self._parts(call, wanted, since), EVENT_STREAM, HEADERS)

    def open_at(self, endpoint: str) -> int:
        """How many are open at an endpoint."""
        return self._open[endpoint]

    def _parts(self, call: Call, wanted: Filter, since: str) -> Generator[bytes]:
        caller = Caller(call.ask, self._loop, on_look=partial(self._recorder.keep_up, call))
        try:
            with self._listening(call.endpoint) as feed, caller.watched():
                yield from _Talk(feed, wanted, partial(self._wait, caller), self._clock, self._lasts_s).parts(since)
        except Interrupted:
            # Nobody listens.
            return
        except Exception as error:  # noqa: BLE001 - the SDK would tell the client the whole of it
            logger.error("%s", incident_of(error).line)  # noqa: TRY400

    def _wait(self, caller: Caller, seconds: float, feed: Feed | None = None) -> None:
        """Rest; or only until something comes of `feed`. Raises Interrupted when the client has gone."""
        waiter = self._loop.waiter()
        wake = waiter.wake
        if feed is not None:
            feed.on_next(wake)
        try:
            caller.call(lambda: waiter.wait(seconds))
        finally:
            if feed is not None:
                feed.forget(wake)

    @contextmanager
    def _listening(self, endpoint: str) -> Iterator[Feed]:
        self._open[endpoint] += 1
        feed = self._recorder.feeds.open(endpoint)
        try:
            yield feed
        finally:
            self._recorder.feeds.close(feed)
            self._open[endpoint] -= 1
            # What is zero is not kept: there is no end of endpoints.
            self._open += Counter()


class _Talk(NamedTuple):
    """What is said in one stream. `wait` takes seconds, and a feed whose next entry ends the wait."""

    feed: Feed
    wanted: Filter
    wait: Callable[..., None]
    clock: Clock
    lasts_s: float

    def parts(self, since: str) -> Iterator[bytes]:
        feed, monotonic = self.feed, self.clock.monotonic
        began = monotonic()
        until, beat_at = began + self.lasts_s, began + BEAT_S
        said, first = self._greeting(since)
        yield first
        self.wait(CALM_S)
        while (now := monotonic()) < until:
            if feed.last == said and now < beat_at:
                self.wait(min(beat_at, until) - now, feed)
                continue
            part, said = self._part(said)
            if now >= beat_at:
                part += _message("beat", {"last": said})
                beat_at += BEAT_S
            if part:
                yield part
                self.wait(GAP_S)
        self.wait(CALM_S)
        yield _message("end", {"last": said})
        self.wait(CALM_S)

    def _greeting(self, since: str) -> tuple[int, bytes]:
        """The number from which to go on, and what is said first."""
        feed = self.feed
        hello = b"retry: %d\n" % RETRY_MS
        number = int(since) if since.isascii() and since.isdigit() and len(since) <= MAX_NUMBER_CHARS else None
        if number is not None and feed.reaches(number):
            return number, hello + _message("hello", {"last": feed.last})
        hello += _message("hello", {"last": feed.last}, feed.last)
        if since:
            hello += _message("reset", {"last": feed.last}, feed.last)
        return feed.last, hello

    def _part(self, said: int) -> tuple[bytes, int]:
        """What has come since, as much of it as there is room for, and the number of the last."""
        told, room = list[bytes](), PART_BYTES
        for number, row in self.feed.after(said):
            if self.wanted.takes(row):
                message = _message("event", _document(row), number)
                if told and len(message) > room:
                    break
                room -= len(message)
                told.append(message)
            said = number
        return b"".join(told), said


def _document(row: Row) -> object:
    try:
        return orjson.Fragment(orjson.dumps(document_of(row)))
    except orjson.JSONEncodeError:
        # Half a character, as the log writes it.
        entry = from_row(to_row(row.entry))
        return document_of(Row(entry, row.runs and (entry,))) if entry else None


def _message(event: str, data: object, number: int | None = None) -> bytes:
    text = orjson.dumps(data)
    return b"".join(
        (
            b"" if number is None else b"id: %d\n" % number,
            b"event: %b\ndata: %b\n\n" % (event.encode(), text),
        )
    )
