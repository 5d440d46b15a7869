"""XML as data, of senders that are not verified yet: no declarations, no depth, no size. Pure."""

from typing import Final
from xml.etree.ElementTree import ParseError, XMLParser

from kafka_bridge.errors import Unverified

# Real messages have some dozens of elements, three deep.
_MAX_BYTES: Final = 1024 * 1024
_MAX_ELEMENTS: Final = 10_000
_MAX_DEPTH: Final = 32

type Element = str | dict[str, "Element"] | list["Element"]
"""An XML element: its text, or its children by name; elements of one name are a list."""


class _Unreadable(Exception):
    """Not the XML of a message."""


class _Tree:
    """What the parser tells its elements to."""

    def __init__(self) -> None:
        self._open: list[tuple[dict[str, Element], list[str]]] = [({}, [])]
        self._count = 0

    def doctype(self, _name: str, _public: str | None, _system: str | None) -> None:
        # Called before what is declared in it: no entity ever has a value.
        raise _Unreadable

    def start(self, _tag: str, _attributes: dict[str, str]) -> None:
        self._count += 1
        if self._count > _MAX_ELEMENTS or len(self._open) > _MAX_DEPTH:
            raise _Unreadable
        self._open.append(({}, []))

    def data(self, text: str) -> None:
        self._open[-1][1].append(text)

    def end(self, tag: str) -> None:
        children, texts = self._open.pop()
        value: Element = children or "".join(texts)
        siblings = self._open[-1][0]
        before = siblings.get(tag)
        if isinstance(before, list):
            before.append(value)
        else:
            siblings[tag] = value if before is None else [before, value]

    @property
    def root(self) -> Element:
        """Once all of it was read."""
        (root,) = self._open[0][0].values()
        return root


def read_xml(body: bytes) -> Element:
    """The children of the outermost element by name, or its text. Raises Unverified."""
    if len(body) > _MAX_BYTES:
        raise Unverified("the XML is too large for a message")
    tree = _Tree()
    parser = XMLParser(target=tree)  # noqa: S314 - it reads no declarations
    try:
        # As text: whatever encoding it claims, it is read as UTF-8.
        parser.feed(body.decode())
        parser.close()
    except (ParseError, UnicodeDecodeError, _Unreadable) as error:
        raise Unverified("not the XML of a message") from error
    return tree.root
