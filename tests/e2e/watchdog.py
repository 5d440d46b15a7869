"""Watches the hub of a plugin process: a ticker greenlet, and a native thread that samples the stack of a late hub.

Runs inside the plugin's process (see `watched_plugin`); what it sees goes to a file, one JSON document per line.
"""

import json
import sys
import threading
import time
import traceback
from pathlib import Path

TICK_S = 0.01
STALL_S = 0.1
REPOSITORY = Path(__file__).resolve().parents[2]

MAIN = """import dify_plugin
import sys
sys.path.append({repository!r})
from tests.e2e import watchdog
watchdog.start({report!r})
plugin = dify_plugin.Plugin(dify_plugin.DifyPluginEnv())
if __name__ == "__main__":
    plugin.run()
"""


def watched_plugin(folder: Path) -> tuple[Path, Path]:
    """A plugin folder that is the repository's with a watchdog, and the file that the watchdog writes."""
    folder.mkdir()
    report = folder / "watchdog.jsonl"
    for name in ("manifest.yaml", "group", "endpoints", "provider", "tools", "_assets", "kafka_bridge", "PRIVACY.md"):
        (folder / name).symlink_to(REPOSITORY / name)
    (folder / "main.py").write_text(MAIN.format(repository=str(REPOSITORY), report=str(report)))
    return folder, report


def start(report: str) -> None:
    """Start ticker and sampler."""
    import gevent  # noqa: PLC0415 - the plugin process has it patched by now; the tests never import it
    from gevent import monkey  # noqa: PLC0415

    sleep = monkey.get_original("time", "sleep")
    state = {"tick": time.monotonic()}
    lateness: list[float] = []
    hub_thread = threading.get_ident()
    stalls: list[dict[str, object]] = []

    def tick() -> None:
        written = time.monotonic()
        while True:
            gevent.sleep(TICK_S)
            now = time.monotonic()
            lateness.append(now - state["tick"] - TICK_S)
            state["tick"] = now
            if now - written > 0.5:
                written = now
                with Path(report).open("w") as file:
                    json.dump({"lateness_ms": [round(late * 1000, 2) for late in lateness], "stalls": stalls}, file)

    def sample() -> None:
        # All on native ground: nothing of gevent, no lock that a greenlet may hold.
        while True:
            sleep(TICK_S)
            stalled_at = state["tick"]
            samples: list[str] = []
            while time.monotonic() - state["tick"] > STALL_S and state["tick"] == stalled_at:
                frame = sys._current_frames().get(hub_thread)
                samples.append("".join(traceback.format_stack(frame)) if frame else "")
                sleep(TICK_S)
            if samples:
                stalls.append({"ms": round((time.monotonic() - stalled_at) * 1000), "samples": samples})

    gevent.spawn(tick)
    monkey.get_original("_thread", "start_new_thread")(sample, ())


class Report:
    """What the watchdog saw."""

    def __init__(self, path: Path) -> None:
        found = json.loads(path.read_text())
        self.lateness_ms = sorted(found["lateness_ms"])
        self.stalls = found["stalls"]

    def percentile_ms(self, share: float) -> float:
        """The lateness that this share of the ticks stayed below."""
        return self.lateness_ms[min(len(self.lateness_ms) - 1, int(len(self.lateness_ms) * share))]

    def blamed(self, marks: tuple[str, ...] = ("/kafka_bridge/", "/confluent_kafka/")) -> list[str]:
        """Stacks of stalls that were ours or the client's: the same place, seen again and again.

        A process that was not given the processor looks stalled too, but not at one place for sample after sample.
        """
        blamed = []
        for stall in self.stalls:
            last = [sample.strip().rsplit("  File ", 1)[-1] for sample in stall["samples"] if sample]
            blamed += [
                f"{stall['ms']} ms: {place}"
                for place in set(last)
                if last.count(place) >= 3 and any(mark in place for mark in marks)
            ]
        return blamed
