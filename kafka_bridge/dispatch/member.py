"""The thread that owns a consumer: reads, pauses, commits, and gives partitions back.

Everything the consumer does may block, so all of it happens here; whatever is decided is decided on the loop, by the
`Desk`. A partition that is revoked drains first: nothing more of it is started, what runs may end, what is done is
committed, and only then is it let go. After `DRAIN_S` it is let go as it is, and its unfinished records run again at
their next owner. Likewise all of them at the end; polling goes on meanwhile, because a group that is being balanced
takes no commit from who does not take part.
"""

import logging
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Final

from kafka_bridge.broker.loops import Loop, Task
from kafka_bridge.broker.ports import ClientDead, Consumer, Position, Start
from kafka_bridge.clock import Clock
from kafka_bridge.dispatch.desk import Desk, Inquiry, Partitions
from kafka_bridge.errors import BridgeError, Fenced
from kafka_bridge.events.record import Consumed, TopicPartition
from kafka_bridge.incidents import incident_of

logger = logging.getLogger(__name__)

# How long a poll waits, so also how late a retry that is due starts; and how late what is paused resumes.
POLL_S: Final = 0.1
# The same where nothing has come or been due for so many polls: a record ends a poll at once, whatever its length, and
# many consumers that only wait cost little. Who asks for the lag then waits a little longer.
REST_S: Final = 0.5
REST_AFTER: Final = 20
PAUSED_POLL_S: Final = 0.01
POLL_RECORDS: Final = 500
# A pause makes the library drop what it has fetched, and fetch it again half a second later. So while the buffer is
# full nothing is asked for, for so long, before everything is paused and polling goes on.
HOLD_S: Final = 1.0
HOLD_LOOK_S: Final = 0.003
# What a crash repeats is what ended since the last commit.
COMMIT_S: Final = 1.0
# The other members of the group wait meanwhile; the session is kept alive by the library.
DRAIN_S: Final = 10.0
_LOOK_S: Final = 0.01
# After an error; doubled up to the second for a client that cannot be built or dies again.
TROUBLE_S: Final = 0.2
REBUILD_S: Final = 1.0
REBUILD_MOST_S: Final = 30.0
# Whoever asks waits this long for the commit and the lag.
INQUIRY_S: Final = 5.0


