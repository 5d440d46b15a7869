"""Another event type in a request that is about to be signed: in the place where the plugin will look for it."""

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl, urlencode
from xml.etree import ElementTree as ET

from devhost.signing.draft import XML, CannotSign, content_type_of
from devhost.signing.rows import NOTHING, row
from kafka_bridge.http import Inbound
from kafka_bridge.ingress.content import Content, Location


def with_type(
    scheme_id: str,
    event_type: str,
    body: bytes,
    headers: Mapping[str, str],
    *,
    options: Mapping[str, object] = NOTHING,
) -> tuple[bytes, dict[str, str]]:
    """Body and headers with the type in them. Raises CannotSign, also where the sender has no place for one.

    A place in the body means that the body is written anew. Where a type has two parts (`issues.opened`: a header and a
    field) the text is parted at its first dot.
    """
    alternatives = row(scheme_id, options).type
    if not alternatives:
        raise CannotSign(f"{scheme_id} has no place for an event type: leave --type out")
    parts = _in_use(alternatives, body, headers)
    head, dot, tail = event_type.partition(".") if len(parts) > 1 else (event_type, "", "")
    if not head or bool(dot) is not bool(tail):
        raise CannotSign("the event type must be a text such as order.paid")
    changed = dict(headers)
    for place, text in zip(parts, (head, tail), strict=False):
        if place.in_body:
            body = _written(body, place.name.split("."), text)
        elif text:
            changed[place.name] = text
        else:
            changed.pop(place.name, None)
    return body, changed


def _in_use(
    alternatives: tuple[tuple[Location, ...], ...], body: bytes, headers: Mapping[str, str]
) -> tuple[Location, ...]:
    """The place that the request has a type in already, else the first that there is."""
    content_type = content_type_of(body)
    content = Content(Inbound("POST", "", "", {"content-type": content_type, **headers}, body))
    if content_type == XML:
        content.document = {element.tag: element.text or "" for element in _xml(body)}
    return next((parts for parts in alternatives if parts[0].find(content)), alternatives[0])


def _written(body: bytes, steps: list[str], text: str) -> bytes:
    match content_type_of(body):
        case "application/xml":
            root = _xml(body)
            element = root.find(steps[-1])
            element = ET.SubElement(root, steps[-1]) if element is None else element
            element.text = text
            return ET.tostring(root)
        case "application/x-www-form-urlencoded":
            fields = parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True)
            name = ".".join(steps)
            others = [field for field in fields if field[0] != name]
            return urlencode([*others, (name, text)]).encode()
        case _:
            return _in_json(body, steps, text)


def _in_json(body: bytes, steps: list[str], text: str) -> bytes:
    where = f"the event type stands in the body, at {'.'.join(steps)}"
    try:
        document: Any = json.loads(body or b"{}")
    except (ValueError, RecursionError) as error:
        raise CannotSign(f"{where}: it must be JSON") from error
    inner = document
    for step in steps[:-1]:
        if isinstance(inner, dict):
            inner = inner.setdefault(step, {})
        elif isinstance(inner, list) and step.isdecimal() and int(step) < len(inner):
            inner = inner[int(step)]
        else:
            raise CannotSign(f"{where}, which the body has not")
    if not isinstance(inner, dict):
        raise CannotSign(f"{where}, which the body has not")
    if text:
        inner[steps[-1]] = text
    else:
        inner.pop(steps[-1], None)
    return json.dumps(document).encode()


def _xml(body: bytes) -> ET.Element:
    try:
        return ET.fromstring(body)  # noqa: S314 - a file of the caller's own
    except ET.ParseError as error:
        raise CannotSign("the body is not XML") from error
