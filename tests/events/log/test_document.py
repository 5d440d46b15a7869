"""What the API tells of rows."""

import json
from datetime import datetime

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kafka_bridge.events.log.document import MAX_RUNS, document_of, iso_time, json_of, lines_of, run_of
from kafka_bridge.events.log.entry import Entry
from kafka_bridge.events.log.query import Row

ID = "018bcfe56800" + "0000" + "0a0b0c0d"
ACCEPTED = Entry(
    ID, "accepted", 1_700_000_000.25, "shop", "hmac", "evt_1", "order.paid", True, "verified", "", "POST",
    "/webhook/shop", [("user-agent", "shop/1")], "application/json", '{"id": "evt_1"}', "", 15, "", "orders", 3, 41,
    "c-17", 200, 12.5, record_format="binary",
)  # fmt: skip
RUN = Entry(ID, "run", 1_700_000_001.0, topic="orders", partition=3, offset=41, attempt=1, ending="done", run_id="r-1")


def test_an_event_is_told_with_all_that_the_list_needs_and_without_its_body():
    assert document_of(Row(ACCEPTED)) == {
        "id": ID,
        "time": "2023-11-14T22:13:20.250Z",
        "outcome": "accepted",
        "source": "shop",
        "scheme": "hmac",
        "event_id": "evt_1",
        "type": "order.paid",
        "id_signed": True,
        "verdict": "verified",
        "reason": "",
        "topic": "orders",
        "partition": 3,
        "offset": 41,
        "key": "c-17",
        "status": 200,
        "duration_ms": 12.5,
        "runs": [],
    }


def test_the_whole_event_has_its_request_too():
    told = document_of(Row(ACCEPTED), whole=True)

    assert {name: told[name] for name in told.keys() - document_of(Row(ACCEPTED)).keys()} == {
        "method": "POST",
        "path": "/webhook/shop",
        "headers": {"user-agent": "shop/1"},
        "content_type": "application/json",
        "body": '{"id": "evt_1"}',
        "body_encoding": "text",
        "body_bytes": 15,
        "body_note": "",
        "replayable": True,
        "not_replayable_because": "",
    }


def test_a_body_that_is_no_text_says_how_it_is_written():
    assert document_of(Row(ACCEPTED._replace(encoding="base64")), whole=True)["body_encoding"] == "base64"


@pytest.mark.parametrize(
    ("entry", "place"),
    [
        (Entry(ID, "rejected", 0.0), (None, None, None)),
        (Entry(ID, "accepted", 0.0, topic="t", partition=0, offset=0), ("t", 0, 0)),
        # Acknowledged by a broker that did not say where.
        (Entry(ID, "accepted", 0.0, topic="t", partition=2), ("t", 2, None)),
        (Entry(ID, "failed", 0.0, topic="t"), ("t", None, None)),
    ],
)
def test_what_is_not_known_of_a_place_is_null(entry, place):
    for told in (document_of(Row(entry)), run_of(entry)):
        assert (told["topic"], told["partition"], told["offset"]) == place


def test_what_was_replayed_or_left_out_is_told_where_there_is_something_to_tell():
    assert not {"replay_of", "not_recorded", "more_runs"} & document_of(Row(ACCEPTED)).keys()

    told = document_of(Row(ACCEPTED._replace(replay_of=ID, missed=7)))
    assert (told["replay_of"], told["not_recorded"]) == (ID, 7)


@pytest.mark.parametrize(("runs", "more"), [(MAX_RUNS, None), (MAX_RUNS + 5, 5)])
def test_of_many_runs_the_last_are_told_and_how_many_more_there_were(runs, more):
    told = document_of(Row(ACCEPTED, [RUN._replace(attempt=n) for n in range(runs)]))

    assert [run["attempt"] for run in told["runs"]] == list(range(runs))[-MAX_RUNS:]
    assert told.get("more_runs") == more


def test_a_run_is_told():
    assert run_of(RUN._replace(reason="boom", kind="dead-lettered")) == {
        "id": ID,
        "time": "2023-11-14T22:13:21.000Z",
        "outcome": "dead-lettered",
        "ending": "done",
        "attempt": 1,
        "run_id": "r-1",
        "error": "boom",
        "duration_ms": 0.0,
        "topic": "orders",
        "partition": 3,
        "offset": 41,
    }


@given(st.floats(0, 4e9))
def test_a_time_is_read_as_it_was_written(moment):
    text = iso_time(moment)

    assert text.endswith("Z")
    assert abs(datetime.fromisoformat(text).timestamp() - moment) < 0.0011


hostile = st.text(st.characters(), max_size=30) | st.sampled_from(["\ud800", "</script>", "\u202e", "\x00", "\u2028\n"])


@given(hostile, hostile, hostile)
def test_any_text_makes_one_line_of_json(event_id, reason, header):
    entry = ACCEPTED._replace(event_id=event_id, reason=reason, headers=[("x", header)], body=reason)
    row = Row(entry, [RUN._replace(reason=reason)])

    (line,) = lines_of([row], whole=True, room_bytes=0)

    told = orjson.loads(line)
    assert b"\n" not in line
    assert line == json_of(row, whole=True)
    assert told["event_id"] == event_id.encode("utf-8", "replace").decode()
    assert told["runs"][0]["error"] == reason.encode("utf-8", "replace").decode()


@given(st.lists(st.integers(0, 400), max_size=30), st.integers(0, 5000))
def test_as_many_lines_are_made_as_there_is_room_for_and_the_first_always(sizes, room):
    rows = [Row(ACCEPTED._replace(reason="x" * size)) for size in sizes]
    lines = list(lines_of(rows, whole=False, room_bytes=room))

    assert len(lines) >= min(1, len(rows))
    assert len(lines) <= 1 or len(b"\n".join(lines)) <= room + 1
    if len(lines) < len(rows):
        assert len(b"\n".join(lines)) + 1 + len(json_of(rows[len(lines)])) > room
    assert [len(json.loads(line)["reason"]) for line in lines] == sizes[: len(lines)]
