"""CloudEvents as they arrive over HTTP: attributes and data. Pure.

Sources: https://github.com/cloudevents/spec/blob/main/cloudevents/bindings/http-protocol-binding.md and
https://github.com/cloudevents/spec/blob/main/cloudevents/formats/json-format.md
"""

import base64
import re
from collections.abc import Mapping
from typing import Final, NamedTuple
from urllib.parse import unquote

import orjson

from kafka_bridge.errors import Malformed

STRUCTURED: Final = "application/cloudevents+json"
BATCH: Final = "application/cloudevents-batch+json"
REQUIRED: Final = ("specversion", "id", "source", "type")
_JSON: Final = "application/json"
_PREFIX: Final = "ce-"
_NAME: Final = re.compile(r"[a-z0-9]{1,64}", re.ASCII)
# Attributes become headers of a record; real ones are a few dozen characters long.
_MAX_CHARS: Final = 2048
_MAX_ATTRIBUTES: Final = 100
_OF_THE_BODY: Final = frozenset({"data", "data_base64", "datacontenttype"})


class CloudEvent(NamedTuple):
    """One event: all of its attributes but `datacontenttype`, which is `content_type`; and its data as bytes."""

    attributes: Mapping[str, str]
    content_type: str
    data: bytes


def from_headers(headers: Mapping[str, str], body: bytes) -> CloudEvent | None:
    """An event in binary mode; None when there is none. Raises Malformed."""
    if not headers.get(f"{_PREFIX}specversion"):
        return None
    attributes = {
        name.removeprefix(_PREFIX): unquote(value, errors="replace").strip('"')
        for name, value in headers.items()
        if name.startswith(_PREFIX)
    }
    if attributes.keys() & _OF_THE_BODY:
        raise Malformed("A CloudEvent in binary mode has its data in the body.")
    return CloudEvent(_checked(attributes), headers.get("content-type") or "", body)


def from_document(document: object) -> CloudEvent:
    """An event in structured mode, from its parsed JSON. Raises Malformed."""
    if not isinstance(document, dict):
        raise Malformed("A CloudEvent is a JSON object.")
    rest = dict(document)
    data, encoded = rest.pop("data", None), rest.pop("data_base64", None)
    content_type = rest.pop("datacontenttype", None)
    attributes = _checked({name: _text(value) for name, value in rest.items() if value is not None})
    if encoded is not None:
        if not isinstance(encoded, str) or data is not None:
            raise Malformed("A CloudEvent has data, or data_base64 as a text.")
        try:
            return CloudEvent(attributes, _text(content_type or ""), base64.b64decode(encoded, validate=True))
        except ValueError as error:
            raise Malformed("The CloudEvent's data_base64 is not base64.") from error
    media_type = _text(content_type or _JSON)
    if data is None:
        return CloudEvent(attributes, media_type if content_type else "", b"")
    if isinstance(data, str) and not is_json(media_type):
        return CloudEvent(attributes, media_type, data.encode("utf-8", "replace"))
    try:
        return CloudEvent(attributes, media_type, orjson.dumps(data))
    except orjson.JSONEncodeError as error:
        raise Malformed("The CloudEvent's data is nested too deep.") from error


def is_json(content_type: str) -> bool:
    """Whether data of this type is JSON."""
    media_type = content_type.partition(";")[0].strip().lower()
    return media_type.endswith(("/json", "+json"))


def _checked(attributes: Mapping[str, str]) -> Mapping[str, str]:
    if missing := [name for name in REQUIRED if not attributes.get(name)]:
        raise Malformed(f"The CloudEvent has no {missing[0]}.")
    if len(attributes) > _MAX_ATTRIBUTES:
        raise Malformed(f"A CloudEvent may have {_MAX_ATTRIBUTES} attributes.")
    if attributes["specversion"] != "1.0":
        raise Malformed("Only CloudEvents 1.0 are understood.")
    if not all(_NAME.fullmatch(name) and len(value) <= _MAX_CHARS for name, value in attributes.items()):
        raise Malformed("An attribute of the CloudEvent has an illegal name, or is too long.")
    return attributes


def _text(value: object) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case str():
            return value
        case int():
            return str(value)
        case _:
            raise Malformed("An attribute of a CloudEvent is a text, a number or a boolean.")
