"""`scheme_options`: the parameters that an operator may set, checked and put into the scheme's row. Pure."""

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Final

from kafka_bridge.ingress.content import Location
from kafka_bridge.ingress.keys import KEY_ENCODINGS
from kafka_bridge.ingress.scheme import Proof, Scheme
from kafka_bridge.ingress.signatures import ALGORITHMS, ENCODINGS, FIELDS, UNITS, Signature, Timestamp
from kafka_bridge.ingress.tokens import Token

_CHOICES: Final = MappingProxyType({"algorithm": ALGORITHMS, "encoding": ENCODINGS, "key_encoding": KEY_ENCODINGS})
_TEXTS: Final = frozenset({"header", "prefix", "template", "separator", "element"})
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
    if not scheme.options:
        raise BadOptions("the scheme has no scheme_options")
    if options.keys() - scheme.options:
        raise BadOptions(f"scheme_options knows {', '.join(sorted(scheme.options))} only")
    id_location = _location("id", _text("id", options["id"])) if "id" in options else None
    type_location = _location("type", _text("type", options["type"])) if "type" in options else None
    return replace(
        scheme,
        proof=_proof(scheme.proof, options, id_location),
        id=(id_location,) if id_location else scheme.id,
        type=((type_location,),) if type_location else scheme.type,
    )


def _proof(proof: Proof | None, options: Mapping[str, object], id_location: Location | None) -> Proof | None:
    match proof:
        case Token():
            header = _header(options)
            if header == "content-type" or header.startswith("ce-"):
                raise BadOptions("header must be one that does not go along into the record: content-type and ce- do")
            return replace(proof, place=Location(f"header:{header}")) if header else proof
        case Signature() if "timestamp_header" in options:
            name = _name("timestamp_header", options["timestamp_header"])
            return replace(
                proof,
                header=_header(options) or proof.header,
                template="{timestamp}:{body}",
                timestamp=_timestamp({"source": "header", "name": name}),
            )
        case Signature():
            return _signature(proof, options, id_location)
        case _:
            return proof


def _header(options: Mapping[str, object]) -> str:
    return _name("header", options["header"]) if "header" in options else ""


def _signature(signature: Signature, options: Mapping[str, object], id_location: Location | None) -> Signature:
    texts = {name: _text(name, options[name]) for name in _TEXTS & options.keys()}
    choices = {name: _choice(name, options[name], allowed) for name, allowed in _CHOICES.items() if name in options}
    if header := _header(options):
        texts["header"] = header
    if "prefix" in texts:
        optional = False
    else:
        # As by default: senders write the algorithm before the signature, or nothing.
        texts["prefix"] = f"{choices.get('algorithm', signature.algorithm)}=" if signature.prefix_optional else ""
        optional = signature.prefix_optional
    timestamp = _timestamp(options["timestamp"]) if options.get("timestamp") is not None else signature.timestamp
    changed = replace(
        signature,
        **texts,  # type: ignore[arg-type]
        **choices,  # type: ignore[arg-type]
        prefix_optional=optional,
        timestamp=timestamp,
        id=id_location,
    )
    _check(changed)
    return changed


def _check(signature: Signature) -> None:
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
        name=_name("timestamp.name", name) if source == "header" else name,
        unit=_choice("timestamp.unit", value.get("unit", "s"), UNITS),
        tolerance=tolerance,
    )


def _text(name: str, value: object) -> str:
    if not isinstance(value, str):
        raise BadOptions(f"{name} must be a text")
    if len(value) > MAX_CHARS:
        raise BadOptions(f"{name} is longer than {MAX_CHARS} characters")
    return value


def _name(option: str, value: object) -> str:
    """A header's name, in lower case."""
    text = _text(option, value)
    if not text:
        raise BadOptions(f"{option} must not be empty")
    if not _HEADER.fullmatch(text):
        raise BadOptions(f"{option} must be a header's name: letters, digits and hyphens (underscores never arrive)")
    return text.lower()


def _choice(name: str, value: object, allowed: tuple[str, ...]) -> str:
    if value not in allowed:
        raise BadOptions(f"{name} must be one of {', '.join(allowed)}")
    return str(value)


def _location(name: str, text: str) -> Location:
    try:
        found = Location(text)
    except ValueError as error:
        raise BadOptions(f"{name} must be header:NAME or body:PATH") from error
    if found.where == "query":
        # The platform sorts and re-encodes it.
        raise BadOptions(f"{name} must be header:NAME or body:PATH")
    if not found.in_body:
        _name(name, found.name)
    return found
