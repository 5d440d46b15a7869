"""The engine against a world that does anything in any order; a second, slow bookkeeping says what is right.

The world is a broker with three partitions, gaps and keys, a driver that carries out commands and honours pauses, and
runs, writes, rebalances, outages and time that come as they like.
"""

from dataclasses import dataclass, field
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kafka_bridge.dispatch.ended import Ended, Ending
from kafka_bridge.dispatch.engine import Engine, Policy, Run
from kafka_bridge.dispatch.flow import MOST
from kafka_bridge.dispatch.task import IllegalFact, Ordering, Reason, Writing
from tests.dispatch.words import DONE, HALF, P0, P1, P2, consumed, state_of

ALL = (P0, P1, P2)
BATCH = 3
COUNTED = {Ending.DONE, Ending.FAILED, Ending.UNKNOWN, Ending.REFUSED}
PAUSING = {Ending.UNAVAILABLE, Ending.MISCONFIGURED}
BADLY = [Ending.FAILED, Ending.FAILED, Ending.UNKNOWN, *(each for each in Ending if each is not Ending.DONE)]
# What happens in the world, and how often in comparison.
OFTEN = {"poll": 4, "start_later": 5, "start": 3, "end": 5, "succeed": 5, "wrote": 5, "not_written": 1, "commit": 2}
OFTEN |= {"time_comes": 2, "revoke": 1, "forget": 1, "come": 3, "illegal_facts": 1}
HAPPENS = [name for name, times in OFTEN.items() for _ in range(times)]


@dataclass(eq=False)
class Known:
    """What the world knows of a record that it handed to the engine, under one assignment."""

    record: object
    expires: float | None
    state: str = "waiting"  # running, to write, writing, failing, done, lost
    kind: Writing | None = None
    attempts: int = 0
    due: float = 0.0
    probe: bool = False
    failed: bool = False
    task: object = None


@dataclass(eq=False)
class Share:
    """A partition that is ours, until it is forgotten."""

    known: list = field(default_factory=list)
    revoked: bool = False

    def first_unfinished(self):
        return min((each.record.offset for each in self.known if each.state != "done"), default=None)

    @property
    def blocked(self):
        return any(each.failed for each in self.known)


@dataclass
class Broker:
    """The log and the group's offsets, which outlive every assignment."""

    log: dict
    committed: dict = field(default_factory=lambda: dict.fromkeys(ALL, 0))
    position: dict = field(default_factory=dict)
    paused: set = field(default_factory=set)

    def rest(self, position):
        return [each for each in self.log[position] if each.offset >= self.position[position]]


def a_log(pick):
    """Per partition some records with keys, sizes and gaps."""
    log = {}
    for position in ALL:
        offset, log[position] = -1, []
        for _ in range(pick([8, 12, 16])):
            offset += pick([1, 1, 1, 4])
            key, value = pick([None, "a", "b"]), b"x" * pick([0, 1, 2])
            log[position].append(consumed(offset, key, partition=position.partition, value=value))
    return log


def a_policy(pick):
    return Policy(
        ordering=pick(list(Ordering)),
        concurrency=pick([1, 2, 6]),
        max_attempts=pick([1, 2, 3]),
        max_age_s=pick([None, None, 5]),
        results=pick([False, True]),
        buffer_records=pick([1, 5, 12, 12]),
        buffer_bytes=pick([4, 1000, 1000]),
        ahead=pick([1, 4, 10, 10]),
    )


