"""Time as an argument. Pure: the system's clock is made in the composition root, tests make their own."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Clock:
    """`now` is unix time in seconds; `monotonic` is seconds from an arbitrary start and never runs backwards."""

    now: Callable[[], float]
    monotonic: Callable[[], float]
