"""From outcomes to entries."""

import itertools
import json
import time

import orjson
import pytest

from kafka_bridge.errors import Cause, Unavailable
from kafka_bridge.events.log.entry import Entry, Ids, from_row, id_at, id_of, is_id, is_run, time_of, to_row
from kafka_bridge.events.log.making import MOST_OF_A_BATCH, entries_of, entry_of_run
from kafka_bridge.events.log.masking import Keeping
from kafka_bridge.events.outcome import Verdict
from kafka_bridge.events.run import Ran
from tests.stand_ins import NOW, Broker, receive_at, request, source_of

KEEPING = Keeping(10)
RAN = Ran("evt_1", "order.paid", "t", 3, 41, 2, "failed", "run-1", "boom", 1.5, NOW)


def made(body=b'{"id": "evt_1", "type": "order.paid"}', headers=None, *, error=None, keeping=KEEPING, **settings):
    source = source_of(scheme="none", **settings)
    outcome = receive_at(
        request(body, {"content-type": "application/json", **(headers or {})}), source, Broker(error), now=NOW
    )
    return list(entries_of(outcome, keeping, ids()))


def ids():
    known = Ids("0a0b0c0d")
    return lambda: known.next(NOW)


def test_an_accepted_event_has_all_that_is_known_of_it():
    (entry,) = made(key="{id}")

    assert (entry.kind, entry.event_id, entry.event_type, entry.verdict) == (
        "accepted",
        "evt_1",
        "order.paid",
        "unchecked",
    )
    assert (entry.topic, entry.partition, entry.offset, entry.key) == ("webhooks.default", 3, 41, "evt_1")
    assert (entry.status, entry.method, entry.path, entry.time) == (200, "POST", "/webhook", NOW)
    assert json.loads(entry.body)["id"] == "evt_1"


def test_an_event_that_was_not_acknowledged_is_a_failure_with_its_reason():
    (entry,) = made(error=Unavailable(Cause.CONNECTION_REFUSED, "a:9092: refused"))

    assert (entry.kind, entry.status, entry.reason) == ("failed", 503, "connection refused (a:9092: refused)")
    assert (entry.topic, entry.offset) == ("webhooks.default", -1)


def test_what_was_not_verified_is_rejected_with_the_reason_that_its_sender_does_not_learn():
    outcome = receive_at(request(b"{}"), source_of(), Broker(), now=NOW)
    (entry,) = entries_of(outcome, Keeping(10), ids())

    assert (entry.kind, entry.status, entry.verdict) == ("rejected", 401, "rejected")
    assert entry.reason
    assert entry.body == "{}"


def test_an_event_that_a_route_drops_is_dropped():
    (entry,) = made(sources='{"default": {"scheme": "none", "routes": {"order.*": "drop"}}}')

    assert (entry.kind, entry.topic, entry.status) == ("dropped", "", 200)
    assert entry.body


def test_a_duplicate_is_one():
    outcome = receive_at(request(b'{"id": "e"}'), source_of(scheme="none"), Broker(), now=NOW)
    again = outcome._replace(events=tuple(taken._replace(duplicate=True) for taken in outcome.events))

    assert [entry.kind for entry in entries_of(again, Keeping(10), ids())] == ["duplicate"]


def test_every_event_of_a_batch_is_an_entry_with_its_own_body():
    entries = made(b'{"id": 1}\n{"id": 2}\n', {"content-type": "application/x-ndjson"})

    assert [(entry.event_id, entry.body) for entry in entries] == [("1", '{"id": 1}'), ("2", '{"id": 2}')]


@pytest.mark.parametrize("count", [MOST_OF_A_BATCH - 1, MOST_OF_A_BATCH, MOST_OF_A_BATCH + 5])
def test_of_a_large_batch_the_first_are_recorded_and_the_last_of_them_says_how_many_more_there_were(count):
    entries = made(b"\n".join(b'{"id": %d}' % n for n in range(count)), {"content-type": "application/x-ndjson"})

    assert len(entries) == min(count, MOST_OF_A_BATCH)
    assert sum(entry.missed for entry in entries) == max(0, count - MOST_OF_A_BATCH)


