r"""PEM as it comes out of a single-line input field. Pure.

The platform's form has no multi-line input, so a pasted certificate arrives with its line breaks turned into spaces,
as literal `\n`, or as base64 of the whole file.
"""

import base64
import binascii
import re
from typing import Final

_BLOCK: Final = re.compile(r"-----BEGIN ([A-Z0-9 ]+)-----(.*?)-----END \1-----", re.DOTALL)
# The headers of a key in the traditional encrypted format (RFC 1421): they must stay on lines of their own.
_LEGACY: Final = re.compile(r"\s*Proc-Type:\s*4,ENCRYPTED\s+DEK-Info:\s*([A-Z0-9-]+,[0-9A-Fa-f]+)\s+")
_LINE: Final = 64


class NotPem(Exception):
    """The text holds no readable PEM block; `str()` says what is missing and quotes nothing."""


def normalise(text: str, *, expect: str) -> str:
    """The blocks of `text`, wrapped as RFC 7468 has them; at least one label must end in `expect`.

    Raises NotPem.
    """
    unescaped = text.replace("\\r", "").replace("\\n", "\n")
    blocks = _BLOCK.findall(unescaped) or _BLOCK.findall(_from_base64(unescaped))
    if not blocks:
        raise NotPem("is not PEM: it must start with -----BEGIN and end with -----END …-----")
    if not any(label.endswith(expect) for label, _ in blocks):
        raise NotPem(f"holds no block named {expect}")
    return "".join(_wrap(label, body) for label, body in blocks)


def _wrap(label: str, body: str) -> str:
    headers = ""
    if legacy := _LEGACY.match(body):
        headers = f"Proc-Type: 4,ENCRYPTED\nDEK-Info: {legacy[1]}\n\n"
        body = body[legacy.end() :]
    packed = "".join(body.split())
    try:
        base64.b64decode(packed, validate=True)
    except binascii.Error as error:
        raise NotPem(f"has a damaged block ({label}): its content is not base64") from error
    if not packed:
        raise NotPem(f"has an empty block ({label})")
    lines = "\n".join(packed[i : i + _LINE] for i in range(0, len(packed), _LINE))
    return f"-----BEGIN {label}-----\n{headers}{lines}\n-----END {label}-----\n"


def _from_base64(text: str) -> str:
    try:
        return base64.b64decode("".join(text.split()), validate=True).decode("ascii", "replace")
    except (binascii.Error, ValueError):
        return ""
