"""The event stream's grammar, against the WHATWG's text, another implementation, and any way to cut the bytes."""

import re
import tracemalloc
from itertools import pairwise

import axio_sse
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from kafka_bridge.tooling.sse.parser import MAX_RETRY_MS, Event, Parser, TooLarge


def read(stream: bytes, *, cut: int = 0, parser: Parser | None = None) -> list[tuple[str, str, str]]:
    """Type, data and id of every event; the stream in pieces of `cut` bytes, or in one."""
    parser = parser or Parser()
    pieces = [stream[at : at + cut] for at in range(0, len(stream), cut)] if cut else [stream]
    return [event[:3] for piece in pieces for event in parser.feed(piece)]


# What the standard says, one line each; in the shape of the web platform tests (eventsource/format-*.any.js).
RULES = {
    "one event": (b"data: a\n\n", [("message", "a", "")]),
    "a byte order mark at the start is no part of the stream": (b"\xef\xbb\xbfdata: a\n\n", [("message", "a", "")]),
    "a second one is": (b"\xef\xbb\xbf\xef\xbb\xbfdata: a\n\ndata: b\n\n", [("message", "b", "")]),
    "one further down is": (b"data: a\n\n\xef\xbb\xbfdata: b\n\n", [("message", "a", "")]),
    "lines end with CR": (b"data: a\rdata: b\r\r", [("message", "a\nb", "")]),
    "lines end with CR LF": (b"data: a\r\ndata: b\r\n\r\n", [("message", "a\nb", "")]),
    "lines end with any of them": (
        b"data: a\ndata: b\rdata: c\r\n\ndata: d\n\r\n",
        [("message", "a\nb\nc", ""), ("message", "d", "")],
    ),
    "nothing else ends a line": (
        "data: a\u2028b\x0bc\x0cd\x85e\u2029\n\n".encode(),
        [("message", "a\u2028b\x0bc\x0cd\x85e\u2029", "")],
    ),
    "data goes over lines": (b"data: YHOO\ndata: +2\ndata: 10\n\n", [("message", "YHOO\n+2\n10", "")]),
    "a comment is passed over": (b": test stream\n\ndata: a\n:\n:data: b\n\n", [("message", "a", "")]),
    "a field without a colon is empty": (b"data\n\ndata\ndata\n\ndata:", [("message", "", ""), ("message", "\n", "")]),
    "one space after the colon is taken off": (
        b"data:test\n\ndata: test\n\ndata:  test\n\n",
        [("message", x, "") for x in ("test", "test", " test")],
    ),
    "a tab is not": (b"data:\ttest\n\n", [("message", "\ttest", "")]),
    "only the first colon counts": (b"data: a: b:c\n\n", [("message", "a: b:c", "")]),
    "an event has a type": (b"event: add\ndata: 73857293\n\n", [("add", "73857293", "")]),
    "the last type counts": (b"event: a\nevent: b\ndata: x\n\n", [("b", "x", "")]),
    "an empty type is none": (b"event: a\nevent:\ndata: x\n\n", [("message", "x", "")]),
    "a type is for one event": (b"event: a\ndata: x\n\ndata: y\n\n", [("a", "x", ""), ("message", "y", "")]),
    "a type without data is forgotten": (b"event: a\n\ndata: x\n\n", [("message", "x", "")]),
    "an id stays": (b"id: 1\ndata: a\n\ndata: b\n\n", [("message", "a", "1"), ("message", "b", "1")]),
    "an empty id empties it": (b"id: 1\ndata: a\n\nid\ndata: b\n\n", [("message", "a", "1"), ("message", "b", "")]),
    "an id with NUL is passed over": (
        b"id: 1\ndata: a\n\nid: 2\x003\ndata: b\n\n",
        [("message", "a", "1"), ("message", "b", "1")],
    ),
    "an id without data counts": (b"id: 1\n\ndata: a\n\n", [("message", "a", "1")]),
    "names of fields are exact": (b"Data: x\n data: y\ndata : z\n\xff: \n\n", []),
    "an unknown field is passed over": (b"data: a\nfoo: bar\njustsometext\n\n", [("message", "a", "")]),
    "NUL is data": (b"data:\x00\n\n", [("message", "\x00", "")]),
    "what is no UTF-8 is replaced": (b"data: a\xff\xe2\x82b\xf0\x9f\n\n", [("message", "a\ufffd\ufffdb\ufffd", "")]),
    "characters are whole": ("data: ok … € 𝄞\n\n".encode(), [("message", "ok … € 𝄞", "")]),
    "an event that is not closed is none": (b"data: a\n\ndata: b\n", [("message", "a", "")]),
    "nor is one in the middle of a line": (b"data: a\n\ndata: b", [("message", "a", "")]),
    "blank lines are no events": (b"\n\n\r\r\r\n\r\n", []),
    "nothing": (b"", []),
}  # fmt: skip


