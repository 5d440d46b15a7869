"""What is loaded by whoever needs it first."""

from kafka_bridge.broker.loops import ThreadLoop
from kafka_bridge.dify.management import DEFAULT_RUNS, max_runs
from tests.stand_ins import log_of


def test_a_wrong_number_of_runs_is_said_later_as_nobody_may_come_in_between():
    # A line of the log is waited for: a second request would meanwhile make everything a second time.
    later, loop = [], ThreadLoop()
    loop.log = later.append
    with log_of("kafka_bridge.dify.management") as lines:
        assert max_runs({"KAFKA_BRIDGE_MAX_RUNS": "many"}, loop) == DEFAULT_RUNS
        assert lines == []
        for task in later:
            task()

    assert lines == ["KAFKA_BRIDGE_MAX_RUNS must be a number from 1 to 500"]
