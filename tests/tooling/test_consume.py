"""The tool `consume`, on topics in memory: what it gives, where it begins and ends, what it leaves behind."""

import pytest

from kafka_bridge.errors import Cause, Fenced, Malformed, NotFound, Unavailable, Unreadable
from kafka_bridge.events.record import TopicPartition
from kafka_bridge.tooling import items
from kafka_bridge.tooling.call import ToolCall
from kafka_bridge.tooling.consume import OUTPUTS, Consume
from kafka_bridge.tooling.errands import Errands
from kafka_bridge.tooling.messages import Json, Text, Variable
from kafka_bridge.tooling.parameters import Parameters
from kafka_bridge.tooling.selection import read_selection
from tests.tooling.readers import NOW, SAVED, Quick, Shelf, ShelfReader, dead, running_clock


class Bench:
    """The tool, and the readers that it has made."""

    def __init__(self, shelf: Shelf) -> None:
        self.shelf = shelf
        self.readers: list[ShelfReader] = []
        self.prepare = lambda reader: None
        loop = Quick()
        self._tool = Consume(self._make, Errands(loop), loop=loop, clock=running_clock())

    def _make(self, cluster, group_id):
        reader = ShelfReader(self.shelf, group_id)
        self.prepare(reader)
        self.readers.append(reader)
        return reader

    def messages(self, **parameters):
        return list(self._tool(ToolCall(SAVED, Parameters({"topics": "orders", **parameters}))))

    def call(self, **parameters):
        result = self.messages(**parameters)[0].value
        assert self.readers[-1].closed
        return result


@pytest.fixture
def shelf():
    found = Shelf(orders=2, payments=1)
    found.put("orders", *range(3), partition=0, timestamp_ms=(NOW - 60) * 1000)
    found.put("orders", *range(3, 6), partition=1, timestamp_ms=NOW * 1000)
    return found


@pytest.fixture
def bench(shelf):
    return Bench(shelf)


def values(result):
    return sorted(record["value"] for record in result["records"])


# What it says.


def test_the_first_message_is_the_flat_result_then_text_then_the_outputs(bench):
    first, second, *others = bench.messages()

    assert isinstance(first, Json)
    assert first.value.keys() >= {*OUTPUTS}
    assert isinstance(second, Text)
    assert others == [Variable(name, first.value[name]) for name in OUTPUTS]


def test_positions_say_where_the_next_call_may_go_on(bench):
    result = bench.call(max_messages=2, partition=0)

    assert result["positions"] == [{"topic": "orders", "partition": 0, "offset": 2}]
    assert values(bench.call(**{"from": "offset", "offset": 2, "partition": 0})) == ["2"]


# Where it begins.


def test_it_begins_at_the_earliest_record_and_ends_where_there_are_no_more(bench):
    result = bench.call()

    assert values(result) == [*"012345"]
    assert (result["count"], result["reason"], result["committed"]) == (6, "end", False)


def test_an_empty_topic_is_at_its_end_at_once(bench):
    assert bench.call(topics="payments")["reason"] == "end"


def test_several_topics_are_read_together(bench, shelf):
    shelf.put("payments", "paid")

    assert values(bench.call(topics="orders, payments")) == [*"012345", "paid"]


def test_from_an_offset_in_every_partition(bench):
    assert values(bench.call(**{"from": "offset", "offset": 1})) == [*"1245"]


def test_a_negative_offset_counts_from_the_end(bench):
    assert values(bench.call(**{"from": "offset", "offset": -1})) == [*"25"]
    assert values(bench.call(**{"from": "offset", "offset": -100})) == [*"012345"]


def test_an_offset_that_is_gone_or_not_there_yet_is_the_nearest_that_is(bench, shelf):
    at = TopicPartition("orders", 0)
    shelf.records.pop(at)
    shelf.first[at] = 10
    shelf.put("orders", "new", partition=0)

    assert values(bench.call(**{"from": "offset", "offset": 3, "partition": 0})) == ["new"]
    beyond = bench.call(**{"from": "offset", "offset": 99, "partition": 0})
    assert (beyond["count"], beyond["positions"][0]["offset"]) == (0, 11)


@pytest.mark.parametrize("timestamp", ["30s", "30s ago", NOW - 30, (NOW - 30) * 1000, "2023-11-14T22:12:50Z"])
def test_from_a_time(bench, timestamp):
    assert values(bench.call(**{"from": "timestamp", "timestamp": timestamp})) == [*"345"]


def test_from_now_on_waits_for_what_comes(bench, shelf):
    def prepare(reader):
        reader.happens += [lambda: None, lambda: shelf.put("orders", "new")]

    bench.prepare = prepare
    result = bench.call(**{"from": "latest", "max_messages": 1})

    assert (values(result), result["reason"]) == (["new"], "max_messages")


