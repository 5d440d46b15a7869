r"""PEM as it comes out of a single-line input field. Pure.

The platform's form has no multi-line input, so a pasted certificate arrives with its line breaks turned into spaces,
as literal `\n`, or as base64 of the whole file.
"""

import base64
import re
from typing import Final

# The headers of a key in the traditional encrypted format (RFC 1421): they must stay on lines of their own.
_LEGACY: Final = re.compile(r"\s*Proc-Type:\s*4,ENCRYPTED\s+DEK-Info:\s*([A-Z0-9-]+,[0-9A-Fa-f]+)\s+")
_LINE: Final = 64
_BEGIN: Final = "-----BEGIN "
# "ENCRYPTED PRIVATE KEY" is the longest label in use.
_MAX_LABEL: Final = 80


class NotPem(Exception):
    """The text holds no readable PEM block; `str()` says what is missing and quotes nothing."""


def normalise(text: str, *, expect: str) -> str:
    """The blocks of `text` whose label ends in `expect`, wrapped as RFC 7468 has them.

    Raises NotPem.
    """
    unescaped = text.replace("\\r", "").replace("\\n", "\n")
    blocks = _blocks(unescaped) or _blocks(_from_base64(unescaped))
    if not blocks:
        raise NotPem("is not PEM: it must start with -----BEGIN and end with -----END …-----")
    # A whole file was pasted now and then: a key beside its certificate stays out of the field that is no secret.
    wanted = [(label, body) for label, body in blocks if label.endswith(expect)]
    if not wanted:
        raise NotPem(f"holds no block named {expect}")
    return "".join(_wrap(label, body) for label, body in wanted)


def _blocks(text: str) -> list[tuple[str, str]]:
    """Label and content of each block, in time linear in the text, whatever it is: many share the process."""
    blocks: list[tuple[str, str]] = []
    at = 0
    while (begin := text.find(_BEGIN, at)) >= 0:
        label, dashes, _ = text[begin + len(_BEGIN) : begin + _MAX_LABEL].partition("-----")
        start = begin + len(_BEGIN) + len(label) + len(dashes)
        end = text.find(f"-----END {label}-----", start) if dashes else -1
        if end < 0:
            break
        blocks.append((label, text[start:end]))
        at = end
    return blocks


def _wrap(label: str, body: str) -> str:
    headers = ""
    if legacy := _LEGACY.match(body):
        headers = f"Proc-Type: 4,ENCRYPTED\nDEK-Info: {legacy[1]}\n\n"
        body = body[legacy.end() :]
    packed = "".join(body.split())
    try:
        base64.b64decode(packed, validate=True)
    except ValueError as error:
        raise NotPem("has a damaged block: its content is not base64") from error
    if not packed:
        raise NotPem("has an empty block")
    lines = "\n".join(packed[i : i + _LINE] for i in range(0, len(packed), _LINE))
    return f"-----BEGIN {label}-----\n{headers}{lines}\n-----END {label}-----\n"


def _from_base64(text: str) -> str:
    try:
        return base64.b64decode("".join(text.split()), validate=True).decode("ascii", "replace")
    except ValueError:
        return ""
