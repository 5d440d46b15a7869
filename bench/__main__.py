"""`python -m bench`: measure, print, and with --write put the table into docs/performance.md."""

import argparse
import datetime
import importlib.metadata
import sys
from pathlib import Path

from bench.rows import Bench, machine
from devhost.host import REPOSITORY

START, END = "<!-- figures -->", "<!-- /figures -->"
DOCUMENT = REPOSITORY / "docs" / "performance.md"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench")
    parser.add_argument("--requests", type=int, default=6000, help="requests per round")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--memory-events", type=int, default=50_000, help="1000000 for the figure of the table")
    parser.add_argument("--write", action="store_true", help="put the table into docs/performance.md")
    options = parser.parse_args()
    bench = Bench(options.requests, options.rounds, options.memory_events)
    bench.run()
    if options.write:
        write(bench, DOCUMENT)


def write(bench: Bench, document: Path) -> None:
    versions = ", ".join(
        f"{name} {importlib.metadata.version(name)}" for name in ("dify_plugin", "confluent-kafka", "gevent")
    )
    rows = "\n".join(f"| {what} | {ours} | {peers} |" for what, ours, peers in bench.results)
    table = (
        f"{START}\nMeasured {datetime.date.today()} with Python {sys.version.split()[0]}, {versions} on {machine()}; "
        f"medians of {bench.rounds} interleaved rounds of {bench.requests:,} requests.\n\n"
        f"| what | Kafka Bridge | beside it, in the same run |\n|---|---|---|\n{rows}\n{END}"
    )
    text = document.read_text()
    before, rest = text.split(START)
    document.write_text(before + table + rest.split(END)[1])


main()
