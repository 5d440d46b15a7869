"""What the platform reads of the package: manifest, endpoint group, endpoints, icons, documents."""

import json
import re
import subprocess
import sys
import tomllib
from collections import Counter
from pathlib import Path

import pytest
import yaml

import kafka_bridge
from kafka_bridge.settings.table import SETTINGS, Kind

REPOSITORY = Path(__file__).resolve().parent.parent
LANGUAGES = {"en_US", "zh_Hans", "ja_JP", "pt_BR"}
# As the daemon and the SDK have them.
TAGS = """search image videos weather finance design travel social news medical productivity education business
    entertainment utilities agent rag other trigger"""
METHODS = {"HEAD", "POST", "GET", "PUT", "DELETE", "OPTIONS"}
ONE_LINE_FIELDS = {Kind.TEXT, Kind.SECRET}
CJK = re.compile(r"[\u2e80-\u303f\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af\uf900-\ufaff\uff00-\uffef]")

# In a process of its own: importing the SDK patches the standard library.
VALIDATE = """
import json, sys
import yaml
from dify_plugin.core.entities.plugin.setup import PluginConfiguration
from dify_plugin.entities.endpoint import EndpointProviderConfiguration
with open("manifest.yaml", encoding="utf-8") as file:
    manifest = PluginConfiguration(**yaml.safe_load(file))
(group,) = manifest.plugins.endpoints
with open(group, encoding="utf-8") as file:
    endpoints = EndpointProviderConfiguration(**yaml.safe_load(file))
json.dump({"manifest": manifest.model_dump(mode="json"), "group": endpoints.model_dump(mode="json")}, sys.stdout)
"""


def load(path):
    return yaml.safe_load((REPOSITORY / path).read_text(encoding="utf-8"))


MANIFEST = load("manifest.yaml")
GROUP = load("group/kafka_bridge.yaml")
ENDPOINTS = {
    path.relative_to(REPOSITORY).as_posix(): load(path) for path in sorted(REPOSITORY.glob("endpoints/*.yaml"))
}


@pytest.fixture(scope="session")
def validated():
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", VALIDATE], cwd=REPOSITORY, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout)


def translations(value, place=""):
    """Every text in four languages below `value`, with its place."""
    if isinstance(value, dict) and "en_US" in value:
        yield place, value
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from translations(inner, f"{place}/{key}")
    elif isinstance(value, list):
        for inner in value:
            name = inner.get("name") or inner.get("value") if isinstance(inner, dict) else ""
            yield from translations(inner, f"{place}/{name}")


# The SDK's own models.


def test_manifest_group_and_endpoints_are_what_the_sdk_reads(validated):
    assert validated["manifest"]["name"] == "kafka_bridge"
    assert [setting["name"] for setting in validated["group"]["settings"]] == list(SETTINGS)
    assert len(validated["group"]["endpoints"]) == len(ENDPOINTS)


def test_the_sdk_keeps_every_field_of_the_files(validated):
    # Its models drop what they do not know, so that a misspelt field would be lost without a word.
    unknown_to_the_sdk = {"privacy", "tags"}

    assert MANIFEST.keys() - validated["manifest"].keys() == unknown_to_the_sdk
    for saved, read in zip(GROUP["settings"], validated["group"]["settings"], strict=True):
        assert saved.keys() - read.keys() == set()
    for read in validated["group"]["endpoints"]:
        assert read in [{"hidden": False, **endpoint} for endpoint in ENDPOINTS.values()]


# The daemon's limits.


def test_author_name_and_version_have_the_daemons_form():
    assert re.fullmatch(r"[a-z0-9_-]{1,64}", MANIFEST["author"])
    assert re.fullmatch(r"[a-z0-9_-]{1,128}", MANIFEST["name"])
    assert re.fullmatch(r"\d{1,4}(\.\d{1,4}){2}(-\w{1,16})?", MANIFEST["version"])
    assert MANIFEST["type"] == "plugin"


