"""A member of a group in a process of its own: the dispatcher on threads, as outside Dify, with a flow that logs.

    python -m tests.real.worker_process BOOTSTRAP TOPIC GROUP LOG

Each run is one line: event, key, number, attempt, ending. 5 % of the runs fail and 1 % have no known end, by a hash of
event and attempt: the same ones in every process. SIGTERM leaves the group.
"""

import hashlib
import json
import os
import random
import signal
import sys
import threading
from pathlib import Path

from kafka_bridge.broker import config
from kafka_bridge.broker.bridge import Connection
from kafka_bridge.broker.kafka.consumer import KafkaConsumer
from kafka_bridge.broker.kafka.producer import KafkaProducer
from kafka_bridge.broker.loops import ThreadLoop
from kafka_bridge.broker.trust import default_ca_file
from kafka_bridge.dispatch.ended import Ended, Ending
from kafka_bridge.dispatch.payload import read
from kafka_bridge.dispatch.plan import compile_plan
from kafka_bridge.dispatch.task import Task
from kafka_bridge.dispatch.worker import Dispatcher
from kafka_bridge.settings import endpoint
from tests.brokers import SYSTEM_CLOCK

CONCURRENCY = 8
SEND_S = 9.0


class Log:
    """One file for all processes: each line is one write at its end."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    def run(self, task: Task) -> Ended:
        """The flow."""
        payload = read(task.consumed)
        attempt = task.attempts + 1
        chance = hashlib.sha256(f"{payload.event_id} {attempt}".encode()).digest()[0] / 256
        ending = Ending.FAILED if chance < 0.05 else Ending.UNKNOWN if chance < 0.06 else Ending.DONE
        threading.Event().wait(0.002)
        number = payload.fields["n"]
        line = f"{payload.event_id}\t{payload.key}\t{number}\t{attempt}\t{ending.value}\n"
        os.write(self._file, line.encode())
        return Ended(ending, error="by chance" if ending is not Ending.DONE else "")


class Nobody:
    """Whom nothing is told."""

    def ran(self, task: Task, ended: Ended) -> None:
        """Nothing."""

    def dead_lettered(self, task: Task) -> None:
        """Nothing."""


def main(bootstrap: str, topic: str, group: str, log: str) -> None:
    """Consume until SIGTERM."""
    saved = {
        "bootstrap_servers": bootstrap,
        "consume_topics": topic,
        "group_id": group,
        "offset_reset": "earliest",
        "concurrency": str(CONCURRENCY),
        "max_attempts": "2",
        # The least that a broker allows: one that was killed is missed after this.
        "client_config": json.dumps({"session.timeout.ms": 6000, "heartbeat.interval.ms": 1000}),
    }
    settings = endpoint.parse(saved)
    plan, problems = compile_plan(settings.consume, name=f"worker {os.getpid()}")
    assert settings.cluster is not None
    assert plan is not None, problems
    cluster, ca_file, loop, left = settings.cluster, default_ca_file(), ThreadLoop(CONCURRENCY + 4), threading.Event()

    class Leaving(KafkaConsumer):
        def close(self) -> None:
            super().close()
            left.set()

    connection = Connection(
        lambda on_trouble: KafkaProducer(config.producer_properties(cluster, ca_file=ca_file), on_trouble),
        name=bootstrap,
        loop=loop,
        clock=SYSTEM_CLOCK,
        on_idle=lambda: False,
    )
    dispatcher = Dispatcher(
        plan,
        make_consumer=lambda: Leaving(config.consumer_properties(cluster, ca_file=ca_file, group_id=group)),
        send=lambda records: connection.send_all(records, timeout_s=SEND_S),
        listener=Nobody(),
        loop=loop,
        clock=SYSTEM_CLOCK,
        random=random.random,
    )
    signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=dispatcher.stop).start())
    dispatcher.start()
    dispatcher.run(Log(Path(log)).run, patient=True)
    left.wait(30)
    connection.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
