"""What is in a request: body, headers, query. Pure."""

from collections.abc import Mapping
from functools import cached_property
from typing import Final
from urllib.parse import parse_qsl

import orjson

from kafka_bridge.documents import at, steps_of, text_of
from kafka_bridge.http import Inbound

FORM: Final = "application/x-www-form-urlencoded"
# A form with more fields than this is no vendor's.
_MAX_FIELDS: Final = 2000


class Content:
    """A request whose body is parsed at most once, and only when somebody asks.

    `public_url` is where the endpoint is reached from outside, as the operator says, or empty.
    """

    def __init__(self, inbound: Inbound, *, public_url: str = "") -> None:
        self.inbound = inbound
        self.public_url = public_url

    @cached_property
    def document(self) -> object:
        """The body as data: parsed JSON, or a form's fields (of a repeated one the first); None when it is neither.

        JSON first: the content type is not signed, and must not change what a body says.
        """
        try:
            return orjson.loads(self.inbound.body)
        except orjson.JSONDecodeError:
            return dict(reversed(self.form)) if self.media_type == FORM else None

    @cached_property
    def form(self) -> list[tuple[str, str]]:
        """The fields of a form body in their order; empty when it is none."""
        return _pairs(self.inbound.body.decode("utf-8", "replace")) if self.media_type == FORM else []

    @cached_property
    def query(self) -> Mapping[str, str]:
        """The parameters of the query; of a repeated one the first."""
        return dict(reversed(_pairs(self.inbound.query)))

    @cached_property
    def media_type(self) -> str:
        """The body's type without parameters, in lower case."""
        return self.inbound.header("content-type").partition(";")[0].strip().lower()

    def opened(self, body: bytes, document: object, content_type: str) -> "Content":
        """What was inside: a decrypted message, or one item of many, whose document is known already."""
        outer = self.inbound
        inner = Content(Inbound(outer.method, outer.path, outer.query, outer.headers, body), public_url=self.public_url)
        inner.document = document
        inner.content_type = content_type
        return inner

    @cached_property
    def content_type(self) -> str:
        """The body's type, whole; empty when nobody says."""
        return self.inbound.header("content-type")

    def text_at(self, steps: tuple[str, ...]) -> str | None:
        """The value at a path as a text; None when it is absent, null, a list or an object."""
        return text_of(at(self.document, steps))


def _pairs(text: str) -> list[tuple[str, str]]:
    try:
        return parse_qsl(text, keep_blank_values=True, max_num_fields=_MAX_FIELDS, errors="replace")
    except ValueError:
        return []


class Location:
    """Where a value stands in a request: `header:NAME`, `body:PATH` or `query:NAME`."""

    __slots__ = ("_steps", "name", "where")

    def __init__(self, text: str) -> None:
        """Raises ValueError when `text` has another form: a programming error, settings are checked before."""
        self.where, _, name = text.partition(":")
        if self.where not in {"header", "body", "query"} or not name:
            message = f"not a location: {text!r}"
            raise ValueError(message)
        self.name = name.lower() if self.where == "header" else name
        self._steps = steps_of(name)

    def __str__(self) -> str:
        return f"{self.where} {self.name}"

    @property
    def in_body(self) -> bool:
        """Whether it is a part of the body."""
        return self.where == "body"

    def find(self, content: Content) -> str | None:
        """The value as a text; None when it is absent or empty."""
        if self.where == "body":
            return content.text_at(self._steps) or None
        if self.where == "query":
            return content.query.get(self.name) or None
        return content.inbound.header(self.name) or None
