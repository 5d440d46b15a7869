"""Who of many resident consumers may be at work, when there are more of them than there are places. Pure.

Nobody tells the plugin whose endpoint is whose, so an owner is whoever has the same connection to Kafka. A place that
is free goes to the owner with the fewest, and among his own to the one that waits longest. At the end of a window
whoever has a place gives it to one that waits, if that one's owner has fewer, or is the same.
"""

from collections import Counter
from collections.abc import Iterable


class Places:
    """`limit` of them. Who waits gets one in turn; `given` is who has got one since it was last asked."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._inside: dict[str, str] = {}
        self._waiting: dict[str, str] = {}
        self._given: list[str] = []

    @property
    def waiting(self) -> int:
        """How many wait."""
        return len(self._waiting)

    def has(self, who: str) -> bool:
        """Whether `who` may be at work."""
        return who in self._inside

    def enter(self, who: str, owner: str) -> bool:
        """Whether there is a place; otherwise `who` waits for one."""
        if who not in self._inside:
            self._waiting.setdefault(who, owner)
            self._fill()
        return who in self._inside

    def leave(self, who: str) -> None:
        """`who` wants no place any more."""
        self._waiting.pop(who, None)
        if self._inside.pop(who, None) is not None:
            self._fill()

    def is_wanted(self, who: str) -> bool:
        """Whether another one has a better right to the place of `who`, once its window is over."""
        return self._successor(who) is not None

    def turn(self, who: str) -> bool:
        """Give the place of `who` to whoever has a better right to it; then `who` waits again."""
        if (following := self._successor(who)) is None:
            return False
        owner = self._inside.pop(who)
        self._take(following)
        self._waiting[who] = owner
        return True

    def given(self) -> Iterable[str]:
        """Those that have got a place without asking."""
        given, self._given = self._given, []
        return [who for who in given if who in self._inside]

    def _successor(self, who: str) -> str | None:
        owner = self._inside.get(who)
        if owner is None or not self._waiting:
            return None
        have = Counter(self._inside.values())
        following = self._first(have - Counter([owner]))
        theirs = self._waiting[following]
        return following if theirs == owner or have[theirs] < have[owner] else None

    def _fill(self) -> None:
        while self._waiting and len(self._inside) < self._limit:
            self._take(self._first(Counter(self._inside.values())))

    def _first(self, have: Counter[str]) -> str:
        # `min` gives the first of several.
        return min(self._waiting, key=lambda who: have[self._waiting[who]])

    def _take(self, who: str) -> None:
        self._inside[who] = self._waiting.pop(who)
        self._given.append(who)
