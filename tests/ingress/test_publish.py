"""Events that come again: what is published, what is answered, who waits for whom."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kafka_bridge.errors import Cause, Unavailable
from kafka_bridge.events.envelope import Event
from kafka_bridge.events.outcome import Taken
from kafka_bridge.events.record import Delivery, Record
from kafka_bridge.ingress.dedupe import Dedupe
from kafka_bridge.ingress.publish import Planned, Publisher
from tests.ingress.worlds import Greenlets, both
from tests.stand_ins import Broker, NoWaiter, Ticking, publisher_to

WINDOW_S = 300
FAILED = Unavailable(Cause.NOT_ACKNOWLEDGED)


def planned(event_id, *, window_s=WINDOW_S, source="shop", dropped=False):
    event = Event(id=event_id, type=None, source=source, scheme="hmac", time=0, id_signed=True, content_type="")
    return Planned(Taken(event, None if dropped else Record(topic="t", value=event_id.encode())), window_s)


def plan(*ids, **fields):
    return [planned(event_id, **fields) for event_id in ids]


def values(broker):
    return [record.value.decode() for record in broker.records]


def told(taken):
    return [(each.event.id, each.delivery.offset if each.delivery else None, each.duplicate) for each in taken]


# One after the other.


def test_an_event_that_comes_again_is_answered_with_the_place_of_the_first():
    broker, dedupe = Broker(), Dedupe(waiter=NoWaiter)

    first = publisher_to(broker, dedupe=dedupe).publish(plan("a"))
    again = publisher_to(broker, dedupe=dedupe).publish(plan("a"))

    assert values(broker) == ["a"]
    assert told(first) == [("a", 41, False)]
    assert told(again) == [("a", 41, True)]
    assert again[0].delivery == first[0].delivery


def test_an_event_whose_first_was_not_acknowledged_is_published():
    dedupe = Dedupe(waiter=NoWaiter)
    with pytest.raises(Unavailable):
        publisher_to(Broker(FAILED), dedupe=dedupe).publish(plan("a"))
    broker = Broker()

    assert told(publisher_to(broker, dedupe=dedupe).publish(plan("a"))) == [("a", 41, False)]
    assert values(broker) == ["a"]


def test_without_a_window_every_event_is_published():
    broker, dedupe = Broker(), Dedupe(waiter=NoWaiter)

    for _ in range(3):
        assert told(publisher_to(broker, dedupe=dedupe).publish(plan("a", window_s=0))) == [("a", 41, False)]
    assert values(broker) == ["a"] * 3
    assert len(dedupe) == 0


@pytest.mark.parametrize(("later", "published"), [(WINDOW_S - 0.001, 1), (WINDOW_S, 2), (WINDOW_S + 1, 2)])
def test_the_window_begins_with_the_acknowledgement_and_ends(later, published):
    broker, dedupe = Broker(), Dedupe(waiter=NoWaiter)

    publisher_to(broker, dedupe=dedupe, now=0).publish(plan("a"))
    publisher_to(broker, dedupe=dedupe, now=later).publish(plan("a"))

    assert len(broker.records) == published


def test_the_same_id_of_another_source_or_endpoint_is_another_event():
    broker, dedupe = Broker(), Dedupe(waiter=NoWaiter)
    here = publisher_to(broker, dedupe=dedupe)
    there = Publisher(send=broker, dedupe=dedupe, endpoint="endpoint-2", monotonic=lambda: 0.0, deadline=9.0)

    for publisher, source in ((here, "shop"), (here, "other"), (there, "shop")):
        assert told(publisher.publish(plan("a", source=source))) == [("a", 41, False)]
    assert values(broker) == ["a"] * 3


def test_an_id_that_stands_twice_in_one_request_is_published_once():
    broker = Broker()

    taken = publisher_to(broker).publish(plan("a", "b", "a", "a"))

    assert values(broker) == ["a", "b"]
    assert told(taken) == [("a", 41, False), ("b", 42, False), ("a", 41, True), ("a", 41, True)]


def test_a_batch_is_sent_at_once_and_without_what_is_known_or_dropped():
    calls, broker, dedupe = [], Broker(), Dedupe(waiter=NoWaiter)
    publisher_to(broker, dedupe=dedupe).publish(plan("b"))

    def send(records):
        calls.append([record.value.decode() for record in records])
        return broker(records)

    mixed = [*plan("a", "b"), planned("c", dropped=True), *plan("d", window_s=0), *plan("e")]
    taken = publisher_to(send, dedupe=dedupe).publish(mixed)

    assert calls == [["a", "d", "e"]]
    assert told(taken) == [("a", 41, False), ("b", 41, True), ("c", None, False), ("d", 42, False), ("e", 43, False)]


def test_nothing_to_publish_is_not_sent():
    def send(records):
        raise AssertionError(records)

    assert publisher_to(send).publish([]) == []
    assert told(publisher_to(send).publish([planned("a", dropped=True)])) == [("a", None, False)]


def test_no_more_than_the_capacity_is_remembered_and_the_oldest_is_forgotten():
    broker, dedupe = Broker(), Dedupe(waiter=NoWaiter, capacity=2)
    publisher = publisher_to(broker, dedupe=dedupe)

    publisher.publish(plan("a", "b", "c"))

    assert len(dedupe) == 2
    assert told(publisher.publish(plan("c", "b"))) == [("c", 43, True), ("b", 42, True)]
    assert told(publisher.publish(plan("a"))) == [("a", 41, False)]


@given(st.lists(st.tuples(st.lists(st.sampled_from("abc"), max_size=4), st.booleans(), st.integers(0, 200))))
def test_within_its_window_an_event_is_acknowledged_once_and_always_answered_with_that(requests):
    ticking, dedupe, places = Ticking(), Dedupe(waiter=NoWaiter), {}
    for ids, fails, passed in requests:
        ticking.at += passed
        broker = Broker(FAILED if fails else None)
        publisher = publisher_to(broker, dedupe=dedupe, now=ticking.at)
        known = {event_id for event_id, (_, until) in places.items() if ticking.at < until}
        fresh = list(dict.fromkeys(event_id for event_id in ids if event_id not in known))
        try:
            taken = publisher.publish(plan(*ids))
        except Unavailable:
            assert fails
            assert fresh
            continue
        assert values(broker) == fresh
        for each in taken:
            if each.event.id in fresh and not each.duplicate:
                places[each.event.id] = each.delivery, ticking.at + WINDOW_S
            assert each.delivery == places[each.event.id][0]


# Two at the same time.


class Gate:
    """A broker that answers when it is told to."""

    def __init__(self, event):
        self.open, self.calls, self.error = event(), [], None

    def __call__(self, records):
        self.calls.append([record.value.decode() for record in records])
        self.open.wait()
        if self.error is not None:
            raise self.error
        return [Delivery("t", 0, 7, None) for _ in records]


def runner(dedupe, send, results, name, *ids):
    def run():
        try:
            results[name] = told(publisher_to(send, dedupe=dedupe).publish(plan(*ids)))
        except Unavailable as error:
            results[name] = error.cause

    return run


def waiting(dedupe, *ids):
    """How many wait for these events."""
    keys = [("endpoint-1", "shop", event_id) for event_id in ids]
    return sum(len(dedupe._pending[key].waiters) for key in keys if key in dedupe._pending)


@both
def test_the_second_of_two_waits_for_the_first_and_publishes_nothing(make):
    world, results = make(), {}
    dedupe, gate, second = Dedupe(waiter=world.waiter), Gate(make.event), Broker()

    runs = [world.start(runner(dedupe, gate, results, "first", "a"))]
    world.settle(lambda: gate.calls)
    runs.append(world.start(runner(dedupe, second, results, "second", "a")))
    world.settle(lambda: waiting(dedupe, "a") == 1)
    assert results == {}
    gate.open.set()
    world.join(runs)

    assert results == {"first": [("a", 7, False)], "second": [("a", 7, True)]}
    assert second.records == []
    assert dedupe._pending == {}


@both
def test_the_second_of_two_publishes_when_the_first_fails(make):
    world, results = make(), {}
    dedupe, gate, second = Dedupe(waiter=world.waiter), Gate(make.event), Broker()
    gate.error = FAILED

    runs = [world.start(runner(dedupe, gate, results, "first", "a"))]
    world.settle(lambda: gate.calls)
    runs.append(world.start(runner(dedupe, second, results, "second", "a")))
    world.settle(lambda: waiting(dedupe, "a") == 1)
    gate.open.set()
    world.join(runs)

    assert results == {"first": Cause.NOT_ACKNOWLEDGED, "second": [("a", 41, False)]}
    assert values(second) == ["a"]
    assert dedupe._pending == {}


@both
def test_two_batches_with_the_same_events_in_another_order_never_wait_for_each_other(make):
    world, results = make(), {}
    dedupe, one, other = Dedupe(waiter=world.waiter), Gate(make.event), Gate(make.event)

    runs = [world.start(runner(dedupe, one, results, "one", "a", "b"))]
    world.settle(lambda: one.calls)
    runs.append(world.start(runner(dedupe, other, results, "other", "c", "b", "a")))
    world.settle(lambda: other.calls)
    runs.append(world.start(runner(dedupe, other, results, "third", "a", "c")))
    world.settle(lambda: waiting(dedupe, "a", "c") == 1)
    # What can be published is, before anybody waits.
    assert (one.calls, other.calls) == ([["a", "b"]], [["c"]])
    other.open.set()
    one.open.set()
    world.join(runs)

    assert results["one"] == [("a", 7, False), ("b", 7, False)]
    assert results["other"] == [("c", 7, False), ("b", 7, True), ("a", 7, True)]
    assert results["third"] == [("a", 7, True), ("c", 7, True)]
    assert dedupe._pending == {}


@both
def test_who_waits_gives_up_at_the_deadline_and_the_first_goes_on(make):
    world, results = make(), {}
    dedupe, gate = Dedupe(waiter=world.waiter), Gate(make.event)
    runs = [world.start(runner(dedupe, gate, results, "first", "a"))]
    world.settle(lambda: gate.calls)

    def late():
        publisher = Publisher(send=Broker(), dedupe=dedupe, endpoint="endpoint-1", monotonic=lambda: 0.0, deadline=0.01)
        with pytest.raises(Unavailable, match="not acknowledged in time"):
            publisher.publish(plan("a"))
        results["second"] = "gave up"

    runs.append(world.start(late))
    world.settle(lambda: "second" in results)
    gate.open.set()
    world.join(runs)

    assert results == {"second": "gave up", "first": [("a", 7, False)]}
    assert dedupe._pending == {}


def test_a_request_that_is_cut_off_lets_go_of_its_events():
    world, results = Greenlets(), {}
    dedupe, gate, second = Dedupe(waiter=world.waiter), Gate(Greenlets.event), Broker()
    first = world.start(runner(dedupe, gate, results, "first", "a"))
    world.settle(lambda: gate.calls)
    run = world.start(runner(dedupe, second, results, "second", "a"))
    world.settle(lambda: waiting(dedupe, "a") == 1)

    first.kill()
    world.join([first, run])

    assert results == {"second": [("a", 41, False)]}
    assert dedupe._pending == {}


def test_who_is_cut_off_while_waiting_leaves_nothing_behind():
    world, results = Greenlets(), {}
    dedupe, gate = Dedupe(waiter=world.waiter), Gate(Greenlets.event)
    first = world.start(runner(dedupe, gate, results, "first", "a"))
    world.settle(lambda: gate.calls)
    run = world.start(runner(dedupe, Broker(), results, "second", "a", "b"))
    world.settle(lambda: waiting(dedupe, "a") == 1)

    run.kill()
    gate.open.set()
    world.join([first, run])

    assert results == {"first": [("a", 7, False)]}
    assert dedupe._pending == {}
    assert told(publisher_to(Broker(), dedupe=dedupe).publish(plan("b"))) == [("b", 41, True)]


@both
def test_a_whole_batch_that_comes_again_waits_as_one_request(make):
    world, results, ids = make(), {}, [f"e-{n}" for n in range(300)]
    dedupe, gate, again = Dedupe(waiter=world.waiter), Gate(make.event), Broker()

    runs = [world.start(runner(dedupe, gate, results, "first", *ids))]
    world.settle(lambda: gate.calls)
    runs.append(world.start(runner(dedupe, again, results, "second", *ids)))
    world.settle(lambda: waiting(dedupe, *ids) > 0)
    assert waiting(dedupe, *ids) == 1
    gate.open.set()
    world.join(runs)

    assert all(duplicate for _, _, duplicate in results["second"])
    assert (again.records, dedupe._pending, dedupe._waiting) == ([], {}, 0)


def test_what_is_not_published_now_is_not_dropped_either():
    publisher = publisher_to(Broker())
    publisher.refusal = Unavailable(Cause.PUBLISHING_DISABLED)

    with pytest.raises(Unavailable):
        publisher.publish([planned("a", dropped=True)])
