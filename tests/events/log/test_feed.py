"""Entries as they are made: numbered without a gap, bounded, and nothing kept where nobody looks."""

from hypothesis import given
from hypothesis import strategies as st

from kafka_bridge.events.log.entry import Entry
from kafka_bridge.events.log.feed import KEPT_S, MAX_ENTRIES, MAX_FEEDS, Feed, Feeds
from tests.stand_ins import NOW, Ticking

FIRST = NOW * 1_000_000


def entry(number, kind="accepted"):
    return Entry(f"{number:024x}", kind, NOW, body="body", headers=[("a", "b")], attributes="{}", topic="t", offset=1)


def ids(feed, number):
    return [(at, int(row.entry.id, 16)) for at, row in feed.after(number)]


def test_numbers_begin_with_the_time_and_are_consecutive():
    feed = Feed(NOW)
    assert feed.last == FIRST - 1

    for number in range(3):
        feed.add(entry(number))

    assert ids(feed, FIRST - 1) == [(FIRST, 0), (FIRST + 1, 1), (FIRST + 2, 2)]
    assert feed.last == FIRST + 2 < 2**53


def test_a_browser_counts_as_far_for_two_hundred_years():
    assert Feed(NOW + 200 * 365 * 86400).last < 2**53


def test_neither_body_nor_headers_are_kept():
    feed = Feed(NOW)
    feed.add(entry(0))
    ((_, row),) = feed.after(0)

    assert (row.entry.body, row.entry.headers, row.entry.attributes, row.runs) == ("", (), "", ())


def test_a_run_is_told_as_one():
    feed = Feed(NOW)
    feed.add(entry(0, "run"))
    ((_, row),) = feed.after(0)

    assert row.runs == (row.entry,)


@given(st.integers(0, 2 * MAX_ENTRIES + 3), st.integers(-5, 2 * MAX_ENTRIES + 8))
def test_whatever_is_asked_for_what_came_later_is_there_or_it_is_known_that_it_is_not(count, after):
    feed = Feed(NOW)
    for number in range(count):
        feed.add(entry(number))
    found = ids(feed, FIRST + after)

    expected = [(FIRST + number, number) for number in range(max(after + 1, 0), count)]
    if feed.reaches(FIRST + after):
        assert found == expected
    else:
        assert after < count - MAX_ENTRIES - 1 or after < -1 or after >= count
        assert found == expected[-MAX_ENTRIES:]


def test_whoever_waits_is_woken_once_by_the_next_entry():
    feed, woken = Feed(NOW), []

    def one():
        woken.append("one")

    def other():
        woken.append("other")

    feed.on_next(one)
    feed.on_next(other)
    feed.forget(other)
    feed.forget(other)
    feed.add(entry(0))
    feed.add(entry(1))

    assert woken == ["one"]


# Of all endpoints.


def test_where_nobody_looks_nothing_is_kept():
    feeds = Feeds(Ticking().clock)
    feeds.add("endpoint-1", entry(0))
    feed = feeds.open("endpoint-1")
    feeds.add("endpoint-2", entry(1))

    assert ids(feed, 0) == []


def test_whoever_comes_again_soon_finds_what_came_meanwhile():
    ticking = Ticking()
    feeds = Feeds(ticking.clock)
    feed = feeds.open("endpoint-1")
    feeds.close(feed)
    ticking.at += KEPT_S
    feeds.add("endpoint-1", entry(0))

    assert feeds.open("endpoint-1") is feed
    assert ids(feed, 0) == [(FIRST, 0)]


def test_who_comes_later_does_not_and_the_numbers_have_grown():
    ticking = Ticking()
    feeds = Feeds(ticking.clock)
    feeds.close(before := feeds.open("endpoint-1"))
    ticking.at += KEPT_S + 1
    feeds.add("endpoint-1", entry(0))
    after = feeds.open("endpoint-1")

    assert after is not before
    assert after.last > before.last
    assert not after.reaches(before.last)


def test_while_somebody_looks_a_feed_stays():
    ticking = Ticking()
    feeds = Feeds(ticking.clock)
    feed = feeds.open("endpoint-1")
    feeds.close(feeds.open("endpoint-1"))
    ticking.at += KEPT_S * 2
    feeds.add("endpoint-1", entry(0))

    assert ids(feed, 0) == [(FIRST, 0)]


def test_of_many_feeds_the_one_that_was_left_first_goes():
    ticking = Ticking()
    feeds = Feeds(ticking.clock)
    opened = {name: feeds.open(name) for name in map(str, range(MAX_FEEDS))}
    for name in ("3", "1", "2"):
        ticking.at += 1
        feeds.close(opened[name])
    feeds.open("new")

    assert feeds.open("1") is opened["1"]
    assert feeds.open("2") is opened["2"]
    assert feeds.open("3") is not opened["3"]
