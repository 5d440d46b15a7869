"""Whether the runtime that this process lives in can host resident consumers, and what else there is. Pure.

A resident consumer is a loop of requests from the plugin to itself, through the daemon that has started it.
"""

from collections.abc import Mapping
from typing import Final, NamedTuple

from kafka_bridge.dify.course import WINDOW_S

LOCAL: Final = "local"
DEFAULT_PORT: Final = 5002
MAX_PORT: Final = 65535
# For tests, and for whoever wants an endpoint that was deleted to be found out sooner.
WINDOW_VARIABLE: Final = "KAFKA_BRIDGE_WINDOW_S"
MIN_WINDOW_S: Final = 1
MAX_WINDOW_S: Final = 240
ALTERNATIVES: Final = (
    "Call POST /consume from cron, with the API token.",
    "Call POST /consume from a Dify workflow: a Schedule trigger and an HTTP request node.",
    "Run the stand-alone worker outside Dify: python -m kafka_bridge.worker.",
)


class Hosting(NamedTuple):
    """`obstacle` is empty where they can be hosted; the daemon listens on `port` of the loopback address."""

    port: int = DEFAULT_PORT
    window_s: float = WINDOW_S
    obstacle: str = ""
    warnings: tuple[str, ...] = ()


def hosting_of(environment: Mapping[str, str]) -> Hosting:
    """What the environment says, which in the local runtime is the daemon's own."""
    # Whoever debugs remotely may say so in a file that only the SDK reads: then the variable is not there.
    method = environment.get("INSTALL_METHOD", "").strip().lower()
    if method != LOCAL:
        where = f"the install method is {method}" if method.isalnum() else "the process was not started by a daemon"
        return Hosting(obstacle=f"needs the local runtime of the plugin daemon, and {where}")
    port = _number(environment.get("SERVER_PORT", "") or str(DEFAULT_PORT), 1, MAX_PORT)
    if port is None:
        return Hosting(obstacle="needs the port of the plugin daemon, and SERVER_PORT is none")
    text = environment.get(WINDOW_VARIABLE, "").strip()
    window_s = _number(text, MIN_WINDOW_S, MAX_WINDOW_S) if text else int(WINDOW_S)
    if window_s is None:
        warning = f"{WINDOW_VARIABLE} must be a number from {MIN_WINDOW_S} to {MAX_WINDOW_S}"
        return Hosting(port, warnings=(warning,))
    return Hosting(port, float(window_s))


def _number(text: str, low: int, high: int) -> int | None:
    text = text.strip()
    if not (text.isascii() and text.isdigit() and len(text) <= len(str(MAX_PORT))):
        return None
    return number if low <= (number := int(text)) <= high else None
