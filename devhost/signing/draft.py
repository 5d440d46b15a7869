"""A request that is being made: what is to be signed, where values are put, what came of it."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from kafka_bridge.ingress.content import Location

type SecretValue = str | list[str] | dict[str, str]
"""A secret as the operator writes it; for a sender with a key pair the private key."""

JSON: Final = "application/json"
FORM: Final = "application/x-www-form-urlencoded"
XML: Final = "application/xml"


class CannotSign(Exception):
    """`str()` says why, in words that quote no secret."""


class Signed(NamedTuple):
    """A request as its sender sends it. `url` and `body` may be others than were given: some senders sign in them."""

    headers: dict[str, str]
    body: bytes
    url: str

    @property
    def query(self) -> str:
        """The query of the URL."""
        return urlsplit(self.url).query


@dataclass(frozen=True, kw_only=True)
class Draft:
    """What is to be signed."""

    body: bytes
    headers: dict[str, str]
    url: str
    method: str
    now: float
    event_id: str
    stronger: bool


class Places:
    """A request whose headers, query and body are being filled."""

    def __init__(self, draft: Draft) -> None:
        self.headers = dict(draft.headers)
        self.body = draft.body
        self.url = draft.url

    @property
    def is_form(self) -> bool:
        """Whether the body is a form."""
        return self.headers.get("content-type", "").startswith(FORM)

    @property
    def form(self) -> list[tuple[str, str]]:
        """The form's fields."""
        text = self.body.decode("utf-8", "replace")
        return parse_qsl(text, keep_blank_values=True, errors="replace") if self.is_form else []

    def put(self, location: Location, text: str, *, number: bool = False) -> None:
        """Write a value to its place, in a body as a number. Raises CannotSign when the body has no room for it."""
        match location.where:
            case "header":
                self.headers[location.name] = text
            case "query":
                parts = urlsplit(self.url)
                query = urlencode([*parse_qsl(parts.query, keep_blank_values=True), (location.name, text)])
                self.url = urlunsplit(parts._replace(query=query))
            case _:
                document = object_of(self.body)
                set_at(document, location.name.split("."), int(text) if number else text)
                self.body = json.dumps(document).encode()

    def signed(self) -> Signed:
        """What became of it."""
        return Signed(self.headers, self.body, self.url)


def object_of(body: bytes) -> dict[str, Any]:
    """A body as a JSON object. Raises CannotSign when it is none."""
    try:
        document = json.loads(body or b"{}")
    except ValueError as error:
        raise CannotSign("the sender signs in the body: it must be a JSON object") from error
    if not isinstance(document, dict):
        raise CannotSign("the sender signs in the body: it must be a JSON object")
    return document


def set_at(document: dict[str, Any], steps: list[str], value: object) -> None:
    """Write a value at a path, through objects that are made where there are none."""
    for step in steps[:-1]:
        inner = document.get(step)
        document[step] = inner if isinstance(inner, dict) else {}
        document = document[step]
    document[steps[-1]] = value


def written(now: float, unit: str) -> str:
    """A time as a sender writes it, in `s`, `ms` or as `rfc3339`."""
    if unit == "rfc3339":
        return datetime.fromtimestamp(int(now), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return str(int(now * 1000) if unit == "ms" else int(now))


def content_type_of(body: bytes) -> str:
    """What a body looks like."""
    start = body.lstrip()[:1]
    if start == b"<":
        return XML
    if start not in {b"{", b"[", b""} and b"=" in body and b"\n" not in body and b" " not in body:
        return FORM
    return JSON
