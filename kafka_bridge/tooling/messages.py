"""What a tool says: JSON for programs, text for people, variables for later nodes. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple


class Json(NamedTuple):
    """For a workflow's `json` output and for an agent. The first one of a call is its flat result."""

    value: Mapping[str, object]


class Text(NamedTuple):
    """For people."""

    text: str


class Variable(NamedTuple):
    """An output of the workflow's node, declared in the tool's `output_schema`."""

    name: str
    value: object


type Message = Json | Text | Variable


def results(flat: Mapping[str, object], text: str, variables: Sequence[str]) -> Iterator[Message]:
    """The result of a call, the sentence for people, and of the result's fields those that are the node's outputs."""
    yield Json(flat)
    yield Text(text)
    for name in variables:
        yield Variable(name, flat[name])
