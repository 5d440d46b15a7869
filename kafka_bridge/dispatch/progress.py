"""Which dead letters of a partition are done, and the note that says so beside a committed offset. Pure.

The committed offset is the lowest one that is not done. What is done above it, because somebody wanted these and not
those, is written into the commit's metadata, as ranges: where they begin after one another, and how long they are.
(parallel-consumer does the same: https://github.com/confluentinc/parallel-consumer#offset-map)
"""

import base64
import binascii
import zlib
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from typing import Final, NamedTuple, Self

# A broker takes 4096 bytes beside an offset (offset.metadata.max.bytes); a part is for who is at work.
MAX_NOTE_CHARS: Final = 3500
_MARK: Final = "kafka-bridge/1"
_NOBODY: Final = "-"
_MAX_BYTES: Final = 64 * 1024
_MORE: Final = 0x80
# Of an offset, in groups of seven bits.
_GROUPS: Final = 9


class Claim(NamedTuple):
    """Who is at work on the partitions of a topic, and until when unless he says so again, in unix seconds."""

    holder: str = ""
    until: int = 0


class TooScattered(Exception):
    """More single offsets are done than a note can hold."""


class Progress:
    """Of one partition. All below `low` are done, and the ranges `above`: from, to and without."""

    def __init__(self, low: int = 0, above: Iterable[tuple[int, int]] = ()) -> None:
        self.low = low
        self._starts: list[int] = []
        self._ends: list[int] = []
        for start, end in above:
            self.add(start, end)

    @property
    def above(self) -> Sequence[tuple[int, int]]:
        """What is done above `low`, in order, without one touching another."""
        return list(zip(self._starts, self._ends, strict=True))

    def __contains__(self, offset: int) -> bool:
        if offset < self.low:
            return True
        index = bisect_right(self._starts, offset) - 1
        return index >= 0 and offset < self._ends[index]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Progress) and (self.low, self.above) == (other.low, other.above)

    __hash__ = None  # type: ignore[assignment]

    def add(self, start: int, end: int) -> None:
        """These are done, or are not there at all."""
        if end <= max(start, self.low):
            return
        if start <= self.low:
            self._drop_below(end)
            return
        first, last = bisect_left(self._ends, start), bisect_right(self._starts, end)
        if first < last:
            start, end = min(start, self._starts[first]), max(end, self._ends[last - 1])
        self._starts[first:last], self._ends[first:last] = [start], [end]

    def _drop_below(self, low: int) -> None:
        gone = bisect_right(self._starts, low)
        self.low = max(low, self._ends[gone - 1]) if gone else low
        del self._starts[:gone], self._ends[:gone]

    def copy(self) -> Self:
        """One that may be changed."""
        return type(self)(self.low, self.above)

    def note(self, claim: Claim | None = None) -> str:
        """What stands beside the committed offset. Raises TooScattered."""
        holder, until = claim or Claim()
        raw = bytes(_packed(self._gaps()))
        packed = min(b"p" + raw, b"z" + zlib.compress(raw, 9), key=len)
        text = base64.b64encode(packed).decode()
        if len(text) > MAX_NOTE_CHARS:
            raise TooScattered
        return f"{_MARK} {holder or _NOBODY} {until} {text}"

    def _gaps(self) -> Iterator[int]:
        at = self.low
        for start, end in self.above:
            yield from (start - at, end - start)
            at = end


def read_note(low: int, note: str) -> tuple[Progress, Claim]:
    """What a committed offset and its note say. A note of anybody else's says nothing: all below the offset is done."""
    fields = note.split(" ")
    if len(fields) != 4 or fields[0] != _MARK or not (fields[2].isascii() and fields[2].isdigit()):  # noqa: PLR2004
        return Progress(low), Claim()
    claim = Claim("" if fields[1] == _NOBODY else fields[1], int(fields[2][:19]))
    try:
        packed = base64.b64decode(fields[3], validate=True)
        raw = zlib.decompressobj().decompress(packed[1:], _MAX_BYTES) if packed[:1] == b"z" else packed[1:]
        numbers = list(_unpacked(raw))
    except (binascii.Error, zlib.error, OverflowError):
        return Progress(low), claim
    progress, at = Progress(low), low
    for gap, length in zip(numbers[::2], numbers[1::2], strict=False):
        progress.add(at + gap, at + gap + length)
        at += gap + length
    return progress, claim


def _packed(numbers: Iterable[int]) -> Iterator[int]:
    for number in numbers:
        rest = number
        while rest >= _MORE:
            yield rest % _MORE | _MORE
            rest //= _MORE
        yield rest


def _unpacked(raw: bytes) -> Iterator[int]:
    number, groups = 0, 0
    for byte in raw:
        number |= (byte % _MORE) << 7 * groups
        groups += 1
        if groups > _GROUPS:
            raise OverflowError
        if byte < _MORE:
            yield number
            number, groups = 0, 0