def test_what_is_masked_in_the_body_is_masked_in_key_id_and_headers_too():
    keeping = Keeping.compiled(10, ["id"], {})
    (entry,) = made(b'{"id": "ann@example.com"}', {"x-request-id": "ann@example.com"}, keeping=keeping, key="k-{id}")

    assert "ann@example.com" not in to_row(entry).decode()


def test_a_secret_in_a_header_that_is_kept_is_masked():
    keeping = Keeping.compiled(10, [], {"default": ["s3cr3t-value"]})
    (entry,) = made(headers={"x-request-id": "s3cr3t-value"}, keeping=keeping)

    assert "s3cr3t-value" not in to_row(entry).decode()


def test_a_run_and_a_dead_letter_are_entries():
    run, dead = (entry_of_run(ran, KEEPING, ids()) for ran in (RAN, RAN._replace(dead_lettered=True)))

    assert (run.kind, run.position, run.attempt, run.ending) == ("run", ("t", 3, 41), 2, "failed")
    assert (run.run_id, run.reason, run.duration_ms) == ("run-1", "boom", 1500.0)
    assert dead.kind == "dead-lettered"
    assert [is_run(to_row(entry)) for entry in (run, dead, made()[0])] == [True, True, False]


def test_a_run_tells_nothing_that_is_masked_in_what_was_run():
    keeping = Keeping.compiled(10, ["customer.email", "id"], {})
    text = '{"id": "ann-17", "customer": {"email": "ann@example.com"}}'
    ran = RAN._replace(text=text, event_id="ann-17", error="KeyError: 'ann@example.com' is unknown")

    row = to_row(entry_of_run(ran, keeping, ids())).decode()

    assert "ann" not in row
    assert entry_of_run(ran, KEEPING, ids()).reason == ran.error


@pytest.mark.parametrize("source", ["", "shop", "other"])
def test_a_run_tells_no_secret_of_the_endpoint(source):
    keeping = Keeping.compiled(10, [], {source: ["s3cr3t-value"]})
    ran = RAN._replace(error="x" * 1020 + "s3cr3t-value", run_id="s3cr3t-value")

    assert "s3cr" not in to_row(entry_of_run(ran, keeping, ids())).decode()


def test_of_a_run_no_text_is_longer_than_it_may_be_and_none_has_half_a_character():
    ran = RAN._replace(
        event_id="x" * 9999, event_type="x" * 9999, topic="x" * 9999, run_id="x" * 9999, error="\ud800" * 9999
    )
    entry = entry_of_run(ran, KEEPING, ids())

    assert len(to_row(entry)) < 4 * 1024
    assert orjson.dumps([*entry])


@pytest.mark.parametrize("before", [505, 511, 512, 1017, 1023])
def test_a_secret_that_stands_where_a_text_is_cut_is_masked_whole(before):
    secret, keeping = "s3cr3t-value", Keeping.compiled(10, [], {"default": ["s3cr3t-value"]})
    text = "x" * before + secret
    (entry,) = made(
        b"{}",
        {"user-agent": text, "x-a": text, "content-type": text},
        keeping=keeping,
        key="{header.x-a}",
        error=Unavailable(Cause.CONNECTION_REFUSED, text),
    )

    assert "s3" not in to_row(entry).decode()
    assert max(len(value) for _, value in entry.headers) <= 512


def test_of_a_request_that_is_not_verified_no_secret_of_any_sender_is_kept():
    keeping = Keeping.compiled(10, [], {"": ["t0ken-value"], "default": ["s3cr3t-value"], "other": ["0ther-value"]})
    outcome = receive_at(request(b'["t0ken-value", "s3cr3t-value", "0ther-value"]'), source_of(), Broker(), now=NOW)
    (entry,) = entries_of(outcome, keeping, ids())

    assert entry.kind == "rejected"
    assert json.loads(entry.body) == ["***", "***", "***"]


# Rows and ids.


def test_a_row_is_read_as_it_was_written():
    (entry,) = made(headers={"x-github-event": "push"})

    assert from_row(to_row(entry)) == entry
    assert id_of(to_row(entry)) == entry.id


