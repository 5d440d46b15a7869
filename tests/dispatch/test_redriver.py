"""Sending dead letters back, on topics in memory: what is done once, what is told, and what a kill leaves."""

import random
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kafka_bridge.broker.ports import Mark
from kafka_bridge.dispatch.ended import Ended, Ending
from kafka_bridge.dispatch.memory import CLAIM_S
from kafka_bridge.dispatch.payload import read
from kafka_bridge.dispatch.progress import Claim, Progress
from kafka_bridge.dispatch.reading import Bounds
from kafka_bridge.dispatch.redrive import Order, Target, Wanted, wanted_of
from kafka_bridge.dispatch.redriver import redrive
from kafka_bridge.errors import Busy, Cause, Internal, NotFound, TooLarge, Unavailable, Unroutable
from kafka_bridge.events.record import Record, TopicPartition
from tests.dispatch.letters import Kafka, Scanner, letter_of, plan_of
from tests.stand_ins import Ticking

LETTERS = "orders.dead-letter"
HERE = TopicPartition(LETTERS, 0)


class Killed(BaseException):
    """The process is gone."""


class Scene:
    """One cluster, and whoever sends letters back on it."""

    def __init__(self, kafka=None, **saved):
        self.kafka = kafka or Kafka()
        self.plan = plan_of(**saved)
        self.time = Ticking()
        self.lines = []
        self.sent = []
        self.ran = []
        self.runs = {}
        self.refusals = {}
        self.kill_after = None
        self.stopped = False

    def fill(self, count, **fields):
        for number in range(count):
            self.kafka.write(letter_of(number, **fields))

    def send(self, records):
        fates = []
        for record in records:
            event = dict(record.headers).get("ce_id", b"").decode()
            if self.kill_after is not None and len(self.sent) >= self.kill_after:
                raise Killed
            if (refusal := self.refusals.get(event)) is not None:
                fates.append(refusal)
                continue
            self.sent.append(record)
            fates.append(self.kafka.write(record))
        return fates

    def run(self, consumed):
        event = read(consumed).event_id
        self.ran.append(event)
        return self.runs.get(event, Ended(Ending.DONE, outputs={"ok": True}))

    def order(self, *, holder="me", scanner=Scanner, **asked):
        asked = {"dry_run": False, **asked}
        return redrive(
            Order(**asked),
            self.plan,
            scanner(self.kafka),
            send=self.send,
            run=self.run,
            holder=holder,
            loop=self,
            bounds=Bounds(self.time.clock, lambda: self.stopped),
            tell=self.lines.extend,
        )

    # In the place of a loop: what is spawned is done at once, and a rest is the clock's.

    def call(self, task):
        return task()

    def spawn(self, task):
        task()

    def post(self, task):
        task()

    def rest(self, seconds):
        self.time.at += seconds

    def log(self, task):
        task()

    # What has come of it.

    @property
    def events(self):
        return [dict(record.headers).get("ce_id", b"").decode() for record in self.sent]

    @property
    def mark(self):
        return self.kafka.marks.get(HERE, Mark(None))

    def words(self):
        return [(line.letter.event_id, line.word) for line in self.lines]


def counts(told):
    return tuple(told.counts.values())[1:]


def test_a_dry_run_says_what_would_go_and_leaves_no_trace():
    scene = Scene()
    scene.fill(5)

    told = scene.order(dry_run=True)

    assert counts(told) == (5, 0, 0, 0, 5)
    assert scene.words() == [(f"e-{n}", "matched") for n in range(5)]
    assert (scene.sent, scene.kafka.marks) == ([], {})


def test_all_go_back_in_their_order_and_a_repeat_finds_none():
    scene = Scene()
    scene.fill(20)

    assert counts(scene.order()) == (20, 20, 0, 0, 0)
    assert counts(scene.order()) == (0, 0, 0, 0, 0)
    assert scene.events == [f"e-{n}" for n in range(20)]
    assert scene.mark.offset == 20


def test_a_count_is_heeded_and_what_remains_is_true():
    scene = Scene()
    scene.fill(20)

    assert counts(scene.order(count=6)) == (20, 6, 0, 0, 14)
    assert counts(scene.order(count=6)) == (14, 6, 0, 0, 8)
    assert scene.events == [f"e-{n}" for n in range(12)]


