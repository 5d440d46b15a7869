"""Three processes of one group on a real Kafka, killed and restarted at random while records come."""

import json
import random
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from tests.brokers import REPOSITORY, SOAK, Broker, wait_until
from tests.e2e.consuming import fresh
from tests.e2e.topics import Topics

pytestmark = [pytest.mark.real, pytest.mark.slow]

WORKERS = 3
KILLS = 10 if SOAK else 3
# Between two kills so many records are run, and so many more wait at the most.
STRIDE = 400
AHEAD = 300
KEYS = 40
PARTITIONS = 6
# A member that was killed is missed after 6 s, and until then nobody has its partitions.
PROGRESS_S = 60.0


@dataclass
class Scene:
    """A topic, a group, its processes, and the log that their flow writes."""

    bootstrap: str
    log: Path
    topic: str = field(default_factory=lambda: fresh("kills"))
    group: str = field(default_factory=lambda: fresh("group"))
    workers: list[subprocess.Popen[bytes]] = field(default_factory=list)
    # Per partition the numbers in it, by offset.
    sent: dict[int, list[int]] = field(default_factory=lambda: {number: [] for number in range(PARTITIONS)})

    def __post_init__(self) -> None:
        self.log.touch()
        admin = AdminClient({"bootstrap.servers": self.bootstrap, "log_level": 0})
        topics = [NewTopic(self.topic, PARTITIONS, 1), NewTopic(f"{self.topic}.dead-letter", 1, 1)]
        for future in admin.create_topics(topics).values():
            future.result(20)
        self._producer = Producer({"bootstrap.servers": self.bootstrap, "enable.idempotence": True, "log_level": 0})
        self._reader = Consumer({"bootstrap.servers": self.bootstrap, "group.id": self.group, "log_level": 0})
        self._topics = Topics(self.bootstrap)

    @property
    def count(self) -> int:
        """Records that were sent."""
        return sum(map(len, self.sent.values()))

    def send(self, count: int) -> None:
        """So many more records, and wait for them."""
        for number in range(self.count, self.count + count):
            key = number % KEYS
            partition = key % PARTITIONS
            headers = [("ce_id", f"e-{number}".encode())]
            value = json.dumps({"n": number}).encode()
            self._producer.produce(self.topic, value, f"k-{key}", partition, headers=headers)
            self.sent[partition].append(number)
        assert self._producer.flush(20) == 0

    def runs(self) -> list[tuple[str, int, str]]:
        """Key, number and ending of each run, in the order of their ends."""
        lines = self.log.read_text().splitlines()
        return [(key, int(number), ending) for _, key, number, _, ending in (line.split("\t") for line in lines)]

    def done(self) -> set[int]:
        """The numbers that a run has succeeded for, or that lie in the dead-letter topic."""
        return {number for _, number, ending in self.runs() if ending == "succeeded"} | set(self.letters())

    def letters(self) -> list[int]:
        """The numbers in the dead-letter topic, copies included."""
        return [json.loads(message.value() or b"")["n"] for message in self._topics.read(f"{self.topic}.dead-letter")]

    def committed(self) -> dict[int, int]:
        """Committed offsets, 0 where there is none."""
        asked = [TopicPartition(self.topic, number) for number in range(PARTITIONS)]
        return {at.partition: max(0, at.offset) for at in self._reader.committed(asked, timeout=20)}

    def check(self) -> None:
        """Nothing that is not done lies below a committed offset."""
        committed = self.committed()
        done = self.done()
        for partition, offset in committed.items():
            assert set(self.sent[partition][:offset]) <= done

    def start(self) -> None:
        """One more process."""
        arguments = [self.bootstrap, self.topic, self.group, str(self.log)]
        self.workers.append(
            subprocess.Popen([sys.executable, "-m", "tests.real.worker_process", *arguments], cwd=REPOSITORY)
        )

    def end(self, which: int, how: signal.Signals) -> int:
        """End one process, and wait until it has."""
        worker = self.workers.pop(which)
        worker.send_signal(how)
        return worker.wait(60)

    def close(self) -> None:
        """Stop what is left."""
        while self.workers:
            self.end(0, signal.SIGKILL)
        self._reader.close()


@contextmanager
def scene(bootstrap: str, log: Path) -> Iterator[Scene]:
    """A group of three."""
    one = Scene(bootstrap, log)
    try:
        for _ in range(WORKERS):
            one.start()
        yield one
    finally:
        one.close()


@pytest.mark.parametrize("broker", ["real"], indirect=True)
def test_no_record_is_lost_and_none_overtakes_another_of_its_key(broker: Broker, tmp_path: Path, figures):
    chance = random.Random(20261126)
    ended = Counter[str]()
    with scene(broker.bootstrap, tmp_path / "log") as group:
        for kill in range(KILLS):

            def far_enough(wanted=(kill + 1) * STRIDE) -> bool:
                runs = len(group.runs())
                if group.count < runs + AHEAD // 2:
                    group.send(AHEAD // 2)
                return runs >= wanted

            wait_until(far_enough, PROGRESS_S)
            # Every third one is asked to go; the first two are not.
            how = signal.SIGTERM if kill % 3 == 2 else signal.SIGKILL
            code = group.end(chance.randrange(WORKERS), how)
            ended[how.name] += 1
            # A process that is asked to go before it listens goes by the signal.
            assert code in ({0, -how} if how is signal.SIGTERM else {-how})
            group.check()
            group.start()
        group.send(100)
        numbers = set(range(group.count))
        ends = {partition: len(sent) for partition, sent in group.sent.items()}
        wait_until(lambda: group.committed() == ends, PROGRESS_S)
        codes = [group.end(0, signal.SIGTERM) for _ in range(WORKERS)]
        runs, letters, committed = group.runs(), group.letters(), group.committed()

    succeeded = [(key, number) for key, number, ending in runs if ending == "succeeded"]
    first = list(dict.fromkeys(succeeded))
    figures(
        f"kills: {len(numbers)} records, {dict(ended)}; {len(runs)} runs, {len(set(letters))} dead letters;"
        f" {len(succeeded) - len(first)} successes and {len(letters) - len(set(letters))} dead letters repeated"
    )
    assert {number for _, number in first} | set(letters) == numbers
    for key in range(KEYS):
        of_key = [number for found, number in first if found == f"k-{key}"]
        assert of_key == sorted(of_key)
    # Whoever comes next finds nothing left to do.
    assert committed == ends
    assert set(codes) <= {0, -signal.SIGTERM}
