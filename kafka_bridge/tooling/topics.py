"""The tools `list_topics` and `create_topic`."""

from collections.abc import Iterator, Mapping
from contextlib import closing
from typing import Final, NamedTuple

from kafka_bridge.broker.loops import Loop
from kafka_bridge.broker.ports import Reader, Start
from kafka_bridge.clock import Clock
from kafka_bridge.documents import text_of
from kafka_bridge.errors import SettingsInvalid
from kafka_bridge.settings.reader import Problem
from kafka_bridge.tooling.call import ToolCall
from kafka_bridge.tooling.credentials import read_permissions, read_target
from kafka_bridge.tooling.errands import Errand, Errands
from kafka_bridge.tooling.messages import Message, results
from kafka_bridge.tooling.order import topic_of
from kafka_bridge.tooling.overview import Wanted, as_many_as_fit, lag_of, overview, partitions_of, read_wanted, sentence
from kafka_bridge.tooling.parameters import Parameters
from kafka_bridge.tooling.places import Places, reach
from kafka_bridge.tooling.readers import MORE_S, MakeAdmin, MakeReader

LISTED: Final = ("count", "topics", "lag", "more")
CREATED: Final = ("topic", "created")
# The brokers wait for one another when a topic is made.
CREATE_S: Final = 20.0
MAX_PARTITIONS: Final = 10_000
MAX_REPLICAS: Final = 100
_BROKERS_CHOICE: Final = -1


class Seen(NamedTuple):
    """What `list_topics` has found."""

    topics: list[dict[str, object]]
    more: bool


class ListTopics:
    """Looks at topics, and at how far a group is behind. It is in no group and leaves no trace."""

    def __init__(self, make_reader: MakeReader, errands: Errands, *, loop: Loop, clock: Clock) -> None:
        self._make_reader = make_reader
        self._errands = errands
        self._loop = loop
        self._clock = clock

    def __call__(self, call: ToolCall) -> Iterator[Message]:
        wanted = read_wanted(call.parameters)
        call.parameters.check()
        cluster = read_target(call.saved)

        def task(_: Errand[Seen]) -> Seen:
            with closing(self._make_reader(cluster, wanted.group_id)) as reader:
                return self._look(reader, wanted)

        seen = self._errands.run(task, timeout_s=MORE_S)
        result = {
            "status": "success",
            "count": len(seen.topics),
            "group_id": wanted.group_id,
            "lag": lag_of(seen.topics) if wanted.group_id else None,
            "more": seen.more,
            "topics": seen.topics,
        }
        yield from results(result, sentence(seen.topics, wanted.group_id, more=seen.more), LISTED)

    def _look(self, reader: Reader, wanted: Wanted) -> Seen:
        places = Places(reader, self._clock, self._loop.rest)
        places.reach()
        counts = places.patiently(reader.topics)
        all_names = wanted.among(counts)
        names = as_many_as_fit(all_names, counts)
        partitions = partitions_of(counts, names)
        earliest = places.patiently(lambda: reader.offsets(partitions, Start.EARLIEST, partly=True))
        ends = places.patiently(lambda: reader.offsets(partitions, Start.LATEST, partly=True))
        committed = places.committed(partitions) if wanted.group_id else None
        return Seen(overview(counts, names, earliest, ends, committed), len(names) < len(all_names))


class CreateTopic:
    """Creates a topic, where whoever saved the credentials allows it; otherwise nothing is sent to the brokers."""

    def __init__(self, make_admin: MakeAdmin, errands: Errands, clock: Clock) -> None:
        self._make_admin = make_admin
        self._errands = errands
        self._clock = clock

    def __call__(self, call: ToolCall) -> Iterator[Message]:
        if not read_permissions(call.saved).admin:
            raise SettingsInvalid([str(Problem("allow_admin", "is disabled, so no topic can be created"))])
        topic, numbers, properties = _order(call.parameters)
        call.parameters.check()
        cluster = read_target(call.saved)

        def task(_: Errand[bool]) -> bool:
            with closing(self._make_admin(cluster)) as admin:
                # Not about the topic: this client's question would have some brokers make it, in their own way.
                reach(admin, "", self._clock)
                return admin.create_topic(topic, **numbers, config=properties, timeout_s=CREATE_S)

        created = self._errands.run(task, timeout_s=CREATE_S + MORE_S)
        result = {"status": "success", "topic": topic, "created": created}
        text = (
            f"Created the topic {topic}." if created else f"The topic {topic} was there already; nothing was changed."
        )
        yield from results(result, text, CREATED)


def _order(parameters: Parameters) -> tuple[str, dict[str, int], Mapping[str, str]]:
    properties = {name: text_of(value) for name, value in parameters.json_object("config").items()}
    texts = {name: text for name, text in properties.items() if text is not None}
    if len(texts) < len(properties):
        parameters.problem("config", "every value must be a text, a number, true or false")
    numbers = {
        "partitions": _number(parameters, "partitions", MAX_PARTITIONS),
        "replication": _number(parameters, "replication_factor", MAX_REPLICAS),
    }
    return topic_of(parameters), numbers, texts


def _number(parameters: Parameters, name: str, most: int) -> int:
    number = parameters.integer(name, default=_BROKERS_CHOICE, low=_BROKERS_CHOICE, high=most)
    if number == 0:
        parameters.problem(name, f"must be from 1 to {most}, or left out: then the brokers decide")
    return number