def test_what_a_filter_takes_out_of_the_middle_is_not_sent_again_by_one_that_takes_all():
    scene = Scene()
    for number in range(10):
        scene.kafka.write(letter_of(number, error="timeout" if number % 3 == 1 else "boom"))

    assert counts(scene.order(wanted=Wanted(reason="TIMEOUT"))) == (3, 3, 0, 0, 0)
    assert counts(scene.order(wanted=Wanted(reason="timeout"))) == (0, 0, 0, 0, 0)
    assert scene.mark.offset == 0
    assert counts(scene.order()) == (7, 7, 0, 0, 0)
    assert sorted(scene.events) == sorted(f"e-{n}" for n in range(10))
    assert scene.mark.offset == 10


def test_one_record_goes_alone_once_and_again_where_that_is_asked_for():
    scene = Scene()
    scene.fill(5)

    assert counts(scene.order(record=(HERE, 3))) == (1, 1, 0, 0, 0)
    assert counts(scene.order(record=(HERE, 3))) == (1, 0, 1, 0, 0)
    assert counts(scene.order(record=(HERE, 3), again=True)) == (1, 1, 0, 0, 0)
    assert scene.events == ["e-3", "e-3"]
    assert counts(scene.order()) == (4, 4, 0, 0, 0)


@pytest.mark.parametrize("record", [(HERE, 9), (TopicPartition(LETTERS, 7), 0), (TopicPartition("orders", 0), 0)])
def test_one_record_that_is_not_there_is_not_found(record):
    scene = Scene()
    scene.fill(5)
    scene.kafka.write(Record("orders", b"{}"))

    with pytest.raises(NotFound):
        scene.order(record=record)


def test_one_record_that_compaction_has_taken_is_not_found():
    scene = Scene()
    scene.fill(5)
    scene.kafka.delete(HERE, 3)

    with pytest.raises(NotFound):
        scene.order(record=(HERE, 3))


def test_one_record_that_can_go_nowhere_says_why():
    scene = Scene()
    scene.kafka.write(letter_of(topic="secrets")._replace(topic=LETTERS))

    with pytest.raises(Unroutable, match="not consumed here"):
        scene.order(record=(HERE, 0))


def test_what_can_go_nowhere_is_told_and_stays_for_the_day_when_it_can():
    scene = Scene(dead_letter_topic="letters")
    for number, topic in enumerate(["orders", "payments", "orders"]):
        scene.kafka.write(letter_of(number, topic=topic)._replace(topic="letters"))

    assert counts(scene.order()) == (3, 2, 1, 0, 0)
    assert [line.detail for line in scene.lines if line.word == "skipped"] == [
        "It came from a topic that is not consumed here."
    ]
    assert scene.kafka.marks[TopicPartition("letters", 0)].offset == 1

    other = Scene(scene.kafka, dead_letter_topic="letters", consume_topics="orders, payments")
    assert counts(other.order()) == (1, 1, 0, 0, 0)
    assert other.sent[0].topic == "payments"


def test_a_letter_of_another_group_stays_unless_it_is_asked_for():
    scene = Scene()
    scene.kafka.write(letter_of(0, group="other"))

    assert counts(scene.order()) == (1, 0, 1, 0, 0)
    assert counts(scene.order(wanted=Wanted(group="other"))) == (1, 1, 0, 0, 0)


def test_holes_in_the_log_keep_nothing_from_being_done():
    scene = Scene()
    scene.fill(3)
    scene.kafka.skip(HERE, 4)
    scene.fill(3)
    scene.kafka.delete(HERE, 1)

    assert counts(scene.order()) == (5, 5, 0, 0, 0)
    assert scene.mark.offset == 10


def test_letters_that_retention_took_are_no_longer_waited_for():
    scene = Scene()
    scene.fill(10)
    scene.order(wanted=Wanted(event_id="e-7"))
    scene.kafka.truncate(HERE, 6)

    assert counts(scene.order()) == (3, 3, 0, 0, 0)
    assert scene.mark.offset == 10


def test_of_a_topic_that_was_made_anew_nothing_is_done():
    scene = Scene()
    scene.fill(10)
    scene.order()
    scene.kafka.logs[HERE], scene.kafka.ends[HERE] = {}, 0
    scene.fill(4)

    assert counts(scene.order()) == (4, 4, 0, 0, 0)


