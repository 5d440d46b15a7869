"""A page of dead letters, on topics in memory."""

import base64
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kafka_bridge.dispatch import listing
from kafka_bridge.dispatch.cursor import cursor_of, positions_of
from kafka_bridge.dispatch.listing import Listing
from kafka_bridge.dispatch.reading import Bounds
from kafka_bridge.dispatch.shown import shown
from kafka_bridge.errors import Malformed, Unreadable
from kafka_bridge.events.log.masking import NOTHING, Keeping
from kafka_bridge.events.record import TopicPartition
from tests.dispatch.letters import Kafka, Scanner, letter_of, plan_of
from tests.dispatch.test_letter import lying
from tests.stand_ins import Ticking

LETTERS = "orders.dead-letter"
PLAN = plan_of()


class Scene:
    """Letters in some partitions, numbered as they were written."""

    def __init__(self, partitions, *, wanted=lambda _: True):
        self.kafka = Kafka()
        self.kafka.create(LETTERS, 1 + max(partitions, default=0))
        self.time = Ticking()
        self.over = False
        self.wanted = wanted
        self.ids = []
        for number, partition in enumerate(partitions):
            self.write(number, partition)

    def write(self, number, partition):
        at = TopicPartition(LETTERS, partition)
        self.kafka.write(letter_of(number), partition)
        offset = self.kafka.end(at) - 1
        # One clock for all, which sometimes stands still.
        self.kafka.logs[at][offset] = self.kafka.logs[at][offset]._replace(timestamp_ms=1000 * (number // 2))
        self.ids.append(f"e-{number}")

    def page(self, limit=10, cursor=""):
        scanner = Scanner(self.kafka)
        looking = Listing(scanner, self.choose, Bounds(self.time.clock, lambda: self.over))
        page = looking.page(dict(scanner.spans([LETTERS])), limit=limit, cursor=positions_of(cursor))
        return page.rows, cursor_of(page.next) if page.next else ""

    def choose(self, letter):
        return shown(letter, PLAN, NOTHING) if self.wanted(letter.event_id) else None

    def pages(self, limit):
        """All of them, one after another, while more letters come."""
        found, cursor = [], ""
        while True:
            rows, cursor = self.page(limit, cursor)
            found.append([row.event_id for row in rows])
            if not cursor:
                return found


@given(st.lists(st.integers(0, 3), max_size=60), st.integers(1, 9))
def test_pages_one_after_another_hold_each_letter_once_and_the_newest_first(partitions, limit):
    scene = Scene(partitions)

    pages = scene.pages(limit)

    flat = [event for page in pages for event in page]
    assert sorted(flat) == sorted(scene.ids)
    assert [int(event[2:]) // 2 for event in flat] == sorted((int(event[2:]) // 2 for event in flat), reverse=True)
    assert flat == [event for page in scene.pages(1000) for event in page]
    assert all(len(page) == limit for page in pages[:-1])


@given(st.lists(st.integers(0, 3), min_size=1, max_size=40), st.integers(1, 5), st.data())
def test_letters_that_come_meanwhile_change_no_later_page(partitions, limit, data):
    scene = Scene(partitions)
    expected = [event for page in scene.pages(limit) for event in page]
    rows, cursor = scene.page(limit)
    flat = [row.event_id for row in rows]
    number = len(partitions)
    while cursor:
        scene.write(number, data.draw(st.integers(0, max(partitions))))
        number += 1
        rows, cursor = scene.page(limit, cursor)
        flat += [row.event_id for row in rows]

    assert flat == expected


def test_a_filter_that_takes_one_of_many_finds_it_far_back():
    scene = Scene([n % 3 for n in range(5000)], wanted=lambda event: event in {"e-4", "e-4000"})

    rows, cursor = scene.page(10)

    assert [row.event_id for row in rows] == ["e-4000", "e-4"]
    assert cursor == ""


def test_a_look_has_an_end_and_the_next_goes_on_from_there(monkeypatch):
    monkeypatch.setattr(listing, "MOST", 300)
    scene = Scene([n % 3 for n in range(2000)], wanted=lambda event: event == "e-4")

    assert [len(page) for page in scene.pages(10)][:-1] == [0] * (len(scene.pages(10)) - 1)
    assert scene.pages(10)[-1] == ["e-4"]
    assert len(scene.pages(10)) > 2


def test_holes_and_what_retention_took_are_passed_over():
    scene = Scene([0] * 30)
    at = TopicPartition(LETTERS, 0)
    scene.kafka.truncate(at, 10)
    for offset in range(12, 28):
        scene.kafka.delete(at, offset)
    scene.kafka.skip(at, 50)

    assert [row.event_id for row in scene.page(10)[0]] == ["e-29", "e-28", "e-11", "e-10"]


def test_no_letters_are_an_empty_page():
    assert Scene([]).page() == ([], "")


def test_where_nothing_could_be_read_in_time_it_is_said():
    scene = Scene([0] * 5)
    scene.over = True

    with pytest.raises(Unreadable):
        scene.page()


class TestCursor:
    @given(
        st.dictionaries(
            st.tuples(st.text("ab.-_", min_size=1, max_size=5), st.integers(0, 500)), st.integers(0, 2**62), max_size=20
        )
    )
    def test_it_comes_back_as_it_was(self, positions):
        positions = {TopicPartition(*at): offset for at, offset in positions.items()}

        assert positions_of(cursor_of(positions)) == positions

    @given(st.text())
    def test_any_other_text_is_refused(self, text):
        try:
            positions_of(text)
        except Malformed:
            return
        assert not text or cursor_of(positions_of(text))

    @pytest.mark.parametrize(
        "document", ['{"a":1}', '{"a":[[0,-1]]}', '{"a":[["0",1]]}', '{"a":[[0]]}', "[]", '{"a":[[[],1]]}', "7"]
    )
    def test_one_that_holds_something_else_is_refused(self, document):
        with pytest.raises(Malformed):
            positions_of(base64.urlsafe_b64encode(zlib.compress(document.encode())).decode().rstrip("="))

    def test_five_hundred_partitions_fit_into_a_query(self):
        positions = {TopicPartition("orders.dead-letter", n): 10**9 + n**3 % 999_983 for n in range(500)}

        assert len(cursor_of(positions)) < 5000


class TestShown:
    def test_it_says_all_that_the_letter_does(self):
        row = shown(lying(letter_of(4, key=b"k", value=b'{"n": 4}')), PLAN, NOTHING)

        assert row.document == {
            "topic": LETTERS,
            "partition": 0,
            "offset": 5,
            "time": "2023-11-14T22:14:10.000Z",
            "original": {"topic": "orders", "partition": 1, "offset": 4},
            "event_id": "e-4",
            "key": "k",
            "value": '{"n": 4}',
            "value_bytes": 8,
            "headers": {"ce_id": "e-4"},
            "reason": "attempts used up",
            "error": "boom",
            "kind": "failed",
            "attempts": 3,
            "first_failure": "2023-11-14T22:13:24.000Z",
            "last_failure": "2023-11-14T22:13:24.000Z",
            "run_id": "run-4",
            "group": "kafka-bridge",
            "redriven": False,
        }

    def test_a_tombstone_has_no_value_and_bytes_are_base64(self):
        assert shown(lying(letter_of(value=None)), PLAN, NOTHING).document["value"] is None
        row = shown(lying(letter_of(value=b"\xff\xfe")), PLAN, NOTHING)
        assert (row.value, row.encoding) == ("//4=", "base64")

    def test_one_that_is_long_is_cut_and_says_so(self):
        row = shown(lying(letter_of(value=b"x" * 100_000, error="e" * 5000)), PLAN, NOTHING)

        assert (len(row.value), row.value_bytes, row.note) == (2048, 100_000, "cut")
        assert len(row.error) <= 600

    def test_what_the_operator_masks_and_secrets_are_not_shown(self):
        keeping = Keeping.compiled(10, ["card.number"], {"": ["a-secret-token"]})
        value = b'{"card": {"number": "4111-1111"}, "note": "a-secret-token"}'
        letter = letter_of(
            value=value, key=b"4111-1111", headers=(("auth", b"Bearer a-secret-token"),), error="no card 4111-1111"
        )

        text = str(shown(lying(letter), PLAN, keeping).document)

        assert "4111" not in text
        assert "a-secret-token" not in text
