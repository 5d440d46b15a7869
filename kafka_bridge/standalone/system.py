"""The machine that a stand-alone process runs on: its clock, its files."""

import time
from pathlib import Path

from kafka_bridge.clock import Clock


def system_clock() -> Clock:
    """The clock."""
    return Clock(now=time.time, monotonic=time.monotonic)


def read_file(path: str) -> str | None:
    """The text of a file, or None when there is no such file, or none that can be read."""
    try:
        return Path(path).read_text(encoding="utf-8")
    except (OSError, ValueError):
        return None
