"""What a writer of the event log writes down of its segments, as it is read back. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from kafka_bridge.events.log.entry import is_id
from kafka_bridge.events.log.segments import Place, Ref

type Guest = tuple[Sequence[Ref], Sequence[Place]]
"""What another writer has written, and what of it has to go: not ours until nobody lists that writer any more."""


def read(document: Mapping[str, Any]) -> tuple[int, float, list[Ref], list[Place], Mapping[str, Guest]]:
    """What a manifest says. What is not one says nothing."""
    try:
        return (
            int(document["next"]),
            float(document["time"]),
            _refs(document["segments"]),
            _places(document["condemned"]),
            {writer: (_refs(refs), _places(places)) for writer, (refs, places) in document["guests"].items()},
        )
    except (AttributeError, KeyError, TypeError, ValueError):
        return 0, 0.0, [], [], {}


def _refs(rows: Iterable[Sequence[Any]]) -> list[Ref]:
    refs = []
    for writer, number, level, entries, events, size_bytes, first, last in rows:
        counts = int(number), int(level), int(entries), int(events), int(size_bytes)
        refs.append(Ref(str(writer), *counts, str(first), str(last)))
    if not all(is_id(ref.first) and is_id(ref.last) for ref in refs):
        raise ValueError
    return refs


def _places(rows: Iterable[Sequence[Any]]) -> list[Place]:
    return [(str(writer), int(number)) for writer, number in rows]