def test_tags_are_among_the_marketplaces():
    assert set(MANIFEST["tags"]) <= set(TAGS.split())
    assert max(Counter(MANIFEST["tags"]).values()) == 1


def test_the_runner_is_python_on_both_architectures():
    runner = MANIFEST["meta"]["runner"]

    assert (runner["language"], runner["version"], runner["entrypoint"]) == ("python", "3.12", "main")
    assert (REPOSITORY / f"{runner['entrypoint']}.py").is_file()
    assert set(MANIFEST["meta"]["arch"]) == {"amd64", "arm64"}


def test_there_is_exactly_one_endpoint_group():
    # Of several only the last would survive in the daemon.
    assert MANIFEST["plugins"] == {"endpoints": ["group/kafka_bridge.yaml"]}


def test_permissions_are_those_that_the_plugin_uses():
    permission = MANIFEST["resource"]["permission"]

    assert {name for name, value in permission.items() if value["enabled"]} == {"endpoint", "storage", "app"}
    assert 1024 <= permission["storage"]["size"] <= 1_073_741_824


@pytest.mark.parametrize("field", ["icon", "icon_dark"])
def test_an_icon_is_a_file(field):
    assert len(MANIFEST[field]) <= 128
    assert (REPOSITORY / "_assets" / MANIFEST[field]).read_bytes().strip()


def test_an_icon_runs_no_script_and_loads_nothing():
    for field in ("icon", "icon_dark"):
        svg = (REPOSITORY / "_assets" / MANIFEST[field]).read_text(encoding="utf-8")
        assert not re.search(r"<script|<foreignObject|\son\w+=|href=\"(?!#)", svg)


def test_the_privacy_policy_is_written():
    assert MANIFEST["privacy"] == "PRIVACY.md"
    assert (REPOSITORY / MANIFEST["privacy"]).read_text(encoding="utf-8").strip()


ALL_TRANSLATIONS = [*translations(MANIFEST, "manifest"), *translations(GROUP, "group")]


@pytest.mark.parametrize(("place", "texts"), ALL_TRANSLATIONS, ids=[place for place, _ in ALL_TRANSLATIONS])
def test_a_text_is_there_in_four_languages_and_not_too_long(place, texts):
    assert texts.keys() == LANGUAGES
    assert all(1 <= len(text) <= 1023 and text == text.strip() for text in texts.values())


def test_english_texts_are_english():
    assert [texts["en_US"] for _, texts in ALL_TRANSLATIONS if CJK.search(texts["en_US"])] == []


# The settings.


def test_the_group_has_no_more_settings_than_the_daemon_takes():
    assert len(GROUP["settings"]) <= 64
    assert max(Counter(setting["name"] for setting in GROUP["settings"]).values()) == 1


def test_the_group_is_the_table():
    group = [
        (
            setting["name"],
            setting["type"],
            setting["label"]["en_US"],
            setting.get("default", ""),
            tuple(option["value"] for option in setting.get("options", ())),
        )
        for setting in GROUP["settings"]
    ]
    table = [
        (name, setting.kind.value, setting.label, setting.default, setting.options)
        for name, setting in SETTINGS.items()
    ]

    assert group == table


@pytest.mark.parametrize("setting", GROUP["settings"], ids=[setting["name"] for setting in GROUP["settings"]])
def test_a_setting_is_never_required_because_the_parser_says_what_is_missing(setting):
    assert setting["required"] is False


@pytest.mark.parametrize("setting", GROUP["settings"], ids=[setting["name"] for setting in GROUP["settings"]])
def test_a_setting_is_explained(setting):
    kind = SETTINGS[setting["name"]].kind

    assert setting.keys() >= {"name", "type", "required", "label", "help"}
    assert ("placeholder" in setting) is (kind in ONE_LINE_FIELDS)
    assert "url" not in setting


