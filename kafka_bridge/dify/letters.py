"""Looks at an endpoint's dead letters, and sends them back.

Kafka is read on a thread of its own for each request, which ends with it; records are sent, and the app is run, beside
the other requests as ever.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, closing, nullcontext
from typing import Final

from kafka_bridge.broker import config
from kafka_bridge.broker.aside import Aside
from kafka_bridge.broker.loops import Loop
from kafka_bridge.broker.ports import Scanner, Span
from kafka_bridge.broker.registry import ProducerRegistry
from kafka_bridge.clock import Clock
from kafka_bridge.dify.call import Call
from kafka_bridge.dify.caller import Caller
from kafka_bridge.dify.runs import RUN_S, Runs, ran
from kafka_bridge.dispatch.cursor import Positions
from kafka_bridge.dispatch.ended import Ended, Ending
from kafka_bridge.dispatch.letter import Letter
from kafka_bridge.dispatch.listing import Listing
from kafka_bridge.dispatch.memory import CLAIM_S, SUFFIX, Memory
from kafka_bridge.dispatch.payload import read
from kafka_bridge.dispatch.plan import Plan
from kafka_bridge.dispatch.reading import Bounds
from kafka_bridge.dispatch.redrive import Line, Order, Target, Told, Wanted, letter_topics
from kafka_bridge.dispatch.redriver import redrive
from kafka_bridge.dispatch.shown import Page, Shown, shown
from kafka_bridge.errors import Busy, Cause, Unavailable
from kafka_bridge.events.outcome import Recorder
from kafka_bridge.events.record import Consumed, TopicPartition
from kafka_bridge.settings.cluster import Cluster

logger = logging.getLogger(__name__)

# A page of what can be read has an end after this.
LOOK_S: Final = 10.0
SEND_S: Final = 9.0
# What a thread may need besides: to connect, to ask, to commit, to close.
MORE_S: Final = 40.0
# Each has a thread, a few sockets, and up to 8 MiB of what it has fetched.
MAX_AT_ONCE: Final = 8

type MakeScanner = Callable[[Cluster, str], Scanner]
"""A reader of a cluster, and of what the group of that name remembers."""


class Letters:
    """For all endpoints; each sends its letters back one request at a time."""

    def __init__(
        self,
        make_scanner: MakeScanner,
        registry: ProducerRegistry,
        runs: Runs,
        recorder: Recorder,
        *,
        loop: Loop,
        clock: Clock,
        name: Callable[[], str],
    ) -> None:
        """`name` makes names that nobody else has."""
        self._make_scanner = make_scanner
        self._registry = registry
        self._runs = runs
        self._recorder = recorder
        self._loop = loop
        self._clock = clock
        self._name = name
        self._at_once = 0
        self._redriving: set[str] = set()

    def page(
        self,
        call: Call,
        wanted: Wanted,
        *,
        redriven: bool | None,
        limit: int,
        cursor: Positions,
    ) -> Page:
        """A page, which leaves no trace in Kafka; `redriven`: only those that were, or were not. Raises BridgeError."""
        plan, cluster = call.hook.consumption(topics=True, app=False), call.hook.target()
        topics, keeping = letter_topics(plan, wanted.topic), call.hook.keeping
        until = self._clock.monotonic() + LOOK_S

        def look(aside: Aside[Page]) -> Page:
            with closing(self._make_scanner(cluster, plan.group_id + SUFFIX)) as scanner:
                memory = Memory(scanner, topics, holder="", loop=self._loop, clock=self._clock)
                spans, done = _known(memory, scanner, topics)

                def choose(letter: Letter) -> Shown | None:
                    was = done(letter)
                    if not wanted.matches(letter) or (redriven is not None and was is not redriven):
                        return None
                    return shown(letter, plan, keeping, group=wanted.group, redriven=was)

                bounds = Bounds(self._clock, lambda: aside.stopped, until)
                return Listing(scanner, choose, bounds).page(dict(spans), limit=limit, cursor=cursor)

        return self._aside(look, timeout_s=LOOK_S + MORE_S)

    def send_back(self, call: Call, order: Order, *, max_s: float, tell: Callable[[Sequence[Line]], None]) -> Told:
        """Carry out an order within `max_s` seconds and what is on its way then; `tell` is called on another thread.

        Raises BridgeError where nothing was done: Busy while this endpoint's letters are being sent back already.
        """
        runs = order.to is Target.WORKFLOW
        plan, cluster = call.hook.consumption(topics=True, app=runs), call.hook.target()
        if not runs and not call.hook.settings.publishing:
            raise Unavailable(Cause.PUBLISHING_DISABLED)
        # Who only looks is in nobody's way.
        busy = set[str]() if order.dry_run else self._redriving
        if call.endpoint in busy:
            raise Busy("This endpoint's dead letters are being sent back already.")
        busy.add(call.endpoint)
        gone: list[None] = []
        bounds = Bounds(self._clock, lambda: bool(gone), self._clock.monotonic() + max_s)
        roomy = config.roomy(cluster)
        watching: AbstractContextManager[Caller | None] = (
            self._runs.attended(call, on_gone=lambda: gone.append(None)) if runs else nullcontext()
        )
        with watching as caller:

            def task(aside: Aside[Told]) -> Told:
                with closing(self._make_scanner(cluster, plan.group_id + SUFFIX)) as scanner:
                    return redrive(
                        order,
                        plan,
                        scanner,
                        send=lambda records: self._registry.lease(roomy).send_each(records, timeout_s=SEND_S),
                        run=lambda consumed: self._run(call, caller, plan, consumed, bounds),
                        holder=self._name(),
                        loop=self._loop,
                        bounds=Bounds(self._clock, lambda: aside.stopped or bounds.stopped(), bounds.until),
                        tell=tell,
                    )

            told = self._aside(
                task,
                timeout_s=max_s + CLAIM_S + MORE_S + (RUN_S if runs else 0.0),
                then=lambda: busy.discard(call.endpoint),
            )
        if not order.dry_run:
            logger.info("endpoint %s: %d dead letters sent back, %d not", call.endpoint, told.redriven, told.failed)
        return told

    def _run(self, call: Call, caller: Caller | None, plan: Plan, consumed: Consumed, bounds: Bounds) -> Ended:
        if caller is None or bounds.over:
            return Ended(Ending.NOT_STARTED, error="the time was over")
        payload = read(consumed)
        ended = self._runs.run(call, caller, plan, payload, until=bounds.until or 0.0)
        self._recorder.ran(call.endpoint, ran(payload, ended, time=self._clock.now()))
        return ended

    def _aside[Result](
        self, task: Callable[[Aside[Result]], Result], *, timeout_s: float, then: Callable[[], None] = lambda: None
    ) -> Result:
        """What a task gives that blocks. Raises BridgeError, Busy where too many are under way."""
        if self._at_once >= MAX_AT_ONCE:
            then()
            raise Busy(f"{MAX_AT_ONCE} requests look at dead letters at this moment.")
        self._at_once += 1

        def ended() -> None:
            self._at_once -= 1
            then()

        aside = Aside(task, self._loop)
        try:
            aside.start(ended)
        except Busy:
            ended()
            raise
        return aside.result(timeout_s)


def _known(
    memory: Memory, scanner: Scanner, topics: Sequence[str]
) -> tuple[Mapping[TopicPartition, Span], Callable[[Letter], bool | None]]:
    """What lies there, and whether a letter was sent back; None where the group may not be looked at."""
    try:
        memory.load()
    except Unavailable as error:
        if error.cause is not Cause.NOT_AUTHORIZED:
            raise
        return scanner.spans(topics), lambda _: None
    progress = memory.progress
    return memory.spans, lambda letter: letter.consumed.offset in progress[letter.consumed.position]
