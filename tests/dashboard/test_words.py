"""Both languages, whole: every text, every label, every kind of sender."""

import re
from itertools import chain
from pathlib import Path

import pytest
import yaml

from kafka_bridge.dashboard import advice, labels, letter_texts, senders, states, texts
from kafka_bridge.dashboard.page import Pages
from kafka_bridge.dashboard.words import Language, in_language, language_of
from kafka_bridge.dispatch.ended import Ending
from kafka_bridge.errors import Cause
from kafka_bridge.events.log.entry import Kind
from kafka_bridge.events.outcome import Verdict
from kafka_bridge.readiness import Status
from kafka_bridge.settings.table import SCHEMES, SETTINGS

REPOSITORY = Path(__file__).resolve().parents[2]
FOLDER = REPOSITORY / "kafka_bridge" / "dashboard"
TEMPLATES = {path.name: path.read_text() for path in (FOLDER / "templates").glob("*.html")}
TEXTS = {**texts.TEXTS, **letter_texts.LETTER_TEXTS}
TABLES = {"texts": texts.TEXTS, "letter_texts": letter_texts.LETTER_TEXTS, "states": states.STATES}
CJK = re.compile(r"[\u3000-\u303f\u4e00-\u9fff\uff00-\uffef]")
# The same in both: names, and what is written in Latin letters in Chinese as well.
UNTRANSLATED = {"product", "kafka", "url"}


@pytest.mark.parametrize(
    ("accepted", "language"),
    [
        ("", "en"),
        ("en", "en"),
        ("en-GB,en;q=0.9", "en"),
        ("zh", "zh-Hans"),
        ("zh-CN,zh;q=0.9,en;q=0.8", "zh-Hans"),
        ("zh-Hans-CN", "zh-Hans"),
        ("ZH-tw", "zh-Hans"),
        ("en;q=0.8,zh;q=0.9", "zh-Hans"),
        ("en,zh", "en"),
        ("de,fr;q=0.5", "en"),
        ("de,zh;q=0.1", "zh-Hans"),
        ("zh;q=0", "en"),
        ("zh;q=2,en;q=0.1", "en"),
        ("zh;q=x,en;q=0.1", "en"),
        ("zh;q=nan", "en"),
        ("zh; q=0.9 , en; q=0.5", "zh-Hans"),
        ("*", "en"),
        (",;q=,=;;", "en"),
        ("de," * 10_000 + "zh", "en"),
    ],
)
def test_the_language_is_the_one_that_the_browser_prefers(accepted, language):
    assert language_of(accepted) == language


@pytest.mark.parametrize("table", TABLES)
def test_every_text_is_there_in_both_languages(table):
    for key, (english, chinese) in TABLES[table].items():
        assert english.strip(), key
        assert chinese.strip(), key
        assert not CJK.search(english), key
        assert key in UNTRANSLATED or CJK.search(chinese), key
        assert english.count("{}") == chinese.count("{}"), key


def test_no_key_stands_for_two_texts_or_is_something_else_in_a_template():
    assert not TEXTS.keys() & states.STATES.keys()
    assert not texts.TEXTS.keys() & letter_texts.LETTER_TEXTS.keys()
    assert not [key for key in TEXTS if hasattr({}, key)]


def test_templates_ask_for_texts_that_there_are_and_no_text_is_asked_for_by_nobody():
    asked = set(chain.from_iterable(re.findall(r"\bt\.(\w+)", text) for text in TEMPLATES.values()))
    code = "".join(
        path.read_text() for path in FOLDER.glob("*.py") if path.stem not in {"texts", "letter_texts", "states"}
    )
    code += "".join(path.read_text() for path in (REPOSITORY / "kafka_bridge/dify").glob("*.py"))

    assert asked <= TEXTS.keys()
    computed = {key for key in TEXTS if key.startswith("done_")}
    assert {key for key in TEXTS.keys() - asked - computed if f'"{key}"' not in code} == set()


@pytest.mark.parametrize("word", [*Kind, *Ending, *Verdict, *Status])
def test_every_outcome_has_its_words(word):
    assert word.value in states.STATES or word.value in texts.TEXTS


def test_the_labels_are_those_of_the_form():
    group = yaml.safe_load((REPOSITORY / "group/kafka_bridge.yaml").read_text())
    chinese = {setting["name"]: setting["label"]["zh_Hans"] for setting in group["settings"]}

    assert dict(labels.CHINESE) == chinese
    assert [labels.label_of(name, Language.ENGLISH) for name in SETTINGS] == [row.label for row in SETTINGS.values()]
    assert labels.label_of("api_token", Language.CHINESE) == chinese["api_token"]


def test_the_settings_that_texts_name_are_called_so_in_the_form():
    english = {row.label for row in SETTINGS.values()}
    chinese = set(labels.CHINESE.values())
    named = {
        (en, zh)
        for english_text, chinese_text in texts.TEXTS.values()
        for en, zh in zip(
            re.findall("“([A-Z][^”]*)”", english_text), re.findall("“([^”]*)”", chinese_text), strict=False
        )
    }

    assert named
    assert {en for en, _ in named} <= english
    assert {zh for _, zh in named} <= chinese | {texts.TEXTS["health"][1]}


def test_every_kind_of_sender_has_its_guide():
    assert senders.GUIDES.keys() == set(SCHEMES)
    for scheme, guide in senders.GUIDES.items():
        for english, chinese in (guide.where, guide.secret):
            assert english, scheme
            assert chinese, scheme
        assert bool(guide.note[0]) == bool(guide.note[1]), scheme


def test_every_cause_has_advice_that_names_settings_that_there_are():
    assert advice.ADVICE.keys() == set(Cause)
    for cause, one in advice.ADVICE.items():
        assert set(one.settings) <= SETTINGS.keys(), cause
        assert all(one.text), cause


def test_the_buttons_are_called_what_the_documents_call_them():
    words = in_language(texts.TEXTS, Language.ENGLISH)

    assert [words[key] for key in ("sign_in", "replay_button", "confirm", "test_button", "sign_out")] == [
        "Sign in",
        "Replay",
        "Confirm",
        "Send a test event",
        "Sign out",
    ]


# What is drawn with them.


def test_style_and_script_end_where_they_should():
    style, script = ((FOLDER / "templates" / name).read_text() for name in ("style.css", "script.js"))

    assert "</" not in style
    assert not re.search(r"</script|<!--", script, re.IGNORECASE)
    for forbidden in (
        "innerHTML",
        "outerHTML",
        "insertAdjacentHTML",
        "document.write",
        "eval(",
        "new Function",
        "http",
    ):
        assert forbidden not in script
    assert not re.search(r"url\(|@import|http", style)


def test_templates_escape_everything():
    for name, text in TEMPLATES.items():
        assert not re.search(r"\|\s*safe|autoescape|Markup", text), name
        assert not re.search(r'style="|\son\w+=|javascript:', text), name


def test_templates_are_compiled_when_the_first_page_is_drawn():
    pages = Pages()

    assert pages._made is None
    assert pages.words(Language.CHINESE)["sign_in"] == "登录"
    assert pages._made is None
