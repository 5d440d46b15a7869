"""`python -m bench`: measure, print, and with --write put the table into docs/performance.md.

`python -m bench dispatch` does the same for the dispatcher.
"""

import argparse
import datetime
import importlib.metadata
import sys
from pathlib import Path

from bench import dispatch
from bench.rows import Bench, machine
from devhost.host import REPOSITORY

DOCUMENT = REPOSITORY / "docs" / "performance.md"


def main() -> None:
    if sys.argv[1:2] == ["dispatch"]:
        if text := dispatch.main(sys.argv[2:]):
            write("dispatch", f"{measured()}; medians.\n\n{text}", DOCUMENT)
        return
    parser = argparse.ArgumentParser(prog="python -m bench")
    parser.add_argument("--requests", type=int, default=6000, help="requests per round")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--memory-events", type=int, default=50_000, help="1000000 for the figure of the table")
    parser.add_argument("--write", action="store_true", help="put the table into docs/performance.md")
    options = parser.parse_args()
    bench = Bench(options.requests, options.rounds, options.memory_events)
    bench.run()
    if options.write:
        rows = "\n".join(f"| {what} | {ours} | {peers} |" for what, ours, peers in bench.results)
        rounds = f"medians of {bench.rounds} interleaved rounds of {bench.requests:,} requests"
        heads = "| what | Kafka Bridge | beside it, in the same run |\n|---|---|---|"
        write("figures", f"{measured()}; {rounds}.\n\n{heads}\n{rows}", DOCUMENT)


def measured() -> str:
    """When, with what and on what."""
    versions = ", ".join(
        f"{name} {importlib.metadata.version(name)}" for name in ("dify_plugin", "confluent-kafka", "gevent")
    )
    return f"Measured {datetime.date.today()} with Python {sys.version.split()[0]}, {versions} on {machine()}"


def write(name: str, text: str, document: Path) -> None:
    """Put a text between its marks."""
    start, end = f"<!-- {name} -->", f"<!-- /{name} -->"
    before, rest = document.read_text().split(start)
    document.write_text(f"{before}{start}\n{text}\n{end}{rest.split(end)[1]}")


main()
