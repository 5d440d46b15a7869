"""Draws pages from templates, and says what a browser may do with them.

A page is one answer: style and script stand in it under a nonce of its own, and nothing is fetched from anywhere else.
Templates are read and compiled when the first page is drawn: most processes of the plugin never draw one.
"""

import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple
from urllib.parse import quote

from kafka_bridge.dashboard.letter_texts import LETTER_TEXTS
from kafka_bridge.dashboard.states import STATES
from kafka_bridge.dashboard.texts import TEXTS
from kafka_bridge.dashboard.words import Language, in_language
from kafka_bridge.http import Outbound

if TYPE_CHECKING:
    from jinja2 import Environment

HTML: Final = "text/html; charset=utf-8"
VIEWS: Final = ("events", "consumer", "dead-letters", "health", "settings", "connect")
_TEMPLATES: Final = Path(__file__).parent / "templates"
_ICON: Final = (
    "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'>"
    "<circle cx='8' cy='8' r='5.5' fill='none' stroke='#3f7fe0' stroke-width='3'/></svg>"
)
_HEADERS: Final = (
    ("X-Content-Type-Options", "nosniff"),
    # A form's Referer says under which path a browser sees the endpoint; no other site learns it.
    ("Referrer-Policy", "same-origin"),
    ("Cache-Control", "no-store"),
    ("Cross-Origin-Opener-Policy", "same-origin"),
)
_POLICY: Final = (
    "default-src 'none'; style-src 'nonce-{nonce}'; script-src 'nonce-{nonce}'; connect-src 'self'; img-src data:;"
    " form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)


class Frame(NamedTuple):
    """What is around a page. `csrf` is empty where no cookie is in use; `unverified` are names of sources.

    `root` leads from the page's path to the endpoint's.
    """

    language: Language
    view: str = ""
    csrf: str = ""
    unverified: Sequence[str] = ()
    root: str = ""


class Pages:
    """Draws pages."""

    def __init__(self) -> None:
        self._made: Environment | None = None
        self._words = {language: in_language({**TEXTS, **LETTER_TEXTS, **STATES}, language) for language in Language}

    def words(self, language: Language) -> Mapping[str, str]:
        """All texts in one language."""
        return self._words[language]

    def draw(
        self,
        template: str,
        frame: Frame,
        *,
        status: int = 200,
        headers: tuple[tuple[str, str], ...] = (),
        **values: object,
    ) -> Outbound:
        """A page as an answer."""
        nonce = secrets.token_urlsafe(16)
        html = self._environment.get_template(f"{template}.html").render(
            values, **frame._asdict(), t=self.words(frame.language), lang=frame.language.value, nonce=nonce
        )
        policy = ("Content-Security-Policy", _POLICY.format(nonce=nonce))
        return Outbound(status, html.encode("utf-8", "replace"), HTML, (policy, *_HEADERS, *headers))

    @property
    def _environment(self) -> "Environment":
        if self._made is None:
            self._made = _environment()
        return self._made


def _environment() -> "Environment":
    from jinja2 import Environment, FileSystemLoader, StrictUndefined  # noqa: PLC0415 - see the module's docstring
    from markupsafe import Markup  # noqa: PLC0415

    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    environment.globals.update(
        style=Markup((_TEMPLATES / "style.css").read_text("utf-8")),  # noqa: S704 - our own file
        script=Markup((_TEMPLATES / "script.js").read_text("utf-8")),  # noqa: S704
        icon="data:image/svg+xml," + quote(_ICON),
        views=VIEWS,
    )
    return environment
