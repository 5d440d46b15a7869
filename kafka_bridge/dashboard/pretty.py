"""A body as a person can read it: JSON indented, bytes as hex. Pure.

JSON is not parsed and written anew, which would change numbers and repeated names, and could not be done to a body that
was cut off: only white space between its tokens is changed.
"""

import re
from types import MappingProxyType
from typing import Final

# A quote that nothing closes belongs to a text that was cut off.
_TOKEN: Final = re.compile(r'"[^"\\]*(?:\\(?:.|\Z)[^"\\]*)*(?:"|\Z)|[{}\[\],:]|[^\s{}\[\],:"]+', re.DOTALL)
_CLOSES: Final = MappingProxyType({"{": "}", "[": "]"})
_INDENT: Final = "  "
MAX_DEPTH: Final = 24
_PER_LINE: Final = 16


def indented(text: str, *, max_chars: int) -> str | None:
    """JSON with one value per line; None when that would be longer than `max_chars`."""
    out: list[str] = []
    size = depth = 0
    opened = ""
    for match in _TOKEN.finditer(text):
        part = match[0]
        if part in {"}", "]"}:
            depth = max(0, depth - 1)
            piece = part if opened and part == _CLOSES[opened] else _line(depth) + part
        else:
            piece = (_line(depth) if opened else "") + part
        opened = ""
        if part in _CLOSES:
            opened = part
            depth += 1
        elif part == ",":
            piece += _line(depth)
        elif part == ":":
            piece += " "
        out.append(piece)
        size += len(piece)
        if size > max_chars:
            return None
    return "".join(out)


def _line(depth: int) -> str:
    return "\n" + _INDENT * min(depth, MAX_DEPTH)


def hexdump(raw: bytes) -> str:
    """Bytes as `hexdump -C` shows them."""
    lines = []
    for at in range(0, len(raw), _PER_LINE):
        part = raw[at : at + _PER_LINE]
        shown = "".join(chr(byte) if 0x20 <= byte < 0x7F else "." for byte in part)  # noqa: PLR2004 - printable ASCII
        lines.append(f"{at:08x}  {part.hex(' '):<{_PER_LINE * 3 - 1}}  |{shown}|")
    return "\n".join(lines)