@pytest.mark.parametrize("cut", [0, 1, 2, 3, 5])
@pytest.mark.parametrize("rule", RULES)
def test_the_standard_says(rule, cut):
    stream, events = RULES[rule]

    assert read(stream, cut=cut) == events


@pytest.mark.parametrize(
    ("line", "retry_ms"),
    [
        ("retry: 3000", 3000),
        ("retry:0", 0),
        ("retry: 007", 7),
        ("retry: 3000 ", None),
        ("retry:  3000", None),
        ("retry: -1", None),
        ("retry: 1.5", None),
        ("retry: 1_000", None),
        ("retry: \u0663", None),
        ("retry: \u00b2", None),
        ("retry", None),
        ("retry:", None),
        ("retry: 123456789012345678901234567890", MAX_RETRY_MS),
        ("retry: " + "9" * 10_000, MAX_RETRY_MS),
    ],
)
def test_a_delay_is_of_ascii_digits_alone(line, retry_ms):
    parser = Parser()

    assert read(f"{line}\n".encode(), parser=parser) == []
    assert parser.retry_ms == retry_ms


def test_an_event_that_ends_with_cr_need_not_wait_for_more():
    assert read(b"data: a\r\r") == [("message", "a", "")]


def test_the_line_feed_of_an_end_that_was_cut_in_two_is_no_empty_line():
    parser = Parser()

    assert read(b"data: a\r", parser=parser) == []
    assert read(b"", parser=parser) == []
    assert read(b"\ndata: b\r", parser=parser) == []
    assert read(b"\n\r", parser=parser) == [("message", "a\nb", "")]
    assert read(b"\n\n", parser=parser) == []


def test_a_connection_goes_on_with_the_id_of_the_one_before():
    assert read(b"data: a\n\n", parser=Parser("41")) == [("message", "a", "41")]


def test_an_id_is_the_streams_once_its_event_is_closed():
    parser = Parser()

    read(b"id: 1\ndata: a\n\nid: 2\ndata: b\n", parser=parser)
    assert parser.last_event_id == "1"
    read(b"\n", parser=parser)
    assert parser.last_event_id == "2"


def test_an_event_knows_whether_the_id_is_its_own():
    events = list(Parser("0").feed(b"data: a\n\nid: 1\ndata: b\n\ndata: c\n\nid: 2\n\ndata: d\n\n"))

    assert [(event.id, event.own_id) for event in events] == [("0", False), ("1", True), ("1", False), ("2", False)]


# However the bytes are cut. The standard's text itself, on the whole stream at once.

BY_THE_BOOK = re.compile("\r\n|\r|\n")


def by_the_book(stream: bytes) -> list[tuple[str, str, str]]:
    text = stream.removeprefix(b"\xef\xbb\xbf").decode("utf-8", "replace")
    events, data, type_, last = [], "", "", ""
    for line in BY_THE_BOOK.split(text)[:-1]:
        if line == "":
            if data:
                events.append((type_ or "message", data.removesuffix("\n"), last))
            data = type_ = ""
            continue
        if line.startswith(":"):
            continue
        name, _, value = line.partition(":") if ":" in line else (line, "", "")
        value = value.removeprefix(" ")
        if name == "event":
            type_ = value
        elif name == "data":
            data += value + "\n"
        elif name == "id" and "\0" not in value:
            last = value
    return events