class World:
    """`pick` chooses one of several: what happens is up to it alone."""

    def __init__(self, pick):
        self.pick = pick
        self.policy, self.broker = a_policy(pick), Broker(a_log(pick))
        self.engine = Engine(self.policy, random=HALF)
        self.now, self.shares = 10.0, {}
        # Everything that was handed out and has not come back, forgotten or not.
        self.running, self.writing = [], []
        # When a record was finished, in numbers of how often its partition had been forgotten before.
        self.finished, self.forgotten = {}, dict.fromkeys(ALL, 0)
        self.ever_blocked = False
        self.assign(ALL)

    def live(self, steps):
        for _ in range(steps):
            getattr(self, self.pick(HAPPENS))()
            self.counts_are_right()
            self.the_buffer_is_bounded()
        self.end_well()

    # Rebalances.

    def come(self):
        away = [position for position in ALL if position not in self.shares]
        if away:
            self.assign(self.pick([away, away[:1]]))

    def assign(self, positions):
        self.engine.assign(positions)
        for position in positions:
            self.shares[position] = Share()
            self.broker.position[position] = self.broker.committed[position]
            self.broker.paused.discard(position)

    def revoke(self):
        if not self.shares:
            return
        positions = self.pick([*([each] for each in self.shares), list(self.shares)])
        self.engine.revoke(positions)
        for position in positions:
            share = self.shares[position]
            share.revoked = True
            for each in share.known:
                each.state = "lost" if each.state == "waiting" else each.state

    def forget(self):
        # Mostly after it was revoked; sometimes a partition is lost out of the blue.
        candidates = [each for each in self.shares if self.shares[each].revoked] or list(self.shares)
        for position in [self.pick(candidates)] if candidates else []:
            self.engine.forget([position])
            share = self.shares.pop(position)
            self.forgotten[position] += 1
            for each in share.known:
                each.probe = False

    # The driver.

    def ours(self):
        return [position for position, share in self.shares.items() if not share.revoked]

    def apply_flow(self):
        flow = self.engine.flow()
        assert set(flow.pause) <= set(self.ours()) - self.broker.paused
        assert set(flow.resume) <= set(self.ours()) & self.broker.paused
        self.broker.paused |= set(flow.pause)
        self.broker.paused -= set(flow.resume)

    def receive(self, records):
        self.engine.receive(records, now=self.now, unix=self.now)
        age = self.policy.max_age_s
        for each in records:
            self.shares[each.position].known.append(Known(each, None if age is None else self.now + age))
            self.broker.position[each.position] = each.next_offset

    def poll(self):
        self.receive_up_to(self.pick(range(1, BATCH + 1)))

    def receive_up_to(self, count):
        self.apply_flow()
        going = [position for position in self.ours() if position not in self.broker.paused]
        self.receive([each for position in going for each in self.broker.rest(position)[:count]])

    def commit(self):
        self.commit_unless(lost=self.pick([False, True]))

    def commit_unless(self, *, lost):
        offsets = self.engine.commits()
        for position, offset in offsets.items():
            first = self.shares[position].first_unfinished()
            # Never past what is unfinished, and nothing is offered that is committed already.
            assert first is None or offset <= first
            received = [each.record.next_offset for each in self.shares[position].known]
            assert offset <= max(received)
            assert first is not None or offset == max(received)
        if not lost:
            self.broker.committed.update(offsets)
            self.engine.committed(offsets)
            assert self.engine.commits() == {}

    def known_of(self, task):
        """Of a forgotten partition there is nothing known."""
        share = self.shares.get(task.position)
        return next((each for each in share.known if each.task is task), None) if share else None

    def unit(self, record):
        match self.policy.ordering:
            case Ordering.KEY:
                return record.record.key
            case Ordering.PARTITION:
                return b""
        return None

    def is_first(self, known, share):
        unit = self.unit(known.record)
        if unit is None:
            return True
        before = [each for each in share.known if each.record.offset < known.record.offset]
        return all(each.state == "done" for each in before if self.unit(each.record) == unit)

    def startable(self):
        """What could run now if there were a slot and the circuit closed."""
        return [
            each
            for share in self.shares.values()
            if not (share.revoked or share.blocked)
            for each in share.known
            if each.state == "waiting" and each.due <= self.now and self.is_first(each, share)
        ]

    def everything_known(self):
        return [each for share in self.shares.values() for each in share.known]

    @property
    def probing(self):
        return any(each.probe for each in self.everything_known())

    def start(self):
        was_open, was_probing = self.engine.circuit, self.probing
        commands = self.engine.start(now=self.now, unix=self.now)
        runs = [command for command in commands if isinstance(command, Run)]
        if was_open:
            assert len(runs) <= (0 if was_probing or was_open.next_probe > self.now else 1)
        # What starts in one go does not make the next of its unit startable.
        could = self.startable()
        for command in commands:
            if isinstance(command, Run):
                self.started(command.task, could, probe=was_open is not None)
            else:
                self.to_write(command, could, closed=was_open is None)
        assert len(self.running) <= self.policy.concurrency
        self.check_progress()
        assert self.engine.start(now=self.now, unix=self.now) == []

    def known_by_record(self, task):
        return next(each for each in self.shares[task.position].known if each.record is task.consumed)

    def started(self, task, could, *, probe):
        known = self.known_by_record(task)
        assert known in could
        assert known.task in {None, task}
        assert probe or known.expires is None or known.expires > self.now
        known.task, known.state, known.probe = task, "running", probe
        self.running.append(task)

    def to_write(self, command, could, *, closed):
        task, known = command.task, self.known_by_record(command.task)
        if known.state == "waiting":
            assert closed
            assert known in could
            assert known.expires <= self.now
            assert (command.kind, task.reason) == (Writing.DEAD_LETTER, Reason.EXPIRED)
            known.task, known.kind = task, Writing.DEAD_LETTER
        else:
            assert known.state == "to write" or (known.state == "failing" and known.due <= self.now)
        assert command.kind is known.kind is task.writing
        known.state = "writing"
        self.writing.append(task)

    def check_progress(self):
        """Nothing is left that could have been started, and the engine says when it will look again."""
        open_ = self.engine.circuit
        slots = self.policy.concurrency - len(self.running)
        if slots and (open_ is None or (open_.next_probe <= self.now and not self.probing)):
            assert self.startable() == []
        assert [each for each in self.everything_known() if each.state == "to write"] == []
        assert [each for each in self.everything_known() if each.state == "failing" and each.due <= self.now] == []
        due = self.engine.due()
        assert due is None or due > self.now
        if not (self.running or self.writing or self.engine.idle):
            assert due is not None

    # What comes back.

    def end(self):
        if self.running:
            ending, after = self.pick(BADLY), self.pick([None, None, 0.0, 3.0])
            self.come_back(self.pick(self.running), Ended(ending, retry_after_s=after))

    def succeed(self):
        if self.running:
            self.come_back(self.pick(self.running), DONE)

    def come_back(self, task, ended):
        self.running.remove(task)
        before, known = self.engine.circuit, self.known_of(task)
        self.engine.end(task, ended, now=self.now, unix=self.now)
        if known is None:
            assert self.engine.circuit == before
            return
        self.check_circuit(before, known, ended.ending)
        known.probe = False
        known.attempts += ended.ending in COUNTED
        assert task.attempts == known.attempts
        expired = known.expires is not None and known.expires <= self.now
        revoked = self.shares[task.position].revoked
        if ended.ending is Ending.DONE:
            if self.policy.results:
                known.state, known.kind = "to write", Writing.RESULT
            else:
                self.finish(known)
        elif ended.ending in COUNTED and (
            ended.ending is Ending.REFUSED or known.attempts >= self.policy.max_attempts or expired
        ):
            known.state, known.kind = "to write", Writing.DEAD_LETTER
        else:
            known.state = "lost" if revoked else "waiting"
            if ended.ending in COUNTED:
                delay_s = ended.retry_after_s if ended.retry_after_s is not None else 2.0 ** (known.attempts - 1) / 2
                known.due = min(self.now + delay_s, known.expires or self.now + delay_s)

    def check_circuit(self, before, known, ending):
        if ending is Ending.DONE:
            assert self.engine.circuit is None
            for each in self.everything_known():
                each.probe = False
        elif ending in PAUSING:
            assert self.engine.circuit is not None
        elif known.probe and ending is not Ending.NOT_STARTED:
            assert self.engine.circuit is None
        else:
            assert self.engine.circuit == before

    def finish(self, known):
        known.state = "done"
        place = known.record.position, known.record.offset
        generation = self.forgotten[known.record.position]
        # Twice only if the partition was away in between.
        assert self.finished.get(place, -1) < generation
        self.finished[place] = generation

    def wrote(self):
        if self.writing:
            self.acknowledge(self.pick(self.writing))

    def acknowledge(self, task):
        self.writing.remove(task)
        known = self.known_of(task)
        self.engine.wrote(task)
        if known is not None:
            known.failed = False
            self.finish(known)

    def not_written(self):
        if not self.writing:
            return
        task = self.pick(self.writing)
        self.writing.remove(task)
        known = self.known_of(task)
        self.engine.not_written(task, "topic does not exist", now=self.now)
        if known is not None:
            known.state, known.failed = "failing", True
            known.due = self.now + min(30.0, 2.0 ** (task.write_failures - 1) / 2)
            self.ever_blocked = True

    def start_later(self):
        self.now += self.pick([0.1, 0.5, 2.0, 9.0])
        self.start()

    def time_comes(self):
        """What is due is due: something starts, or it is only now that somebody else has to act."""
        due = self.engine.due()
        if due is not None:
            self.now = max(self.now, due)
            self.start()

    # What cannot be.

    def illegal_facts(self):
        tasks = [each.task for each in self.everything_known() if each.task is not None]
        idle = [task for task in tasks if task not in self.running]
        unwritten = [task for task in tasks if task not in self.writing]
        facts = [lambda: self.engine.assign([P0, P1, P2])] if self.shares else []
        facts += [lambda task=task: self.engine.end(task, DONE, now=self.now + 1, unix=0) for task in idle[:3]]
        facts += [lambda task=task: self.engine.wrote(task) for task in unwritten[:3]]
        facts += [lambda task=task: self.engine.not_written(task, "", now=self.now + 1) for task in unwritten[:3]]
        for position, share in self.shares.items():
            if share.known and not share.revoked:
                again = self.pick(share.known).record
                facts.append(lambda again=again: self.engine.receive([again], now=self.now + 1, unix=0))
            first = share.first_unfinished()
            if first is not None:
                facts.append(lambda position=position, first=first: self.engine.committed({position: first + 1}))
        before = state_of((self.engine, tasks))
        for fact in facts:
            with pytest.raises(IllegalFact):
                fact()
            assert state_of((self.engine, tasks)) == before

    # Always.

    def counts_are_right(self):
        states = [each.state for each in self.everything_known()]
        writes = [state for state in states if state in {"to write", "writing", "failing"}]
        assert self.engine.buffered == states.count("waiting")
        assert self.engine.in_flight() == len(self.running) + len(writes)
        assert self.engine.in_flight(self.shares) == states.count("running") + len(writes)
        assert self.engine.idle is (not (self.running or writes or "waiting" in states))
        assert self.engine.blocked.keys() == {position for position, share in self.shares.items() if share.blocked}
        assert set(self.engine.assigned) == set(self.ours())

    def the_buffer_is_bounded(self):
        most = MOST if self.ever_blocked else 1
        assert self.engine.buffered <= self.policy.buffer_records * most + 3 * BATCH + self.policy.concurrency
        for share in self.shares.values():
            span = [each for each in share.known if each.record.offset >= (share.first_unfinished() or 0)]
            if share.first_unfinished() is not None:
                assert len(span) < self.policy.ahead + BATCH

    # In the end.

    def end_well(self):
        """When everything succeeds from now on, everything ends, and all of it is committed."""
        for position in [position for position, share in self.shares.items() if share.revoked]:
            self.engine.forget([position])
            self.shares.pop(position)
            self.forgotten[position] += 1
        self.assign([position for position in ALL if position not in self.shares])
        for _ in range(2000):
            self.step()
            if self.engine.idle and not any(self.broker.rest(position) for position in ALL):
                break
        assert self.engine.idle
        assert self.engine.commits() == {}
        for position, log in self.broker.log.items():
            assert {each.offset for each in log} == {offset for at, offset in self.finished if at == position}
            assert self.broker.committed[position] == (log[-1].next_offset if log else 0)

    def step(self):
        self.receive_up_to(BATCH)
        self.start()
        handed_out = bool(self.running or self.writing)
        for task in reversed(self.running[:]):
            self.come_back(task, DONE)
        for task in list(self.writing):
            self.acknowledge(task)
        self.commit_unless(lost=False)
        self.counts_are_right()
        if not handed_out and self.engine.due() is not None:
            self.now = max(self.now, self.engine.due())


@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_whatever_happens_every_promise_holds(data):
    World(lambda of: data.draw(st.sampled_from(of))).live(steps=40)


# Hypothesis finds the smallest failure, but likes short and simple lives; these are long and even ones.
@pytest.mark.parametrize("lives", range(10))
def test_whatever_happens_for_long_every_promise_holds(lives):
    for life in range(8):
        World(Random(f"{lives} {life}").choice).live(steps=200)
