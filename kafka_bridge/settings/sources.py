"""The senders of an endpoint, as their settings describe them. Pure: names and texts, nothing compiled yet."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import orjson

from kafka_bridge.settings.reader import Reader
from kafka_bridge.settings.secret import Secret
from kafka_bridge.settings.table import SETTINGS

DEFAULT_SOURCE: Final = "default"
# A source's name is a path segment and, by default, part of a topic's name.
_NAME: Final = re.compile(r"[a-zA-Z0-9._-]{1,64}", re.ASCII)
MAX_SOURCES: Final = 100
# Secrets of one rotation, or values of one secret: each is tried for, and kept with, every source that uses it.
MAX_ROTATION: Final = 16
MAX_SECRET_CHARS: Final = 4096
_FIELDS: Final = frozenset(
    ["scheme", "scheme_options", "secret", "topic", "key", "routes", "record_format", "dedupe_seconds", "split", "run"]
)
RECORD_FORMATS: Final = ("binary", "structured", "raw")
# An event that comes again after a day is another one.
MAX_DEDUPE_S: Final = 86_400
MAX_ROUTES: Final = 200


class NotASecret(Exception):
    """`str()` says what is wrong with a secret's form; it quotes nothing."""


@dataclass(frozen=True, slots=True)
class SourceSecret:
    """`rotation`: secrets of which any may verify; `named`: several values that make up one secret."""

    rotation: tuple[Secret, ...] = ()
    named: Mapping[str, Secret] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.rotation or self.named)


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteSettings:
    """Where events of some types go. `pattern` is a type with `*` for anything; `topic` and `key` are template texts.

    An empty text stands for the source's own.
    """

    pattern: str
    drop: bool = False
    topic: str = ""
    key: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceSettings:
    """One sender: how it signs and where its events go. Topic and key are template texts.

    `secret_setting` is the setting that its secret comes from, or should come from. `dedupe_s` is None where the
    scheme decides; `split` is the path of an array in the body, None where a request is one event.
    """

    name: str
    scheme: str
    secret: SourceSecret
    secret_setting: str
    topic: str
    key: str
    scheme_options: Mapping[str, object] = field(default_factory=dict)
    untouched: bool = False
    """Nobody has set it up: no secret, no scheme chosen, no entry of its own."""
    routes: tuple[RouteSettings, ...] = ()
    record_format: str = RECORD_FORMATS[0]
    dedupe_s: int | None = None
    split: str | bool = False
    run: bool = False
    """Whether the app is run for each event within the request, once the broker has it."""


def read_sources(reader: Reader) -> Mapping[str, SourceSettings]:
    """All sources that can be read, the default one among them; what is wrong with the others is in `reader`."""
    entries: dict[str, object] = {DEFAULT_SOURCE: {}, **reader.json_object("sources", most=MAX_SOURCES)}
    secrets = _Secrets(reader)
    found: dict[str, SourceSettings] = {}
    for name, entry in entries.items():
        if not _NAME.fullmatch(name):
            reader.problem("sources", "a source's name is 1 to 64 letters, digits, dots, underscores or hyphens")
        elif not isinstance(entry, dict):
            reader.problem("sources", "must be a JSON object", source=name)
        elif (source := _source(reader, name, entry, secrets)) is not None:
            found[name] = source
    return found


