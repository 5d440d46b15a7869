"""What `list_topics` says of topics, and how far a group is behind. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from kafka_bridge.errors import Cause, NotFound
from kafka_bridge.events.record import TopicPartition, is_topic_name
from kafka_bridge.ingress.patterns import Pattern
from kafka_bridge.tooling.order import TOPIC_RULE
from kafka_bridge.tooling.parameters import Parameters
from kafka_bridge.tooling.selection import group_of

# An answer is one line of stdout, and models pay for every word.
MAX_TOPICS: Final = 500
MAX_PARTITIONS: Final = 2_000
MAX_NAMES: Final = 100
_INTERNAL: Final = "__"

type Offsets = Mapping[TopicPartition, int]


@dataclass(frozen=True, slots=True)
class Wanted:
    """Names and patterns with `*`; without any of them all topics but Kafka's own. `group_id` may be empty."""

    names: tuple[str, ...]
    group_id: str

    def among(self, topics: Iterable[str]) -> list[str]:
        """Those that are wanted, by name. Raises NotFound where one that is named is not there."""
        there = sorted(topics)
        if not self.names:
            return [name for name in there if not name.startswith(_INTERNAL)]
        exact = {name for name in self.names if "*" not in name}
        if missing := sorted(exact - set(there)):
            raise NotFound(f"{Cause.TOPIC_DOES_NOT_EXIST}: {missing[0]}")
        patterns = [Pattern(name) for name in self.names]
        return [name for name in there if any(pattern.matches(name) for pattern in patterns)]


def read_wanted(parameters: Parameters) -> Wanted:
    """What is asked for; what is wrong is noted in `parameters`."""
    names = parameters.names("topics")
    if not all(is_topic_name(name.replace("*", "x")) for name in names):
        parameters.problem("topics", f"an entry {TOPIC_RULE}; * stands for any of them")
    if len(names) > MAX_NAMES:
        parameters.problem("topics", f"has more than {MAX_NAMES} entries")
    return Wanted(names[:MAX_NAMES], group_of(parameters))


def as_many_as_fit(names: Sequence[str], counts: Mapping[str, int]) -> Sequence[str]:
    """The first of them, of which one answer can tell."""
    fit, partitions = list[str](), 0
    for name in names[:MAX_TOPICS]:
        partitions += counts[name]
        if partitions > MAX_PARTITIONS and fit:
            break
        fit.append(name)
    return fit


def partitions_of(counts: Mapping[str, int], names: Sequence[str]) -> list[TopicPartition]:
    """All partitions of those topics: Kafka numbers them without gaps."""
    return [TopicPartition(name, number) for name in names for number in range(counts[name])]


def overview(
    counts: Mapping[str, int], names: Sequence[str], earliest: Offsets, ends: Offsets, committed: Offsets | None
) -> list[dict[str, object]]:
    """One entry per topic; `committed` is None where no group was asked for."""
    found: list[dict[str, object]] = []
    for name in names:
        each = [_partition(at, earliest.get(at), ends.get(at), committed) for at in partitions_of(counts, (name,))]
        lags = [lag for one in each if isinstance(lag := one.get("lag"), int)]
        found.append(
            {
                "topic": name,
                "partitions": counts[name],
                **({} if committed is None else {"lag": sum(lags)}),
                "offsets": each,
            }
        )
    return found


def lag_of(topics: Sequence[Mapping[str, object]]) -> int:
    """That of all topics together."""
    return sum(lag for topic in topics if isinstance(lag := topic.get("lag"), int))


def sentence(topics: Sequence[Mapping[str, object]], group_id: str, *, more: bool) -> str:
    """For people: a line per topic."""
    lines = [
        f"{topic['topic']}: {topic['partitions']} partition{'' if topic['partitions'] == 1 else 's'}"
        + (f", {topic['lag']} behind" if group_id else "")
        for topic in topics
    ]
    group = f" (how far {group_id} is behind)" if group_id else ""
    return "\n".join(
        [f"{len(topics)} topic{'' if len(topics) == 1 else 's'}{group}{', and more' if more else ''}:", *lines]
    )


def _partition(
    at: TopicPartition, earliest: int | None, end: int | None, committed: Offsets | None
) -> dict[str, object]:
    """Offsets are null while no broker leads the partition."""
    known: dict[str, object] = {"partition": at.partition, "earliest": earliest, "latest": end}
    if committed is None:
        return known
    place = committed.get(at)
    behind = None if end is None or earliest is None else max(0, end - max(earliest, place or earliest))
    return {**known, "committed": place, "lag": behind}
