"""What is said of a defect: an id to whoever asks, the rest to the log. Pure.

Never the exception's own text: it may quote what was sent, or a secret. In one message, because the SDK prints nothing
else of a log record.
"""

import secrets
import traceback
from typing import NamedTuple

from kafka_bridge.errors import Internal


class Incident(NamedTuple):
    """`error` is safe to show; `line` is for the log."""

    error: Internal
    line: str


def incident_of(error: BaseException) -> Incident:
    """A new incident."""
    number = secrets.token_hex(4)
    trace = "".join(traceback.format_tb(error.__traceback__))
    return Incident(Internal(number), f"incident {number}: {type(error).__qualname__}\n{trace}")
