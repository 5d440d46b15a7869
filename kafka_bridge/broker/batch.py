"""What one caller has sent, and what has become of it so far."""

from kafka_bridge.broker.loops import Waiter
from kafka_bridge.errors import BridgeError
from kafka_bridge.events.record import Delivery


class Batch:
    """Records of one caller and what became of them."""

    __slots__ = ("error", "pending", "results", "waiter")

    def __init__(self, size: int, waiter: Waiter) -> None:
        self.results: list[Delivery | BridgeError | None] = [None] * size
        self.pending = size
        self.error: BridgeError | None = None
        self.waiter = waiter

    def settle(self, index: int, result: Delivery | BridgeError) -> None:
        """Note one report; the caller goes on when all are there. Reports after `fail` change nothing."""
        if self.pending <= 0:
            return
        self.results[index] = result
        if not isinstance(result, Delivery) and self.error is None:
            self.error = result
            self.error.index = index
        self.pending -= 1
        if self.pending == 0:
            self.waiter.wake()

    def fail(self, error: BridgeError) -> None:
        """Let the caller go with `error`, whatever the reports may still say."""
        if self.pending > 0:
            self.pending = 0
            self.error = error
            self.waiter.wake()

    def deliveries(self) -> tuple[Delivery, ...]:
        """All of them. Raises the first error."""
        if self.error is not None:
            raise self.error
        return tuple(delivery for delivery in self.results if isinstance(delivery, Delivery))

    def outcomes(self) -> tuple[Delivery | BridgeError, ...]:
        """What became of each; where there was no report, why the caller was let go."""
        error = self.error
        return tuple(outcome for result in self.results if (outcome := result or error) is not None)
