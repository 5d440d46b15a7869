"""The work of parallel-consumer's published table: 10,000 records of one partition, 0 to 5 ms each.

Whoever blocks `sleep_ms(offset)` milliseconds for each record does exactly the same, in any language: `PcBench.java`
has the same function.
"""

from typing import Final

N: Final = 10_000
KEY_COUNTS: Final = (1, 2, 5, 10, 20, 50, 100, 1_000, 10_000)
# Orderings in the words of the peers, each with numbers of keys.
MODES: Final = (("PARTITION", 10_000), *(("KEY", keys) for keys in KEY_COUNTS), ("UNORDERED", 10_000))
LONGEST_MS: Final = 5
_SLEEP_SEED: Final = 20261120
_KEY_SEED: Final = 20261121
_ONES: Final = (1 << 64) - 1


def _mix(number: int) -> int:
    """Splitmix64, in unsigned 64-bit arithmetic."""
    z = (number + 0x9E3779B97F4A7C15) & _ONES
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & _ONES
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & _ONES
    return z ^ (z >> 31)


def sleep_ms(offset: int) -> int:
    """Whole milliseconds, evenly from 0 to 5."""
    return (_mix(offset ^ _SLEEP_SEED) >> 33) % (LONGEST_MS + 1)


def key_of(offset: int, keys: int) -> str:
    """The key of a record where there are so many."""
    return f"k{(_mix(offset ^ _KEY_SEED) >> 33) % keys}"


def topic_of(keys: int) -> str:
    """The topic whose records have so many keys."""
    return f"dispatch-k{keys}"


def total_ms() -> int:
    """All of the work."""
    return sum(map(sleep_ms, range(N)))


def bound_s(ordering: str, keys: int, concurrency: int) -> float:
    """Seconds that nobody can beat: all of the work over the slots, or the longest chain."""
    if ordering == "PARTITION":
        return total_ms() / 1000
    if ordering == "UNORDERED":
        return max(total_ms() / concurrency, LONGEST_MS) / 1000
    chains: dict[str, int] = {}
    for offset in range(N):
        key = key_of(offset, keys)
        chains[key] = chains.get(key, 0) + sleep_ms(offset)
    return max(total_ms() / concurrency, *chains.values(), LONGEST_MS) / 1000