def test_from_now_on_ends_when_the_time_is_over(bench):
    result = bench.call(**{"from": "latest", "max_seconds": 1})

    assert (result["count"], result["reason"]) == (0, "max_seconds")


def test_whoever_asks_for_it_waits_for_more_than_there_is(bench, shelf):
    def prepare(reader):
        reader.happens += [lambda: None, lambda: None, lambda: shelf.put("orders", "new")]

    bench.prepare = prepare
    result = bench.call(wait=True, max_messages=7)

    assert (result["count"], result["reason"]) == (7, "max_messages")


# How much.


def test_no_more_are_given_than_were_asked_for(bench):
    result = bench.call(max_messages=4)

    assert (result["count"], result["reason"], result["looked_at"]) == (4, "max_messages", 4)


def test_only_those_that_pass_the_filter_count(bench, shelf):
    shelf.put("orders", '{"id": 7}', '{"id": 8}')

    result = bench.call(filter="$.id=8")

    assert (values(result), result["looked_at"]) == (['{"id": 8}'], 8)


def test_an_answer_that_is_full_says_so_and_the_next_one_goes_on(bench, shelf):
    shelf.put("payments", *[b"x" * 300_000] * 8)
    first = bench.call(topics="payments", max_messages=100)
    second = bench.call(topics="payments", **{"from": "offset", "offset": first["positions"][0]["offset"]})

    assert first["reason"] == "size"
    assert 1 <= first["count"] < 8
    assert second["records"][0]["offset"] == first["count"]


def test_one_record_that_is_too_large_for_an_answer_is_there_without_its_value(bench, shelf):
    shelf.put("payments", b"x" * (items.MAX_BYTES + 1))
    (record,) = bench.call(topics="payments")["records"]

    assert (record["value"], record["omitted_bytes"], record["offset"]) == (None, items.MAX_BYTES + 1, 0)


# Groups.


def test_with_a_group_and_no_commit_it_goes_on_where_the_group_is_and_leaves_no_trace(bench, shelf):
    shelf.commits.append(("g", {TopicPartition("orders", 0): 2}))
    before = list(shelf.commits)

    assert values(bench.call(group_id="g", **{"from": "group"})) == [*"2345"]
    assert shelf.commits == before
    assert not bench.readers[-1].subscribed


def test_with_commit_it_joins_the_group_and_commits_what_it_has_given(bench, shelf):
    result = bench.call(group_id="g", commit=True, max_messages=4)

    assert (result["count"], result["committed"]) == (4, True)
    assert bench.readers[-1].subscribed
    assert sum(shelf.committed("g").values()) == 4
    assert {(one["topic"], one["partition"], one["offset"]) for one in result["positions"]} == {
        (at.topic, at.partition, offset) for at, offset in shelf.committed("g").items()
    }


def test_the_next_call_of_the_group_goes_on_after_it(bench):
    first = bench.call(group_id="g", commit=True, max_messages=4)
    second = bench.call(group_id="g", commit=True, max_messages=4)

    assert sorted(values(first) + values(second)) == [*"012345"]


def test_what_the_filter_keeps_back_is_committed_as_well(bench, shelf):
    result = bench.call(group_id="g", commit=True, filter="$=5")

    assert values(result) == ["5"]
    assert shelf.committed("g") == {TopicPartition("orders", 0): 3, TopicPartition("orders", 1): 3}


def test_what_another_member_got_meanwhile_is_not_committed(bench, shelf):
    taken = TopicPartition("orders", 1)

    def prepare(reader):
        reader.happens += [lambda: None, lambda: reader.lose(taken)]

    bench.prepare = prepare
    bench.call(group_id="g", commit=True, wait=True, max_seconds=3, max_messages=100)

    assert shelf.committed("g") == {TopicPartition("orders", 0): 3}


def test_a_call_that_fails_commits_nothing(bench, shelf):
    def prepare(reader):
        reader.happens += [lambda: None, dead(Fenced())]

    bench.prepare = prepare
    with pytest.raises(Fenced):
        bench.call(group_id="g", commit=True, wait=True, max_messages=100)

    assert bench.readers[-1].closed
    assert shelf.commits == []


def test_whoever_has_gone_commits_nothing(bench, shelf):
    started = []

    class Watched(Errands):
        def running(self, task):
            return super().running(lambda errand: started.append(errand) or task(errand))

    def prepare(reader):
        # He goes after the first records have been read.
        reader.happens += [lambda: None, lambda: setattr(started[0], "stopped", True)]

    bench.prepare = prepare
    loop = Quick()
    tool = Consume(bench._make, Watched(loop), loop=loop, clock=running_clock())
    parameters = {"topics": "orders", "group_id": "g", "commit": True, "wait": True, "max_messages": 100}
    first, *_ = tool(ToolCall(SAVED, Parameters(parameters)))

    assert (first.value["count"], first.value["committed"]) == (6, False)
    assert shelf.commits == []


