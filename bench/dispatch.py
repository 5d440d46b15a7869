"""`python -m bench dispatch`: the work of parallel-consumer's table on a real Kafka, ours beside it in the same run.

Needs Java 17 and Maven for the broker and for parallel-consumer; with `--bootstrap` and no Java it is ours alone,
beside the bound. Contenders are processes that print one line of JSON (`peers/dispatch/`). One whose records were not
all done once, in order, and committed is an error and no figure.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from bench.peers.dispatch import work
from bench.runs import runs_row
from devhost.host import REPOSITORY
from tests.real.kafka import RealKafka, fetch_jars, missing_part

PEERS = REPOSITORY / "bench" / "peers" / "dispatch"
CACHE = REPOSITORY / ".cache"
# Rows whose bound is above this are measured once: their figures hardly move.
SLOW_S = 8.0
TOTAL_MS = work.total_ms()
NAMES = {"PARTITION": "partition", "KEY": "key", "UNORDERED": "none"}

type Line = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Row:
    """One line of the table: seconds from the first start to the last end, medians."""

    mode: str
    concurrency: int
    bound_s: float
    ours_s: float
    ours_cpu_s: float
    peer_s: float | None
    peer_cpu_s: float | None
    sequential_s: float | None

    def texts(self) -> list[str]:
        """The cells."""
        peer = "" if self.peer_s is None else f"{self.peer_s:.2f}"
        ratio = "" if self.peer_s is None else f"**{self.ours_s / self.peer_s:.2f}**"
        if self.sequential_s is not None:
            peer += f" (one loop {self.sequential_s:.2f})"
        return [
            self.mode,
            str(self.concurrency),
            f"{self.bound_s:.2f}",
            f"{self.ours_s:.2f}",
            f"{self.ours_s / self.bound_s:.2f}",
            peer,
            ratio,
            f"{self.ours_cpu_s:.1f} s" + ("" if self.peer_cpu_s is None else f", {self.peer_cpu_s:.1f} s"),
        ]


HEADINGS = ["order", "at once", "bound", "ours", "of the bound", "parallel-consumer", "of its time", "processor"]


def main(arguments: Sequence[str]) -> str:
    """Measure, print, and give the table as Markdown; empty unless `--write` asks for it."""
    parser = argparse.ArgumentParser(prog="python -m bench dispatch")
    parser.add_argument("--repeats", type=int, default=3, help="of each row, interleaved")
    parser.add_argument("--concurrency", default="16,100")
    parser.add_argument("--only", default="", help="rows: key:10,none:10000")
    parser.add_argument("--bootstrap", default="", help="a broker that is there; without it one is started")
    parser.add_argument("--no-peer", action="store_true", help="ours alone, beside the bound")
    parser.add_argument("--no-table", action="store_true", help="only the workflows through the plugin")
    parser.add_argument("--write", action="store_true", help="put the table into docs/performance.md")
    options = parser.parse_args(arguments)
    only = {tuple(row.split(":")) for row in options.only.split(",") if row}
    rows: list[Row] = []
    if not options.no_table:
        peer = None if options.no_peer or missing_part() else build_peer()
        with broker(options.bootstrap) as bootstrap:
            fill(bootstrap)
            print("  ".join(HEADINGS), flush=True)
            for concurrency in map(int, options.concurrency.split(",")):
                for ordering, keys in work.MODES:
                    if not only or (NAMES[ordering], str(keys)) in only:
                        row = {"ordering": ordering, "keys": keys, "concurrency": concurrency}
                        rows.append(measure(bootstrap, peer, **row, repeats=options.repeats))
                        print("  ".join(rows[-1].texts()).replace("**", ""), flush=True)
    what, ours, beside = runs_row(options.repeats)
    print(f"{what}  {ours}  {beside}".replace("**", ""), flush=True)
    return table(rows, f"{what}: {ours}, {beside}.") if options.write else ""


def table(rows: Sequence[Row], runs: str) -> str:
    """As Markdown."""
    lines = [HEADINGS, ["---"] * len(HEADINGS), *(row.texts() for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + f"\n\n{runs}"


def measure(
    bootstrap: str, peer: Sequence[str] | None, *, ordering: str, keys: int, concurrency: int, repeats: int
) -> Row:
    """One row: contenders in turn, so that the machine's moods meet everybody."""
    contenders: dict[str, Sequence[str]] = {"ours": [sys.executable, "-m", "bench.peers.dispatch.ours"]}
    if peer is not None:
        contenders["peer"] = peer
    if ordering == "PARTITION":
        contenders["sequential"] = [sys.executable, "-m", "bench.peers.dispatch.sequential"]
    bound_s = work.bound_s(ordering, keys, concurrency)
    lines: dict[str, list[Line]] = {name: [] for name in contenders}
    for _ in range(1 if bound_s > SLOW_S else repeats):
        for name, command in contenders.items():
            lines[name].append(run(command, bootstrap, ordering, keys, concurrency))
    spans = {name: statistics.median(line["span_s"] for line in found) for name, found in lines.items()}
    cpu = {name: statistics.median(line["cpu_s"] for line in found) for name, found in lines.items()}
    mode = f"{NAMES[ordering]}, {keys:,}" if ordering == "KEY" else NAMES[ordering]
    return Row(
        mode=mode,
        concurrency=concurrency,
        bound_s=bound_s,
        ours_s=spans["ours"],
        ours_cpu_s=cpu["ours"],
        peer_s=spans.get("peer"),
        peer_cpu_s=cpu.get("peer"),
        sequential_s=spans.get("sequential"),
    )


