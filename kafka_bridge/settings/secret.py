"""A text that must not be seen. Pure."""

import hmac


class Secret:
    """Holds a secret; only `reveal()` gives it away, and grep finds every place that calls it."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """The secret itself."""
        return self._text

    def matches(self, text: str) -> bool:
        """Whether `text` is the secret, in a time that does not depend on where they differ."""
        return hmac.compare_digest(_bytes(self._text), _bytes(text))

    def __repr__(self) -> str:
        return "'***'"

    __str__ = __repr__

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and self.matches(other._text)

    def __hash__(self) -> int:
        return hash(self._text)

    def __bool__(self) -> bool:
        return bool(self._text)


def _bytes(text: str) -> bytes:
    # compare_digest refuses str that is not ASCII; surrogates must not raise either.
    return text.encode("utf-8", "surrogatepass")
