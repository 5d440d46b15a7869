"""What people write first: one loop that polls, works, and stores the offset."""

import sys
import time

from confluent_kafka import Consumer, KafkaException

from bench.peers.dispatch import work
from bench.peers.dispatch.tally import Tally

PATIENCE_S = 180.0


def main(bootstrap: str, topic: str, group: str) -> None:
    """Run all of it."""
    tally = Tally("PARTITION", 1)
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": group,
            "auto.offset.reset": "earliest",
            "enable.auto.commit": True,
            "enable.auto.offset.store": False,
        }
    )
    consumer.subscribe([topic])
    done, patience = 0, time.perf_counter() + PATIENCE_S
    while done < work.N and time.perf_counter() < patience:
        message = consumer.poll(1.0)
        if message is None:
            continue
        if error := message.error():
            raise KafkaException(error)
        tally.run(message.key(), message.offset() or 0)
        consumer.store_offsets(message)
        done += 1
    ended = time.perf_counter()
    consumer.close()
    tally.print(bootstrap, topic, group, ended=ended, left=time.perf_counter())


main(*sys.argv[1:4])
