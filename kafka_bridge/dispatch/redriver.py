"""Goes through the dead letters, from the oldest on: sends back what is wanted, and has it remembered.

A letter counts as done once its record is acknowledged, or its run has succeeded; only then is that remembered, and
only then told. Whoever is killed in between does again what was on its way, and nothing else.
"""

from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from typing import Final

from kafka_bridge.broker.aside import on_loop
from kafka_bridge.broker.loops import Loop
from kafka_bridge.broker.ports import Scanner, Span
from kafka_bridge.dispatch.delivering import Deliver, Run, SendEach, ToTopic, ToWorkflow, is_halting
from kafka_bridge.dispatch.letter import Letter, read_letter
from kafka_bridge.dispatch.memory import Memory
from kafka_bridge.dispatch.plan import Plan
from kafka_bridge.dispatch.reading import Bounds, Reading, Spans
from kafka_bridge.dispatch.redrive import (
    REDRIVEN,
    Fate,
    Line,
    Order,
    Parcel,
    Target,
    Told,
    destination,
    letter_topics,
)
from kafka_bridge.errors import BridgeError, NotFound, Unroutable
from kafka_bridge.events.record import Consumed, TopicPartition

# Letters that are only counted, once as many were sent as were asked for.
COUNTED: Final = 20_000
NOT_THERE: Final = "There is no such dead letter, or not any more."

type Tell = Callable[[Sequence[Line]], None]
"""Takes what has become of some letters, once it is remembered."""


def redrive(
    order: Order,
    plan: Plan,
    scanner: Scanner,
    *,
    send: SendEach,
    run: Run,
    holder: str,
    loop: Loop,
    bounds: Bounds,
    tell: Tell,
) -> Told:
    """Carry out an order, as `Redriver.run`. `send` and `run` wait as callers do; `holder` tells who does this."""
    topics = letter_topics(plan, order.wanted.topic)
    if order.record is not None:
        topics = [topic for topic in topics if topic == order.record[0].topic]
        if not topics:
            raise NotFound(NOT_THERE)
    memory = Memory(scanner, topics, holder=holder, loop=loop, clock=bounds.clock)
    deliver: Deliver
    if order.to is Target.WORKFLOW:
        deliver = ToWorkflow(run, send, plan, bounds.clock)
    else:
        deliver = ToTopic(send, {topic: len(scanner.partitions(topic)) for topic in plan.topics})
    return Redriver(plan, scanner, deliver, memory, loop=loop, bounds=bounds, tell=tell).run(order)


