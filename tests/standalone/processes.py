"""The worker as somebody runs it: a process, its lines, its signals; and what lies in the topics."""

import json
import os
import subprocess
import sys
import threading
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import httpx

from kafka_bridge.broker import config
from kafka_bridge.broker.kafka.admin import KafkaAdmin
from kafka_bridge.broker.kafka.consumer import KafkaConsumer
from kafka_bridge.broker.ports import Start
from kafka_bridge.broker.trust import default_ca_file
from kafka_bridge.events.record import Consumed, TopicPartition
from tests.brokers import REPOSITORY, Broker, cluster_of, wait_until

COMMAND = (sys.executable, "-m", "kafka_bridge.worker")

# One line in the file `ran` for every run that begins, and one in `done` for every one that ends.
FLOW = """
import json, threading
from pathlib import Path

HERE = Path(__file__).parent

def note(name, record):
    with (HERE / name).open("a") as file:
        file.write(json.dumps(record["kafka"] | {"message": str(record.get("message"))[:100]}) + "\\n")

def run(record):
    note("ran", record)
    if record.get("hold"):
        while not (HERE / "go").exists():
            threading.Event().wait(0.02)
    if record.get("fail"):
        raise ValueError("it does not fit")
    note("done", record)
    return {"echo": record["event_id"], "extra": record.get("extra")}
"""


class Worker:
    """A running one. `lines` is what it has written to stderr."""

    def __init__(self, process: subprocess.Popen[str], folder: Path) -> None:
        self.process = process
        self.folder = folder
        self.lines: list[str] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.lines.append(line.rstrip("\n"))

    @property
    def said(self) -> list[dict[str, object]]:
        """Its lines, which are all JSON."""
        return [json.loads(line) for line in self.lines]

    def says(self, text: str) -> bool:
        return any(text in line for line in self.lines)

    def noted(self, name: str) -> list[dict[str, object]]:
        """What its flow has written to a file."""
        file = self.folder / name
        return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []

    def wait_for(self, condition: Callable[[], bool], timeout_s: float = 30.0) -> None:
        wait_until(lambda: condition() or self.process.poll() is not None, timeout_s)
        assert condition(), "\n".join(self.lines)

    def signal(self, number: int) -> None:
        self.process.send_signal(number)

    def ended(self, timeout_s: float = 30.0) -> int:
        """The exit status."""
        status = self.process.wait(timeout_s)
        self._reader.join(timeout_s)
        return status

    def get(self, path: str) -> httpx.Response:
        """What it serves, where HTTP_PORT is 0."""
        (line,) = [str(one["message"]) for one in self.said if str(one["message"]).startswith("serving ")]
        with httpx.Client(trust_env=False) as client:
            return client.get(line.removeprefix("serving ").partition("/health")[0] + path)


def environment(**values: object) -> Mapping[str, str]:
    """This process's, without anything that would decide for the worker."""
    kept = {name: value for name, value in os.environ.items() if name in {"PATH", "HOME", "LANG"}}
    return {**kept, "PYTHONPATH": str(REPOSITORY), **{name: str(value) for name, value in values.items()}}


@contextmanager
def working(folder: Path, *arguments: str, **values: object) -> Iterator[Worker]:
    """A worker in a folder that has the flow."""
    (folder / "flow.py").write_text(FLOW)
    process = subprocess.Popen(
        [*COMMAND, *arguments],
        cwd=folder,
        env=environment(**values),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    worker = Worker(process, folder)
    try:
        yield worker
    finally:
        process.kill()
        process.wait()
        worker._reader.join(20)
        assert process.stderr is not None
        process.stderr.close()


def told(folder: Path, *arguments: str, given: bytes = b"", **values: object) -> subprocess.CompletedProcess[bytes]:
    """One that ends by itself."""
    return subprocess.run(
        [*COMMAND, *arguments], cwd=folder, env=environment(**values), input=given, capture_output=True, timeout=60
    )


class Topics:
    """Topics of one test, and what lies in them."""

    def __init__(self, broker: Broker) -> None:
        self.broker = broker
        self.name = f"worker-{uuid.uuid4().hex[:10]}"
        self.group = f"{self.name}-group"
        self._cluster = cluster_of(bootstrap_servers=broker.bootstrap)

    def create(self, *suffixes: str, **properties: str) -> None:
        """Those of these suffixes; the embedded broker does it by itself."""
        if self.broker.real:
            admin = KafkaAdmin(config.admin_properties(self._cluster, ca_file=default_ca_file()))
            for suffix in suffixes:
                admin.create_topic(self.name + suffix, partitions=4, replication=1, config=properties, timeout_s=20)

    def settings(self, **more: object) -> dict[str, object]:
        return {
            "KAFKA_BOOTSTRAP_SERVERS": self.broker.bootstrap,
            "KAFKA_TOPIC": self.name,
            "KAFKA_GROUP_ID": self.group,
            "AUTO_OFFSET_RESET": "earliest",
            "FLOW": "flow.py:run",
            **more,
        }

    def read(self, suffix: str, count: int) -> Sequence[Consumed]:
        """So many records of a topic."""
        with self._consumer(uuid.uuid4().hex) as consumer:
            consumer.assign(dict.fromkeys(self._partitions(suffix), Start.EARLIEST))
            records: list[Consumed] = []
            wait_until(lambda: records.extend(consumer.poll(0.2)) or len(records) >= count, 30)
            return records

    def lag(self) -> int:
        """Of the worker's group."""
        with self._consumer(self.group) as consumer:
            return sum(consumer.lag(self._partitions("")).values())

    def _partitions(self, suffix: str) -> list[TopicPartition]:
        return [TopicPartition(self.name + suffix, number) for number in range(4)]

    @contextmanager
    def _consumer(self, group: str) -> Iterator[KafkaConsumer]:
        properties = config.consumer_properties(self._cluster, ca_file=default_ca_file(), group_id=group)
        consumer = KafkaConsumer(properties)
        try:
            yield consumer
        finally:
            consumer.close()