def test_one_that_is_refused_keeps_no_other_from_going_and_stays():
    scene = Scene()
    scene.fill(6)
    scene.refusals["e-2"] = TooLarge("above the limit")

    told = scene.order()

    assert counts(told) == (6, 5, 0, 1, 0)
    assert isinstance(told.error, TooLarge)
    assert ("e-2", "failed") in scene.words()
    scene.refusals.clear()
    assert counts(scene.order()) == (1, 1, 0, 0, 0)
    assert scene.events.count("e-2") == 1


def test_a_topic_that_is_not_there_is_not_asked_for_again_and_again():
    scene = Scene(dead_letter_topic="letters", consume_topics="orders, payments")
    asked = []
    send = scene.send

    def refuse(records):
        asked.extend(record.topic for record in records)
        gone = Unavailable(Cause.TOPIC_DOES_NOT_EXIST)
        return [gone if record.topic == "payments" else send([record])[0] for record in records]

    scene.send = refuse
    for number in range(30):
        topic = "payments" if number % 2 else "orders"
        scene.kafka.write(letter_of(number, topic=topic)._replace(topic="letters"))

    assert counts(scene.order()) == (30, 15, 0, 15, 0)
    assert asked.count("payments") < 7


def test_a_cluster_that_goes_away_ends_it_and_what_was_not_tried_is_not_counted_as_failed():
    scene = Scene()
    scene.fill(30)
    scene.refusals["e-9"] = Unavailable(Cause.CONNECTION_REFUSED)

    told = scene.order()

    assert isinstance(told.error, Unavailable)
    assert told.failed == 1
    assert told.counts["remaining"] is None
    assert told.next == {HERE: 9}
    scene.refusals.clear()
    rest = scene.order()
    assert told.redriven + rest.redriven == 30


def test_what_cannot_be_remembered_is_told_as_what_it_is_and_ends_it():
    scene = Scene()
    scene.fill(30)
    send = scene.send

    def then_refuse(records):
        fates = send(records)
        scene.kafka.refuse = Unavailable(Cause.NOT_ACKNOWLEDGED)
        return fates

    scene.send = then_refuse
    told = scene.order()

    assert told.redriven == len(scene.sent) == 7
    assert isinstance(told.error, Unavailable)
    assert [word for _, word in scene.words()] == ["redriven"] * 7


@given(st.integers(1, 60), st.lists(st.integers(0, 70), max_size=3), st.integers(0, 2))
def test_whenever_it_is_killed_all_arrive_and_only_what_was_under_way_arrives_twice(count, kills, odd):
    scene = Scene()
    for number in range(count):
        scene.kafka.write(letter_of(number, error="odd" if number % 3 == odd else "boom"))
    for kill in kills:
        scene.kill_after = len(scene.sent) + kill
        wanted = Wanted(reason="odd") if kill % 2 else Wanted()
        with suppress(Killed):
            scene.order(wanted=wanted)
        # It says nothing any more, and its claim ends by itself.
        scene.time.at += CLAIM_S + 1
    scene.kill_after = None
    before = len(scene.lines)
    last = scene.order()

    assert set(scene.events) == {f"e-{n}" for n in range(count)}
    # At the most one batch of each kill.
    assert len(scene.events) - count <= 7 * len(kills)
    assert last.redriven == len(scene.lines) - before
    assert counts(scene.order()) == (0, 0, 0, 0, 0)
    # What was told as done is never done again.
    done = [line.letter.event_id for line in scene.lines]
    assert len(done) == len(set(done))


def test_two_at_once_do_not_send_the_same():
    scene = Scene()
    scene.fill(20)
    send, errors = scene.send, []

    def interrupted(records):
        with pytest.raises(Busy) as raised:
            scene.order(holder="other")
        errors.append(raised.value)
        return send(records)

    # The other one waits and sees whether the first is alive, whose clock goes on meanwhile.
    scene.send = interrupted

    def renew(seconds):
        scene.time.at += seconds
        claim = Claim("me", int(scene.time.clock.now() + CLAIM_S))
        scene.kafka.marks[HERE] = Mark(0, Progress(0).note(claim))

    scene.rest = renew
    assert counts(scene.order()) == (20, 20, 0, 0, 0)
    assert len(errors) == 3, "one for each batch"
    assert scene.events == [f"e-{n}" for n in range(20)]


