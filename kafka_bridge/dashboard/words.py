"""Which language a person reads, and the texts in it. Pure."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

MAX_HEADER_CHARS: Final = 512

type Text = tuple[str, str]
"""The same in English and in Chinese."""


class Language(StrEnum):
    """As the attribute `lang` has it."""

    ENGLISH = "en"
    CHINESE = "zh-Hans"

    def of(self, text: Text) -> str:
        """The text in this language."""
        english, chinese = text
        return chinese if self is Language.CHINESE else english


def language_of(accepted: str) -> Language:
    """The better of ours for an `Accept-Language` (RFC 9110, 12.5.4); English where nobody says."""
    best = {"en": 0.0, "zh": 0.0}
    for item in accepted[:MAX_HEADER_CHARS].split(","):
        tag, _, weight = item.partition(";")
        name = tag.strip().lower().partition("-")[0]
        if name in best:
            best[name] = max(best[name], _quality(weight))
    return Language.CHINESE if best["zh"] > best["en"] else Language.ENGLISH


def _quality(weight: str) -> float:
    name, _, value = weight.strip().partition("=")
    if name.strip().lower() != "q":
        return 1.0
    try:
        quality = float(value)
    except ValueError:
        return 0.0
    return quality if 0 <= quality <= 1 else 0.0


def in_language(texts: Mapping[str, Text], language: Language) -> Mapping[str, str]:
    """A table of texts in one language."""
    return {key: language.of(text) for key, text in texts.items()}
