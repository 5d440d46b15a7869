"""`python -m kafka_bridge.worker redrive` as somebody runs it, on the embedded broker and on a real Kafka."""

import json
import signal
import subprocess
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from kafka_bridge.dispatch.deadletter import dead_letter
from kafka_bridge.events.record import Consumed, Record
from tests.brokers import Broker, Connect, cluster_of, wait_until
from tests.real.kafka import free_ports
from tests.standalone.processes import COMMAND, FLOW, Topics, environment, told

SOURCE_PARTITIONS = 4


@pytest.fixture
def topics(broker: Broker) -> Topics:
    """Those of this test, on both brokers."""
    made = Topics(broker)
    made.create("", ".dead-letter")
    return made


@pytest.fixture
def bury(connect: Connect) -> Callable[..., None]:
    """Write dead letters, as the dispatcher does."""

    def write(topics: Topics, count: int, **changes: object) -> None:
        connection = connect(cluster_of(bootstrap_servers=topics.broker.bootstrap))
        letters = [_letter(topics, number, **changes) for number in range(count)]
        for start in range(0, count, 500):
            connection.send_all(letters[start : start + 500], timeout_s=20)

    return write


def _letter(topics: Topics, number: int, *, group: str = "", fail: bool = False, origin: str = "") -> Record:
    value = json.dumps({"n": number, **({"fail": True} if fail else {})}).encode()
    headers = (("ce_id", f"e-{number}".encode()), ("a", b"1"), ("a", None))
    record = Record(origin or topics.name, value, f"k-{number % 9}".encode(), headers)
    letter = dead_letter(
        Consumed(record, number % SOURCE_PARTITIONS, number),
        None,
        topic=f"{topics.name}.dead-letter",
        group=group or topics.group,
        attempts=3,
        first_failure=1_700_000_000.0 + number,
        last_failure=1_700_000_000.0 + number,
        reason="attempts used up",
    )
    return letter._replace(partition=number % SOURCE_PARTITIONS)


def redrive(folder: Path, topics: Topics, *arguments: str, **values: object) -> subprocess.CompletedProcess[bytes]:
    """The command, with its flow."""
    (folder / "flow.py").write_text(FLOW)
    return told(folder, "redrive", *arguments, **topics.settings(**values))


def rows(output: bytes) -> Sequence[tuple[str, ...]]:
    """What it has printed, by columns."""
    return [tuple(line.split("\t")) for line in output.decode().splitlines()]


def events_in(topics: Topics, count: int) -> Counter[str]:
    """The ids of the records of the topic."""
    return Counter(dict(at.record.headers)["ce_id"].decode() for at in topics.read("", count))


def test_a_dry_run_then_all_then_none(tmp_path, topics, bury):
    bury(topics, 40)

    dry = redrive(tmp_path, topics, "--dry-run")
    real = redrive(tmp_path, topics)
    again = redrive(tmp_path, topics)

    assert [one.returncode for one in (dry, real, again)] == [0, 0, 0], dry.stderr + real.stderr
    assert dry.stderr.decode() == "dry run: 40 matched, 0 redriven, 0 skipped, 0 failed, 40 remain\n"
    assert real.stderr.decode() == "40 matched, 40 redriven, 0 skipped, 0 failed, 0 remain\n"
    assert again.stderr.decode() == "0 matched, 0 redriven, 0 skipped, 0 failed, 0 remain\n"
    assert (len(rows(dry.stdout)), len(rows(real.stdout)), again.stdout) == (40, 40, b"")
    records = topics.read("", 40)
    assert {f"{topics.name}[{at.partition}] {at.offset}" for at in records} == {row[3] for row in rows(real.stdout)}
    assert {row[2] for row in rows(dry.stdout)} == {"matched"}
    for at in records:
        assert at.record.headers[1:3] == (("a", b"1"), ("a", None))
        number = json.loads(at.record.value)["n"]
        assert at.record.key == f"k-{number % 9}".encode()
        # Of the embedded broker's topics nothing is known before their first record.
        assert at.partition == number % SOURCE_PARTITIONS or not topics.broker.real
        assert dict(at.record.headers)["kafka-bridge-attempts"] == b"3"