class Member:
    """`run` is the thread's whole life; `stop` and `on_left` are for the loop, `inquire` for callers that may wait."""

    def __init__(
        self,
        make_consumer: Callable[[], Consumer],
        *,
        topics: Sequence[str],
        start: Start,
        desk: Desk,
        loop: Loop,
        clock: Clock,
    ) -> None:
        self._make_consumer = make_consumer
        self._topics = topics
        self._start = start
        self._desk = desk
        self._loop = loop
        self._clock = clock
        self._stopping = False
        self._left = False
        self._farewells: list[Task] = []
        self._joined = False
        self._inquiries: deque[Inquiry] = deque()
        self._ours: set[TopicPartition] = set()
        self._wanted: set[TopicPartition] = set()
        self._paused: set[TopicPartition] = set()
        self._full_since: float | None = None
        self._drained_by: float | None = None
        self._patience_s = REBUILD_S
        self._quiet = 0

    def stop(self) -> None:
        """Leave the group, after what runs has ended or `DRAIN_S` are over."""
        self._stopping = True

    def inquire(self, timeout_s: float = INQUIRY_S) -> Inquiry:
        """Have what is done committed, and ask for the lag; waits for the answer."""
        inquiry = Inquiry(self._loop.waiter())
        with self._loop.lock:
            if self._left:
                return inquiry
            self._inquiries.append(inquiry)
        inquiry.waiter.wait(timeout_s)
        return inquiry

    def on_left(self, task: Task) -> None:
        """Run `task`, on the loop, once the group is left."""
        if self._left:
            task()
        else:
            self._farewells.append(task)

    @property
    def has_left(self) -> bool:
        """Whether its life is over."""
        return self._left

    @property
    def joined(self) -> bool:
        """Whether the group has given this member its partitions, even if there were none for it."""
        return self._joined

    def run(self) -> None:
        """Read until `stop`; a client that dies is replaced."""
        while not self._stopping:
            try:
                self._live()
            except ClientDead as dead:
                self._died(dead.error)
            except BridgeError as error:
                self._died(error)
            except Exception as error:  # noqa: BLE001 - a thread that dies silently would stand still for ever
                self._died(self._defect(error))
        self._loop.call(self._say_goodbye)

    def _say_goodbye(self) -> None:
        self._left = True
        for task in (*(inquiry.waiter.wake for inquiry in self._inquiries), *self._farewells):
            task()
        self._desk.left()

    def _live(self) -> None:
        consumer = self._make_consumer()
        for known in (self._ours, self._wanted, self._paused):
            known.clear()
        try:
            consumer.subscribe(
                self._topics,
                start=self._start,
                on_assigned=self._on_assigned,
                on_revoked=partial(self._on_revoked, consumer),
                on_lost=self._on_lost,
            )
            self._serve(consumer)
        finally:
            consumer.close()
            self._joined = False

    def _serve(self, consumer: Consumer) -> None:
        records: Sequence[Consumed] = ()
        commit_at = self._clock.monotonic() + COMMIT_S
        while not self._stopping:
            flow = self._loop.call(partial(self._desk.arrived, records, at_end=consumer.at_end))
            self._wanted.update(flow.pause)
            self._wanted.difference_update(flow.resume)
            inquiries = [self._inquiries.popleft() for _ in range(len(self._inquiries))]
            if inquiries or self._clock.monotonic() >= commit_at:
                self._commit(consumer, self._loop.call(self._desk.committable))
                commit_at = self._clock.monotonic() + COMMIT_S
            self._quiet = 0 if records or inquiries or not flow.idle else self._quiet + 1
            if inquiries:
                self._answer(inquiries, consumer)
            records = () if self._holds() else self._poll(consumer)
        self._drain(consumer)

    def _drain(self, consumer: Consumer) -> None:
        """Before the farewell: let what runs end, and commit. What is read meanwhile is somebody else's."""
        self._drained_by = self._clock.monotonic() + DRAIN_S
        commit_at = 0.0
        while (now := self._clock.monotonic()) < self._drained_by:
            ready = self._loop.call(self._desk.committable)
            if not self._loop.call(partial(self._desk.in_flight, sorted(self._ours))):
                if not ready:
                    return
                if now >= commit_at:
                    commit_at = now + POLL_S
                    self._commit(consumer, ready)
                    continue
            self._wanted |= self._ours
            self._poll(consumer)
            # A write that failed may be due again.
            self._loop.call(partial(self._desk.arrived, (), at_end=False))

    def _holds(self) -> bool:
        """Whether to wait for room in the buffer without a poll."""
        if not self._ours or self._wanted != self._ours or self._paused:
            self._full_since = None
            return False
        now = self._clock.monotonic()
        self._full_since = now if self._full_since is None else self._full_since
        if now - self._full_since > HOLD_S:
            return False
        self._loop.rest(HOLD_LOOK_S)
        return True

    def _poll(self, consumer: Consumer) -> Sequence[Consumed]:
        try:
            self._steer(consumer)
            wait_s = PAUSED_POLL_S if self._paused else REST_S if self._quiet > REST_AFTER else POLL_S
            records = consumer.poll(wait_s, limit=POLL_RECORDS)
        except BridgeError as error:
            self._loop.call(partial(self._desk.troubled, error))
            self._loop.rest(TROUBLE_S)
            return ()
        if records:
            self._patience_s = REBUILD_S
        return records

    def _steer(self, consumer: Consumer) -> None:
        if pause := self._wanted - self._paused:
            consumer.pause(sorted(pause))
            self._paused |= pause
        if resume := self._paused - self._wanted:
            consumer.resume(sorted(resume))
            self._paused -= resume

    def _commit(self, consumer: Consumer, offsets: Mapping[TopicPartition, int]) -> None:
        if not offsets:
            return
        try:
            # False: the group is being balanced; whoever gets the partitions goes on from the commit before.
            if consumer.commit(offsets):
                self._loop.call(partial(self._desk.committed, offsets))
        except BridgeError as error:
            self._loop.call(partial(self._desk.troubled, error))

    def _answer(self, inquiries: Sequence[Inquiry], consumer: Consumer) -> None:
        try:
            assigned = consumer.assigned()
            lags = consumer.lag(assigned) if assigned else {}
            if not assigned and self._joined:
                # So that who has no partitions also knows whether the brokers are there.
                consumer.committed([TopicPartition(self._topics[0], 0)])
            if self._joined:
                self._loop.call(self._desk.answered)
        except BridgeError as error:
            lags = None
            self._loop.call(partial(self._desk.troubled, error))
        for inquiry in inquiries:
            inquiry.lags = lags
            self._loop.post(inquiry.waiter.wake)

    # Within `poll` and `close`.

    def _on_assigned(self, positions: Mapping[TopicPartition, Position]) -> None:
        self._joined = True
        if positions:
            self._ours.update(positions)
            self._loop.call(partial(self._desk.assigned, positions))

    def _on_revoked(self, consumer: Consumer, partitions: Partitions) -> None:
        if not partitions:
            return
        self._loop.call(partial(self._desk.revoked, partitions))
        deadline = self._drained_by or self._clock.monotonic() + DRAIN_S
        while self._loop.call(partial(self._desk.in_flight, partitions)) and self._clock.monotonic() < deadline:
            self._loop.rest(_LOOK_S)
        ready = self._loop.call(self._desk.committable)
        self._commit(consumer, {at: offset for at, offset in ready.items() if at in partitions})
        self._on_lost(partitions)

    def _on_lost(self, partitions: Partitions) -> None:
        if partitions:
            for known in (self._ours, self._wanted, self._paused):
                known.difference_update(partitions)
            self._loop.call(partial(self._desk.gone, partitions))

    def _died(self, error: BridgeError) -> None:
        self._loop.call(partial(self._desk.gone, None))
        self._loop.call(partial(self._desk.troubled, error))
        if isinstance(error, Fenced):
            self._stopping = True
        waited = 0.0
        while not self._stopping and waited < self._patience_s:
            self._loop.rest(POLL_S)
            waited += POLL_S
        self._patience_s = min(self._patience_s * 2, REBUILD_MOST_S)

    def _defect(self, error: Exception) -> BridgeError:
        incident = incident_of(error)
        # Only the loop may say where lines are written.
        self._loop.post(partial(self._loop.log, partial(logger.error, "%s", incident.line)))
        return incident.error
