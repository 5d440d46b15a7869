"""Content that comes packed: whole, however it is cut, and never much at once."""

import gzip
import tracemalloc
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kafka_bridge.tooling.sse.inflate import PIECE_BYTES, Corrupt, Inflater


def unpacked(packed: bytes, cut: int = 0) -> bytes:
    inflater = Inflater()
    parts = [packed[at : at + cut] for at in range(0, len(packed), cut)] if cut else [packed]
    pieces = [piece for part in parts for piece in inflater.feed(part)]
    assert all(0 < len(piece) <= PIECE_BYTES for piece in pieces)
    return b"".join(pieces)


@given(st.lists(st.binary(max_size=200).map(lambda data: data * 500), max_size=3), st.integers(0, 50))
def test_it_is_unpacked_however_it_is_cut(members, cut):
    assert unpacked(b"".join(map(gzip.compress, members)), cut) == b"".join(members)


def test_what_a_server_flushes_is_there_at_once():
    packer, inflater = zlib.compressobj(wbits=31), Inflater()

    for data in (b"data: a\n\n", b"data: b\n\n"):
        packed = packer.compress(data) + packer.flush(zlib.Z_SYNC_FLUSH)
        assert b"".join(inflater.feed(packed)) == data


@pytest.mark.parametrize(
    "packed",
    [b"data: a\n\n", gzip.compress(b"a", mtime=0) + b"garbage", gzip.compress(b"abc", mtime=0)[:-8] + b"x" * 8],
)
def test_what_is_no_gzip_is_corrupt(packed):
    with pytest.raises(Corrupt):
        unpacked(packed)


@given(st.binary(max_size=100))
def test_garbage_is_corrupt_or_nothing(data):
    for packed in (data, gzip.compress(b"data: a\n\n", mtime=0)[:12] + data):
        try:
            unpacked(packed)
        except Corrupt:
            continue


def test_a_bomb_goes_off_piece_by_piece():
    packer = zlib.compressobj(9, wbits=31)
    bomb = b"".join([*(packer.compress(bytes(1 << 20)) for _ in range(100)), packer.flush()])
    assert len(bomb) < 1 << 17

    tracemalloc.start()
    try:
        assert sum(map(len, Inflater().feed(bomb))) == 100 << 20
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()