class _Secrets:
    """The setting `source_secrets`; each entry is parsed once, however many sources name it."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._saved = reader.json_object("source_secrets")
        self._parsed: dict[str, SourceSecret | NotASecret] = {}

    def of(self, source: str, wanted: str) -> SourceSecret:
        """The secret of a source that wants the entry of that name, or none in particular."""
        entry = wanted or source
        if entry not in self._saved:
            if wanted:
                text = "has no entry of the name that the source gives in secret"
                self._reader.problem("source_secrets", text, source=source)
            return SourceSecret()
        if entry not in self._parsed:
            try:
                self._parsed[entry] = parse_secret(self._saved[entry])
            except NotASecret as error:
                self._parsed[entry] = error
        found = self._parsed[entry]
        if isinstance(found, NotASecret):
            self._reader.problem("source_secrets", str(found), source=source)
            return SourceSecret()
        return found


def _source(reader: Reader, name: str, entry: dict[str, object], secrets: _Secrets) -> SourceSettings | None:
    before = len(reader.problems)
    if entry.keys() - _FIELDS:
        # A field that is not understood may be one that was to keep events out of Kafka: fail closed. It is not quoted,
        # as nothing is: a secret may stand in the wrong place.
        reader.problem("sources", f"has an unknown field; it may have {', '.join(sorted(_FIELDS))}", source=name)
    options = entry.get("scheme_options", {})
    if not isinstance(options, dict):
        reader.problem("sources", "scheme_options must be a JSON object", source=name)
        options = {}
    default = name == DEFAULT_SOURCE
    wanted = _text(reader, name, entry, "secret")
    own_field = default and not wanted
    source = SourceSettings(
        name=name,
        scheme=_text(reader, name, entry, "scheme") or (reader.choice("scheme", source=name) if default else "hmac"),
        scheme_options=options,
        secret=_own_secret(reader) if own_field else secrets.of(name, wanted),
        secret_setting="webhook_secret" if own_field else "source_secrets",
        topic=_text(reader, name, entry, "topic") or reader.text("topic", source=name),
        key=_text(reader, name, entry, "key") or reader.text("key", source=name),
        untouched=default and not entry and _is_form_of_another(reader),
        routes=_routes(reader, name, entry.get("routes", {})),
        record_format=_record_format(reader, name, entry),
        dedupe_s=_dedupe(reader, name, entry.get("dedupe_seconds")),
        split=_split(reader, name, entry.get("split", False)),
        run=_run(reader, name, entry.get("run", False)),
    )
    return source if len(reader.problems) == before else None


def _text(reader: Reader, source: str, entry: Mapping[str, object], name: str) -> str:
    value = entry.get(name, "")
    if not isinstance(value, str):
        reader.problem("sources", f"{name} must be a text", source=source)
        return ""
    return value.strip()


def _is_form_of_another(reader: Reader) -> bool:
    # The form saves the first scheme of its list when nobody has chosen one.
    secret = reader.secret("webhook_secret", source=DEFAULT_SOURCE)
    return secret is None and reader.text("scheme", source=DEFAULT_SOURCE) == SETTINGS["scheme"].default


def _routes(reader: Reader, source: str, value: object) -> tuple[RouteSettings, ...]:
    if not isinstance(value, dict):
        reader.problem("sources", "routes must be a JSON object of event types and topics", source=source)
        return ()
    if len(value) > MAX_ROUTES:
        reader.problem("sources", f"routes has more than {MAX_ROUTES} entries", source=source)
        return ()
    found: list[RouteSettings] = []
    for pattern, entry in value.items():
        match entry:
            case "drop" | {"drop": True}:
                found.append(RouteSettings(pattern=pattern, drop=True))
            case str() if entry.strip():
                found.append(RouteSettings(pattern=pattern, topic=entry.strip()))
            case dict() if (
                entry
                and not entry.keys() - {"topic", "key"}
                and all(isinstance(text, str) and text.strip() for text in entry.values())
            ):
                topic, key = entry.get("topic", ""), entry.get("key", "")
                found.append(RouteSettings(pattern=pattern, topic=topic.strip(), key=key.strip()))
            case _:
                text = 'a route leads to a topic, to "drop", or to an object with topic and key'
                reader.problem("sources", text, source=source)
    return tuple(found)


def _record_format(reader: Reader, source: str, entry: Mapping[str, object]) -> str:
    value = entry.get("record_format", RECORD_FORMATS[0])
    if value not in RECORD_FORMATS:
        reader.problem("sources", f"record_format must be one of {', '.join(RECORD_FORMATS)}", source=source)
    return str(value)


def _dedupe(reader: Reader, source: str, value: object) -> int | None:
    if value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= MAX_DEDUPE_S:
        reader.problem("sources", f"dedupe_seconds must be a whole number from 0 to {MAX_DEDUPE_S}", source=source)
        return None
    return value


def _split(reader: Reader, source: str, value: object) -> str | bool:
    if not isinstance(value, bool | str):
        reader.problem("sources", "split must be true, or the path of an array in the body", source=source)
        return False
    return value


def _run(reader: Reader, source: str, value: object) -> bool:
    if not isinstance(value, bool):
        reader.problem("sources", "run must be true or false", source=source)
        return False
    return value


def _own_secret(reader: Reader) -> SourceSecret:
    pasted = reader.secret("webhook_secret", source=DEFAULT_SOURCE)
    if pasted is None:
        return SourceSecret()
    try:
        return parse_secret(_maybe_json(pasted.reveal()))
    except NotASecret as error:
        reader.problem("webhook_secret", str(error), source=DEFAULT_SOURCE)
        return SourceSecret()


def _maybe_json(text: str) -> object:
    """The JSON array or object in `text`, else `text` itself."""
    if not text.lstrip().startswith(("[", "{")):
        return text
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise NotASecret('looks like JSON but is not valid (a secret that starts so is written ["…"])') from error


def _has_text(secret: str) -> bool:
    """Whether there is anything to see in it: spaces, zeros and characters without width are an empty secret."""
    return any(character.isprintable() and not character.isspace() for character in secret)


def parse_secret(value: object) -> SourceSecret:
    """A secret: one text verbatim, an array of texts (rotation), or an object of named texts. Raises NotASecret."""
    values = value if isinstance(value, list) else value.values() if isinstance(value, dict) else (value,)
    if len(values) > MAX_ROTATION:
        raise NotASecret(f"holds more than {MAX_ROTATION} secrets")
    if any(isinstance(item, str) and len(item) > MAX_SECRET_CHARS for item in values):
        raise NotASecret(f"is longer than {MAX_SECRET_CHARS} characters")
    match value:
        case str() if _has_text(value):
            return SourceSecret(rotation=(Secret(value),))
        case list() if value and all(isinstance(item, str) and _has_text(item) for item in value):
            return SourceSecret(rotation=tuple(Secret(item) for item in value))
        case dict() if value and all(isinstance(item, str) and _has_text(item) for item in value.values()):
            return SourceSecret(named={name: Secret(item) for name, item in value.items()})
        case _:
            raise NotASecret("must be a text, an array of texts or an object of texts, none of them empty")
