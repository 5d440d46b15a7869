"""When a resident consumer opens its next window, and when never again: facts in, times out. Pure.

Pauses are those between the beginnings of two windows: one that was open for long is followed by the next at once,
whatever became of it. No two begin within `SPACING_S` of each other.
"""

from collections.abc import Callable, Mapping
from enum import Enum, auto
from types import MappingProxyType
from typing import Final

# Longer ones would save nothing: an endpoint that was deleted is found out by the next one, and settings come with it.
WINDOW_S: Final = 60.0
# Not all at the same moment: a window is up to this share shorter.
WINDOW_JITTER: Final = 0.2
SPACING_S: Final = 1.0
_MAX_EXPONENT: Final = 10


class Fact(Enum):
    """What became of one call of the plugin to itself."""

    WINDOW = auto()
    """It was a window, whatever happened to the records."""
    BUSY = auto()
    """Somebody else's is open."""
    INVALID = auto()
    """The settings do not allow one: a person has to act."""
    TROUBLE = auto()
    """Kafka cannot be read, the daemon cannot reach Dify, or the call was broken off."""
    UNREACHABLE = auto()
    """Nobody listens where the daemon should."""
    STRANGER = auto()
    """Somebody answers there, but not this process."""
    GONE = auto()
    """The daemon knows no such endpoint: it was deleted or disabled, or the plugin was removed. Twice: for good."""


# The first pause and the longest one, in seconds.
_PAUSES: Final[Mapping[Fact, tuple[float, float]]] = MappingProxyType(
    {
        Fact.WINDOW: (0.0, 0.0),
        Fact.BUSY: (2.0, 5.0),
        Fact.INVALID: (2.0, 60.0),
        Fact.TROUBLE: (1.0, 15.0),
        Fact.UNREACHABLE: (1.0, 60.0),
        Fact.STRANGER: (5.0, 60.0),
        Fact.GONE: (2.0, 2.0),
    }
)


class Course:
    """`next_at` is when the next window may open, in monotonic seconds. `random` gives numbers from 0 to 1.

    `failures` are those since the last window, `windows` all that were opened; `reason` says why there is none.
    """

    def __init__(self, *, random: Callable[[], float], window_s: float = WINDOW_S) -> None:
        self._random = random
        self._window_s = window_s
        self._opened_at = float("-inf")
        self.next_at = float("-inf")
        self.fact: Fact | None = None
        self.reason = ""
        self.failures = 0
        self.windows = 0
        self.ended = False

    @property
    def failing(self) -> bool:
        """Whether the last call was no window."""
        return self.failures > 0

    def open(self, now: float) -> float:
        """A window is opened now; for how many seconds."""
        self._opened_at = now
        self.next_at = now + SPACING_S
        self.windows += 1
        return self._window_s * (1 - WINDOW_JITTER * self._random())

    def tell(self, fact: Fact, reason: str) -> None:
        """What became of the last one."""
        again = self.fact is fact
        self.fact, self.reason = fact, reason
        self.failures = 0 if fact is Fact.WINDOW else self.failures + 1
        self.ended = self.ended or (fact is Fact.GONE and again)
        first_s, cap_s = _PAUSES[fact]
        pause_s = min(cap_s, first_s * 2.0 ** min(max(self.failures - 1, 0), _MAX_EXPONENT))
        self.next_at = self._opened_at + max(SPACING_S, pause_s * (1 + self._random()) / 2)

    def hurry(self, now: float) -> None:
        """Something has changed: what failed may not fail any more."""
        self.next_at = max(self._opened_at + SPACING_S, now)
        self.failures = min(self.failures, 1)
