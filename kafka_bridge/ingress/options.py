"""`scheme_options`: the parameters of the scheme `hmac`, checked and put into its row. Pure."""

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Final

from kafka_bridge.ingress.content import Location
from kafka_bridge.ingress.schemes import Scheme
from kafka_bridge.ingress.signatures import ALGORITHMS, ENCODINGS, FIELDS, KEY_ENCODINGS, UNITS, Hmac, Timestamp

_CHOICES: Final = MappingProxyType({"algorithm": ALGORITHMS, "encoding": ENCODINGS, "key_encoding": KEY_ENCODINGS})
_TEXTS: Final = frozenset({"header", "prefix", "template", "separator", "element", "id", "type"})
# Longer than any that a sender documents.
MAX_CHARS: Final = 1000
_FIELD: Final = re.compile(f"{{({'|'.join(FIELDS)})}}")
# A token of RFC 9110 without the underscore: the platform answers a request with such a header by itself.
_HEADER: Final = re.compile(r"[!#$%&'*+.^`|~0-9A-Za-z-]+", re.ASCII)
_TIMESTAMP_SOURCES: Final = ("header", "element", "body")


class BadOptions(Exception):
    """`str()` says which option is wrong and why."""


def with_options(scheme: Scheme, options: Mapping[str, object]) -> Scheme:
    """The row with `options` in place of its defaults. Raises BadOptions."""
    if not options:
        return scheme
    signature = scheme.signature
    if signature is None or not scheme.configurable:
        raise BadOptions("scheme_options are for the scheme hmac only")
    if options.keys() - _TEXTS - _CHOICES.keys() - {"timestamp"}:
        raise BadOptions(f"scheme_options knows {', '.join(sorted([*_TEXTS, *_CHOICES, 'timestamp']))} only")
    texts = {name: _text(name, options[name]) for name in _TEXTS & options.keys()}
    choices = {name: _choice(name, options[name], allowed) for name, allowed in _CHOICES.items() if name in options}
    id_location = _location("id", texts.pop("id")) if "id" in texts else None
    type_location = _location("type", texts.pop("type")) if "type" in texts else None
    if "header" in texts:
        texts["header"] = _header("header", texts["header"]).lower()
    if "prefix" not in texts:
        # As by default: senders write the algorithm before the signature, or nothing.
        signature = replace(signature, prefix=f"{choices.get('algorithm', signature.algorithm)}=", prefix_optional=True)
    else:
        signature = replace(signature, prefix_optional=False)
    timestamp = _timestamp(options["timestamp"]) if options.get("timestamp") is not None else None
    changed = replace(signature, **texts, **choices, timestamp=timestamp, id=id_location)  # type: ignore[arg-type]
    _check(changed)
    return replace(
        scheme,
        signature=changed,
        id=(id_location,) if id_location else scheme.id,
        type=((type_location,),) if type_location else scheme.type,
    )


def _check(signature: Hmac) -> None:
    places = Counter(_FIELD.findall(signature.template))
    if set("{}") & set(_FIELD.sub("", signature.template)):
        # A sender signs what it signs: with a brace that is taken for a text its every request would be refused.
        raise BadOptions(f"template knows {', '.join(f'{{{name}}}' for name in FIELDS)} only, and no other brace")
    if any(count > 1 for count in places.values()):
        raise BadOptions("template may contain each placeholder once")
    if "body" not in signature.placeholders:
        raise BadOptions("template must contain {body}: nothing else would be under the signature")
    if "id" in signature.placeholders and signature.id is None:
        raise BadOptions("template uses {id}, so id must say where it stands")
    if "id" in signature.placeholders and signature.id is not None and signature.id.in_body:
        # The body would have to be parsed before anybody has verified it.
        raise BadOptions("template uses {id}, so id must stand in a header: the body is under the signature anyway")
    timestamp = signature.timestamp
    if timestamp is None:
        if "timestamp" in signature.placeholders:
            raise BadOptions("template uses {timestamp}, so timestamp must say where it stands")
    elif timestamp.source != "body" and "timestamp" not in signature.placeholders:
        raise BadOptions("timestamp is not under the signature: template must contain {timestamp}")
    elif timestamp.source == "element" and not signature.separator:
        raise BadOptions("a timestamp in an element needs a separator")


def _timestamp(value: object) -> Timestamp:
    if not isinstance(value, Mapping) or value.keys() - {"source", "name", "unit", "tolerance"}:
        raise BadOptions("timestamp must be an object with source, name, unit and tolerance")
    tolerance = value.get("tolerance", 300)
    if not isinstance(tolerance, int) or isinstance(tolerance, bool) or not 1 <= tolerance <= 86_400:  # noqa: PLR2004
        raise BadOptions("timestamp.tolerance must be a number of seconds from 1 to 86400")
    name = _text("timestamp.name", value.get("name", ""))
    source = _choice("timestamp.source", value.get("source", "header"), _TIMESTAMP_SOURCES)
    if not name:
        raise BadOptions("timestamp.name must not be empty")
    return Timestamp(
        source=source,
        name=_header("timestamp.name", name) if source == "header" else name,
        unit=_choice("timestamp.unit", value.get("unit", "s"), UNITS),
        tolerance=tolerance,
    )


def _text(name: str, value: object) -> str:
    if not isinstance(value, str):
        raise BadOptions(f"{name} must be a text")
    if len(value) > MAX_CHARS:
        raise BadOptions(f"{name} is longer than {MAX_CHARS} characters")
    return value


def _header(name: str, text: str) -> str:
    if not text:
        raise BadOptions(f"{name} must not be empty")
    if not _HEADER.fullmatch(text):
        raise BadOptions(f"{name} must be a header's name: letters, digits and hyphens (underscores never arrive)")
    return text


def _choice(name: str, value: object, allowed: tuple[str, ...]) -> str:
    if value not in allowed:
        raise BadOptions(f"{name} must be one of {', '.join(allowed)}")
    return str(value)


def _location(name: str, text: str) -> Location:
    try:
        location = Location(text)
    except ValueError as error:
        raise BadOptions(f"{name} must be header:NAME or body:PATH") from error
    if not location.in_body:
        _header(name, location.name)
    return location
