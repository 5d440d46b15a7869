"""Why nothing can be read, and since when: whether waiting for it to be over is worth anything. Pure."""

from typing import Final

from kafka_bridge.errors import BridgeError, Cause, Unavailable

# What may be over in a moment, and how long that is waited for; a wrong password, say, is not waited for.
HEALS: Final = frozenset({Cause.CONNECTION_REFUSED, Cause.NOT_ACKNOWLEDGED, Cause.QUEUE_FULL})
HEALS_S: Final = 3.0
# What a broker says of a topic. Partitions may be assigned all the same: a member that may not read a topic gets them.
OF_TOPICS: Final = frozenset({Cause.NOT_AUTHORIZED, Cause.TOPIC_DOES_NOT_EXIST})


class Trouble:
    """`error` is None while all is well. Times are monotonic seconds."""

    def __init__(self) -> None:
        self.error: BridgeError | None = None
        self._since = 0.0

    def note(self, error: BridgeError, now: float) -> None:
        """Nothing can be read."""
        if self.error is None:
            self._since = now
        self.error = error

    def clear(self) -> None:
        """It is over."""
        self.error = None

    def answered(self) -> bool:
        """The brokers answer: whether that means that it is over. Of the topics themselves it says nothing."""
        if not isinstance(self.error, Unavailable) or self.error.cause in OF_TOPICS:
            return False
        self.clear()
        return True

    def is_hopeless(self, now: float, *, assigned: bool) -> bool:
        """Whether waiting longer is pointless.

        `assigned`: there are partitions. Then a broker that cannot be reached may be one of several; and if it is one
        topic that is refused, records of the others come first.
        """
        if self.error is None:
            return False
        cause = self.error.cause if isinstance(self.error, Unavailable) else None
        lasting = now - self._since > HEALS_S
        if assigned:
            return lasting and cause in OF_TOPICS
        return lasting or cause not in HEALS