@pytest.mark.parametrize("text", ["\ud800", "a\udfffb", "\x00", "\n", "\u2028"])
def test_any_text_makes_one_line(text):
    row = to_row(Entry("0" * 24, "accepted", NOW, reason=text, headers=[("a", text)]))

    assert b"\n" not in row
    assert from_row(row) is not None


@pytest.mark.parametrize("row", [b"", b"x", b"[]", b"{}", b"1", b'["a"]', b'["a","b",1,2'])
def test_what_is_no_row_is_nothing(row):
    assert from_row(row) is None


def test_a_row_of_another_version_is_read_for_what_is_known():
    row = to_row(Entry("0" * 24, "accepted", NOW))[:-1] + b',"new"]'

    assert from_row(row, (*Entry._fields, "later")) == Entry("0" * 24, "accepted", NOW, headers=[])


def test_ids_grow_whatever_the_clock_does():
    known = Ids("0a0b0c0d")
    times = [NOW, NOW, NOW - 100, NOW + 0.001, NOW, NOW + 50, NOW]
    made_ids = [known.next(at) for at in times] + [known.next(NOW + 60) for _ in range(70_000)]

    assert made_ids == sorted(set(made_ids))
    assert all(map(is_id, made_ids[::1000]))
    assert time_of(made_ids[0]) == NOW
    assert all(a < b for a, b in itertools.pairwise([id_at(NOW), made_ids[0], id_at(NOW + 0.001)]))


def test_without_an_event_nothing_of_one_is_told():
    outcome = receive_at(request(b"{}"), source_of(scheme="none"), Broker(), now=NOW)._replace(events=())

    assert [entry.kind for entry in entries_of(outcome, Keeping(1), ids())] == ["handshake"]


@pytest.mark.parametrize("deep", [0, 300, 990])
def test_a_masked_value_is_not_in_the_key_of_an_event_whose_body_cannot_be_masked(deep):
    body = b'{"id": "evt_1", "email": "jane@example.com", "more": [%s%s]}' % (b"[" * deep, b"]" * deep)
    (entry,) = made(body, keeping=Keeping(10, (("email",), ("x",))), key="{body.email}")

    assert (entry.kind, entry.key) == ("accepted", "***")
    assert "jane" not in repr(entry)


def test_many_masked_values_and_long_headers_are_not_searched_for_one_another():
    # Each of these values in each of these headers took the only thread of the process for a minute.
    values = [f"a{number:06d}" for number in range(90_000)]
    names = ("x-request-id", "user-agent", "traceparent", "ce-id", "webhook-id", "svix-id", "idempotency-key")
    headers = dict.fromkeys(names, "x" * 14_000 + values[17])
    began = time.process_time()
    (entry,) = made(
        json.dumps({"id": "evt_1", "password": values}).encode(), headers, keeping=Keeping(10, (("password",),))
    )

    assert time.process_time() - began < 3
    assert {name: value for name, value in entry.headers if name in names} == dict.fromkeys(names, "***")
    assert json.loads(entry.body)["password"] == "***"


def test_a_row_whose_values_are_of_another_type_is_left_out():
    (entry,) = made()
    sound = from_row(to_row(entry))
    assert sound is not None
    for field in Entry._fields:
        for wrong in ({}, [[1, 2]], None, 1e300 if field == "time" else {"a": 1}):
            assert from_row(orjson.dumps([*entry._replace(**{field: wrong})])) is None, (field, wrong)
    for field in ("time", "duration_ms", "partition", "status"):
        assert from_row(to_row(entry._replace(**{field: "3"}))) is None


@pytest.mark.parametrize("verdict", [Verdict.REJECTED, Verdict.SKIPPED, Verdict.UNCHECKED])
def test_of_a_request_that_nobody_has_verified_no_source_s_secret_is_kept(verdict):
    keeping = Keeping.compiled(10, (), {"": ["of-the-endpoint"], "default": ["of-the-default"], "git": ["of-git"]})
    body = b'{"id": "of-git 1", "type": "x", "tokens": ["of-the-endpoint", "of-the-default", "of-git"]}'
    outcome = receive_at(request(body, {"x-request-id": "of-git"}), source_of(scheme="none"), Broker(), now=NOW)
    (entry,) = entries_of(outcome._replace(verdict=verdict), keeping, ids())

    assert "of-" not in repr(entry._replace(content_type=""))
