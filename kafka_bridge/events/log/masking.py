"""What of a request may be kept: bodies without what the operator masks, no secret anywhere, headers by name. Pure."""

import base64
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple
from urllib.parse import parse_qsl, quote, quote_plus, urlencode

import orjson

from kafka_bridge.documents import text_of

MASK: Final = "***"
_ESCAPE: Final = re.compile("%[0-9A-F]{2}")
MAX_BODY_BYTES: Final = 16 * 1024
# A longer one is not parsed for the log's sake.
MAX_MASKED_BYTES: Final = 1024 * 1024
# Of a form, for the same reason.
MAX_FIELDS: Final = 10_000
# One that is shorter keeps no secret, and would be found everywhere.
MIN_SECRET_CHARS: Final = 4
BASE64: Final = "base64"
FORM: Final = "application/x-www-form-urlencoded"

# Of a request's headers these: ids, types and times. None of them proves anything.
HEADERS: Final = frozenset(
    {
        *(
            "content-type",
            "content-length",
            "user-agent",
            "traceparent",
            "request-id",
            "x-request-id",
            "x-request-uuid",
        ),
        *("ce-id", "ce-type", "ce-source", "ce-subject", "ce-time", "ce-specversion", "ce-dataschema"),
        *("webhook-id", "webhook-timestamp", "svix-id", "svix-timestamp", "idempotency-key"),
        *("x-github-event", "x-github-delivery", "x-github-hook-id", "x-gitlab-event", "x-gitlab-event-uuid"),
        *("x-event-key", "x-atlassian-webhook-identifier", "linear-event", "linear-delivery", "sentry-hook-resource"),
        *("x-shopify-topic", "x-shopify-event-id", "x-shopify-webhook-id", "x-shopify-shop-domain"),
        *("x-contentful-topic", "x-amz-sns-message-type", "x-slack-retry-num", "x-slack-retry-reason"),
    }
)


class _TooLarge(Exception):
    """Nobody looks for what is to be masked in it."""


class Notes:
    """Why a body is not here as it came."""

    CUT: Final = "cut"
    """It was longer."""
    UNMASKABLE: Final = "not kept: it cannot be masked"
    """Something in it is to be masked, and nobody can say where."""


class Body(NamedTuple):
    """A body as it is kept, and the values that were masked in it; None where nobody knows all of them.

    `whole`: it is what came, to the last byte.
    """

    text: str
    encoding: str
    size_bytes: int
    note: str
    masked: Sequence[str] | None = ()
    whole: bool = True


@dataclass(frozen=True, slots=True)
class Keeping:
    """What the operator decided: how many events are kept, and what is masked in them.

    `secrets` are those of each source, and under `""` those of all: whoever sends one in a body does not get it stored.
    """

    keep: int
    paths: Sequence[Sequence[str]] = ()
    secrets: Mapping[str, Sequence[str]] = field(default_factory=dict, repr=False)

    @classmethod
    def compiled(cls, keep: int, mask_paths: Iterable[str], secrets: Mapping[str, Iterable[str]]) -> "Keeping":
        """From the texts of the settings; the secrets under `""` are those of the endpoint, for every source."""
        forms = {source: tuple(form for text in texts for form in _forms(text)) for source, texts in secrets.items()}
        common = forms.get("", ())
        return cls(
            keep,
            tuple(tuple(path.split(".")) for path in mask_paths),
            {source: tuple(dict.fromkeys((*own, *common))) for source, own in forms.items()},
        )

    def secrets_of(self, source: str) -> Sequence[str]:
        """What must not be kept of a request to `source`."""
        return self.secrets.get(source) or self.secrets.get("", ())

    @property
    def every_secret(self) -> Sequence[str]:
        """What must not be kept of anything: for what is rare enough to be searched for all of them."""
        return tuple(dict.fromkeys(secret for own in self.secrets.values() for secret in own))

    def hidden(self, text: str, content_type: str) -> Sequence[str] | None:
        """The values that are masked in a text that is not kept itself; None where nobody knows all of them."""
        if not self.paths or not text:
            return ()
        return self._masked(text.encode("utf-8", "replace"), content_type)[1]

    def body(self, raw: bytes, content_type: str, secrets: Sequence[str]) -> Body:
        """A body as it may be kept."""
        leaves: Sequence[str] | None = ()
        size_bytes, note, came = len(raw), "", raw
        if self.paths and raw:
            found, leaves = self._masked(raw, content_type)
            if found is None:
                return Body("", "", size_bytes, Notes.UNMASKABLE, leaves, whole=False)
            raw = found
        if len(raw) > MAX_BODY_BYTES:
            note = Notes.CUT
            # A secret that begins before the end is looked for as a whole.
            raw = _without(raw[: MAX_BODY_BYTES + 4 * max(map(len, secrets), default=0)], secrets)[:MAX_BODY_BYTES]
        try:
            text = raw.decode()
        except UnicodeDecodeError as error:
            # A character may have been cut in two.
            if not note or error.start < len(raw) - 3:
                kept = _without(raw, secrets)
                return Body(base64.b64encode(kept).decode(), BASE64, size_bytes, note, leaves, whole=kept == came)
            text = raw[: error.start].decode()
        whole = raw is came
        for secret in secrets:
            if secret in text:
                text, whole = text.replace(secret, MASK), False
        return Body(text, "", size_bytes, note, leaves, whole)

    def _masked(self, raw: bytes, content_type: str) -> tuple[bytes | None, Sequence[str] | None]:
        """The body with its values masked, None when that is not possible; and the values."""
        leaves: list[str] = []
        try:
            return self._without_values(raw, content_type, leaves), leaves
        except (_TooLarge, RecursionError):
            return None, None

    def _without_values(self, raw: bytes, content_type: str, leaves: list[str]) -> bytes | None:
        if content_type.startswith(FORM):
            return self._masked_form(raw, leaves)
        claims = "json" in content_type or raw.lstrip()[:1] in {b"{", b"["}
        if len(raw) > MAX_MASKED_BYTES:
            if claims:
                raise _TooLarge
            return raw
        try:
            document = orjson.loads(raw)
        except orjson.JSONDecodeError:
            return None if claims else raw
        return self._masked_document(document, raw, leaves)

    def _masked_document(self, document: object, raw: bytes, leaves: list[str]) -> bytes | None:
        # The data of a CloudEvent is what its receiver takes for the body.
        inside = document.get("data") if isinstance(document, dict) and "specversion" in document else None
        hits = [_mask(root, path, leaves) for path in self.paths for root in (document, inside)]
        if not any(hits):
            return raw
        try:
            return orjson.dumps(document)
        except orjson.JSONEncodeError:
            return None

    def _masked_form(self, raw: bytes, leaves: list[str]) -> bytes | None:
        if len(raw) > MAX_MASKED_BYTES or raw.count(b"&") >= MAX_FIELDS:
            raise _TooLarge
        try:
            fields = parse_qsl(raw.decode(), keep_blank_values=True)
        except ValueError:
            return None
        masked = []
        for name, value in fields:
            if _is_at(name, self.paths):
                leaves.append(value)
                masked.append((name, MASK))
            elif value.lstrip()[:1] in {"{", "["}:
                # A form that carries JSON in a field, as GitHub and Slack send it.
                found = self._without_values(value.encode(), "json", leaves)
                if found is None:
                    return None
                masked.append((name, found.decode()))
            else:
                masked.append((name, value))
        return raw if masked == fields else urlencode(masked).encode()

    def headers(self, headers: Mapping[str, str]) -> list[tuple[str, str]]:
        """Those of a request that are kept, as they are."""
        return [header for header in headers.items() if header[0] in HEADERS]


