"""Content that a server packs although nobody asked for it, unpacked in pieces of a bounded size. Pure.

A few kilobytes of gzip may be a gigabyte of nothing: whoever takes the pieces decides when there were enough of them.
"""

import zlib
from collections.abc import Iterator
from typing import Final

PIECE_BYTES: Final = 16 * 1024
_GZIP: Final = 16 + zlib.MAX_WBITS
ENCODINGS: Final = frozenset({"gzip", "x-gzip"})


class Corrupt(Exception):
    """Not what it says it is."""


class Inflater:
    """Unpacks gzip, as it comes."""

    def __init__(self) -> None:
        self._member = zlib.decompressobj(_GZIP)

    def feed(self, packed: bytes) -> Iterator[bytes]:
        """What `packed` gives, `PIECE_BYTES` at a time. Raises Corrupt."""
        more = bool(packed)
        while more:
            if self._member.eof:
                # One file after another in the same stream.
                self._member = zlib.decompressobj(_GZIP)
            try:
                piece = self._member.decompress(packed, PIECE_BYTES)
            except zlib.error:
                raise Corrupt from None
            packed = self._member.unused_data if self._member.eof else self._member.unconsumed_tail
            # What was taken in whole may have more to give than one piece.
            more = bool(packed) or (len(piece) == PIECE_BYTES and not self._member.eof)
            if piece:
                yield piece
