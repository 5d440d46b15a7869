"""How one run ended, and what it left behind. Pure."""

from collections.abc import Mapping
from enum import StrEnum
from typing import NamedTuple


class Ending(StrEnum):
    """What is known of a run that is over; it decides what becomes of the record."""

    DONE = "succeeded"
    """Also when the app says that it succeeded in part."""
    FAILED = "failed"
    """The run failed, or the flow raised: tried again up to the limit, then dead-lettered."""
    REFUSED = "refused"
    """The app does not take this record's input, and never will: dead-lettered at once."""
    UNKNOWN = "unknown"
    """It may have run (no answer in time, a broken connection): counted and tried again like a failure."""
    UNAVAILABLE = "unavailable"
    """Nothing ran, Dify is down or too busy: intake pauses, nothing is counted, nothing dead-lettered."""
    MISCONFIGURED = "misconfigured"
    """No record can run (a wrong app, a bad key): likewise, and a person has to act."""
    NOT_STARTED = "not started"
    """Nobody had time for it: the record goes back to its place, nothing is counted."""


class Ended(NamedTuple):
    """One run that is over.

    `error` is for operators and holds no secret; `retry_after_s` is the delay that the flow itself asks for.
    """

    ending: Ending
    outputs: Mapping[str, object] | None = None
    run_id: str = ""
    error: str = ""
    duration_s: float = 0.0
    retry_after_s: float | None = None
