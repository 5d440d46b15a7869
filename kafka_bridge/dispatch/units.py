"""Records that somebody brings together: which of them are run one after another. Pure."""

from collections.abc import Iterator, Sequence

from kafka_bridge.events.record import Consumed


def units_of(records: Sequence[Consumed]) -> Iterator[list[int]]:
    """The numbers of those that are run one after another: of one partition and key."""
    units: dict[object, list[int]] = {}
    for number, consumed in enumerate(records):
        key = consumed.record.key
        units.setdefault(number if key is None else (consumed.position, key), []).append(number)
    yield from units.values()
