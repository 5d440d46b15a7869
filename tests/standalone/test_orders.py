"""What the variables of `redrive` say, and what is wrong with them."""

import pytest

from kafka_bridge.dispatch.redrive import Order, Target, Wanted
from kafka_bridge.events.record import TopicPartition
from kafka_bridge.standalone.options import Wrong
from kafka_bridge.standalone.orders import parse_order


def problems(**values):
    with pytest.raises(Wrong) as raised:
        parse_order({f"REDRIVE_{name.upper()}": value for name, value in values.items()})
    return list(raised.value.problems)


def test_without_any_all_go_back_to_their_topics():
    assert parse_order({}) == Order(dry_run=False)
    assert parse_order({"REDRIVE_TO": "", "REDRIVE_COUNT": " ", "REDRIVE_DRY_RUN": "false"}) == Order(dry_run=False)


def test_each_says_what_it_says():
    order = parse_order(
        {
            "REDRIVE_TO": "flow",
            "REDRIVE_DRY_RUN": "Yes",
            "REDRIVE_COUNT": "12",
            "REDRIVE_FILTER": '{"reason": "a=b", "since": "10", "until": "2023-11-14T22:13:20Z"}',
        }
    )

    assert order == Order(
        to=Target.WORKFLOW, dry_run=True, count=12, wanted=Wanted(reason="a=b", since=10.0, until=1_700_000_000.0)
    )
    assert parse_order({"REDRIVE_FILTER": "reason=a=b c"}).wanted == Wanted(reason="a=b c")
    one = parse_order({"REDRIVE_RECORD": "orders.dead-letter/3/12", "REDRIVE_AGAIN": "true"})
    assert (one.record, one.again) == ((TopicPartition("orders.dead-letter", 3), 12), True)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"to": "nowhere"}, "REDRIVE_TO (--to): must be one of topic, flow."),
        ({"dry_run": "maybe"}, "REDRIVE_DRY_RUN (--dry-run): must be true or false."),
        ({"count": "0"}, "REDRIVE_COUNT (--count): must be a whole number above 0."),
        ({"count": "-1"}, "REDRIVE_COUNT (--count): must be a whole number above 0."),
        ({"count": "٣"}, "REDRIVE_COUNT (--count): must be a whole number above 0."),
        ({"filter": "reason"}, "REDRIVE_FILTER (--filter): is given as NAME=VALUE, or as a JSON object."),
        ({"filter": "{"}, "REDRIVE_FILTER (--filter): is no JSON."),
        ({"filter": '{"reason": 1}'}, "REDRIVE_FILTER (--filter): every value must be a text."),
        ({"filter": "odd=1"}, "REDRIVE_FILTER (--filter): There is no filter 'odd'; there are topic, event_id, key,"),
        ({"filter": "since=yesterday"}, "REDRIVE_FILTER (--filter): since must be a time as"),
        ({"record": "orders"}, "REDRIVE_RECORD (--record): is given as TOPIC/PARTITION/OFFSET."),
        ({"record": "a/0/0", "filter": "key=k"}, "REDRIVE_RECORD (--record): and REDRIVE_FILTER (--filter) exclude"),
        ({"again": "true"}, "REDRIVE_AGAIN (--again): is for one record: give REDRIVE_RECORD (--record)."),
    ],
)
def test_what_is_wrong_is_named(values, said):
    (problem,) = problems(**values)

    assert problem.startswith(said)


def test_all_that_is_wrong_is_said_at_once():
    assert len(problems(to="x", dry_run="x", count="x", filter="x", record="x")) == 5