def test_an_option_is_short_and_labelled():
    for setting in GROUP["settings"]:
        options = setting.get("options", [])
        assert len(options) < 128
        assert all(len(option["value"]) < 128 and option["label"].keys() == LANGUAGES for option in options)


def test_the_app_may_be_of_any_kind_that_the_plugin_can_run():
    (app,) = (setting for setting in GROUP["settings"] if setting["type"] == "app-selector")

    assert set(app.get("scope", "all").split("&")) <= {"all", "chat", "workflow", "completion"}


def test_no_text_holds_what_looks_like_a_real_secret():
    for place, texts in ALL_TRANSLATIONS:
        for text in texts.values():
            assert not re.search(r"whsec_[A-Za-z0-9+/]{16}|sk_live_|[A-Za-z0-9+/]{40}", text), place


# The endpoints.


def test_every_endpoint_file_is_listed_exactly_once():
    assert sorted(GROUP["endpoints"]) == sorted(ENDPOINTS)


@pytest.mark.parametrize("endpoint", ENDPOINTS.values(), ids=ENDPOINTS)
def test_an_endpoint_has_a_path_a_method_and_a_source(endpoint):
    assert endpoint["path"].startswith("/")
    assert endpoint["method"] in METHODS
    assert (REPOSITORY / endpoint["extra"]["python"]["source"]).is_file()


def test_no_two_endpoints_have_the_same_path_and_method():
    routes = Counter((endpoint["path"], endpoint["method"]) for endpoint in ENDPOINTS.values())

    assert [route for route, count in routes.items() if count > 1] == []


def test_what_no_other_file_matches_is_caught_by_hidden_ones():
    caught = {
        (endpoint["path"], endpoint["method"], endpoint.get("hidden"), endpoint["extra"]["python"]["source"])
        for endpoint in ENDPOINTS.values()
        if endpoint["path"] in {"/", "/<path:rest>"}
    }

    assert caught == {(path, method, True, "endpoints/rest.py") for path in ("/", "/<path:rest>") for method in METHODS}


def test_an_operator_sees_the_paths_that_a_sender_or_a_probe_needs():
    seen = {(endpoint["method"], endpoint["path"]) for endpoint in ENDPOINTS.values() if not endpoint.get("hidden")}

    assert seen == {("POST", "/webhook"), ("POST", "/webhook/<source>"), ("GET", "/health")}


def test_every_endpoint_source_is_used():
    used = {endpoint["extra"]["python"]["source"] for endpoint in ENDPOINTS.values()}
    there = {path.relative_to(REPOSITORY).as_posix() for path in REPOSITORY.glob("endpoints/*.py")}

    assert used == there - {"endpoints/__init__.py"}


# One version, said in four places.


def test_the_version_is_the_same_everywhere():
    changelog = (REPOSITORY / "CHANGELOG.md").read_text(encoding="utf-8")
    released = re.search(r"^## \[(\d+\.\d+\.\d+)\]", changelog, re.MULTILINE)
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]

    assert released, "no '## [0.1.0]' in CHANGELOG.md"
    assert MANIFEST["version"] == project["version"] == kafka_bridge.__version__ == released[1]


def test_the_readme_is_english_because_translations_have_files_of_their_own():
    assert not CJK.search((REPOSITORY / "README.md").read_text(encoding="utf-8"))


def test_a_translated_readme_has_the_name_that_the_platform_looks_for():
    for path in (REPOSITORY / "readme").glob("*"):
        assert re.fullmatch(r"README_([a-z]{2}_[A-Za-z]{2,})\.md", path.name)


def test_a_requirement_has_a_range():
    for line in (REPOSITORY / "requirements.txt").read_text(encoding="utf-8").split():
        assert re.fullmatch(r"[a-z][a-z0-9_-]*>=\d+(\.\d+)*,<\d+(\.\d+)*", line)
