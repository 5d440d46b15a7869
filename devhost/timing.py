"""The daemon's clocks. A host for tests of what happens after them has shorter ones."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """Seconds. The defaults are the daemon's."""

    # A loop looks this often whether the plugin's process is there, and starts it.
    restart_tick_s: float = 5.0
    # A write to a process that is gone is tried again for this long, every so often.
    write_budget_s: float = 6.0
    write_pause_s: float = 0.3
    # A process that says nothing for this long is killed.
    silence_s: float = 120.0
    # PLUGIN_MAX_EXECUTION_TIMEOUT: an answer that has begun is ended after this long.
    execution_s: float = 600.0
