"""Ours: the dispatcher on threads, as the stand-alone worker composes it, with the work for its flow."""

import random
import sys
import threading
import time

from bench.peers.dispatch import work
from bench.peers.dispatch.tally import Tally
from kafka_bridge.broker import config
from kafka_bridge.broker.kafka.consumer import KafkaConsumer
from kafka_bridge.broker.loops import ThreadLoop
from kafka_bridge.broker.trust import default_ca_file
from kafka_bridge.clock import Clock
from kafka_bridge.dispatch.ended import Ended, Ending
from kafka_bridge.dispatch.plan import compile_plan
from kafka_bridge.dispatch.task import Task
from kafka_bridge.dispatch.worker import Dispatcher
from kafka_bridge.errors import Internal
from kafka_bridge.settings import endpoint

PATIENCE_S = 180.0
# Besides the runs: groups of results and dead letters that are written.
WRITERS = 4
DONE = Ended(Ending.DONE)
ORDERINGS = {"PARTITION": "partition", "KEY": "key", "UNORDERED": "none"}


class Nobody:
    """Whom nothing is told."""

    def ran(self, task: Task, ended: Ended) -> None:
        pass

    def dead_lettered(self, task: Task) -> None:
        pass


def main(bootstrap: str, topic: str, group: str, ordering: str, concurrency: str) -> None:
    """Run all of it."""
    saved = {
        "bootstrap_servers": bootstrap,
        "consume_topics": topic,
        "group_id": group,
        "offset_reset": "earliest",
        "ordering": ORDERINGS[ordering],
        "concurrency": concurrency,
    }
    settings = endpoint.parse(saved)
    plan, problems = compile_plan(settings.consume, name="bench")
    if plan is None or settings.cluster is None:
        raise SystemExit(str(problems))
    properties = config.consumer_properties(settings.cluster, ca_file=default_ca_file(), group_id=group)
    left = threading.Event()

    class Leaving(KafkaConsumer):
        def close(self) -> None:
            super().close()
            left.set()

    def refuse(_: object) -> list:
        raise Internal("nothing is written in this benchmark")

    tally = Tally(ordering, int(topic.removeprefix("dispatch-k")))

    def run(task: Task) -> Ended:
        tally.run(task.consumed.record.key, task.consumed.offset)
        return DONE

    dispatcher = Dispatcher(
        plan,
        make_consumer=lambda: Leaving(properties),
        send=refuse,
        listener=Nobody(),
        loop=ThreadLoop(int(concurrency) + WRITERS),
        clock=Clock(now=time.time, monotonic=time.monotonic),
        random=random.random,
    )
    dispatcher.start()
    dispatcher.run(run, max_records=work.N, max_s=PATIENCE_S)
    ended = time.perf_counter()
    dispatcher.stop()
    left.wait(30)
    tally.print(bootstrap, topic, group, ended=ended, left=time.perf_counter())


main(*sys.argv[1:6])