PARTS = [
    b"data",
    b"event",
    b"id",
    b"retry",
    b":",
    b": ",
    b" ",
    b"\n",
    b"\r",
    b"\r\n",
    b"\n\n",
    b"\r\r",
    b"\r\n\r\n",
    b"x",
]
PARTS += [
    b"7",
    b"\0",
    b"\xef\xbb\xbf",
    b"\xef",
    b"\xbb",
    "é€𝄞".encode(),
    b"\xf0\x9d",
    b"\xff",
    "\u2028".encode(),
    b"data: a\n",
]
streams = st.one_of(st.binary(max_size=60), st.lists(st.sampled_from(PARTS), max_size=40).map(b"".join))
cuts = st.lists(st.integers(0, 200), max_size=12)


def pieces_of(stream: bytes, at: list[int]) -> list[bytes]:
    places = [0, *sorted(min(place, len(stream)) for place in at), len(stream)]
    return [stream[one:other] for one, other in pairwise(places)]


@given(streams, cuts)
@example(b"\xef\xbb\xbf\xef\xbb\xbfdata: a\n\n", [1, 2, 3, 4])
@example(b"data: \xf0\x9d\x84\x9e\r\n\r\n", [7, 8, 9, 10, 11, 12])
def test_however_it_is_cut_it_is_read_by_the_book(stream, at):
    parser = Parser()

    assert [event[:3] for piece in pieces_of(stream, at) for event in parser.feed(piece)] == by_the_book(stream)


@given(streams.filter(lambda stream: stream == stream.decode("utf-8", "ignore").encode()), cuts)
def test_another_implementation_reads_the_same(stream, at):
    theirs = axio_sse.Decoder()
    parser = Parser()

    assert [event[:3] for piece in pieces_of(stream, at) for event in parser.feed(piece)] == [
        (event.event or "message", event.data, event.id or "")
        for piece in [*(theirs.decode(piece) for piece in pieces_of(stream, at)), theirs.decode(b"", final=True)]
        for event in piece
    ]


@given(streams, cuts, st.integers(0, 12), st.integers(0, 12))
def test_a_limit_holds_at_the_same_place_however_it_is_cut(stream, at, max_line, max_data):
    def outcome(pieces):
        parser, events = Parser(max_line=max_line, max_data=max_data), []
        try:
            events += [event for piece in pieces for event in parser.feed(piece)]
        except TooLarge:
            return None
        return events

    assert outcome(pieces_of(stream, at)) == outcome([stream])


# What is hostile.


@pytest.mark.parametrize("line", [b"data: ", b": ", b"id: ", b"unknown", b""])
def test_a_line_that_never_ends_is_cut_off_after_what_came_before_it(line):
    parser = Parser()
    events: list[Event] = []

    def listen():
        events.extend(parser.feed(b"data: first\n\n" + line))
        for _ in range(2_000):
            events.extend(parser.feed(b"x" * 1024))

    with pytest.raises(TooLarge):
        listen()
    assert [event.data for event in events] == ["first"]


@pytest.mark.parametrize("line", [b"data: " + b"x" * 1000 + b"\n", b"data\n"])
def test_an_event_without_end_is_cut_off_and_held_in_bounded_memory(line):
    parser = Parser()
    block = line * (65536 // len(line))

    def listen():
        for _ in range(100 * 1024 * 1024 // len(block)):
            list(parser.feed(block))

    tracemalloc.start()
    try:
        with pytest.raises(TooLarge):
            listen()
        assert tracemalloc.get_traced_memory()[1] < 4 * 1024 * 1024
    finally:
        tracemalloc.stop()


def test_a_limit_is_reached_exactly():
    assert [
        len(data) for _, data, _ in read(b"data:" + b"x" * 5 + b"\n\n", parser=Parser(max_line=10, max_data=5))
    ] == [5]
    with pytest.raises(TooLarge):
        read(b"data:" + b"x" * 6 + b"\n\n", parser=Parser(max_line=11, max_data=5))
    with pytest.raises(TooLarge):
        read(b"data:" + b"x" * 6 + b"\n\n", parser=Parser(max_line=10, max_data=6))