def test_whoever_goes_while_the_last_records_are_on_their_way_commits_nothing(bench, shelf):
    started = []

    class Watched(Errands):
        def running(self, task):
            return super().running(lambda errand: started.append(errand) or task(errand))

    bench.prepare = lambda reader: reader.happens.append(lambda: setattr(started[0], "stopped", True))
    loop = Quick()
    tool = Consume(bench._make, Watched(loop), loop=loop, clock=running_clock())
    first, *_ = tool(
        ToolCall(SAVED, Parameters({"topics": "orders", "group_id": "g", "commit": True, "max_messages": 6}))
    )

    assert (first.value["count"], first.value["reason"], first.value["committed"]) == (6, "max_messages", False)
    assert shelf.commits == []


def test_a_call_is_over_before_the_platform_ends_it(bench):
    loop = Quick()
    clock = running_clock()
    tool = Consume(bench._make, Errands(loop), loop=loop, clock=clock, most_s=2)
    began = clock.monotonic()
    first, *_ = tool(ToolCall(SAVED, Parameters({"topics": "orders", "from": "latest", "max_seconds": 240})))

    assert first.value["reason"] == "max_seconds"
    assert clock.monotonic() - began < 10


def test_a_group_that_is_being_balanced_has_not_committed_and_the_text_says_what_follows(bench, shelf):
    bench.prepare = lambda reader: setattr(reader, "balancing", True)
    result, text, *_ = bench.messages(group_id="g", commit=True)

    assert result.value["committed"] is False
    assert "they will come again" in text.text


# What goes wrong.


def test_a_topic_that_does_not_exist_is_named(bench):
    with pytest.raises(NotFound, match="topic does not exist: absent"):
        bench.call(topics="orders,absent")
    assert bench.readers[-1].closed


def test_a_partition_that_does_not_exist_is_refused(bench):
    with pytest.raises(Malformed, match="partition"):
        bench.call(partition=2)


@pytest.mark.parametrize("cause", [Cause.CONNECTION_REFUSED, Cause.AUTHENTICATION_FAILED, Cause.TLS_HANDSHAKE_FAILED])
def test_a_cluster_that_cannot_be_reached_says_why(bench, cause):
    bench.prepare = lambda reader: setattr(reader, "unreachable", Unavailable(cause))

    with pytest.raises(Unreadable, match=f"^{cause}$"):
        bench.call()
    assert bench.readers[-1].closed


def test_a_moments_trouble_is_waited_for(bench):
    def prepare(reader):
        reader.happens += [lambda: Unavailable(Cause.CONNECTION_REFUSED)] * 3

    bench.prepare = prepare

    assert bench.call()["count"] == 6


def test_lasting_trouble_is_told(bench):
    def prepare(reader):
        reader.happens += [lambda: Unavailable(Cause.CONNECTION_REFUSED)] * 1000

    bench.prepare = prepare
    with pytest.raises(Unreadable, match="connection refused"):
        bench.call(max_seconds=200)


def test_what_no_waiting_heals_is_told_at_once(bench):
    bench.prepare = lambda reader: reader.happens.append(lambda: Unavailable(Cause.NOT_AUTHORIZED))

    with pytest.raises(Unreadable, match="not authorized for topic"):
        bench.call()


@pytest.mark.parametrize(
    ("parameters", "told"),
    [
        ({"topics": ""}, "topics: missing"),
        ({"topics": "a b"}, "topics:"),
        ({"from": "group"}, "group_id: missing"),
        ({"from": "offset"}, "offset: missing"),
        ({"from": "timestamp"}, "timestamp: missing"),
        ({"from": "timestamp", "timestamp": "yesterday"}, "timestamp:"),
        ({"from": "somewhere"}, "from:"),
        ({"commit": True}, "commit: needs a group_id"),
        ({"group_id": "g", "from": "offset", "offset": 1}, "group_id: cannot be used with from offset"),
        ({"group_id": "g", "commit": True, "partition": 0}, "partition: cannot be chosen"),
        ({"group_id": "g" * 300}, "group_id:"),
        ({"max_messages": 1001}, "max_messages:"),
        ({"max_seconds": 241}, "max_seconds:"),
        ({"filter": "nonsense"}, "filter:"),
    ],
)
def test_parameters_that_make_no_sense_are_refused_before_anybody_connects(bench, parameters, told):
    with pytest.raises(Malformed, match=told):
        bench.messages(**parameters)
    assert bench.readers == []


@pytest.mark.parametrize("timestamp", ["1969-12-31T23:59:59.999Z", "999999d"])
def test_a_time_before_all_records_is_never_one_of_kafkas_special_numbers(timestamp):
    parameters = Parameters({"topics": "orders", "from": "timestamp", "timestamp": timestamp})

    assert read_selection(parameters, now=NOW).timestamp_ms == 0
