"""A file of captured requests with their verdicts, through the plugin's own receive path."""

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from devhost.verify.captured import Captured, Setup, hidden
from devhost.verify.verdict import Checked, check
from kafka_bridge.ingress.outside import Fetch
from kafka_bridge.ingress.schemes import SCHEMES


@dataclass(frozen=True)
class Failed:
    """A vector that did not give what it says."""

    id: str
    scheme: str
    sentence: str


class BadVectors(Exception):
    """`str()` says what is wrong with a file of vectors."""


_VECTOR_FIELDS: Final = frozenset(
    {
        *("id", "scheme", "source", "note", "official", "secret", "headers", "method", "url", "body", "body_b64"),
        *("now", "valid", "either", "expect", "config"),
    }
)


def run_vectors(document: object, *, fetch: Fetch) -> tuple[int, list[Failed]]:
    """How many vectors passed, and the others. Raises BadVectors."""
    if not isinstance(document, list) or not document or not all(isinstance(vector, dict) for vector in document):
        raise BadVectors("must be a JSON array of objects, and not an empty one")
    failed: list[Failed] = []
    for number, vector in enumerate(document, 1):
        name, scheme = str(vector.get("id", number)), str(vector.get("scheme", "?"))
        try:
            sentence = _failure(vector, fetch)
        except BadVectors as error:
            raise BadVectors(f"vector {name}: {error}") from error
        except Exception as error:  # noqa: BLE001 - an exception is what a vector may find
            sentence = f"raised {type(error).__name__}"
        if sentence:
            failed.append(Failed(name, scheme, sentence))
    return len(document) - len(failed), failed


def _failure(vector: Mapping[str, Any], fetch: Fetch) -> str:
    """What is wrong, empty when nothing is."""
    if unknown := vector.keys() - _VECTOR_FIELDS:
        raise BadVectors(f"has fields that nobody knows: {', '.join(sorted(unknown))}")
    if not isinstance(vector.get("valid"), bool):
        raise BadVectors("valid must be true or false")
    if vector.get("scheme") not in SCHEMES:
        raise BadVectors("its scheme is none of the table")
    captured, setup = _captured(vector), _setup(vector)
    checked = check(captured, setup, now=float(vector.get("now") or 0), fetch=fetch)
    if vector.get("either"):
        return ""
    if checked.verified is not bool(vector.get("valid")):
        if checked.verified:
            return "must not verify, and does"
        return hidden(f"must verify, and does not: {checked.reason}", setup)
    return _unexpected(vector.get("expect") or {}, checked)


def _captured(vector: Mapping[str, Any]) -> Captured:
    url, headers = vector.get("url") or "", vector.get("headers") or {}
    try:
        encoded = vector.get("body_b64")
        body = base64.b64decode(encoded, validate=True) if encoded is not None else (vector.get("body") or "").encode()
    except (ValueError, TypeError, AttributeError) as error:
        raise BadVectors("body must be a text, body_b64 base64") from error
    if not isinstance(url, str) or not isinstance(headers, dict):
        raise BadVectors("url must be a text, headers an object")
    lower = {str(name).lower(): str(value) for name, value in headers.items()}
    return Captured(headers=lower, body=body, method=str(vector.get("method") or "POST").upper(), url=url)


def _setup(vector: Mapping[str, Any]) -> Setup:
    secret, config = vector.get("secret"), vector.get("config") or {}
    if not isinstance(secret, str | list | dict | None) or not isinstance(config, dict):
        raise BadVectors("secret must be a text, an array or an object; config must be an object")
    return Setup(scheme=str(vector.get("scheme")), secret=secret or "", options=config, verbatim=True)


def _unexpected(expect: Mapping[str, Any], checked: Checked) -> str:
    reply = checked.reply
    for name, wanted in expect.items():
        match name:
            case "response_body":
                same = reply is not None and reply.body.decode("utf-8", "replace") == wanted
            case "response_json":
                same = reply is not None and _json(reply.body) == wanted
            case "response_status":
                same = reply is not None and int(reply.status) == wanted
            case "plaintext":
                same = checked.opened.decode("utf-8", "replace") == wanted
            case _:
                return f"expects {name}, which nobody knows here"
        if not same:
            return f"{name} is not the one that is expected"
    return ""


def _json(body: bytes) -> object:
    try:
        return json.loads(body)
    except ValueError:
        return None
