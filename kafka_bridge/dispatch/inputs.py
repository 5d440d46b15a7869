"""What an app gets for one record: the payload's fields, what Kafka knows of it, and what the operator says. Pure.

The operator's mapping, compiled once, is of templates: `{body.order.id}`, `order {key} of {header.tenant}`. One that is
a single placeholder keeps the JSON type of its value. In a longer one what a record does not have is an empty text.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from kafka_bridge.dispatch.form import Form
from kafka_bridge.dispatch.payload import MESSAGE, Payload
from kafka_bridge.documents import at, steps_of
from kafka_bridge.placeholders import BadTemplate, parts_of
from kafka_bridge.settings.reader import Problem

# What a chat app is asked; the mapping may name it like an input.
QUERY: Final = "query"
_FACTS: Final = frozenset({"event_id", "event_type", "topic", "partition", "offset", "key"})
_KNOWN: Final = (
    "knows {event_id}, {event_type}, {topic}, {partition}, {offset}, {key}, {header.NAME}, {body.PATH} and {body} only"
)
# Names of inputs look like this in Dify. Of anything else only its place is told: it may be a secret.
_SHOWN: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}", re.ASCII)


class Place(NamedTuple):
    """What a placeholder stands for: a fact's name, `header` and its name, or `body` and the steps into it."""

    where: str
    name: str = ""
    steps: tuple[str, ...] = ()

    def find(self, payload: Payload) -> object:
        """The value; None when the record has none."""
        if self.where == "body":
            return at(payload.document, self.steps)
        if self.where == "header":
            return payload.header(self.name)
        return getattr(payload, self.where)


@dataclass(frozen=True, slots=True)
class InputTemplate:
    """Literal texts and places in turn, as `placeholders.Parts`."""

    literals: tuple[str, ...]
    places: tuple[Place, ...]

    def text(self, payload: Payload) -> str:
        """The whole as a text."""
        text = self.literals[0]
        for place, literal in zip(self.places, self.literals[1:], strict=True):
            text += payload.text_of(place.find(payload)) + literal
        return text

    def value(self, payload: Payload) -> object:
        """A single placeholder's value as it is, everything else as a text."""
        alone = len(self.places) == 1 and not any(self.literals)
        return self.places[0].find(payload) if alone else self.text(payload)


@dataclass(frozen=True, slots=True)
class Inputs:
    """Makes the inputs of one endpoint's app. `presets` are those that the operator typed where the app was chosen."""

    mapping: Mapping[str, InputTemplate]
    presets: Mapping[str, object]

    def of(self, payload: Payload, form: Form | None) -> dict[str, object]:
        """The inputs for a record; without a form all that there are."""
        values = {**payload.everything(), **self._set_by_hand(payload)}
        values |= {name: template.value(payload) for name, template in self.mapping.items()}
        return values if form is None else form.fit(values, text_of=payload.text_of)

    def query(self, payload: Payload) -> str:
        """What a chat app is asked; empty when the record has nothing to ask."""
        if QUERY in self.mapping:
            return self.mapping[QUERY].text(payload)
        fields = payload.fields
        return next(
            (payload.text_of(fields[name]) for name in (QUERY, MESSAGE) if fields.get(name) is not None), payload.text
        )

    def _set_by_hand(self, payload: Payload) -> Mapping[str, object]:
        """The presets that mean something. A field that was left empty is saved too, and says nothing."""
        fields = payload.fields
        return {
            name: value
            for name, value in self.presets.items()
            if name not in fields and value is not None and value not in ("", [], {})
        }


def compile_inputs(mapping: Mapping[str, str], presets: Mapping[str, object]) -> tuple[Inputs, Sequence[Problem]]:
    """The settings `input_mapping` and the app's own inputs, and what is wrong with them; what is wrong is left out."""
    templates, problems = dict[str, InputTemplate](), list[Problem]()
    for number, (name, text) in enumerate(mapping.items(), start=1):
        try:
            templates[name] = compile_template(text)
        except BadTemplate as error:
            which = f"the template of {name}" if _SHOWN.fullmatch(name) else f"template {number}"
            problems.append(Problem("input_mapping", f"{which} {error}"))
    return Inputs(templates, presets), problems


def compile_template(text: str) -> InputTemplate:
    """One template. Raises BadTemplate."""
    literals, names = parts_of(text, {})
    return InputTemplate(literals, tuple(map(_place, names)))


def _place(name: str) -> Place:
    if name in _FACTS:
        return Place(name)
    where, dot, rest = name.partition(".")
    if name == "body":
        return Place("body")
    if where not in {"header", "body"} or not dot or not rest:
        raise BadTemplate(_KNOWN)
    return Place("header", rest) if where == "header" else Place("body", steps=steps_of(rest))
