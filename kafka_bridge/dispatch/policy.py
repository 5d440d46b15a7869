"""What the operator decided of how records are run, and the bounds. Pure."""

from dataclasses import dataclass

from kafka_bridge.dispatch.task import Ordering


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """What the operator decided, and the bounds.

    `results`: a result is written before a record counts as done. `ahead`: how many records of a partition a crash
    may repeat.
    """

    ordering: Ordering
    concurrency: int
    max_attempts: int
    max_age_s: int | None = None
    results: bool = False
    buffer_records: int = 1000
    buffer_bytes: int = 16 * 1024 * 1024
    ahead: int = 10_000

    def __post_init__(self) -> None:
        """Refuse what would stand still for ever. Raises ValueError."""
        if min(self.concurrency, self.max_attempts, self.buffer_records, self.buffer_bytes, self.ahead) < 1:
            raise ValueError("every bound is at least one")