def test_by_count_by_filter_by_place(tmp_path, topics, bury):
    bury(topics, 30)

    counted = redrive(tmp_path, topics, REDRIVE_COUNT=5)
    filtered = redrive(tmp_path, topics, "--filter", "event_id=e-27")
    one = redrive(tmp_path, topics, "--record", f"{topics.name}.dead-letter/3/5")
    twice = redrive(tmp_path, topics, "--record", f"{topics.name}.dead-letter/3/5")
    again = redrive(tmp_path, topics, "--record", f"{topics.name}.dead-letter/3/5", "--again")
    rest = redrive(tmp_path, topics)

    assert counted.stderr.decode() == "30 matched, 5 redriven, 0 skipped, 0 failed, 25 remain\n"
    assert filtered.returncode == one.returncode == twice.returncode == again.returncode == 0
    assert again.stderr.decode() == "1 matched, 1 redriven, 0 skipped, 0 failed, 0 remain\n"
    assert rest.returncode == 0
    found = events_in(topics, 31)
    assert set(found) == {f"e-{number}" for number in range(30)}
    assert found.total() == 31


def test_straight_to_a_flow(tmp_path, topics, bury):
    bury(topics, 12)
    bury(topics, 1, fail=True)

    failed = redrive(tmp_path, topics, "--to", "flow")
    again = redrive(tmp_path, topics, "--to", "flow")

    assert failed.stderr.decode() == "13 matched, 12 redriven, 0 skipped, 1 failed, 0 remain\n"
    assert failed.returncode == again.returncode == 1
    (why,) = [row[3] for row in rows(failed.stdout) if row[2] == "failed"]
    assert why.startswith("ValueError: it does not fit")
    ran = [json.loads(line) for line in (tmp_path / "ran").read_text().splitlines()]
    assert len(ran) == 14
    assert {(one["topic"], one["partition"], one["offset"]) for one in ran} == {
        (topics.name, number % SOURCE_PARTITIONS, number) for number in range(12)
    }


def test_what_can_go_nowhere_is_told_and_is_no_failure(tmp_path, topics, bury):
    bury(topics, 1, group="another")
    bury(topics, 1, origin="secrets")
    bury(topics, 1)

    ended = redrive(tmp_path, topics)

    assert ended.returncode == 0
    assert ended.stderr.decode() == "3 matched, 1 redriven, 2 skipped, 0 failed, 0 remain\n"
    assert sorted(row[3] for row in rows(ended.stdout) if row[2] == "skipped") == [
        "It came from a topic that is not consumed here.",
        "It is a dead letter of another consumer group.",
    ]


@pytest.mark.parametrize("broker", ["real"], indirect=True)
@pytest.mark.real
def test_a_topic_that_is_not_there_is_told(tmp_path, broker, bury):
    topics = Topics(broker)
    topics.create(".dead-letter")
    bury(topics, 2)

    ended = redrive(tmp_path, topics)

    assert ended.returncode == 1
    assert ended.stderr.decode().splitlines()[0] == "2 matched, 0 redriven, 0 skipped, 2 failed, 0 remain"
    assert "topic does not exist" in ended.stderr.decode()
    assert "Traceback" not in ended.stderr.decode()


def test_what_a_letter_says_does_not_reach_the_terminal_as_it_is(tmp_path, topics, bury, connect):
    letter = _letter(topics, 0)
    headers = tuple((name, b"\x1b[2Jx\n\ty" if name == "ce_id" else value) for name, value in letter.headers)
    connect(cluster_of(bootstrap_servers=topics.broker.bootstrap)).send(letter._replace(headers=headers), timeout_s=20)

    ended = redrive(tmp_path, topics, "--dry-run")

    (row,) = rows(ended.stdout)
    assert row[1] == " [2Jx  y"
    assert b"\x1b" not in ended.stdout


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        ((), 1, "connection refused"),
        (("--dry-run",), 1, "connection refused"),
        (("--to", "nowhere"), 2, "REDRIVE_TO (--to): must be one of topic, flow."),
        (("--filter", "odd=1"), 2, "REDRIVE_FILTER (--filter): There is no filter"),
        (("--topic", "a b"), 2, "KAFKA_TOPIC (--topic)"),
        (("extra",), 2, "extra"),
    ],
)
def test_what_cannot_be_done_is_told(tmp_path, arguments, status, said):
    (port,) = free_ports(1)

    ended = told(tmp_path, "redrive", *arguments, KAFKA_BOOTSTRAP_SERVERS=f"127.0.0.1:{port}", KAFKA_TOPIC="orders")

    assert ended.returncode == status
    assert said in ended.stderr.decode()
    assert "Traceback" not in ended.stderr.decode()


