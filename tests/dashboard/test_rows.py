"""Rows of lists."""

from kafka_bridge.dashboard.rows import row_view
from kafka_bridge.dashboard.states import STATES
from kafka_bridge.dashboard.texts import TEXTS
from kafka_bridge.dashboard.words import Language, in_language
from kafka_bridge.events.log.entry import Entry, Kind
from kafka_bridge.events.log.query import Row

WORDS = in_language({**TEXTS, **STATES}, Language.ENGLISH)


def entry(number, kind, **fields):
    return Entry(f"{number:024x}", kind, 1_700_000_000.0 + number, topic="orders", partition=0, offset=7, **fields)


def test_the_dead_letter_that_ends_the_runs_is_not_one_of_them():
    runs = [entry(number, Kind.RUN, ending="failed", attempt=number) for number in (1, 2)]
    dead = entry(3, Kind.DEAD_LETTERED, ending="failed", attempt=2)

    shown = row_view(Row(entry(0, Kind.ACCEPTED), [*runs, dead]), 1_700_000_060.0, WORDS)

    assert shown.runs == 2
    assert shown.last_run.word == "dead-lettered"