def run(command: Sequence[str], bootstrap: str, ordering: str, keys: int, concurrency: int) -> Line:
    """One contender's line, with the CPU seconds of its process. Raises RuntimeError when it did not do its work."""
    group = f"bench-{uuid.uuid4().hex[:12]}"
    arguments = [bootstrap, work.topic_of(keys), group, ordering, str(concurrency), str(work.N)]
    process = subprocess.Popen([*command, *arguments], stdout=subprocess.PIPE, cwd=REPOSITORY)
    assert process.stdout
    out = process.stdout.read()
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode or not out.strip():
        raise RuntimeError(f"{command[-1]} ended with {process.returncode}")
    line = json.loads(out.strip().splitlines()[-1])
    promised = {"finished": True, "once": work.N, "more": 0, "disorder": 0, "committed": work.N, "slept_ms": TOTAL_MS}
    wrong = {name: line[name] for name, value in promised.items() if line[name] != value}
    if wrong or line["peak_in_flight"] > concurrency:
        raise RuntimeError(f"{command[-1]} did not do the work of {ordering}, {keys} keys, {concurrency}: {line}")
    return {**line, "cpu_s": used.ru_utime + used.ru_stime}


def build_peer() -> Sequence[str]:
    """Parallel-consumer with our work, compiled once; the command that runs it."""
    folder = CACHE / "bench-dispatch"
    classes, jars = folder / "classes", folder / "lib"
    if not (folder / "complete").exists():
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copy(PEERS / "pom.xml", folder)
        fetch = ["mvn", "-q", "-B", "dependency:copy-dependencies", "-DoutputDirectory=lib"]
        subprocess.run(fetch, cwd=folder, check=True, timeout=600)
        (folder / "complete").touch()
    subprocess.run(["javac", "-cp", f"{jars}/*", "-d", str(classes), str(PEERS / "PcBench.java")], check=True)
    return ["java", "-Xmx512m", "-cp", f"{classes}:{jars}/*", "PcBench"]


@contextmanager
def broker(named: str) -> Iterator[str]:
    """A broker that is there, or one of our own."""
    if named:
        yield named
        return
    if missing := missing_part():
        raise SystemExit(f"no real Kafka: {missing}; name one with --bootstrap")
    with tempfile.TemporaryDirectory() as scratch:
        kafka = RealKafka(Path(scratch) / "broker", fetch_jars(CACHE))
        try:
            kafka.start()
            yield kafka.bootstrap
        finally:
            kafka.stop()


def fill(bootstrap: str) -> None:
    """Make and fill the topics that are not there, and look whether each record lies where `work` says."""
    admin = AdminClient({"bootstrap.servers": bootstrap})
    there = admin.list_topics(timeout=20).topics
    wanted = [work.topic_of(keys) for keys in work.KEY_COUNTS if work.topic_of(keys) not in there]
    if wanted:
        for future in admin.create_topics([NewTopic(topic, 1, 1) for topic in wanted]).values():
            future.result(20)
    for keys in work.KEY_COUNTS:
        topic = work.topic_of(keys)
        if topic in wanted:
            producer = Producer({"bootstrap.servers": bootstrap, "enable.idempotence": True, "linger.ms": 20})
            for number in range(work.N):
                value = json.dumps({"i": number, "pad": "x" * 180})
                producer.produce(topic, value, work.key_of(number, keys), 0)
            if producer.flush(60):
                raise RuntimeError(f"{topic} could not be filled")
        _check(bootstrap, topic, keys)


def _check(bootstrap: str, topic: str, keys: int) -> None:
    reader = Consumer({"bootstrap.servers": bootstrap, "group.id": "bench-check", "enable.auto.commit": False})
    reader.assign([TopicPartition(topic, 0, 0)])
    seen, patience = 0, time.perf_counter() + 30
    while seen < work.N and time.perf_counter() < patience:
        for message in reader.consume(1000, 1.0):
            if (message.offset(), message.key()) != (seen, work.key_of(seen, keys).encode()):
                raise RuntimeError(f"{topic} is not as it should be at offset {seen}")
            seen += 1
    ends = reader.get_watermark_offsets(TopicPartition(topic, 0), timeout=10)
    reader.close()
    if (seen, ends) != (work.N, (0, work.N)):
        raise RuntimeError(f"{topic} does not have {work.N} records")
