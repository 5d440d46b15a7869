"""Words that the tests of the dispatcher share."""

from collections import deque

from kafka_bridge.dispatch.ended import Ended, Ending
from kafka_bridge.dispatch.engine import Engine, Run, Write
from kafka_bridge.dispatch.policy import Policy
from kafka_bridge.dispatch.task import Ordering, Task
from kafka_bridge.events.record import Consumed, Record, TopicPartition

P0, P1, P2 = (TopicPartition("orders", number) for number in range(3))
HALF = lambda: 0.5  # noqa: E731
DONE = Ended(Ending.DONE)
FAILED = Ended(Ending.FAILED, error="it broke")


def consumed(offset, key=None, *, partition=0, value=b"", timestamp_ms=None):
    encoded = key.encode() if isinstance(key, str) else key
    return Consumed(Record("orders", value, encoded, timestamp_ms=timestamp_ms), partition, offset)


def task(offset=0, key=None, **fields):
    record = consumed(offset, key)
    return Task(record, record.position, 1, 0, **fields)


class Told:
    """An engine, its clock, and what it said."""

    def __init__(self, *, random=HALF, partitions=(P0,), **policy):
        fields = {"ordering": Ordering.KEY, "concurrency": 10, "max_attempts": 3, **policy}
        self.engine = Engine(Policy(**fields), random=random)
        self.now = 100.0
        self.engine.assign(partitions)

    @property
    def unix(self):
        return self.now + 1_000_000

    def receive(self, *records):
        self.engine.receive(records, now=self.now, unix=self.unix)

    def start(self, *, later=0.0):
        self.now += later
        return self.engine.start(now=self.now, unix=self.unix)

    def runs(self, *, later=0.0):
        """The tasks that are to be run now; nothing may be to be written."""
        commands = self.start(later=later)
        assert all(isinstance(command, Run) for command in commands)
        return [command.task for command in commands]

    def run(self, *, later=0.0):
        (only,) = self.runs(later=later)
        return only

    def write(self, *, later=0.0):
        """The one task that is to be written now; none may be to be run."""
        (only,) = self.start(later=later)
        assert isinstance(only, Write)
        return only

    def end(self, ended_task, ending=DONE, *, later=0.0, **fields):
        self.now += later
        ended = ending if isinstance(ending, Ended) else Ended(ending, **fields)
        self.engine.end(ended_task, ended, now=self.now, unix=self.unix)

    def not_written(self, written_task, error="topic does not exist", *, final=False):
        self.engine.not_written(written_task, error, now=self.now, final=final)


def offsets(tasks):
    return [each.consumed.offset for each in tasks]


def state_of(value, seen=None):
    """All that a value holds, down to the last attribute, as something that can be compared."""
    seen = {} if seen is None else seen
    match value:
        case None | str() | bytes() | int() | float():
            return value
        case dict():
            return [(state_of(key, seen), state_of(item, seen)) for key, item in value.items()]
        case set() | frozenset():
            return sorted((state_of(item, seen) for item in value), key=repr)
        case list() | tuple() | deque():
            return [state_of(item, seen) for item in value]
    names = [name for each in type(value).__mro__ for name in getattr(each, "__slots__", ())]
    names += list(getattr(value, "__dict__", {}))
    if id(value) not in seen:
        seen[id(value)] = f"{type(value).__name__} {len(seen)}"
        return [seen[id(value)], *((name, state_of(getattr(value, name), seen)) for name in names)]
    return seen[id(value)]