def test_without_anything_to_run_it_says_what_is_missing(tmp_path, embedded):
    topics = Topics(embedded)

    ended = told(tmp_path, "redrive", "--to", "flow", **topics.settings(FLOW=""))

    assert ended.returncode == 2
    assert "Nothing to run" in ended.stderr.decode()


class Running:
    """The command while it works; `lines` are those that it has printed."""

    def __init__(self, folder: Path, topics: Topics, *arguments: str) -> None:
        (folder / "flow.py").write_text(FLOW)
        self.process = subprocess.Popen(
            [*COMMAND, "redrive", *arguments],
            cwd=folder,
            env=environment(**topics.settings()),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.lines: list[str] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line)

    def end(self, number: int) -> tuple[int, str]:
        """Its status and what it said last."""
        self.process.send_signal(number)
        status = self.process.wait(60)
        self._reader.join(20)
        assert self.process.stderr is not None
        assert self.process.stdout is not None
        said = self.process.stderr.read()
        self.process.stderr.close()
        self.process.stdout.close()
        return status, said


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Callable[..., Running]]:
    """Start the command."""
    started: list[Running] = []

    def start(topics: Topics, *arguments: str) -> Running:
        started.append(Running(tmp_path, topics, *arguments))
        return started[-1]

    yield start
    for one in started:
        one.process.kill()
        one.process.wait()


@pytest.mark.slow
@pytest.mark.parametrize("to", ["topic", "flow"])
def test_a_thousand_interrupted_by_a_kill_and_repeated_all_arrive_and_what_is_printed_is_true(  # noqa: PLR0917
    tmp_path, topics, bury, running, to, figures
):
    count = 1000
    bury(topics, count)
    first = running(topics, "--to", to)
    wait_until(lambda: len(first.lines) >= 1, 60)
    status, _ = first.end(signal.SIGKILL)
    printed = [line.split("\t") for line in first.lines if line.endswith("\n")]

    second = redrive(tmp_path, topics, "--to", to)
    third = redrive(tmp_path, topics, "--to", to)

    def arrived() -> Counter[str]:
        if to == "topic":
            return events_in(topics, count)
        return Counter(json.loads(line)["event_id"] for line in (tmp_path / "ran").read_text().splitlines())

    found = arrived()
    after = [row for row in rows(second.stdout) if row[2] == "redriven"]
    where = "a real Kafka" if topics.broker.real else "the embedded broker"
    figures(
        f"redrive to the {to} by the worker on {where}: {count} letters, killed after {len(printed)} lines;"
        f" {found.total() - count} twice, {len(after)} by the repeat"
    )
    assert status == -signal.SIGKILL
    assert second.returncode == third.returncode == 0, second.stderr
    assert set(found) == {f"e-{number}" for number in range(count)}
    assert second.stderr.decode() == f"{len(after)} matched, {len(after)} redriven, 0 skipped, 0 failed, 0 remain\n"
    assert third.stderr.decode() == "0 matched, 0 redriven, 0 skipped, 0 failed, 0 remain\n"
    # What was printed before the kill is done, and was not done again.
    assert {row[0] for row in printed} & {row[0] for row in after} == set()
    assert len(after) + len(printed) <= count
    # The first has brought whatever the second has not, and at the most one part of it both have.
    assert found.total() - count <= 200


def test_a_signal_lets_what_is_on_its_way_end_and_the_next_goes_on(tmp_path, topics, bury, running):
    bury(topics, 1000)
    first = running(topics, "--to", "flow")
    wait_until(lambda: len(first.lines) >= 1, 60)

    status, said = first.end(signal.SIGTERM)
    rest = redrive(tmp_path, topics, "--to", "flow")

    assert status == 1
    assert said.endswith("more remain\n")
    ran = [json.loads(line)["event_id"] for line in (tmp_path / "ran").read_text().splitlines()]
    assert Counter(ran) == Counter({f"e-{number}": 1 for number in range(1000)})
    assert rest.returncode == 0