class Redriver:
    """One order. On the thread that owns the scanner."""

    def __init__(
        self, plan: Plan, scanner: Scanner, deliver: Deliver, memory: Memory, *, loop: Loop, bounds: Bounds, tell: Tell
    ) -> None:
        self._plan = plan
        self._deliver = deliver
        self._memory = memory
        self._loop = loop
        self._bounds = bounds
        self._tell = tell
        self._reading = Reading(scanner, bounds.clock)
        self._order = Order()
        self._told = Told(dry_run=True)
        self._left: Spans = {}
        self._starts: dict[TopicPartition, int] = {}
        self._first_left: dict[TopicPartition, int] = {}
        self._tried = 0
        self._counted = 0
        self._halted = False

    def run(self, order: Order) -> Told:
        """Do it. Raises BridgeError where nothing was done; what goes wrong later stands in what is told.

        NotFound when the one record is not there, Unroutable when it cannot be sent anywhere.
        """
        self._order, self._told = order, Told(dry_run=order.dry_run)
        if order.dry_run:
            self._memory.load()
        else:
            self._memory.claim()
        try:
            self._left = self._spans(order)
            self._starts = {at: span.start for at, span in self._left.items()}
            self._go_through()
        finally:
            if not order.dry_run:
                self._release()
        return self._told

    def _spans(self, order: Order) -> Spans:
        if order.record is not None:
            at, offset = order.record
            span = self._memory.spans.get(at)
            if span is None or not span.start <= offset < span.end:
                raise NotFound(NOT_THERE)
            return {at: Span(offset, offset + 1)}
        return {
            at: Span(max(span.start, order.cursor.get(at, self._memory.progress[at].low)), span.end)
            for at, span in self._memory.spans.items()
        }

    def _go_through(self) -> None:
        found = False
        self._left = {at: span for at, span in self._left.items() if span.start < span.end}
        while self._left:
            if self._halted or self._bounds.over or self._counted >= COUNTED:
                self._told.next = self._positions()
                return
            try:
                records, self._left = self._reading.read(self._left, limit=self._deliver.together)
                found = found or bool(records)
                self._send(self._chosen(records))
            except BridgeError as error:
                if not self._told.matched:
                    raise
                self._halt(error)
            self._reading.rested()
        if self._halted:
            self._told.next = self._positions()
        if self._order.record is not None and not found:
            raise NotFound(NOT_THERE)

    def _halt(self, error: BridgeError) -> None:
        self._halted = True
        self._told.error = self._told.error or error

    def _positions(self) -> dict[TopicPartition, int]:
        """Where to go on: at what was not tried, in each partition."""
        ends = {at: span.end for at, span in self._memory.spans.items()}
        return {at: self._first_left.get(at, self._starts.get(at, end)) for at, end in ends.items()}

    def _chosen(self, records: Sequence[Consumed]) -> list[Parcel]:
        """Those that are to be sent now; the others are counted, and told."""
        order, parcels, lines = self._order, list[Parcel](), list[Line]()
        for consumed in records:
            start, self._starts[consumed.position] = self._starts[consumed.position], consumed.next_offset
            letter = read_letter(consumed)
            if consumed.offset in self._memory.progress[consumed.position] and not order.again:
                if order.record is not None:
                    lines.append(self._told.skip(letter, "It was sent back before."))
                continue
            if not order.wanted.matches(letter):
                continue
            try:
                topic = destination(letter, self._plan, group=order.wanted.group)
            except Unroutable as error:
                if order.record is not None:
                    raise
                lines.append(self._told.skip(letter, str(error)))
                continue
            if order.dry_run or (order.count is not None and self._tried >= order.count):
                lines.append(self._leave(letter))
                continue
            self._tried += 1
            parcels.append(Parcel(letter, topic, start))
        if lines:
            self._tell(lines)
        return parcels

    def _leave(self, letter: Letter) -> Line:
        if not self._order.dry_run:
            self._first_left.setdefault(letter.consumed.position, letter.consumed.offset)
            self._counted += 1
        return self._told.leave(letter)

    def _send(self, parcels: list[Parcel]) -> None:
        """Send some, and have remembered what is done; returns when each has its fate. Raises BridgeError."""
        if not parcels:
            if not self._order.dry_run:
                self._memory.keep()
            return
        try:
            # What was read may have taken so long that somebody else is at it by now.
            self._memory.keep()
            self._memory.check(
                (one.letter.consumed.position, one.start, one.letter.consumed.next_offset) for one in parcels
            )
        except BridgeError:
            for parcel in parcels:
                self._leave(parcel.letter)
            raise
        fates, untold = deque[tuple[Parcel, Fate]](), list[Line]()
        under_way = {parcel.letter: parcel for parcel in parcels}

        def settle(parcel: Parcel, fate: Fate) -> None:
            del under_way[parcel.letter]
            fates.append((parcel, fate))

        tasks = self._deliver.tasks(parcels, settle)
        defect = on_loop(self._loop, tasks, meanwhile=partial(self._settle, fates, untold))
        self._settle(fates, untold)
        if defect is not None:
            self._halt(defect)
            untold += [self._leave(letter) for letter in under_way]
        try:
            self._memory.keep()
        finally:
            if untold:
                # They are acknowledged, whether that is remembered or not.
                self._tell(untold)

    def _settle(self, fates: deque[tuple[Parcel, Fate]], untold: list[Line]) -> None:
        """Note what has become of some, and have it remembered now and then."""
        while fates:
            parcel, fate = fates.popleft()
            line, letter = self._told.settle(parcel, fate), parcel.letter.consumed
            untold.append(line)
            self._halted = self._halted or is_halting(fate)
            if line.word == REDRIVEN:
                self._memory.done(letter.position, parcel.start, letter.next_offset)
            else:
                self._first_left.setdefault(letter.position, letter.offset)
        try:
            self._memory.keep()
        except BridgeError as error:
            self._halt(error)
        if untold and self._memory.is_kept:
            self._tell(untold[:])
            untold.clear()

    def _release(self) -> None:
        try:
            self._memory.release()
        except BridgeError as error:
            # What is done and not remembered would be done again.
            self._halt(error)