def test_who_was_silent_for_too_long_does_not_write_over_what_another_one_has_done():
    scene = Scene()
    scene.fill(20)
    send = scene.send

    def frozen(records):
        scene.send = send
        scene.time.at += CLAIM_S + 1
        assert counts(scene.order(holder="other")) == (20, 20, 0, 0, 0)
        scene.time.at += CLAIM_S + 1
        scene.kafka.marks[HERE] = Mark(20, Progress(20).note(Claim("third", int(scene.time.clock.now() + CLAIM_S))))
        return send(records)

    scene.send = frozen
    told = scene.order()

    assert isinstance(told.error, Busy)
    assert scene.mark.offset == 20


def test_a_clock_that_is_ahead_by_hours_does_not_keep_others_away_for_hours():
    scene = Scene()
    scene.fill(3)
    scene.kafka.marks[HERE] = Mark(0, Progress(0).note(Claim("gone", int(scene.time.clock.now()) + 7200)))

    assert counts(scene.order()) == (3, 3, 0, 0, 0)
    assert scene.time.at <= CLAIM_S + 2


def test_a_claim_ends_with_the_order_also_when_it_fails():
    scene = Scene()
    scene.fill(3)
    scene.order(count=1)
    with pytest.raises(NotFound):
        scene.order(record=(HERE, 99))

    assert counts(scene.order(holder="other")) == (2, 2, 0, 0, 0)
    assert scene.time.at < 1


def test_more_than_can_be_remembered_is_not_sent():
    scene, chance = Scene(), random.Random(1)
    scene.fill(1)
    above = [(offset, offset + 1) for offset in chance.sample(range(1, 2_000_000), 1100)]
    scene.kafka.skip(HERE, 2_000_000)
    for number in range(2000):
        scene.kafka.write(letter_of(number, error="odd" if chance.random() < 0.2 else "boom"))
    scene.kafka.marks[HERE] = Mark(0, Progress(0, above).note())

    told = scene.order(wanted=Wanted(reason="odd"))

    assert isinstance(told.error, Busy)
    assert told.redriven == len(scene.sent) < 400
    assert told.counts["remaining"] is None
    # Those are remembered, and go no second time.
    again = scene.order(wanted=Wanted(reason="odd"))
    assert (again.redriven, isinstance(again.error, Busy)) == (0, True)


def test_it_ends_when_it_is_told_to_and_the_next_goes_on():
    scene = Scene()
    scene.fill(30)
    send = scene.send

    def then_stop(records):
        scene.stopped = True
        return send(records)

    scene.send = then_stop
    told = scene.order()

    assert (told.redriven, told.counts["remaining"], told.next) == (7, None, {HERE: 7})
    scene.stopped, scene.send = False, send
    assert counts(scene.order(cursor=told.next)) == (23, 23, 0, 0, 0)


