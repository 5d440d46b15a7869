"""Names with `*` for any run of characters: `orders.*`. Pure.

Matched from left to right without ever going back: the text may come from a sender.
"""


class Pattern:
    """One pattern; only `*` is special."""

    def __init__(self, text: str) -> None:
        self._first, *rest = text.split("*")
        self._last = rest.pop() if rest else None
        # Two stars in a row are one.
        self._middle = tuple(part for part in rest if part)

    def matches(self, text: str) -> bool:
        """Whether the whole of `text` is of this form."""
        first, last = self._first, self._last
        if last is None:
            return text == first
        if len(text) < len(first) + len(last) or not (text.startswith(first) and text.endswith(last)):
            return False
        at, end = len(first), len(text) - len(last)
        for part in self._middle:
            found = text.find(part, at, end)
            if found < 0:
                return False
            at = found + len(part)
        return True
