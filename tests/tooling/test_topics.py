"""The tools `list_topics` and `create_topic`, on topics in memory."""

import pytest

from kafka_bridge.errors import Cause, Malformed, NotFound, SettingsInvalid, Unavailable, Unreadable
from kafka_bridge.events.record import TopicPartition
from kafka_bridge.tooling import overview
from kafka_bridge.tooling.call import ToolCall
from kafka_bridge.tooling.errands import Errands
from kafka_bridge.tooling.parameters import Parameters
from kafka_bridge.tooling.topics import CREATED, LISTED, CreateTopic, ListTopics
from tests.tooling.readers import SAVED, Quick, Shelf, ShelfReader, running_clock


def listing(shelf, prepare=lambda reader: None):
    def make(cluster, group_id):
        reader = ShelfReader(shelf, group_id)
        prepare(reader)
        return reader

    loop = Quick()
    tool = ListTopics(make, Errands(loop), loop=loop, clock=running_clock())

    def call(**parameters):
        return list(tool(ToolCall(SAVED, Parameters(parameters))))

    return call


@pytest.fixture
def shelf():
    found = Shelf(orders=2, **{"orders.dlq": 1, "__consumer_offsets": 1})
    found.put("orders", "a", "b", "c", partition=1)
    return found


def test_topics_with_their_partitions_and_offsets(shelf):
    first, text, *variables = listing(shelf)()

    assert first.value["topics"] == [
        {
            "topic": "orders",
            "partitions": 2,
            "offsets": [
                {"partition": 0, "earliest": 0, "latest": 0},
                {"partition": 1, "earliest": 0, "latest": 3},
            ],
        },
        {"topic": "orders.dlq", "partitions": 1, "offsets": [{"partition": 0, "earliest": 0, "latest": 0}]},
    ]
    assert (first.value["count"], first.value["more"], first.value["lag"]) == (2, False, None)
    assert "orders: 2 partitions" in text.text
    assert [(one.name, one.value) for one in variables] == [(name, first.value[name]) for name in LISTED]


def test_how_far_a_group_is_behind(shelf):
    shelf.first[TopicPartition("orders", 1)] = 0
    shelf.commits.append(("g", {TopicPartition("orders", 1): 2}))
    result = listing(shelf)(group_id="g")[0].value
    orders = result["topics"][0]

    assert (orders["lag"], result["lag"]) == (1, 1)
    assert orders["offsets"][1] == {"partition": 1, "earliest": 0, "latest": 3, "committed": 2, "lag": 1}
    assert orders["offsets"][0]["committed"] is None


def test_where_nothing_is_committed_the_lag_is_all_that_is_there(shelf):
    shelf.first[TopicPartition("orders", 1)] = 10
    shelf.records.clear()
    shelf.put("orders", "a", "b", partition=1)

    assert listing(shelf)(group_id="g", topics="orders")[0].value["lag"] == 2


def test_only_those_that_are_named_or_match(shelf):
    def names(**parameters):
        return [topic["topic"] for topic in listing(shelf)(**parameters)[0].value["topics"]]

    assert names(topics="orders.dlq") == ["orders.dlq"]
    assert names(topics="orders*") == ["orders", "orders.dlq"]
    assert names(topics="*.dlq, __consumer_offsets") == ["__consumer_offsets", "orders.dlq"]
    assert names(topics="nothing.*") == []


def test_a_topic_that_is_named_and_not_there_is_a_failure(shelf):
    with pytest.raises(NotFound, match="topic does not exist: absent"):
        listing(shelf)(topics="orders,absent")


def test_what_is_no_name_is_refused(shelf):
    with pytest.raises(Malformed, match="topics:"):
        listing(shelf)(topics="a b")


def test_of_very_many_topics_the_first_are_listed_and_that_there_are_more(shelf):
    many = Shelf(**{f"t{number:04}": 1 for number in range(overview.MAX_TOPICS + 1)})
    first, text, *_ = listing(many)()

    assert (first.value["count"], first.value["more"]) == (overview.MAX_TOPICS, True)
    assert "and more" in text.text


