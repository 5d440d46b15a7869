"""A `Signature` of the table at work: the template filled, signed, and written to its place."""

import base64
import hashlib
import hmac
from collections.abc import Callable, Mapping

from devhost.signing.draft import CannotSign, Draft, Places, SecretValue, Signed, written
from devhost.signing.keys import is_private, private_key, raw_key, texts
from kafka_bridge.ingress.canonical import path_of
from kafka_bridge.ingress.content import Location
from kafka_bridge.ingress.signatures import Signature


class Signer:
    """One `Signature` at work."""

    def __init__(self, spec: Signature, secret: SecretValue, draft: Draft) -> None:
        self._spec = spec
        self._draft = draft
        self._secrets = texts(secret)
        self._places = Places(draft)
        self._timestamp = ""
        self._stronger = spec.stronger if draft.stronger else None

    def signed(self) -> Signed:
        """Everything that is signed first, then the signature."""
        spec, places = self._spec, self._places
        if spec.timestamp:
            self._timestamp = written(self._draft.now, spec.timestamp.unit)
            if spec.timestamp.source != "element":
                place = Location(f"{spec.timestamp.source}:{spec.timestamp.name}")
                places.put(place, self._timestamp, number=spec.timestamp.unit != "rfc3339")
        if spec.id and "id" in spec.placeholders:
            places.put(spec.id, self._draft.event_id)
        if self._stronger:
            places.headers[self._stronger.header] = f"key=sample,{self._stronger.says}"
        if "form" in spec.placeholders and not places.is_form and places.body:
            places.put(Location("query:bodySHA256"), hashlib.sha256(places.body).hexdigest())
        if "headers" in spec.placeholders:
            assert spec.timestamp is not None
            places.headers[spec.signed_headers] = ",".join(
                sorted({spec.signed_headers, spec.timestamp.name, *places.headers})
            )
        self._write(self._fill())
        return places.signed()

    def _write(self, data: bytes) -> None:
        spec, places = self._spec, self._places
        items = [self._item(secret, data) for secret in self._secrets]
        if "{n}" in spec.header:
            places.headers |= {spec.header.replace("{n}", str(n + 1)): item for n, item in enumerate(items)}
            return
        if not spec.separator:
            items = items[:1]
        if spec.timestamp and spec.timestamp.source == "element":
            items.insert(0, f"{spec.timestamp.name}={self._timestamp}")
        places.put(spec.place, spec.separator.join(items))

    def _item(self, secret: str, data: bytes) -> str:
        spec = self._spec
        if is_private(spec, secret):
            prefix, digest = spec.public_prefix or spec.prefix, private_key(spec, secret).sign(data)
        else:
            algorithm = self._stronger.algorithm if self._stronger else spec.algorithm
            prefix, digest = spec.prefix, hmac.digest(raw_key(secret, spec.key_encoding), data, algorithm)
        text = digest.hex() if spec.encoding == "hex" else base64.b64encode(digest).decode()
        return f"{spec.element}={prefix}{text}" if spec.element else f"{prefix}{text}"

    def _fill(self) -> bytes:
        """The template, filled. Rows know its names; a name that is not known here is a part that must be written."""
        draft, places = self._draft, self._places
        parts: Mapping[str, Callable[[], str | bytes]] = {
            "body": lambda: places.body,
            "timestamp": lambda: self._timestamp,
            "id": lambda: draft.event_id,
            "method": lambda: draft.method,
            "url": lambda: places.url,
            "path": lambda: path_of(places.url),
            "form": lambda: "".join(name + value for name, value in sorted(set(places.form))),
            "headers": self._headers,
        }
        if unknown := self._spec.placeholders - parts.keys():
            raise CannotSign(f"nobody has written here how {', '.join(sorted(unknown))} is signed")
        if self._spec.signs_url and not places.url:
            raise CannotSign("the sender signs the URL: give it")
        found = b""
        rest = self._spec.template
        while rest:
            literal, _, rest = rest.partition("{")
            name, _, rest = rest.partition("}")
            value = parts[name]() if name else ""
            found += literal.encode() + (value if isinstance(value, bytes) else value.encode("utf-8", "surrogatepass"))
        return found

    def _headers(self) -> str:
        headers = self._places.headers
        names = headers[self._spec.signed_headers].split(",")
        return ";".join(f"{name}:{headers[name].strip()}" for name in sorted(names))
