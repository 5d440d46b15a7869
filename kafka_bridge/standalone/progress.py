"""One line at the foot of a terminal, above which the log goes on."""

import time
from collections import deque
from collections.abc import Callable
from typing import Final

from rich.console import Console
from rich.live import Live
from rich.text import Text

from kafka_bridge.standalone.look import Look

# The rate is that of the last seconds.
WINDOW_S: Final = 5.0
PER_SECOND: Final = 4


class Progress:
    """Between `start` and `end` it is drawn anew, four times a second. `write` puts a log line above it."""

    def __init__(self, look: Callable[[], Look], console: Console) -> None:
        self._look = look
        self._console = console
        self._seen: deque[tuple[float, int]] = deque()
        self._live = Live(
            console=console,
            get_renderable=self.render,
            refresh_per_second=PER_SECOND,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
        )

    def start(self) -> None:
        """Show it."""
        self._live.start()

    def end(self) -> None:
        """Take it away."""
        self._live.stop()

    def render(self) -> Text:
        """The line."""
        look = self._look()
        parts = [
            f"{self._rate(look):,.0f} records/s",
            f"{look.succeeded:,} succeeded",
            f"{look.failed:,} failed",
            f"{look.retried:,} retried",
            f"{look.dead_lettered:,} dead-lettered",
            f"{look.in_flight} in flight",
            f"lag {'?' if look.lag is None else f'{look.lag:,}'}",
        ]
        line = Text(" · ".join(parts), style="bold", no_wrap=True, overflow="ellipsis")
        if look.why_not:
            line.append(f"  {look.why_not}", style="yellow")
        return line

    def _rate(self, look: Look) -> float:
        now, done = time.monotonic(), look.succeeded + look.dead_lettered
        self._seen.append((now, done))
        while len(self._seen) > 1 and now - self._seen[0][0] > WINDOW_S:
            self._seen.popleft()
        since, before = self._seen[0]
        return (done - before) / (now - since) if now > since else 0.0


def line_writer(console: Console) -> Callable[[str], None]:
    """Prints log lines as they are, by their level's colour."""

    def write(line: str) -> None:
        style = "red" if " ERROR " in line[:20] else "yellow" if " WARNING " in line[:20] else ""
        console.print(line, style=style, markup=False, highlight=False, soft_wrap=True)

    return write