class TestWorkflow:
    def test_each_is_run_as_it_was_where_it_lay(self):
        scene = Scene()
        seen = []
        scene.run = lambda consumed: seen.append(consumed) or Ended(Ending.DONE)
        scene.kafka.write(letter_of(4, headers=(("a", b"1"), ("a", None)), key=b"\xff", value=None))

        assert counts(scene.order(to=Target.WORKFLOW)) == (1, 1, 0, 0, 0)
        (one,) = seen
        assert (one.record.topic, one.partition, one.offset) == ("orders", 1, 4)
        assert (one.record.key, one.record.value) == (b"\xff", None)
        assert one.record.headers == (("a", b"1"), ("a", None))
        assert read(one).event_id == "orders-1-4"
        assert scene.sent == []

    def test_what_fails_again_stays_and_the_others_are_done(self):
        scene = Scene()
        scene.fill(6)
        scene.runs["e-2"] = Ended(Ending.FAILED, error="again")
        scene.runs["e-4"] = Ended(Ending.REFUSED)

        told = scene.order(to=Target.WORKFLOW)

        assert counts(told) == (6, 4, 0, 2, 0)
        assert [line.detail for line in scene.lines if line.word == "failed"] == ["again", "refused"]
        scene.runs.clear()
        scene.ran.clear()
        assert counts(scene.order(to=Target.WORKFLOW)) == (2, 2, 0, 0, 0)
        assert sorted(scene.ran) == ["e-2", "e-4"]

    def test_a_dify_that_is_down_ends_it_and_nothing_counts_as_failed(self):
        scene = Scene(concurrency="1")
        scene.fill(30)
        scene.runs["e-3"] = Ended(Ending.UNAVAILABLE, error="down")

        told = scene.order(to=Target.WORKFLOW)

        assert (told.redriven, told.failed, told.counts["remaining"]) == (3, 0, None)
        assert scene.ran == ["e-0", "e-1", "e-2", "e-3"]
        scene.runs.clear()
        assert scene.order(to=Target.WORKFLOW).redriven == 27

    def test_records_of_a_key_run_in_their_order(self):
        scene = Scene()
        for number in range(12):
            scene.kafka.write(letter_of(number, key=b"k-%d" % (number % 3)))

        scene.order(to=Target.WORKFLOW)

        assert [[event for event in scene.ran if int(event[2:]) % 3 == key] for key in range(3)] == [
            [f"e-{n}" for n in range(key, 12, 3)] for key in range(3)
        ]

    def test_a_result_is_written_before_it_counts(self):
        scene = Scene(result_topic="results")
        scene.fill(2)

        assert counts(scene.order(to=Target.WORKFLOW)) == (2, 2, 0, 0, 0)
        assert [record.topic for record in scene.sent] == ["results"] * 2
        assert dict(scene.sent[0].headers)["ce_causationid"] == b"e-0"

    def test_a_result_that_cannot_be_written_leaves_the_letter_where_it_is(self):
        scene = Scene(result_topic="results")
        scene.fill(1)
        scene.refusals["e-0.result"] = TooLarge("above the limit")

        told = scene.order(to=Target.WORKFLOW)

        assert counts(told) == (1, 0, 0, 1, 0)
        assert scene.mark.offset == 0


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ({"topic": "orders"}, [0, 1, 2]),
        ({"topic": LETTERS}, [0, 1, 2]),
        ({"topic": "payments"}, []),
        ({"event_id": "e-1"}, [1]),
        ({"event_id": "e-"}, []),
        ({"key": "k-2"}, [2]),
        ({"reason": "ATTEMPTS used"}, [0, 1, 2]),
        ({"reason": "failed"}, [0, 1, 2]),
        ({"reason": "boom 1"}, [1]),
        ({"since": "1700000001"}, [1, 2]),
        ({"since": "2023-11-14T22:13:21Z", "until": "1700000001"}, [1]),
        ({"until": "2023-11-14T22:13:20"}, [0]),
        ({"group": "nobody"}, []),
        ({"group": "kafka-bridge", "key": "k-0"}, [0]),
    ],
)
def test_a_filter_takes_what_it_says(wanted, found):
    scene = Scene()
    for number in range(3):
        scene.kafka.write(letter_of(number, key=f"k-{number}".encode(), error=f"boom {number}"))

    scene.order(dry_run=True, wanted=wanted_of(wanted))

    assert [event for event, _ in scene.words()] == [f"e-{n}" for n in found]


def test_what_a_defect_leaves_without_a_fate_is_counted_and_comes_first_when_it_goes_on():
    scene = Scene()
    scene.fill(5)

    def defect(records):
        raise RuntimeError("hunter2")

    send, scene.send = scene.send, defect
    told = scene.order()

    assert (told.matched, told.redriven, told.remaining) == (5, 0, 5)
    assert isinstance(told.error, Internal)
    assert told.next == {HERE: 0}
    scene.send = send
    assert counts(scene.order(cursor=told.next)) == (5, 5, 0, 0, 0)


def test_who_reads_for_too_long_sends_nothing_that_another_one_has_sent():
    scene = Scene()
    scene.fill(5)

    class Slow(Scanner):
        def read(self, spans, **limits):
            found = super().read(spans, **limits)
            scene.time.at += CLAIM_S + 1
            scene.kafka.marks[HERE] = Mark(0, Progress(0).note(Claim("other", int(scene.time.clock.now() + CLAIM_S))))
            return found

    told = scene.order(scanner=Slow)

    assert isinstance(told.error, Busy)
    assert (told.redriven, told.remaining, scene.sent) == (0, 5, [])


def test_of_many_runs_no_more_is_kept_than_what_the_answer_says():
    scene = Scene(app={"app_id": "a"})
    scene.fill(50)
    told = scene.order(to=Target.WORKFLOW)

    assert told.redriven == 50
    assert [(ended.ending, ended.outputs) for ended in told.results] == [(Ending.DONE, None)]
