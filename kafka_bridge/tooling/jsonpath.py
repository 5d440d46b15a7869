"""Paths into JSON, as people write them: `$.order.id`, `$.items[0].sku`, `$.items[*].sku`. Pure.

The part of RFC 9535 that names one place or every element of a list: no filters, slices or descendants.
"""

import re
from collections.abc import Iterator
from typing import Final

# A step: .name, .*, [0], [*], ["name"] or ['name'].
_STEP: Final = re.compile(r"""\.([^.\[\]]+)|\[(?:(\d{1,9}|\*)|"([^"\\]+)"|'([^'\\]+)')\]""")
MAX_STEPS: Final = 32
EVERY: Final = "*"

type Path = tuple[str, ...]


class BadPath(Exception):
    """`str()` says what is wrong with the path, and never quotes it."""


def parse(text: str) -> Path:
    """The steps of a path, with or without the `$` before them. Raises BadPath."""
    rest = text.strip().removeprefix("$")
    rest = rest if rest.startswith((".", "[")) or not rest else f".{rest}"
    steps: list[str] = []
    at = 0
    while at < len(rest):
        step = _STEP.match(rest, at)
        if step is None or len(steps) == MAX_STEPS:
            raise BadPath("is a path such as $.order.id or $.items[*].sku, of 32 steps at most")
        steps.append(next(name for name in step.groups() if name is not None))
        at = step.end()
    return tuple(steps)


def values(document: object, path: Path) -> Iterator[object]:
    """All that stands at the path; nothing where there is no such place."""
    if not path:
        yield document
        return
    step, rest = path[0], path[1:]
    if isinstance(document, list):
        if step == EVERY:
            for element in document:
                yield from values(element, rest)
        elif step.isascii() and step.isdecimal() and int(step) < len(document):
            yield from values(document[int(step)], rest)
    elif isinstance(document, dict):
        if step in document:
            yield from values(document[step], rest)
        elif step == EVERY:
            for element in document.values():
                yield from values(element, rest)