def test_so_it_is_with_partitions():
    many = Shelf(a=1, b=overview.MAX_PARTITIONS, c=1)

    assert listing(many)()[0].value["count"] == 1


def test_a_partition_that_nobody_leads_now_does_not_hide_the_others(shelf):
    def prepare(reader):
        offsets = reader.offsets

        def all_but_one(partitions, at, *, partly=False):
            assert partly
            return offsets([one for one in partitions if one.partition == 1], at)

        reader.offsets = all_but_one

    result = listing(shelf, prepare)(topics="orders")[0].value

    assert result["topics"][0]["offsets"][0] == {"partition": 0, "earliest": None, "latest": None}
    assert result["topics"][0]["offsets"][1]["latest"] == 3


def test_a_cluster_that_cannot_be_reached_says_why(shelf):
    with pytest.raises(Unreadable, match="authentication failed"):
        listing(shelf, lambda reader: setattr(reader, "unreachable", Unavailable(Cause.AUTHENTICATION_FAILED)))()


class Admin:
    """In the place of `broker.kafka.admin.KafkaAdmin`."""

    def __init__(self) -> None:
        self.made: list[tuple[str, int, int, dict[str, str]]] = []
        self.reachable = True
        self.trouble = None
        self.closed = 0

    def reach(self, topic, timeout_s):
        # A question about the topic would have some brokers make it.
        assert topic == ""
        return self.reachable

    def create_topic(self, name, *, partitions, replication, config, timeout_s):
        there = name in [made[0] for made in self.made]
        self.made.append((name, partitions, replication, dict(config)))
        return not there

    def close(self):
        self.closed += 1


class Making:
    def __init__(self) -> None:
        self.admin = Admin()
        self.asked = 0
        self._tool = CreateTopic(self._make, Errands(Quick()), running_clock())

    def _make(self, cluster):
        self.asked += 1
        return self.admin

    def call(self, allow="enabled", **parameters):
        saved = {**SAVED, **({"allow_admin": allow} if allow is not None else {})}
        return list(self._tool(ToolCall(saved, Parameters({"topic": "new", **parameters}))))


@pytest.fixture
def making():
    return Making()


def test_a_topic_is_created_as_the_brokers_like_it(making):
    first, text, *variables = making.call()

    assert first.value == {"status": "success", "topic": "new", "created": True}
    assert making.admin.made == [("new", -1, -1, {})]
    assert [(one.name, one.value) for one in variables] == [(name, first.value[name]) for name in CREATED]
    assert making.admin.closed == 1
    assert "Created" in text.text


def test_or_as_it_is_told(making):
    making.call(partitions=3, replication_factor="2", config='{"retention.ms": 1000, "cleanup.policy": "compact"}')

    assert making.admin.made == [("new", 3, 2, {"retention.ms": "1000", "cleanup.policy": "compact"})]


def test_one_that_is_there_is_left_alone(making):
    making.call()
    first, text, *_ = making.call()

    assert first.value["created"] is False
    assert "nothing was changed" in text.text


@pytest.mark.parametrize("allow", ["disabled", None, "", "  "])
def test_without_permission_nobody_even_connects(making, allow):
    with pytest.raises(SettingsInvalid, match="Allow creating topics"):
        making.call(allow=allow)
    assert making.asked == 0


def test_a_permission_of_another_form_is_none(making):
    with pytest.raises(SettingsInvalid, match="Allow creating topics: must be one of"):
        making.call(allow="true")
    assert making.asked == 0


@pytest.mark.parametrize(
    ("parameters", "told"),
    [
        ({"topic": "a b"}, "topic:"),
        ({"partitions": 0}, "partitions: must be from 1"),
        ({"replication_factor": 0}, "replication_factor: must be from 1"),
        ({"config": '{"a": {}}'}, "config:"),
        ({"config": "[]"}, "config:"),
    ],
)
def test_parameters_that_make_no_sense_are_refused_before_anybody_connects(making, parameters, told):
    with pytest.raises(Malformed, match=told):
        making.call(**parameters)
    assert making.asked == 0
