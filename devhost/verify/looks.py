"""What can be seen of a request that does not verify: what is missing, and what is odd about what is there."""

import re
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Final

from devhost.verify.captured import Captured
from kafka_bridge.ingress.scheme import Proof
from kafka_bridge.ingress.schemes import SCHEMES
from kafka_bridge.ingress.signatures import Signature, Timestamp
from kafka_bridge.ingress.tokens import Token

SECONDS_DIGITS: Final = 10
MILLISECONDS_DIGITS: Final = 13
_LIKE_A_SIGNATURE: Final = re.compile(r"sign|hmac|hash|digest|token|auth|secret|api-?key", re.IGNORECASE)
_NAMES: Final = MappingProxyType({"sha1": "SHA-1", "sha256": "SHA-256", "sha512": "SHA-512"})
_HEX_DIGITS: Final = MappingProxyType({40: "sha1", 64: "sha256", 128: "sha512"})
_BASE64_CHARS: Final = MappingProxyType({27: "sha1", 43: "sha256", 86: "sha512"})
_WRITTEN: Final = MappingProxyType({"hex": "hexadecimal", "base64": "base64"})
_HEX: Final = re.compile(r"[0-9a-fA-F]+", re.ASCII)
_BASE64: Final = re.compile(r"[0-9a-zA-Z+/]+", re.ASCII)
_AN_ALGORITHM: Final = re.compile(r"(sha-?(?:1|256|512))=", re.IGNORECASE | re.ASCII)


def missing(proof: Proof | None, headers: Mapping[str, str], *, scheme: str) -> Iterator[str]:
    """What is missing, and what is there instead."""
    wanted = wanted_headers(proof)
    absent = [name for name in wanted if not headers.get(name)]
    if not absent:
        return
    for name in absent:
        written = next((other for other in headers if _plain(other) == _plain(name)), None)
        if written:
            yield f"The header {written} is {name} as a program writes it: give the header's own name."
            return
    alike = sorted(name for name in headers if _LIKE_A_SIGNATURE.search(name) and name not in wanted)
    if alike:
        yield f"Missing: {listed(absent)}. Of the headers that came these look like signatures: {listed(alike)}."
    else:
        yield (
            f"Missing: {listed(absent)}; no header looks like a signature. Either the sender was given no secret,"
            " or something on the way drops its headers."
        )
    rows = _rows_with(headers, but=scheme)
    if rows:
        yield f"The headers are those of {listed(rows)}: is it the right scheme?"


def odd(proof: Proof | None, captured: Captured) -> Iterator[str]:
    """What is odd about a signature that is there."""
    if not isinstance(proof, Signature):
        return
    try:
        text = proof.place.find(captured.content()) or ""
    except ValueError:
        text = ""
    text = _bare(proof, text)
    named = _AN_ALGORITHM.match(text)
    if named:
        algorithm = named[1].lower().replace("-", "")
        text = text[named.end() :]
        if algorithm != proof.algorithm and proof.algorithm in _NAMES:
            yield f"This is a {_NAMES[algorithm]} signature; the scheme wants {_NAMES[proof.algorithm]}."
            return
    yield from _form(proof, text.removeprefix(proof.prefix))
    if proof.timestamp and proof.timestamp.source == "header":
        yield from unit(proof.timestamp, captured.headers.get(proof.timestamp.name, ""))


def _bare(proof: Signature, text: str) -> str:
    """The first signature in a header, without its element's name."""
    items = [item.strip() for item in (text.split(proof.separator) if proof.separator else [text])]
    if proof.element:
        items = [item.partition("=")[2] for item in items if item.startswith(f"{proof.element}=")] or [""]
    return next((item for item in items if item), "")


def _form(proof: Signature, text: str) -> Iterator[str]:
    """What a signature's length and letters say."""
    bare = text.rstrip("=")
    if not bare or proof.algorithm not in _NAMES:
        return
    if _HEX.fullmatch(bare) and len(bare) in _HEX_DIGITS:
        algorithm, encoding = _HEX_DIGITS[len(bare)], "hex"
    elif _BASE64.fullmatch(bare) and len(bare) in _BASE64_CHARS:
        algorithm, encoding = _BASE64_CHARS[len(bare)], "base64"
    else:
        yield (
            f"The signature is no {_NAMES[proof.algorithm]} in {_WRITTEN[proof.encoding]} by its length and letters:"
            " was it cut off, or masked by whoever recorded it?"
        )
        return
    if algorithm != proof.algorithm:
        yield f"By its length this is a {_NAMES[algorithm]} signature; the scheme wants {_NAMES[proof.algorithm]}."
    if encoding != proof.encoding:
        yield f"The signature is written in {_WRITTEN[encoding]}; the scheme wants {_WRITTEN[proof.encoding]}."


def unit(timestamp: Timestamp, text: str) -> Iterator[str]:
    """Whether a timestamp is in the other unit, by its length."""
    lengths = {"s": MILLISECONDS_DIGITS, "ms": SECONDS_DIGITS}
    if text.isdecimal() and len(text) == lengths.get(timestamp.unit):
        came, wanted = ("milliseconds", "seconds") if timestamp.unit == "s" else ("seconds", "milliseconds")
        yield f"The timestamp is in {came}; the scheme wants {wanted}."


def listed(names: Sequence[str]) -> str:
    """Names as a sentence lists them."""
    return f"{', '.join(names[:-1])} or {names[-1]}" if len(names) > 1 else names[0]


def _plain(name: str) -> str:
    return name.lower().replace("_", "-").removeprefix("http-")


def wanted_headers(proof: Proof | None) -> list[str]:
    """The headers without which nothing verifies."""
    match proof:
        case Signature():
            places = [] if proof.body_path else [proof.header.replace("{n}", "1")]
            if proof.timestamp and proof.timestamp.source == "header" and "timestamp" in proof.placeholders:
                places.append(proof.timestamp.name)
            if proof.id and proof.id.where == "header" and "id" in proof.placeholders:
                places.append(proof.id.name)
            return [*places, proof.signed_headers] if proof.signed_headers else places
        case Token() if proof.place.where == "header" and not proof.each:
            return [proof.place.name]
        case _:
            return []


def _rows_with(headers: Mapping[str, str], *, but: str) -> list[str]:
    """The rows whose headers are all there."""
    rows = {name: wanted_headers(scheme.proof) for name, scheme in SCHEMES.items() if name != but}
    return [name for name, wanted in rows.items() if wanted and all(headers.get(header) for header in wanted)]


def difference(proof: Signature, algorithm: str, encoding: str, prefix: str) -> str:
    """How a signature that is right differs from what the scheme wants."""
    if algorithm != proof.algorithm:
        return f"This is a {_NAMES[algorithm]} signature; the scheme wants {_NAMES[proof.algorithm]}."
    if encoding != proof.encoding:
        return f"The signature is written in {_WRITTEN[encoding]}; the scheme wants {_WRITTEN[proof.encoding]}."
    came = f"begins with {prefix}" if prefix else "has nothing before it"
    return f"The signature is right, but it {came}; the scheme wants {proof.prefix or 'nothing before it'}."
