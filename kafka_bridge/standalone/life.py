"""From the first record to the last: what the main thread does meanwhile, and how it ends.

The first signal gives the runs that are on their way the time of the drain, has what is done committed, and leaves the
group; what does not end by then runs again elsewhere. The second one ends the process at once.
"""

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import asdict
from typing import Final, NamedTuple

from kafka_bridge.dispatch.member import DRAIN_S
from kafka_bridge.dispatch.window import Runner
from kafka_bridge.dispatch.worker import Dispatcher
from kafka_bridge.errors import BridgeError
from kafka_bridge.incidents import incident_of
from kafka_bridge.standalone.look import Look, Watch
from kafka_bridge.standalone.signals import Signals

logger = logging.getLogger(__name__)

# The drain, and what a commit and a farewell may take where the broker is slow.
LEAVE_S: Final = DRAIN_S + 10.0
LAG_S: Final = 5.0
# A line for the log, where nobody sees a progress line.
REPORT_S: Final = 60.0


class Ended(NamedTuple):
    """How it ended. `hung`: something still runs, which nothing but the end of the process can stop."""

    status: int
    hung: bool = False


class Life:
    """See the module's docstring; `live` is for the main thread."""

    def __init__(self, dispatcher: Dispatcher, runner: Runner, watch: Watch, signals: Signals) -> None:
        self._dispatcher = dispatcher
        self._runner = runner
        self._watch = watch
        self._signals = signals
        self._driver = threading.Thread(target=self._drive, daemon=True)
        self._over = threading.Event()
        # Not whether its thread lives: it still does when it says so.
        self._driven = threading.Event()

    def live(self, *, report: bool) -> Ended:
        """Run records until a signal comes, or until that is pointless. `report`: log the figures now and then."""
        left = threading.Event()

        def say() -> None:
            left.set()
            self._signals.wake()

        with self._dispatcher.loop.lock:
            self._dispatcher.member.on_left(say)
        self._dispatcher.start()
        self._driver.start()
        threading.Thread(target=self._look_after, args=(report,), daemon=True).start()
        number = None
        while number is None and not self._driven.is_set() and not left.is_set():
            number = self._signals.wait()
        self._watch.stopping = True
        if number is None:
            logger.error("cannot go on: %s", self._dispatcher.trouble.error or "see the lines above")
        else:
            logger.info("%s: what runs may end within %.0f s", number.name, DRAIN_S)
        self._dispatcher.stop()
        deadline = time.monotonic() + LEAVE_S
        while not left.is_set() and (left_s := deadline - time.monotonic()) > 0:
            again = self._signals.wait(left_s)
            if again is not None:
                logger.warning("%s again: ended at once", again.name)
                return Ended(128 + again, hung=True)
        self._over.set()
        look = self._watch.look()
        if not left.is_set():
            logger.warning("the group was not left in time: its other members wait until the session times out")
        if look.in_flight:
            logger.warning("%d runs have not ended; their records run again at the next owner", look.in_flight)
        logger.info("stopped", extra={"fields": figures(look)})
        return Ended(0 if number is not None else 1, hung=bool(look.in_flight) or not left.is_set())

    def _drive(self) -> None:
        try:
            self._dispatcher.run(self._runner, patient=True)
        except BridgeError:
            # Nothing could be read until the end; the log has said so.
            return
        except Exception as error:  # noqa: BLE001 - it would stand still, and nobody would know
            logger.error("%s", incident_of(error).line)  # noqa: TRY400
        finally:
            self._driven.set()
            self._signals.wake()

    def _look_after(self, report: bool) -> None:
        reporter = Reporter(self._watch.look) if report else None
        while not self._over.is_set():
            self._watch.ask_for_lag()
            if reporter is not None:
                reporter.look()
            self._over.wait(LAG_S)


class Reporter:
    """Logs the figures once a minute, if they have changed."""

    def __init__(self, look: Callable[[], Look]) -> None:
        self._look = look
        self._last: dict[str, object] = {}
        self._due = time.monotonic() + REPORT_S

    def look(self) -> None:
        """Log them, if it is time."""
        if time.monotonic() < self._due:
            return
        self._due += REPORT_S
        if (now := figures(self._look())) != self._last:
            self._last = now
            logger.info("%s", ", ".join(f"{name} {value}" for name, value in now.items()), extra={"fields": now})


def figures(look: Look) -> dict[str, object]:
    """The numbers for a log line."""
    return {name: value for name, value in asdict(look).items() if isinstance(value, int)} | {"lag": look.lag}