NOTHING: Final = Keeping(0)


def _forms(secret: str) -> Iterable[str]:
    """A secret as it may stand in a text: as it is, in JSON, in a form."""
    if len(secret) < MIN_SECRET_CHARS:
        return
    for escaped in (secret, json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1]):
        yield escaped
        yield escaped.replace("/", "\\/")
    for encoded in (quote(secret, safe=""), quote_plus(secret)):
        yield encoded
        # As .NET writes it.
        yield _ESCAPE.sub(lambda escape: escape[0].lower(), encoded)


def _is_at(name: str, paths: Iterable[Sequence[str]]) -> bool:
    """Whether a form's field stands at one of the paths: `a.b`, or `a[b]`, as forms with parts have it."""
    parts = name.replace("]", "").replace("[", ".").split(".")
    return any(
        len(path) == len(parts) and all(step in {"*", part} for step, part in zip(path, parts, strict=True))
        for path in paths
    )


def _without(raw: bytes, secrets: Sequence[str]) -> bytes:
    for secret in secrets:
        raw = raw.replace(secret.encode("utf-8", "replace"), MASK.encode())
    return raw


def _mask(value: object, path: Sequence[str], leaves: list[str]) -> bool:
    """Mask what stands at the path, in every element of a list on the way; whether something does."""
    if isinstance(value, list):
        if path[0] == "*":
            return _mask_all(value, range(len(value)), path[1:], leaves)
        if path[0].isdecimal() and path[0].isascii():
            number = int(path[0][:9])
            return number < len(value) and _mask_all(value, [number], path[1:], leaves)
        hits = [_mask(each, path, leaves) for each in value]
        return any(hits)
    if not isinstance(value, dict):
        return False
    whole = ".".join(path)
    hit = len(path) > 1 and whole in value and _mask_all(value, [whole], (), leaves)
    names = list(value) if path[0] == "*" else [path[0]] if path[0] in value else []
    return _mask_all(value, names, path[1:], leaves) or hit


def _mask_all(
    value: dict[str, object] | list[object], names: Iterable[str | int], rest: Sequence[str], leaves: list[str]
) -> bool:
    hit = False
    for name in names:
        if rest:
            hit = _mask(value[name], rest, leaves) or hit  # type: ignore[index]
        else:
            _gather(value[name], leaves)  # type: ignore[index]
            value[name] = MASK  # type: ignore[index]
            hit = True
    return hit


def _gather(value: object, leaves: list[str]) -> None:
    """The texts of what is masked: they may stand elsewhere too, in a key or an id."""
    if isinstance(value, dict | list):
        for each in value.values() if isinstance(value, dict) else value:
            _gather(each, leaves)
    elif text := text_of(value):
        leaves.append(text)
